"""`nsmig resume`: go on with, or undo, what was left half-done."""

from __future__ import annotations

from argparse import Namespace

from ..domain.errors import Refused, UsageError
from ..domain.events import Emit, Result
from ..engine.batch.ending import still_left
from . import consent, outcome
from .batch_cmd import open_batches, resume_batch
from .session import Session, Work


async def resume(session: Session, arguments: Namespace) -> int:
    """Go on with one vhost's run, one batch, or with everything that has not ended as far as we know."""
    if arguments.vnode and not arguments.vhost:
        return await _batch(session, arguments)
    if arguments.retry:
        raise UsageError("--retry goes with a batch.", hint="See `nsmig attach --list`.")
    batches: list[str] = []
    if arguments.vnode:
        vhost = session.vhost(arguments.vnode, arguments.vhost)
        targets = [(vhost.vnode, vhost.domain)]
    else:
        open_runs = session.app.store.unfinished()
        targets = list(dict.fromkeys((record.vnode, record.vhost) for record in open_runs))
        batches = open_batches(session)
    if batches:
        if arguments.undo:
            raise UsageError(
                f"The batch {batches[0]} is not finished; --undo undoes one vhost.",
                hint="Give VNODE and VHOST, or leave out --undo.",
            )
        return await _everything(session, arguments, batches, targets)
    if not targets:
        session.out.talk("Nothing is unfinished, as far as we know; `nsmig discover` asks the vnodes.")
    else:
        await _agree(session, arguments, targets)
    return await session.work("resume", targets, _one(session, undo=arguments.undo))


def _one(session: Session, *, undo: bool) -> Work:
    engine = session.app.engine

    async def run(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.resume(vnode, domain, emit, undo=undo)

    return run


async def _batch(session: Session, arguments: Namespace) -> int:
    if arguments.undo or arguments.vnode not in session.app.batches.names():
        raise UsageError("Give VNODE and VHOST, or a batch, or neither.", hint="nsmig attach --list")
    await _agree_batches(session, arguments, [arguments.vnode], [])
    return await resume_batch(session, arguments.vnode, retry=arguments.retry)


async def _everything(
    session: Session, arguments: Namespace, batches: list[str], targets: list[tuple[str, str]]
) -> int:
    """Open batches one after another; what is unfinished outside of them first."""
    inside = {
        (item.vnode, item.domain) for name in batches for item in session.app.batches.view(name).spec.work
    }
    alone = [target for target in targets if target not in inside]
    await _agree_batches(session, arguments, batches, alone)
    session.last = False
    codes = [await session.work("resume", alone, _one(session, undo=False))] if alone else []
    for name in batches:
        codes.append(await resume_batch(session, name, retry=False))
    session.last = True
    session.report(session.told)
    return outcome.combine(codes)


async def _agree_batches(
    session: Session, arguments: Namespace, batches: list[str], alone: list[tuple[str, str]]
) -> None:
    facts = [f"Go on with the batch {name}: {summary}" for name, summary in _left(session, batches)]
    facts += [f"Attach to or finish {vnode} {domain}" for vnode, domain in alone]
    facts.append("The vnodes' own journals decide what is left to do.")
    try:
        await consent.require(session.out, facts, yes=arguments.yes)
    except Refused as error:
        raise session.refuse(error, alone) from None


def _left(session: Session, batches: list[str]) -> list[tuple[str, str]]:
    found = []
    for name in batches:
        view = session.app.batches.view(name)
        left, _overtaken = still_left(session.app.store, view)
        found.append((name, f"{len(left)} of {len(view.spec.work)} vhosts are left"))
    return found


async def _agree(session: Session, arguments: Namespace, targets: list[tuple[str, str]]) -> None:
    doing = "Undo" if arguments.undo else "Attach to or finish"
    facts = [f"{doing} what was left half-done on:", *(f"  {vnode} {domain}" for vnode, domain in targets)]
    facts.append("The vnode's own journal decides what is left to do. The way back: `nsmig rollback`.")
    try:
        await consent.require(session.out, facts, yes=arguments.yes)
    except Refused as error:
        raise session.refuse(error, targets) from None
