"""Every run that this program knows, its own and those of batches, as one list for the views."""

from __future__ import annotations

from ..domain.batch_view import PAUSED, RUNNING, WAITING, BatchView
from ..domain.errors import Refused
from ..domain.run_state import WAITING as RUN_WAITS
from ..domain.run_state import RunState, Totals, totals
from ..engine.controller import RunController
from .batch_watch import BatchWatch


class AllRuns:
    """Looks at both, and passes orders on: to the controller at once, to a batch by its mailbox.

    Where both know a vhost, what was asked for last is shown. Orders raise Refused with the reason.
    """

    def __init__(self, controller: RunController, batches: BatchWatch) -> None:
        self.controller, self.batches = controller, batches

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self.controller.version + self.batches.version

    @property
    def active(self) -> int:
        """How many runs wait or go on."""
        return self.controller.active + self.waiting_in_batches(all_open=True)

    def waiting_in_batches(self, *, all_open: bool = False) -> int:
        """How many runs of batches wait; with ``all_open`` also those under way."""
        return sum(
            not run.ended if all_open else run.phase == RUN_WAITS
            for view in self.batches.live()
            for run in view.runs.values()
        )

    def snapshot(self) -> tuple[RunState, ...]:
        """Every run, each vhost once."""
        found: dict[str, RunState] = {}
        for view in self.batches.views():
            found.update({key: view.shown(key) for key in view.runs})
        for state in self.controller.snapshot():
            other = found.get(state.key)
            if other is None or other.ended or state.queued >= other.queued:
                found[state.key] = state
        return tuple(found.values())

    def totals(self, now: float) -> Totals:
        """What the batch comes to that was made last; without any, the runs of this program."""
        views = self.batches.views()
        return views[-1].totals(now) if views else totals(self.controller.snapshot(), now)

    def batch_of(self, key: str) -> BatchView | None:
        """The batch whose run is shown under ``key``; None for a run of the controller's."""
        view, own = self.batches.of_run(key), self.controller.state(key)
        if view is None or own is None:
            return view
        run = view.runs[key]
        return None if run.ended or own.queued >= run.queued else view

    def state(self, key: str) -> RunState | None:
        """The run that is shown under ``key``."""
        view = self.batch_of(key)
        return view.shown(key) if view else self.controller.state(key)

    def log_lines(self, key: str) -> list[tuple[float, str]]:
        """The last lines of its log."""
        view = self.batch_of(key)
        return self.batches.log_lines(view.spec.batch, key) if view else self.controller.log_lines(key)

    def is_busy(self, vnode: str, domain: str = "") -> bool:
        """Whether a run on this vhost waits or goes on."""
        key = f"{vnode}/{domain}" if domain else vnode
        in_batch = any(key in view.runs and not view.runs[key].ended for view in self.batches.live())
        return in_batch or self.controller.is_busy(vnode, domain)

    # -- orders ----------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether new runs are held back, here or in a batch."""
        return self.controller.paused or any(view.phase in (PAUSED, WAITING) for view in self.batches.live())

    def pause(self) -> bool:
        """Hold back all that has not begun. False where nothing is left to be held back."""
        running = [view for view in self.batches.live() if view.phase == RUNNING]
        own = bool(self.controller.active) and not self.controller.paused
        if own:
            self.controller.pause()
        for view in running:
            self.send(view, "pause")
        return own or bool(running)

    def go_on(self) -> bool:
        """Let go what was held back by ``pause``; a batch that waits for consent goes on waiting.

        False where nothing was held back.
        """
        held = [view for view in self.batches.live() if view.phase == PAUSED]
        own = self.controller.paused
        if own:
            self.controller.unpause()
        for view in held:
            self.send(view, "continue")
        return own or bool(held)

    def cancel(self, key: str) -> bool:
        """Drop a run that has not begun. False when it has."""
        view = self.batch_of(key)
        if view is None:
            return self.controller.cancel(key)
        if view.over or view.runs[key].phase != RUN_WAITS:
            return False
        self.send(view, "cancel", key)
        return True

    def cancel_waiting(self) -> int:
        """Drop all that has not begun; answers how many."""
        count = self.controller.cancel_waiting() + self.waiting_in_batches()
        for view in self.batches.live():
            self.send(view, "cancel")
        return count

    def send(self, view: BatchView, do: str, key: str = "") -> None:
        """One word to a batch. Raises Refused in a read-only session, or when nobody hears it."""
        if self.controller.read_only:
            raise Refused("Steering a batch changes something, and this is a read-only session.")
        self.batches.parts.batches.send(view.spec.batch, do, key)

    def forget_ended(self) -> None:
        """Clear what has ended out of the view; the records stay."""
        self.controller.forget_ended()
        self.batches.forget_ended()

    async def leave(self) -> None:
        """Stop looking at everything."""
        await self.batches.leave()
        await self.controller.leave()

    async def wait(self) -> None:
        """Return when nothing waits or goes on."""
        await self.controller.wait()
        await self.batches.wait()
