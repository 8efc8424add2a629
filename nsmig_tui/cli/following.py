"""Watches a batch from the command line. Whoever stops watching stops nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import Any

from ..domain import batch_events as told
from ..domain.batch_report import summary_lines
from ..domain.batch_view import BatchView
from ..domain.errors import ExitCode, Interrupted
from ..domain.events import Event, Result, StepProgressed, Summary
from ..domain.text import clean
from .documents import error_line
from .session import Session


async def follow(session: Session, batch: str, **part: Any) -> int:
    """Print what happens until the batch has ended; answers its exit code.

    ``part``: how much of earlier processes is told, see ``Batches.attach``. Raises
    Interrupted when the watching is interrupted, or when the batch's process is gone.
    """
    batches = session.app.batches
    view = batches.view(batch)
    watch = _Watch(session, BatchView(view.spec))
    stream = batches.attach(batch, **part)
    try:
        async with contextlib.aclosing(stream):
            async for at, event in stream:
                watch.take(at, event)
    except (asyncio.CancelledError, KeyboardInterrupt) as stop:
        error = Interrupted(
            f"Stopped watching. The batch {batch} goes on.",
            hint=f"Watch it again: nsmig attach {batch}; stop it: nsmig attach {batch} --cancel",
        )
        raise _told(session, watch.view, error) from stop
    return _end(session, watch.view, batch)


def _end(session: Session, view: BatchView, batch: str) -> int:
    view.died()
    session.printer.pause()
    if not session.settings.json:
        for line in summary_lines(view):
            session.out.line(clean(line, 300))
    if view.phase == "died":
        said = "; ".join(session.app.batches.log_tail(batch, 2))
        error = Interrupted(
            f"The process of batch {batch} is gone. {said}".strip(),
            hint=f"What runs on the vnodes goes on there. Go on with: nsmig resume {batch}",
        )
        raise _told(session, view, error)
    session.report(list(view.results.values()))
    if session.out.talk_is_terminal and not session.settings.quiet:
        session.out.bell()
    return int(view.exit_code if view.exit_code is not None else ExitCode.INTERRUPTED)


def _told(session: Session, view: BatchView, error: Interrupted) -> Interrupted:
    """Print what is known so far. No result line says how to go on, so a line of its own does."""
    if session.settings.json:
        session.out.json_line(error_line(error))
    session.report(list(view.results.values()))
    return error


class _Watch:
    """Shows events one by one and folds them into a view."""

    def __init__(self, session: Session, view: BatchView) -> None:
        self.session, self.view = session, view
        self._quiet_until = 0.0

    def take(self, at: float, event: Event | Summary) -> None:
        """Show one event."""
        self.view.take(event, at or time.time())
        printer, out = self.session.printer, self.session.out
        if isinstance(event, Summary):
            return  # told at the end, once, from all results
        if isinstance(event, Result):
            if event.skipped and not event.status:
                event = replace(event, status=self.session.status(event.vnode, event.vhost))
            printer.result(event, brief=True)
            return
        if self.session.settings.json:
            printer.event(event)
            return
        words = batch_words(event)
        if words:
            printer.pause()
            out.talk(words)
            return
        if not isinstance(event, told.BATCH_EVENTS):
            printer.event(event)
        self._in_all(at)

    def _in_all(self, at: float) -> None:
        """A bar for the whole batch, where bars are drawn."""
        now = time.time()
        if now < self._quiet_until or self.view.over:
            return
        self._quiet_until = now + 0.5
        totals = self.view.totals(now)
        done = f"{totals.ok + totals.failed + totals.skipped + totals.left} of {totals.runs}"
        self.session.printer.event(
            StepProgressed("in all", done, "", "", int(totals.fraction * totals.size), totals.size),
        )


def batch_words(event: Event | Summary) -> str:
    """A batch's own event as a line for people; empty for events of its vhosts."""
    match event:
        case told.BatchStarted():
            again = " goes on" if event.resumed else ""
            return f"batch {event.batch}{again}: {event.vhosts} vhosts"
        case told.VnodeSetAside():
            return f"{event.vnode} is set aside with {event.left} vhosts: {event.reason}"
        case told.VnodeBack():
            return f"{event.vnode} is tried again"
        case told.BatchPaused() if event.consent:
            return f"the rest waits for consent ({event.reason}): nsmig attach --continue"
        case told.BatchPaused():
            return f"paused: {event.reason}"
        case told.BatchContinued():
            return f"goes on: {event.reason}"
        case told.BatchStopped():
            return f"nothing more is begun: {event.reason}"
        case told.RetryAsked():
            return f"{event.vnode} {event.vhost} is tried again"
    return ""
