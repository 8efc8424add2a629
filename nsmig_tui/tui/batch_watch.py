"""Watches batches that processes of their own conduct, and keeps their runs as snapshots like any other.

Whoever watches stops nothing: a batch neither knows nor needs this program.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..domain import batch_events as told
from ..domain.batch import BatchSpec
from ..domain.batch_view import BatchView
from ..domain.errors import NsmigError
from ..domain.events import Event, Result, Summary
from ..domain.run_state import OK, RunState, log_text

LOG_LINES = 500
BREATH = 200
"""So many events of a journal are taken before keys are looked at again."""


@dataclass
class Watched:
    """One batch that is watched. ``since``: when we began to look; what is older is no news."""

    batch: str
    since: float
    view: BatchView | None = None
    logs: dict[str, deque[tuple[float, str]]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether its process works, as far as we have read."""
        return self.view is None or not self.view.over


class BatchWatch:
    """All batches that are watched. ``version`` grows with every change. For the event loop's thread.

    ``ended`` hears the RunState of each run that ends while we watch; ``news`` (words, how bad) what the
    batch itself has to say.
    """

    def __init__(self, parts: Any, clock: Callable[[], float]) -> None:
        self.parts, self.clock = parts, clock
        self.version = 0
        self.ended: list[Callable[[RunState], None]] = []
        self.news: list[Callable[[str, str], None]] = []
        self.watched: dict[str, Watched] = {}

    def follow(
        self, batch: str, spec: BatchSpec | None = None, *, since: int | None = None, retry: bool = False
    ) -> None:
        """Watch this batch; one that is watched is left alone unless it is over. ``since``, ``retry``: see
        ``Batches.attach``."""
        known = self.watched.get(batch)
        if known is not None and known.alive:
            return
        one = Watched(batch, self.clock(), BatchView(spec) if spec else None)
        if known is not None:
            one.logs = known.logs
        self.watched[batch] = one
        one.task = asyncio.get_running_loop().create_task(self._read(one, since, retry), name=batch)
        self.version += 1

    def views(self) -> list[BatchView]:
        """Every batch that is watched, the one that was made last at the end."""
        found = [one.view for one in self.watched.values() if one.view is not None]
        return sorted(found, key=lambda view: view.spec.made_at)

    def live(self) -> list[BatchView]:
        """Those that a process works on."""
        return [view for view in self.views() if not view.over]

    def of_run(self, key: str) -> BatchView | None:
        """The last batch that this vhost is part of."""
        return next((view for view in reversed(self.views()) if key in view.runs), None)

    def log_lines(self, batch: str, key: str) -> list[tuple[float, str]]:
        """The last lines of one run's log."""
        one = self.watched.get(batch)
        return list(one.logs.get(key, ())) if one else []

    def forget_ended(self) -> None:
        """Watch only what a process works on."""
        for name in [name for name, one in self.watched.items() if not one.alive]:
            del self.watched[name]
        self.version += 1

    async def wait(self) -> None:
        """Return when no batch that is watched goes on."""
        while tasks := [one.task for one in self.watched.values() if one.task and not one.task.done()]:
            await asyncio.wait(tasks)

    async def leave(self) -> None:
        """Stop looking. Batches go on."""
        tasks = [one.task for one in self.watched.values() if one.task and not one.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- inside ----------------------------------------------------------------------------------

    async def _read(self, one: Watched, since: int | None, retry: bool) -> None:
        batches = self.parts.batches
        try:
            if one.view is None:
                before = await asyncio.to_thread(batches.view, one.batch)
                # Of runs that earlier processes ended we are told their results only: how they came about
                # is in what has been kept.
                ended = {key: run for key, run in before.runs.items() if run.phase == OK}
                one.view = BatchView(before.spec, ended if since is not None else {})
            count = 0
            async with contextlib.aclosing(batches.attach(one.batch, since=since, retry=retry)) as stream:
                async for at, event in stream:
                    self._take(one, event, at)
                    count += 1
                    if count % BREATH == 0:
                        await asyncio.sleep(0)
        except NsmigError as error:
            self._say(error.message, "error")
        if one.view is not None and not one.view.over:
            one.view.died()
            words = f"The process of batch {one.batch} is gone; what runs on the vnodes goes on there."
            self._say(f"{words} R takes it up again.", "error")
        elif one.view is None:
            del self.watched[one.batch]
        self.version += 1

    def _take(self, one: Watched, event: Event | Summary, at: float) -> None:
        view = one.view
        assert view is not None
        fresh = at == 0 or at >= one.since - 1
        view.take(event, at or self.clock())
        self.version += 1
        key = f"{getattr(event, 'vnode', '')}/{getattr(event, 'vhost', '')}"
        line = log_text(event)
        log = one.logs.setdefault(key, deque(maxlen=LOG_LINES)) if key in view.runs and line else None
        if log is not None and (at, line) not in log:
            log.append((at, line))
        if not fresh:
            return
        if isinstance(event, Result) and key in view.runs:
            for listener in self.ended:
                listener(view.runs[key])
        words, how = words_of(event, view)
        if words:
            self._say(words, how)

    def _say(self, words: str, how: str) -> None:
        for listener in self.news:
            listener(words, how)


def words_of(event: Event | Summary, view: BatchView) -> tuple[str, str]:
    """What the batch itself says, and how bad it is; empty for what its rows show."""
    match event:
        case told.VnodeSetAside():
            return f"{event.vnode} is set aside with {event.left} vhosts: {event.reason}", "warning"
        case told.BatchPaused() if event.consent:
            return f"The rest waits for you: {event.reason}. c lets it go.", "warning"
        case told.BatchStopped():
            return f"Nothing more is begun: {event.reason}", "warning"
        case told.BatchEnded():
            sums = view.totals(view.ended or 0.0)
            words = f"Batch {view.spec.batch}: {event.outcome}. {sums.ok} ok, {sums.failed} failed"
            more = ((sums.skipped, "skipped"), (sums.left, "left"))
            rest = "".join(f", {count} {word}" for count, word in more if count)
            again = " R tries again what failed." if view.settled_badly else ""
            return f"{words}{rest}.{again}", "information" if event.exit_code == 0 else "warning"
    return "", ""
