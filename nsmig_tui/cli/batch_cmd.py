"""Batches on the command line: the plan before, the start, and going on with what an earlier one left."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from ..domain.amounts import size
from ..domain.batch import BatchItem, BatchSpec, Limits
from ..domain.batch_plan import BatchPlan
from ..domain.errors import ExitCode, NsmigError, Refused, UsageError
from ..domain.events import Emit, Planned, Result
from ..domain.fleet import IN_NEW_LAYOUT, Vhost
from ..domain.options import MigrateOptions
from ..domain.text import clean
from ..engine.batch.ending import left_over, still_left
from ..engine.batch.measuring import AT_ONCE, plan_batch, spec_of
from . import consent, outcome
from .following import follow
from .session import Session
from .text_printer import seconds

NAMED_IN_QUESTION = 12
"""So many left-out vhosts are named one by one; the rest are counted."""


async def migrate_batch(
    session: Session, arguments: Namespace, vhosts: Sequence[Vhost], options: MigrateOptions
) -> int:
    """Migrate these vhosts in a batch; with --dry-run only say what would happen."""
    limits = limits_of(session, arguments)
    if not vhosts:
        session.out.talk("No vhost is validated; `nsmig validate --all` judges them.")
        session.report([])
        return ExitCode.DONE
    app = session.app
    plan = await plan_batch(app.store, app.engine, vhosts, limits, options)
    if arguments.dry_run:
        return await _show(session, plan, options)
    if not any(not item.skip for item in plan.items):
        _print_plan(session, plan)
        raise _none_begun(session, plan)
    if not arguments.yes:
        for line in plan_lines(plan):
            session.out.talk(line)
    await _agree(session, arguments, plan, vhosts)
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
    spec = spec_of(plan, name, session.settings.operator, time.time(), limits, options)
    return await _start(session, arguments, spec)


def _none_begun(session: Session, plan: BatchPlan) -> NsmigError:
    """Tell each vhost's own reason; answers the error that ends the command."""
    left = [_left_out(session, item) for item in plan.items]
    if session.settings.json:
        for result in left:
            session.printer.result(result)
        session.report(left)
    first = plan.items[0]
    error = Refused(f"No vhost can be begun: {first.skip.rstrip('.')}.", hint=first.hint)
    error.exit_code = ExitCode(outcome.combine(outcome.code_of(result) for result in left))
    return error


def _left_out(session: Session, item: BatchItem) -> Result:
    return Result(
        item.vnode,
        item.domain,
        ok=False,
        status=session.status(item.vnode, item.domain),
        errors=(item.skip,),
        hint=item.hint,
        exit_code=int(item.exit_code or ExitCode.REFUSED),
        skipped=True,
    )


def limits_of(session: Session, arguments: Namespace) -> Limits:
    """The limits that flags and settings give."""
    settings = session.settings
    canary = arguments.canary or 0
    if arguments.clean and not canary:
        raise UsageError("--clean goes with --canary.")
    return Limits(
        vnodes=arguments.jobs or settings.jobs,
        per_vnode=arguments.per_vnode or settings.per_vnode,
        max_failures=arguments.max_failures or settings.max_failures,
        canary=canary,
        clean_s=float(arguments.clean or 0),
    )


async def _start(session: Session, arguments: Namespace, spec: BatchSpec) -> int:
    app = session.app
    app.batches.start(spec, app.typed())
    # The batch has connections of its own from here on.
    await app.hang_up()
    session.out.talk(f"Batch {spec.batch} has begun. It goes on without this terminal: nsmig attach")
    if arguments.detach:
        if session.settings.json:
            session.out.json_line({"type": "batch", "batch": spec.batch})
        else:
            session.out.line(spec.batch)
        return ExitCode.DONE
    return await follow(session, spec.batch)


async def _show(session: Session, plan: BatchPlan, options: MigrateOptions) -> int:
    _print_plan(session, plan)
    engine = session.app.engine
    skipped = {item.key: item for item in plan.items if item.skip}

    async def one(vnode: str, domain: str, emit: Emit) -> Planned | Result:
        item = skipped.get(f"{vnode}/{domain}")
        if item is not None:
            return _left_out(session, item)
        return await engine.plan_migrate(vnode, domain, options)

    return await session.work("plan", [(item.vnode, item.domain) for item in plan.items], one)


def _print_plan(session: Session, plan: BatchPlan) -> None:
    if session.settings.json:
        session.out.json_line(plan_json(plan))
        return
    for line in plan_lines(plan):
        session.out.line(clean(line, 300))


def plan_json(plan: BatchPlan) -> dict[str, Any]:
    """The batch's plan as one JSON line."""
    return {
        "type": "batch_plan",
        "vhosts": sum(not item.skip for item in plan.items),
        "size": sum(item.size for item in plan.items if not item.skip),
        "expected_s": plan.expected_s,
        "vnodes": [
            {
                "vnode": part.vnode,
                "vhosts": part.vhosts,
                "size": part.size,
                "expected_s": round(part.seconds, 1),
                "measured": part.measured,
                "file_systems": [
                    {"device": device, "needed": needed, "free": free} for device, needed, free in part.needs
                ],
            }
            for part in plan.vnodes
        ],
        "order": [f"{item.vnode}/{item.domain}" for item in plan.items if not item.skip],
        "skipped": [
            {"vnode": item.vnode, "vhost": item.domain, "reason": item.skip, "hint": item.hint}
            for item in plan.items
            if item.skip
        ],
    }


def plan_lines(plan: BatchPlan) -> Iterator[str]:
    """The batch's plan for people."""
    work = [item for item in plan.items if not item.skip]
    whole = sum(item.size for item in work)
    guessed = "" if all(part.measured for part in plan.vnodes) else ", not measured yet"
    yield (
        f"{len(work)} vhosts on {len(plan.vnodes)} vnodes, {size(whole)}; "
        f"expected: about {seconds(plan.expected_s)}{guessed}"
    )
    for part in plan.vnodes:
        room = "; ".join(f"needs {size(need)} of {size(free)} free" for _, need, free in part.needs)
        yield f"  {part.vnode}: {part.vhosts} vhosts, {size(part.size)}, {seconds(part.seconds)}; {room}"
    left_out = [item for item in plan.items if item.skip]
    if left_out:
        yield f"{len(left_out)} left out:"
    for item in left_out[:NAMED_IN_QUESTION]:
        yield f"  {item.vnode} {item.domain}: {item.skip}. {item.hint}".rstrip()
    if len(left_out) > NAMED_IN_QUESTION:
        yield f"  and {len(left_out) - NAMED_IN_QUESTION} more"


async def _agree(session: Session, arguments: Namespace, plan: BatchPlan, vhosts: Sequence[Vhost]) -> None:
    facts = ["Migrate them to the new layout, in a batch that outlives this terminal."]
    answer = "yes"
    if arguments.no_backup:
        answer = "no backup"
        facts.append("WITHOUT A BACKUP. The only way back is `nsmig rollback VNODE VHOST`, by rename.")
    else:
        facts.append("The way back: `nsmig rollback VNODE VHOST`, and an archive of each in its .archive/.")
    try:
        await consent.require(session.out, facts, yes=arguments.yes, answer=answer)
    except Refused as error:
        raise session.refuse(error, [(vhost.vnode, vhost.domain) for vhost in vhosts]) from None


def open_batches(session: Session) -> list[str]:
    """Batches that have something left to do and were not cancelled, oldest first."""
    store = session.app.store
    found = []
    for view in session.batches():
        name = view.spec.batch
        if not view.over:
            found.append(name)
            continue
        if view.outcome == "cancelled":
            continue
        if still_left(store, view)[0]:
            found.append(name)
    return found[::-1]


async def resume_batch(session: Session, batch: str, *, retry: bool) -> int:
    """Go on with a batch, or only watch it where a process works on it."""
    app = session.app
    since = None
    if not app.batches.is_alive(batch):
        await _meet(session, batch, retry=retry)
        leave = _taken_back(session, batch, retry=retry)
        since = app.batches.resume(batch, app.typed(), retry=retry, leave=leave)
    elif retry:
        app.batches.send(batch, "retry")
    return await follow(session, batch, whole=False, since=since, retry=retry)


def _taken_back(session: Session, batch: str, *, retry: bool) -> list[str]:
    """Keys of what somebody migrated since and took back: a batch does not go against that unasked."""
    store = session.app.store
    keys = []
    for item in still_left(store, session.app.batches.view(batch), retry=retry)[1]:
        known = store.vhost(item.vnode, item.domain)
        if known is not None and known.status not in IN_NEW_LAYOUT:
            where = f"{item.vnode} {item.domain}"
            session.out.talk(
                f"{where} was dealt with since and is left alone. By itself: nsmig migrate {where}"
            )
            keys.append(item.key)
    return keys


async def _meet(session: Session, batch: str, *, retry: bool) -> None:
    """Connect to the vnodes of what is left while somebody is there to be asked for a password or a host key.

    The batch's process has nobody to ask, and is given what was typed here. A vnode that cannot be reached is
    left to it: it says so, and sets the vnode aside.
    """
    if not session.out.asks:
        return
    view = session.app.batches.view(batch)
    left = left_over(view.spec, view.results, retry=retry)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(vnode: str) -> None:
        async with gate:
            with contextlib.suppress(NsmigError):
                await session.app.engine.check(vnode)

    await asyncio.gather(*(one(vnode) for vnode in dict.fromkeys(item.vnode for item in left)))
