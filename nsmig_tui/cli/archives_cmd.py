"""`nsmig archives`: prove them whole, and let go of those that the retention settings no longer keep."""

from __future__ import annotations

from argparse import Namespace

from ..domain.amounts import size
from ..domain.errors import NsmigError, Refused, UsageError
from ..domain.events import Emit, Result
from ..domain.retention import Choice
from ..domain.text import clean
from . import consent
from .session import Session

Target = tuple[str, str]


async def verify(session: Session, arguments: Namespace) -> int:
    """Check every archive of one vhost, one vnode or all."""
    engine = session.app.engine

    async def one(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.verify_archives(vnode, domain, emit)

    return await session.work("verify", _targets(session, arguments), one)


async def prune(session: Session, arguments: Namespace) -> int:
    """Delete what is old enough; with --dry-run only say what that is."""
    settings, engine = session.settings, session.app.engine
    days = arguments.keep_days or settings.keep_days
    count = arguments.keep_count or settings.keep_count
    plans: list[tuple[Target, list[Choice]]] = []
    unclear: list[Target] = []

    async def plan(vnode: str, domain: str, _emit: Emit) -> Result:
        choices = await engine.plan_prune(vnode, domain, days, count)
        plans.append(((vnode, domain), choices))
        for choice in choices if arguments.dry_run else ():
            _show(session, vnode, domain, choice)
        return Result(vnode, domain, ok=True, status=session.status(vnode, domain))

    targets = _targets(session, arguments)
    if arguments.dry_run:
        return await session.work("plan", targets, plan)
    for target in targets:
        try:
            await plan(*target, session.printer.event)
        except NsmigError:
            unclear.append(target)  # its own run below tells why
    chosen = [target for target, choices in plans if any(choice.prune for choice in choices)]
    if chosen:
        await _agree(session, arguments, plans)
    elif not unclear:
        session.out.talk(f"Nothing is older than {days} days with {count} newer ones beside it.")

    async def one(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.prune(vnode, domain, days, count, emit)

    return await session.work("prune", [*chosen, *unclear], one)


async def _agree(session: Session, arguments: Namespace, plans: list[tuple[Target, list[Choice]]]) -> None:
    going = [(target, c.kept) for target, choices in plans for c in choices if c.prune]
    whole = sum(kept.size for _, kept in going)
    facts = [f"Delete {len(going)} things, {size(whole)}. They cannot be brought back:"]
    facts += [clean(f"  {vnode} {domain}: {kept.name}", 200) for (vnode, domain), kept in going[:20]]
    if len(going) > 20:
        facts.append(f"  and {len(going) - 20} more")
    try:
        await consent.require(session.out, facts, yes=arguments.yes)
    except Refused as error:
        raise session.refuse(error, [target for target, _ in plans]) from None


def _show(session: Session, vnode: str, domain: str, choice: Choice) -> None:
    kept, word = choice.kept, "delete" if choice.prune else "keep"
    if session.settings.json:
        session.out.json_line(
            {
                "type": "prune_plan",
                "vnode": vnode,
                "vhost": domain,
                "name": kept.name,
                "size": kept.size,
                "prune": choice.prune,
                "reason": choice.why,
            }
        )
    else:
        session.out.line(
            clean(f"{word:<7}{vnode}  {domain}  {kept.name}  {size(kept.size)}  {choice.why}", 400)
        )


def _targets(session: Session, arguments: Namespace) -> list[Target]:
    if arguments.vhost:
        vhost = session.vhost(arguments.vnode, arguments.vhost)
        return [(vhost.vnode, vhost.domain)]
    only = arguments.vnode or arguments.only_vnode
    if arguments.vnode and arguments.only_vnode and arguments.vnode != arguments.only_vnode:
        raise UsageError("Two different vnodes are named.")
    if only:
        session.vnode(only)
    known = session.app.store.vhosts(only)
    return [
        (vhost.vnode, vhost.domain)
        for vhost in known
        if not vhost.vanished and (vhost.rollback_available or vhost.backup_archive)
    ]
