"""The fleet screen: the tree on the left, what is known of the selection on the right."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Input, Static

from ...domain.errors import NsmigError
from .. import actions, filtering
from ..fleet_model import SORTS, FleetLine, HostLine, NodeLine
from ..panes import fleet_lines
from ..safe import content
from ..selection import Targets, choose
from ..widgets.bars import ClickBar, LineBar
from ..widgets.virtual_list import VirtualList
from ..words import Line, plural
from .base import WorkScreen
from .detail import Detail
from .filter_row import Filtering
from .marking import Marking

LOOK_EVERY, MANY, MANY_WAIT = 2.0, 1000, 60.0
"""Seconds between looks whether another program wrote; above so many vhosts, seconds between readings."""

EMPTY = "The fleet is empty.  i imports vnodes,  n adds one,  ? shows all keys."


class FleetScreen(Marking, Filtering, WorkScreen):
    """Below 100 columns one of the two parts is shown at a time, with breadcrumbs."""

    WHERE = "fleet"
    CSS_PATH = "fleet.tcss"
    BINDINGS: ClassVar = [
        *actions.bindings("fleet"),
        Binding("enter", "keep_filter", "Keep the filter", show=False, priority=True),
        Binding("right", "unfold", "Open", show=False),
        Binding("left", "fold", "Close", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="fleet")
        self.last_key = ""
        self.was_moved = self._is_stale = False
        self._soon: Timer | None = None
        self._is_old, self._read_at = False, 0.0

    def body(self):
        """Tree and detail side by side, the filter below."""
        with Horizontal(id="parts"):
            with Vertical(id="left"):
                yield VirtualList(self._draw, lambda row: row.key, marked=self.app.marks, id="tree")
                yield Static(content(EMPTY), id="empty", markup=False)
            yield Detail(id="detail")
        with Horizontal(id="filter-row"):
            yield Static(content("/"), id="slash", markup=False)
            yield Input(placeholder=filtering.HELP, id="filter", select_on_focus=False)
        yield LineBar(id="status")

    @property
    def tree(self) -> VirtualList:
        """The fleet's list."""
        return self.query_one("#tree", VirtualList)

    @property
    def detail(self) -> Detail:
        """The pane on the right."""
        return self.query_one(Detail)

    def on_mount(self) -> None:
        """First paint with what the database knows."""
        self.show_tree(keep=self.app.memory.get("cursor"))
        self.query_one("#filter", Input).value = self.app.model.query
        self.tree.unfold = self._toggle
        self.tree.focus()
        self.set_interval(0.5, self._tick)
        self.set_interval(LOOK_EVERY, self.look_at_database)

    # -- drawing ---------------------------------------------------------------------------------

    def _draw(self, row: FleetLine, width: int) -> Line:
        return fleet_lines.draw(row, width, self.app.model, self.app.signs, self.app.clock())

    def show_tree(self, keep: str | None = None) -> None:
        """Flatten the model anew and show it."""
        self.tree.show(self.app.model.flatten(), keep=keep)
        is_empty = not self.app.model.nodes
        self.query_one("#empty").display = is_empty
        self.tree.display = not is_empty
        self.query_one("#filter-row").display = bool(self.app.model.query) or self._filtering
        self.refresh_bars()
        self.show_status()

    def show_status(self) -> None:
        """How many are shown and marked, and the sort order."""
        model = self.app.model
        words = f"{model.matching:,} of {plural(len(model.hosts), 'vhost')}"
        if model.nodes and not model.hosts:
            words = "No vhost is known yet: d discovers."
        line: Line = [(f" {words}", "dim")]
        if self.app.marks:
            nodes = {key.partition("/")[0] for key in self.app.marks}
            line.append((f"   {len(self.app.marks):,} marked on {plural(len(nodes), 'vnode')}", "mark"))
        if self._range_from:
            line.append(("   range: move, then V", "mark"))
        line.append((f"   sorted by {model.sort}", "dim"))
        for bar in self.query("#status").results(LineBar):
            bar.show(line)

    def refresh_lines(self, *, moved: bool = False) -> None:
        """Draw changed lines and the pane again; below another screen, do it later.

        ``moved``: a line may have another place, or none, so that the tree is flattened anew.
        """
        if self.app.screen is not self:
            self._is_stale = True
            return
        self.show_tree() if moved else self.tree.redraw()
        self.detail.reload()
        self.refresh_bars()

    def on_screen_resume(self) -> None:
        """Back on top: catch up with what changed meanwhile."""
        if self._is_stale:
            self._is_stale = False
            self.show_tree()
            self.detail.reload()
        super().on_screen_resume()

    @property
    def is_pane_alone(self) -> bool:
        """Whether the tree is hidden, so that keys have to go to the pane."""
        return self.has_class("-zoom" if self.has_class("-wide") else "-detail")

    def title_pieces(self) -> Line:
        """Breadcrumbs while only the pane is shown."""
        row = self.tree.row
        if row is None or not (self.is_pane_alone or self.has_class("-detail")):
            return [("Fleet", "bold")]
        if isinstance(row, HostLine):
            names = [row.vnode.vsite, row.node.name, row.domain]
        else:
            names = [row.vnode.vsite, row.name] if isinstance(row, NodeLine) else [row.name]
        return [(" > ".join(["Fleet", *names]), "bold")]

    def targets(self) -> Targets:
        """Marks, else the line under the cursor."""
        return choose(self.app.model, self.app.marks, self.tree.row)

    def _tick(self) -> None:
        # What is drawn on a screen below another makes Textual draw all of the upper one.
        if self.app.screen is self:
            self.tree.redraw()
            self.refresh_bars()

    def look_at_database(self) -> None:
        """Show what another program has written meanwhile; of a big fleet, which takes time, less often."""
        if getattr(self.app.screen, "WHERE", "") not in ("fleet", "dashboard"):
            return
        try:
            self._is_old = self.app.store.was_changed() or self._is_old
            now, wait = self.app.moment(), LOOK_EVERY if len(self.app.model.hosts) < MANY else MANY_WAIT
            if self._is_old and now - self._read_at >= wait / 2:
                self._is_old, self._read_at = False, now
                self.app.reload_fleet()
            if self.app.screen is self:
                self.detail.grow_older()
        except NsmigError as error:
            self.app.notify(error.message, severity="warning", markup=False)

    # -- moving ----------------------------------------------------------------------------------

    @on(VirtualList.Highlighted, "#tree")
    def _highlighted(self, event: VirtualList.Highlighted) -> None:
        event.stop()
        self.last_key, self.was_moved = event.row.key if event.row is not None else "", True
        # The pane waits until the cursor rests, so that a held key stays quick.
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.05, self._settled)

    def _settled(self) -> None:
        self.detail.show_line(self.tree.row)
        self.refresh_bars()

    @on(VirtualList.Opened, "#tree")
    def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        self._open(event.row)

    def _open(self, row: FleetLine) -> None:
        self.add_class("-detail")
        self.detail.show_line(row)
        self.detail.take_focus()
        self.refresh_bars()

    def _toggle(self, row: FleetLine) -> bool:
        if isinstance(row, HostLine):
            return False
        if not self._says_all_is_open():
            self.app.model.expanded ^= {row.key}
            self.show_tree(keep=row.key)
        return True

    def _says_all_is_open(self) -> bool:
        """A filter shows what it finds, folded or not: what is folded then would show only later."""
        if not self.app.model.is_filtered:
            return False
        self.app.notify("The filter keeps every branch open: esc ends it.", markup=False, timeout=3)
        return True

    def action_unfold(self) -> None:
        """Open the branch, or the vhost."""
        row = self.tree.row
        if isinstance(row, HostLine) or (row and self.app.model.is_open(row)):
            self.tree.action_open() if isinstance(row, HostLine) else self.tree.action_move(1)
        elif row:
            self._toggle(row)

    def action_fold(self) -> None:
        """Back to the tree; in the tree, close the branch or go to its head."""
        row = self.tree.row
        if self.has_class("-detail") or not self.tree.has_focus:
            self.action_back()
        elif isinstance(row, HostLine):
            self.tree.move_to(self.tree.index_of(row.node.key) or 0)
        elif row and self.app.model.is_open(row) and not self.app.model.is_filtered:
            self._toggle(row)
        elif row and row.kind == "vnode":
            self.tree.move_to(self.tree.index_of(f"site:{row.vnode.vsite}") or 0)

    def action_back(self) -> None:
        """Out of the pane, then out of the range, then out of the filter."""
        if self.has_class("-detail") or self.is_pane_alone or self.detail.has_focus_within:
            self.remove_class("-detail", "-zoom")
            self.tree.focus()
            self.call_after_refresh(self.detail.reload)
        elif self._range_from:
            self._range_from = None
        elif self.app.model.query:
            self.query_one("#filter", Input).value = ""
        self.show_status()
        self.refresh_bars()

    # -- the view -------------------------------------------------------------------------------

    def next_sort(self) -> None:
        """The next sort order."""
        self.app.model.sort = SORTS[(SORTS.index(self.app.model.sort) + 1) % len(SORTS)]
        self.show_tree()

    def fold_all(self) -> None:
        """Open every branch, or close all when all are open."""
        if self._says_all_is_open():
            return
        model = self.app.model
        every = {site.key for site in model.sites} | set(model.nodes)
        model.expanded = set() if model.expanded >= every else every
        self.show_tree()

    def zoom(self) -> None:
        """The pane over the whole width, or the tree again: beside it, where there is room for both."""
        if self.has_class("-wide"):
            self.toggle_class("-zoom")
            self.detail.take_focus() if self.is_pane_alone else self.tree.focus()
            self.call_after_refresh(self.detail.reload)
            self.refresh_bars()
        elif self.has_class("-detail"):
            self.action_back()
        elif self.tree.row is not None:
            self._open(self.tree.row)

    # -- the pane --------------------------------------------------------------------------------

    def next_tab(self) -> None:
        """The next tab of the pane."""
        self.detail.turn(1)

    def prev_tab(self) -> None:
        """The previous tab of the pane."""
        self.detail.turn(-1)

    async def make_plan(self) -> None:
        """Ask the engine for a dry run and show it in its tab."""
        if not self.has_class("-wide"):
            self.add_class("-detail")
            self._focus_what_is_seen()
            self.refresh_bars()
        await self.detail.make_plan(self.targets().host)

    def refresh_all(self) -> None:
        """Read the database again."""
        self.app.reload_fleet()

    @on(ClickBar.Chosen, "#tabs")
    def _tab_clicked(self, event: ClickBar.Chosen) -> None:
        event.stop()
        if event.name:
            self.detail.choose(event.name)

    def on_resize(self, event: Resize) -> None:
        """Bars and pane fit the new width."""
        super().on_resize()
        self.call_after_refresh(self._focus_what_is_seen)
        self.call_after_refresh(self.detail.reload)

    def _focus_what_is_seen(self) -> None:
        """Keys that went to a part which is hidden now would go nowhere."""
        if self._filtering:
            return
        if self.is_pane_alone:
            self.detail.take_focus()
        elif self.has_class("-narrow") or not self.detail.has_focus_within:
            self.tree.focus()
