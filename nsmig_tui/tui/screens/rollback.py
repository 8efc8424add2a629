"""The rollback screen: undo, or one of the archives; what would change; then the question."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Vertical

from ...domain.errors import NsmigError
from ...domain.events import Planned
from ...domain.options import RollbackOptions, RollbackPoint
from ...engine.controller import Wish
from .. import actions
from ..acts import work
from ..asking import STANDS
from ..dialogs.confirm import Choice, ConfirmDialog
from ..fleet_model import HostLine
from ..panes import plan, points, wrap
from ..panes.wrap import Row
from ..selection import Targets
from ..widgets.bars import LineBar
from ..widgets.virtual_list import VirtualList
from ..words import Line, ago, plural, sentences, size, span, when
from .base import WorkScreen

UNDO = "undo"
FRESH = 5.0
"""For so many seconds a plan is taken for today's."""

OLD = "It is asked for again before the question."
LEFT, RESTORED = "NOT carried over", "restored too"
CHOICES = (
    Choice("exact", "x", "files that are new since", ("carried over", LEFT), typed=True,
           why="they leave the live tree"),
    Choice("with_mail", "w", "mail", ("stays as it is", RESTORED), typed=True,
           why="what came since leaves the mailboxes"),
)  # fmt: skip


class RollbackScreen(WorkScreen):
    """Points come from the vnode itself; the plan of the one under the cursor is asked when it rests."""

    WHERE = "rollback"
    CSS_PATH = "rollback.tcss"
    BINDINGS: ClassVar = [
        *actions.bindings("rollback"),
        Binding("left", "back", "Back", show=False),
        Binding("tab", "swap", "Other part", show=False),
    ]

    def __init__(self, host: HostLine, archive: str = "") -> None:
        super().__init__()
        self.host, self.wanted = host, archive
        self.points: list[RollbackPoint] = []
        self.plans: dict[str, Planned | str] = {}
        self._asked: dict[str, float] = {}
        self._is_asking = False
        self._age = ""

    def body(self):
        """The points above, what would change below."""
        yield LineBar(id="facts")
        yield VirtualList(wrap.draw, wrap.key_of, id="points")
        with Vertical(id="change"):
            yield VirtualList(wrap.draw, wrap.key_of, with_cursor=False, id="plan")
        yield LineBar(id="hint")

    @property
    def list(self) -> VirtualList:
        """The list of points."""
        return self.query_one("#points", VirtualList)

    def title_pieces(self) -> Line:
        """Which vhost it is about."""
        return [(f"Rollback: {self.host.domain} on {self.host.node.name}", "bold")]

    def targets(self) -> Targets:
        """The vhost it is about."""
        return Targets((self.host,), (self.host.node,), self.host)

    def on_mount(self) -> None:
        """Ask the vnode for its archives."""
        if not self.is_here:
            return
        self.query_one("#facts", LineBar).show([(f" Asking {self.host.node.name} for archives …", "dim")])
        hint = " enter goes back to it, after a question   tab scrolls the changes   esc leaves"
        self.query_one("#hint", LineBar).show([(hint, "dim")])
        self.list.focus()
        self.list.show([self._undo_row()])
        self.run_worker(self._ask_points(), exit_on_error=True)
        self.set_interval(1.0, self._show_age)

    async def _ask_points(self) -> None:
        try:
            self.points = await self.app.engine.points(self.host.node.name, self.host.domain)
        except NsmigError as error:
            self.query_one("#facts", LineBar).show([(f" {sentences(error.message, error.hint)}", "fail")])
            return
        words = f" {plural(len(self.points), 'archive')} on {self.host.node.name}, newest first."
        words += (
            " Databases are not part of it." if len(self.points) == 1 else " Databases are not part of them."
        )
        self.query_one("#facts", LineBar).show([(words, "dim")])
        self.list.show([self._undo_row(), *self._point_rows()], keep=self.wanted or UNDO)
        self._fit_points()

    def _point_rows(self) -> list[Row]:
        """The points, as old and as wide as they are now."""
        now, width = self.app.clock(), self.size.width
        return [points.point_row(point, self.app.signs, now, width) for point in self.points]

    def _fit_points(self) -> None:
        """As many lines as there are points, and no more than a third of the screen."""
        self.list.styles.height = min(len(self.points) + 1, max(4, self.size.height // 3))

    def _undo_row(self) -> Row:
        known = self.app.store.vhost(self.host.node.name, self.host.domain)
        can = known is not None and known.status.value in ("migrated", "failed")
        words = "Undo the migration" if can else "Undo the migration (it is not migrated now)"
        tail = "   everything written since stays" if can else ""
        return Row([(words, "bold" if can else "dim"), (tail, "dim")], UNDO, can)

    # -- what would change -----------------------------------------------------------------------

    @on(VirtualList.Highlighted, "#points")
    def _highlighted(self, event: VirtualList.Highlighted) -> None:
        event.stop()
        if not self.is_here:
            return
        row = self.list.row
        if row is not None and row.key not in self.plans and row.about is not False:
            self.plans[row.key] = "Asking what would change …"
            self.run_worker(self._ask_plan(row.key), exit_on_error=True)
        self._show_plan()

    async def _ask_plan(self, key: str) -> None:
        try:
            await self._plan(key)
        except NsmigError as error:
            if not isinstance(self.plans.get(key), Planned):
                self.plans[key] = f"This cannot be done: {sentences(error.message, error.hint)}"
        self._show_plan()

    async def _plan(self, key: str) -> Planned:
        """Have the plan made, and keep it unless one was asked for later."""
        options, asked = RollbackOptions(archive=None if key == UNDO else key), self.app.clock()
        made = await self.app.engine.plan_rollback(self.host.node.name, self.host.domain, options)
        if asked >= self._asked.get(key, 0.0):
            # What it says was read at some time since then: it is as old as the asking.
            self.plans[key], self._asked[key] = made, asked
        return made

    def _is_fresh(self, key: str) -> bool:
        is_made = isinstance(self.plans.get(key), Planned)
        return is_made and 0 <= self.app.clock() - self._asked[key] <= FRESH

    def _show_plan(self, top: bool = True) -> None:
        if not self.is_here:
            return
        shown = self.query_one("#plan", VirtualList)
        width = max(20, shown.scrollable_content_region.width)
        key = self.list.row.key if self.list.row else ""
        made = self.plans.get(key, "")
        if isinstance(made, str):
            rows = wrap.text(made, width, "dim")
        else:
            rows = plan.lines(made, self.app.signs, width)
            self._age = self._age_of(key)
            rows = [*(wrap.text(self._age, width, "warn") if self._age else ()), *rows]
        shown.show(rows, top=top)

    def _age_of(self, key: str) -> str:
        """What an old plan says of its age; empty for one of today."""
        if not isinstance(self.plans.get(key), Planned) or self._is_fresh(key):
            return ""
        return f"This was so {ago(self._asked[key], self.app.clock())}. {OLD}"

    def _show_age(self) -> None:
        if self.is_here and self.points:
            self.list.rows = [self.list.rows[0], *self._point_rows()]
            self.list.redraw()
        key = self.list.row.key if self.is_here and self.list.row else ""
        if self._age_of(key) not in ("", self._age):
            self._show_plan(top=False)

    def on_resize(self) -> None:
        """Wrap to the new width."""
        super().on_resize()
        self._show_age()
        self._fit_points()
        self.call_after_refresh(self._show_plan)

    # -- going back ------------------------------------------------------------------------------

    @on(VirtualList.Opened, "#points")
    async def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        if self.app.options.read_only:
            self.app.notify(
                "Rollback: switched off in a read-only session.", severity="warning", markup=False
            )
        elif event.row.about is False:
            self.app.notify(
                f"{self.host.domain} is {self.host.status}: nothing to undo.",
                severity="warning",
                markup=False,
            )
        elif isinstance(event.row.about, RollbackPoint) and event.row.about.ok is False:
            self.app.notify("A damaged archive is never used.", severity="error", markup=False)
        else:
            self.run_worker(self._ask_and_go(event.row), exit_on_error=True)

    async def _ask_and_go(self, row: Row) -> None:
        """Ask with the plan before the operator's eyes; without a plan of today there is no question."""
        if self._is_asking:
            return
        self._is_asking = True
        try:
            chosen = await self._agreed(row)
        finally:
            self._is_asking = False
        if chosen is None:
            return
        options = RollbackOptions(
            archive=None if row.key == UNDO else row.key,
            exact=chosen.get("exact") == LEFT,
            with_mail=chosen.get("with_mail") == RESTORED,
        )
        self.dismiss(None)
        work.begin(
            self.app, [Wish("rollback", self.host.node.name, self.host.domain, options, self.host.size)]
        )

    async def _agreed(self, row: Row) -> dict[str, str] | None:
        """What was chosen, in a question that told what would happen then; None where the answer is no.

        A plan that is older than a glance is made again before the question, and again after a question
        that stood for long: where the two differ, the answer was to something else, and it is asked anew.
        """
        chosen: dict[str, str] | None = None
        while True:
            seen, waited = self.plans.get(row.key), not self._is_fresh(row.key)
            if waited and not await self._wait_for_plan(row.key):
                return None
            now = self.plans[row.key]
            differs = isinstance(seen, Planned) and isinstance(now, Planned) and seen.steps != now.steps
            if chosen is not None and not differs:
                return chosen
            dialog = self.question(row, differs=differs)
            dialog.values.update(chosen or {})
            began = self.app.clock()
            chosen = await self.app.ask(dialog, unasked=waited)
            if chosen is None or 0 <= self.app.clock() - began <= STANDS:
                return chosen

    async def _wait_for_plan(self, key: str) -> bool:
        name, domain = self.host.node.name, self.host.domain
        made = await self.app.busy(
            "Planning the rollback",
            f"Asking {name} what would go away or revert …",
            self._plan(key),
            trouble=f"{domain} cannot be rolled back now",
        )
        if made is None:
            return False
        self._show_plan()
        return True

    def question(self, row: Row, *, differs: bool = False) -> ConfirmDialog:
        """The confirm dialog for one point, with the facts of its plan.

        ``differs``: it is not the plan that was seen before.
        """
        facts = work.production_facts([self.host])
        if differs:
            facts.append(
                ("warn", "The vhost has changed since the plan that you saw: esc shows what is new.")
            )
        made = self.plans[row.key]
        assert isinstance(made, Planned)
        if isinstance(row.about, RollbackPoint):
            point = row.about
            age = ago(point.created_at, self.app.clock())
            facts.append(("", f"Archive of {when(point.created_at)} UTC ({age}), {size(point.size)}."))
            facts.append(("", "The tree that it replaces is kept in .archive/replaced-…"))
            facts += plan.against_today(made)
            if point.ok is None:
                facts.append(("warn", "Not verified yet: it is checked before anything is touched."))
            choices = CHOICES
        else:
            facts.append(("", "Structure, configuration, owners and modes go back as they were."))
            facts.append(("", "Everything written since (uploads, edits, mail) stays."))
            choices = ()
        count = sum(len(step.get("changes") or ()) for step in made.steps)
        facts.append(("", f"{plural(count, 'change')}; about {span(made.expected_s)}."))
        # What becomes of mail is for a choice to say: the plan was made before it.
        warnings = [one for one in made.warnings if not (choices and one.startswith("mail "))]
        facts += [("warn", f"Warning: {warning}") for warning in warnings]
        way = "m migrates it again" if row.key == UNDO else "U takes the restore back"
        facts.append(("ok", f"Way back: {way}. No service is stopped."))
        verb = "undo" if row.key == UNDO else "restore"
        return ConfirmDialog(
            f"Roll back {self.host.domain}?", facts, verb=verb, choices=choices, word=self.host.domain
        )

    def action_back(self) -> None:
        """Leave without doing anything."""
        self.dismiss(None)

    def action_swap(self) -> None:
        """The keys move the other part."""
        (self.query_one("#plan") if self.list.has_focus else self.list).focus()
