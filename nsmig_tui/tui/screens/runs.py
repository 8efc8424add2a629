"""The runs screen: every run of this session, failures first; the seven steps and the log of one."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from ...domain.batch_view import WAITING
from ...domain.errors import NsmigError, Refused
from ...domain.run_state import RunState
from .. import actions
from ..acts import again, batches
from ..panes import run_lines, wrap
from ..safe import content
from ..selection import Targets
from ..widgets.bars import LineBar
from ..widgets.virtual_list import VirtualList
from ..words import Line
from .base import WorkScreen

TICK = 0.2
"""Seconds between looks at the controller."""

CALM = 3
"""The list is drawn at every such look only: a screenful of moving rows must not flood a slow link."""


class RunsScreen(WorkScreen):
    """Draws snapshots of the controller; the runs do not know of this screen."""

    WHERE = "runs"
    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar = [*actions.bindings("runs"), Binding("left", "back", "Back", show=False)]

    def __init__(self) -> None:
        super().__init__(id="runs")
        self._seen = -1
        self._order: list[str] = []
        self._beat = 0

    def body(self):
        """Totals, the list, the steps of one run, its log."""
        yield LineBar(id="totals")
        yield VirtualList(self._draw, lambda key: key, id="list")
        with Vertical(id="one"):
            yield VirtualList(wrap.draw, wrap.key_of, with_cursor=False, id="steps")
            yield Static(content("Log (UTC)"), id="log-title", markup=False)
            yield VirtualList(wrap.draw, wrap.key_of, with_cursor=False, follow=True, id="log")

    @property
    def list(self) -> VirtualList:
        """The list of runs."""
        return self.query_one("#list", VirtualList)

    def on_mount(self) -> None:
        """Draw at once, then look again and again."""
        if not self.is_here:
            return
        self.list.focus()
        self.look(force=True)
        self.set_interval(TICK, self.look)
        self.app.run_worker(batches.find_running(self.app), group="acts")

    def on_resize(self) -> None:
        """Wrap to the new width; right after the mount there is none yet."""
        super().on_resize()
        self.call_after_refresh(self.look, force=True)

    def on_screen_resume(self) -> None:
        """Back here: catch up."""
        super().on_screen_resume()
        self.look(force=True)

    def focus_run(self, key: str) -> None:
        """Put the cursor on this run."""
        if not self.is_here:
            return
        self.look(force=True)
        index = self.list.index_of(key)
        if index is not None:
            self.list.move_to(index)

    def title_pieces(self) -> Line:
        """Where we are, and how the batch stands."""
        return [("Runs  ", "bold"), *run_lines.batch_pieces(self.app.batch_watch.views(), self.size.width)]

    @property
    def state(self) -> RunState | None:
        """The run under the cursor."""
        return self.app.all_runs.state(self.list.row) if self.list.row else None

    def targets(self) -> Targets:
        """The vhost of the run under the cursor."""
        state = self.state
        if state is None:
            return Targets()
        node, host = self.app.model.nodes.get(state.vnode), self.app.model.hosts.get(state.key)
        return Targets((host,) if host else (), (node,) if node else (), host or node, run=state)

    def look(self, force: bool = False) -> None:
        """Take a snapshot and draw what has changed; nothing to do costs nothing."""
        control = self.app.all_runs
        if (
            not self.is_mounted
            or self.app.screen is not self
            or (not force and control.version == self._seen and not control.active)
        ):
            return
        # What ended last must not stand as moving until the next beat, which then never comes.
        force = force or not control.active
        self._seen = control.version
        states = run_lines.in_order(control.snapshot())
        order = [state.key for state in states]
        if order != self._order or force:
            self._order, self._beat = order, 0
            self.list.styles.height = max(1, min(len(order), max(3, (self.size.height - 4) // 2)))
            self.list.show(order)
        elif self._beat % CALM == 0:
            self.list.redraw()
        now = self.app.clock()
        if force or self._beat % CALM == 0:
            sums = control.totals(now)
            line = run_lines.totals_line(sums, self.app.signs, paused=control.paused, width=self.size.width)
            self.query_one("#totals", LineBar).show(line)
            self.refresh_bars()
        self._beat += 1
        self._show_one(now)

    @on(VirtualList.Highlighted, "#list")
    def _highlighted(self, event: VirtualList.Highlighted) -> None:
        event.stop()
        if not self.is_here:
            return
        self._show_one(self.app.clock())
        self.refresh_bars()

    def _draw(self, key: str, width: int) -> Line:
        state = self.app.all_runs.state(key)
        return run_lines.row(state, width, self.app.signs, self.app.clock()) if state else []

    def _show_one(self, now: float) -> None:
        state, steps, log = (
            self.state,
            self.query_one("#steps", VirtualList),
            self.query_one("#log", VirtualList),
        )
        self.query_one("#one").display = state is not None
        if state is None:
            return
        # Before the first layout the list has no width of its own.
        width = max(20, steps.scrollable_content_region.width or self.app.size.width - 3)
        rows = run_lines.steps(state, self.app.signs, now, width)
        steps.styles.height = min(len(rows), max(4, self.size.height // 2))
        update(steps, rows)
        update(log, run_lines.log(self.app.all_runs.log_lines(state.key)[-500:], width))

    # -- acts ------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the fleet; the runs go on."""
        self.app.open_fleet()

    async def toggle_pause(self) -> None:
        """Hold back runs that have not begun, or let go what was held back."""
        runs = self.app.all_runs
        try:
            if not runs.pause() and not runs.go_on():
                if any(view.phase == WAITING for view in self.app.batch_watch.live()):
                    await self.release_batch()
                elif self.app.controller.read_only:
                    raise Refused("Nothing runs.")
                else:
                    self.app.controller.pause()
        except NsmigError as error:
            self.app.notify(error.message, severity="warning", markup=False)
        self.look(force=True)

    async def release_batch(self) -> None:
        """Let the rest of a batch go, after a question."""
        await again.release(self.app, self.list.row or "")
        self.look(force=True)

    def cancel_run(self) -> None:
        """Drop the run under the cursor, if it has not begun."""
        state = self.state
        if state is None:
            return
        try:
            dropped = self.app.all_runs.cancel(state.key)
        except NsmigError as error:
            self.app.notify(error.message, severity="warning", markup=False)
            return
        words = f"{state.vhost or state.vnode} dropped; nothing was touched."
        if not dropped:
            words = batches.no_cancel(self.app, self.targets())
        self.app.notify(words, markup=False)

    async def retry_failed(self) -> None:
        """Ask again for all that failed; a batch that has ended gets a process again."""
        try:
            words = await again.retry_failed(self.app)
        except NsmigError as error:
            await self.app.show_error("Could not be asked again", error)
        else:
            self.app.notify(words, markup=False)
        self.look(force=True)

    def clear_ended(self) -> None:
        """Take ended runs out of the view."""
        self.app.all_runs.forget_ended()
        self.look(force=True)


def update(shown: VirtualList, rows: list) -> None:
    """Show ``rows``; where their number is the same, only lines that differ are drawn."""
    if len(rows) == len(shown.rows) and not shown.with_cursor:
        shown.rows = rows
        shown.redraw()
    else:
        shown.show(rows)
