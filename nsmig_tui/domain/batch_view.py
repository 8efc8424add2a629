"""Folds a batch's events into what a view shows; pure, so that command line and screen show the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .batch import BatchSpec
from .batch_events import (
    BatchContinued,
    BatchEnded,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    RetryAsked,
    VnodeBack,
    VnodeSetAside,
)
from .events import Event, Result, Summary
from .run_state import FAILED, LEFT, REFUSED, RunState, Totals, queued, totals
from .run_state import reduce as reduce_run

RUNNING, PAUSED, WAITING, STOPPING, ENDED, DIED = "running", "paused", "waiting", "stopping", "ended", "died"


@dataclass
class BatchView:
    """One batch as of the last event taken.

    ``phase``: running, paused, waiting (for consent), stopping, ended, or died (its process is gone and
    said nothing: ``nsmig resume``). ``outcome``/``exit_code`` hold once it ended.
    """

    spec: BatchSpec
    runs: dict[str, RunState] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    phase: str = RUNNING
    reason: str = ""
    outcome: str = ""
    exit_code: int | None = None
    hint: str = ""
    started: float | None = None
    ended: float | None = None
    consented: bool = False
    version: int = 0

    def __post_init__(self) -> None:
        for item in self.spec.items:
            self.runs.setdefault(
                item.key,
                queued("migrate", item.vnode, item.domain, at=self.spec.made_at, size=item.size),
            )

    def take(self, event: Event | Summary, at: float) -> None:
        """Take one event that happened at ``at``."""
        self.version += 1
        match event:
            case BatchStarted():
                self.phase, self.outcome, self.exit_code, self.ended = RUNNING, "", None, None
                self.started = self.started if self.started is not None else at
            case VnodeSetAside():
                self.aside[event.vnode] = event.reason
            case VnodeBack():
                self.aside.pop(event.vnode, None)
            case BatchPaused():
                if self.phase != WAITING:  # a pause on top does not take the place of consent
                    self.phase, self.reason = (WAITING if event.consent else PAUSED), event.reason
            case BatchContinued():
                self.consented = self.consented or self.phase == WAITING
                self.phase, self.reason = RUNNING, ""
            case BatchStopped():
                self.phase, self.reason = STOPPING, event.reason
            case RetryAsked():
                self._queue_again(f"{event.vnode}/{event.vhost}", at)
                if self.phase == STOPPING:
                    self.phase, self.reason = RUNNING, ""
            case BatchEnded():
                self.phase, self.outcome, self.exit_code = ENDED, event.outcome, event.exit_code
                self.hint, self.ended = event.hint, at
            case _:
                self._take_run(event, at)

    def died(self) -> None:
        """Note that the batch's process is gone without a word."""
        if self.phase != ENDED:
            self.phase, self.outcome = DIED, "interrupted"
            self.version += 1

    @property
    def over(self) -> bool:
        """Whether no process works on it."""
        return self.phase in (ENDED, DIED)

    @property
    def finished(self) -> bool:
        """Whether nothing is left for ``resume``."""
        return self.phase == ENDED and self.outcome != "interrupted"

    @property
    def settled_badly(self) -> int:
        """How many failed or were refused, each by itself: ``resume`` tries those again if asked to."""
        return sum(run.phase in (FAILED, REFUSED) for run in self.runs.values())

    def shown(self, key: str) -> RunState:
        """The run as it stands: nobody here hears of what a batch began whose process is gone."""
        run = self.runs[key]
        if self.phase != DIED or run.ended or run.started is None:
            return run
        words = "the batch's process is gone; the run goes on there"
        heard = max((step.started or run.started for step in run.steps), default=run.started)
        return replace(run, phase=LEFT, error=run.error or words, finished=heard)

    def totals(self, now: float) -> Totals:
        """Counts, share done, remaining seconds; none while the rest waits for a word of the operator."""
        sums = totals([self.shown(key) for key in self.runs], self.ended if self.ended is not None else now)
        canary = self.spec.limits.canary
        begun = sums.runs - sums.waiting - sums.skipped
        is_held = self.phase == WAITING or (canary and not self.consented and begun <= canary)
        return replace(sums, remaining=None) if is_held and sums.waiting else sums

    def _take_run(self, event: Event | Summary, at: float) -> None:
        key = f"{getattr(event, 'vnode', '')}/{getattr(event, 'vhost', '')}"
        state = self.runs.get(key)
        if state is None:
            return
        self.runs[key] = reduce_run(state, event, at)
        if isinstance(event, Result):
            self.results[key] = event

    def _queue_again(self, key: str, at: float) -> None:
        state = self.runs.get(key)
        if state is not None:
            self.results.pop(key, None)
            self.runs[key] = queued("migrate", state.vnode, state.vhost, at=at, size=state.size)
