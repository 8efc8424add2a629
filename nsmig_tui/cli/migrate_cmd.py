"""`nsmig migrate`: the plan, the question, the run."""

from __future__ import annotations

from argparse import Namespace

from ..domain.errors import Refused, UsageError
from ..domain.events import Emit, Planned, Result
from ..domain.fleet import IN_NEW_LAYOUT, Status, Vhost
from ..domain.options import MigrateOptions
from . import consent
from .batch_cmd import migrate_batch
from .session import Session


async def migrate(session: Session, arguments: Namespace) -> int:
    """Migrate one vhost, or all validated ones in a batch; with --dry-run only say what would happen."""
    options = _options(session, arguments)
    vhosts = _chosen(session, arguments)
    settled = not arguments.all_validated and vhosts[0].status in IN_NEW_LAYOUT
    if arguments.all_validated or (arguments.detach and not settled):
        return await migrate_batch(session, arguments, vhosts, options)
    # Limits of how many at once, and of failures, hold for one vhost whatever they are.
    if arguments.canary or arguments.clean:
        raise UsageError("--canary and --clean go with --all-validated.")
    targets = [(vhost.vnode, vhost.domain) for vhost in vhosts]
    engine = session.app.engine
    if arguments.dry_run:

        async def plan(vnode: str, domain: str, emit: Emit) -> Planned | Result:
            if settled:
                await engine.nothing_to_migrate(vnode, domain)
                return _nothing_to_plan(vhosts[0])
            return await engine.plan_migrate(vnode, domain, options)

        return await session.work("plan", targets, plan)
    await _agree(session, arguments, vhosts[0])

    async def run(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.migrate(vnode, domain, options, emit)

    return await session.work("migrate", targets, run)


def _nothing_to_plan(vhost: Vhost) -> Result:
    """What the real run would answer, too."""
    why = f"{vhost.domain} is {vhost.status} already; nothing would be changed"
    return Result(vhost.vnode, vhost.domain, ok=True, status=str(vhost.status), warnings=(why,), skipped=True)


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
        owners=arguments.owners or settings.owners,
        compat=arguments.compat or settings.compat,
        confirm_wait=settings.confirm_wait,
        nice=settings.nice if arguments.nice is None else arguments.nice,
        ionice=arguments.ionice or settings.ionice,
    )


async def _agree(session: Session, arguments: Namespace, vhost: Vhost) -> None:
    facts = [
        f"Migrate {vhost.domain} on {vhost.vnode} from the old layout to the new (status {vhost.status})."
    ]
    undo = f"`nsmig rollback {vhost.vnode} {vhost.domain}`"
    answer = "yes"
    if arguments.no_backup:
        answer = vhost.domain
        facts.append(f"WITHOUT A BACKUP. The only way back: {undo} undoes it by rename; no archive is made.")
    else:
        facts.append(f"The way back: {undo}, and an archive of everything in .archive/.")
    try:
        await consent.require(session.out, facts, yes=arguments.yes, answer=answer)
    except Refused as error:
        raise session.refuse(error, [(vhost.vnode, vhost.domain)]) from None
