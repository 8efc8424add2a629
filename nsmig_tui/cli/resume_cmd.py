"""`nsmig resume`: go on with, or undo, what was left half-done."""

from __future__ import annotations

from argparse import Namespace

from ..domain.errors import Refused, UsageError
from ..domain.events import Emit, Result
from . import consent
from .session import Session


async def resume(session: Session, arguments: Namespace) -> int:
    """Attach to one vhost's run, or to every run that has not ended as far as we know."""
    if arguments.vnode and not arguments.vhost:
        raise UsageError("Give VNODE and VHOST, or neither.")
    if arguments.vnode:
        vhost = session.vhost(arguments.vnode, arguments.vhost)
        targets = [(vhost.vnode, vhost.domain)]
    else:
        open_runs = session.app.store.unfinished()
        targets = list(dict.fromkeys((record.vnode, record.vhost) for record in open_runs))
    if not targets:
        session.out.talk("Nothing is unfinished, as far as we know; `nsmig discover` asks the vnodes.")
    else:
        await _agree(session, arguments, targets)
    engine = session.app.engine

    async def run(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.resume(vnode, domain, emit, undo=arguments.undo)

    return await session.work("resume", targets, run)


async def _agree(session: Session, arguments: Namespace, targets: list[tuple[str, str]]) -> None:
    doing = "Undo" if arguments.undo else "Attach to or finish"
    facts = [f"{doing} what was left half-done on:", *(f"  {vnode} {domain}" for vnode, domain in targets)]
    facts.append("The vnode's own journal decides what is left to do. The way back: `nsmig rollback`.")
    try:
        await consent.require(session.out, facts, yes=arguments.yes)
    except Refused as error:
        raise session.refuse(error, targets) from None
