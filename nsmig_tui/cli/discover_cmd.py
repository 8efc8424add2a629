"""`nsmig discover`: ask vnodes what they have."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from ..domain.errors import NsmigError, UsageError
from ..domain.events import Result
from . import outcome
from .session import Session, interrupted


async def discover(session: Session, arguments: Namespace) -> int:
    """Ask the named vnodes, or all, one after another; one that cannot be reached ends nothing but itself."""
    names = list(dict.fromkeys(arguments.vnodes)) or [vnode.name for vnode in session.app.store.vnodes()]
    if not names:
        raise UsageError("There are no vnodes yet.", hint="Add one with `nsmig node add NAME`.")
    for name in names:
        session.vnode(name)
    engine = session.app.engine
    results: list[Result] = []
    codes: list[int] = []
    for number, name in enumerate(names, 1):
        try:
            found = await engine.discover(name, session.printer.event)
        except NsmigError as error:
            found = [outcome.result_of(error, name, "")]
        except (asyncio.CancelledError, KeyboardInterrupt) as stop:
            why = interrupted("discover", name, "")
            results.append(outcome.result_of(why, name, ""))
            session.printer.result(results[-1])
            session.report([*results, *(Result(left, skipped=True) for left in names[number:])])
            raise why from stop
        for result in found:
            session.printer.result(result)
        results += found
        codes += [outcome.code_of(result) for result in found] or [0]
    session.report(results)
    return outcome.combine(codes)
