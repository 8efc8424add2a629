"""`nsmig migrate`: the plan, the question, the run."""

from __future__ import annotations

from argparse import Namespace

from ..domain.errors import Refused, UsageError
from ..domain.events import Emit, Planned, Result
from ..domain.fleet import Status, Vhost
from ..domain.options import MigrateOptions
from . import consent
from .session import Session

NAMED_IN_QUESTION = 20
"""So many vhosts are named one by one before the operator agrees; the rest are counted."""


async def migrate(session: Session, arguments: Namespace) -> int:
    """Migrate one vhost, or all validated ones in turn; with --dry-run only say what would happen."""
    options = _options(session, arguments)
    vhosts = _chosen(session, arguments)
    targets = [(vhost.vnode, vhost.domain) for vhost in vhosts]
    engine = session.app.engine
    if arguments.dry_run:

        async def plan(vnode: str, domain: str, emit: Emit) -> Planned:
            return await engine.plan_migrate(vnode, domain, options)

        return await session.work("plan", targets, plan)
    if targets:
        await _agree(session, arguments, vhosts)

    async def run(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.migrate(vnode, domain, options, emit)

    return await session.work("migrate", targets, run)


def _chosen(session: Session, arguments: Namespace) -> list[Vhost]:
    if arguments.all_validated == bool(arguments.vnode) or (arguments.vnode and not arguments.vhost):
        raise UsageError("Give VNODE and VHOST, or --all-validated.")
    if arguments.only_vnode and not arguments.all_validated:
        raise UsageError("--vnode goes with --all-validated.")
    if not arguments.all_validated:
        return [session.vhost(arguments.vnode, arguments.vhost)]
    if arguments.only_vnode:
        session.vnode(arguments.only_vnode)
    found = session.app.store.vhosts(arguments.only_vnode, Status.VALIDATED)
    return [vhost for vhost in found if not vhost.vanished]


def _options(session: Session, arguments: Namespace) -> MigrateOptions:
    if arguments.no_backup and not arguments.force:
        raise UsageError(
            "--no-backup needs --force: without an archive there is nothing to restore from.",
            hint="Leave out --no-backup, or add --force.",
        )
    if arguments.force and not arguments.no_backup:
        raise UsageError("--force goes with --no-backup; it overrules nothing else.")
    settings = session.settings
    return MigrateOptions(
        backup=not arguments.no_backup,
        force=arguments.force,
        owners=settings.owners,
        compat=settings.compat,
        confirm_wait=settings.confirm_wait,
    )


async def _agree(session: Session, arguments: Namespace, vhosts: list[Vhost]) -> None:
    first, several = vhosts[0], len(vhosts) > 1
    if several:
        facts = [f"Migrate {len(vhosts)} vhosts to the new layout, one after another:"]
        facts += [f"  {vhost.vnode} {vhost.domain}" for vhost in vhosts[:NAMED_IN_QUESTION]]
        if len(vhosts) > NAMED_IN_QUESTION:
            facts.append(f"  and {len(vhosts) - NAMED_IN_QUESTION} more")
    else:
        facts = [
            f"Migrate {first.domain} on {first.vnode} from the old layout to the new (status {first.status})."
        ]
    undo = "`nsmig rollback VNODE VHOST`" if several else f"`nsmig rollback {first.vnode} {first.domain}`"
    answer = "yes"
    if arguments.no_backup:
        answer = "no backup" if several else first.domain
        facts.append(f"WITHOUT A BACKUP. The only way back: {undo} undoes it by rename; no archive is made.")
    else:
        facts.append(f"The way back: {undo}, and an archive of everything in .archive/.")
    try:
        await consent.require(session.out, facts, yes=arguments.yes, answer=answer)
    except Refused as error:
        raise session.refuse(error, [(vhost.vnode, vhost.domain) for vhost in vhosts]) from None
