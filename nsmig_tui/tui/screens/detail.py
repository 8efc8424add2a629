"""The pane beside the tree: tabs with what is known of the selected line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from ...domain.errors import NsmigError
from ...domain.events import Planned
from ...domain.fleet import RunRecord
from ...domain.options import RollbackPoint
from .. import actions
from ..fleet_model import FleetLine, HostLine, NodeLine
from ..panes import findings, overview, plan, points, run_lines, wrap
from ..panes.wrap import Row
from ..widgets.bars import ClickBar
from ..widgets.virtual_list import VirtualList
from ..words import Line, sentences

if TYPE_CHECKING:
    from ..app import NsmigApp

TABS = {
    "vhost": ("overview", "findings", "plan", "archives", "history"),
    "vnode": ("overview", "history"),
    "vsite": ("overview",),
}


class Detail(Vertical):
    """Shows one fleet line. Plans and archives are asked of the vnode only when wanted, and kept."""

    app: NsmigApp

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.line: FleetLine | None = None
        self.tab = "overview"
        self._found = ("", -1)
        self.plans: dict[str, Planned | str] = {}
        self.archives: dict[str, list[RollbackPoint] | str] = {}

    def compose(self) -> ComposeResult:
        """The tab bar over one list."""
        yield ClickBar(id="tabs")
        yield VirtualList(wrap.draw, wrap.key_of, id="lines")

    @property
    def list(self) -> VirtualList:
        """The list of lines."""
        return self.query_one("#lines", VirtualList)

    def take_focus(self) -> None:
        """Put the cursor into the pane."""
        self.list.focus()

    @property
    def has_focus_within(self) -> bool:
        """Whether the cursor is in the pane."""
        return self.list.has_focus

    # -- tabs ------------------------------------------------------------------------------------

    @property
    def tabs(self) -> tuple[str, ...]:
        """The tabs of what is shown."""
        return TABS[self.line.kind] if self.line else ("overview",)

    def turn(self, by: int) -> None:
        """To the next or previous tab."""
        here = self.tabs.index(self.tab) if self.tab in self.tabs else 0
        self.choose(self.tabs[(here + by) % len(self.tabs)])

    def choose(self, tab: str) -> None:
        """Show this tab."""
        self.tab = tab
        self._show_anew()

    def show_line(self, line: FleetLine | None) -> None:
        """Show another line of the tree; the tab stays where it can."""
        changed = (line.key if line else None) != (self.line.key if self.line else None)
        self.line = line
        if changed:
            self._show_anew()
        else:
            self.reload()

    def _show_anew(self) -> None:
        """Show the tab from its top; a known list of archives stands until the vnode has told it anew."""
        self._found = ("", -1)
        known = self.line is not None and self.line.key in self.archives
        self.reload(top=True)
        if known and self.tab == "archives" and isinstance(self.line, HostLine):
            self._begin_asking(self.line)

    # -- what the vnode must be asked ------------------------------------------------------------

    async def make_plan(self, host: HostLine | None) -> None:
        """Have a dry run made and show it."""
        if host is None:
            return
        self.plans[host.key] = f"Asking {host.node.name} for the plan …"
        self.tab = "plan"
        if self.line is None or self.line.key != host.key:
            self.line = host
        self.reload(top=True)
        options = self.app.options.for_migration()
        try:
            self.plans[host.key] = await self.app.engine.plan_migrate(host.node.name, host.domain, options)
        except NsmigError as error:
            self.plans[host.key] = f"No plan: {sentences(error.message, error.hint)}"
        # Who has gone on to something else meanwhile stays where it is read.
        self.reload(top=self.tab == "plan" and self.line is not None and self.line.key == host.key)

    def forget(self, key: str) -> None:
        """What the vnode was asked of this vhost is old."""
        self.plans.pop(key, None)
        self.archives.pop(key, None)

    def _begin_asking(self, host: HostLine) -> None:
        self.archives.setdefault(host.key, f"Asking {host.node.name} …")
        self.app.run_worker(self.ask_archives(host), exit_on_error=True, group="archives")

    async def ask_archives(self, host: HostLine) -> None:
        """Read the list of archives from the vnode."""
        try:
            self.archives[host.key] = await self.app.engine.points(host.node.name, host.domain)
        except NsmigError as error:
            self.archives[host.key] = sentences(error.message, error.hint)
        self.reload()

    # -- finding ---------------------------------------------------------------------------------

    def find(self, words: str) -> str:
        """Go to the next line that holds ``words``, and mark all that do; answers what to say."""
        self.list.draw = partial(wrap.draw_found, words)
        self.list.redraw()
        wanted = words.lower()
        lines = ["".join(text for text, _style in row.pieces).lower() for row in self.list.rows]
        found = [index for index, line in enumerate(lines) if wanted in line]
        if not found or not words:
            return f"{words}: nowhere in this pane." if words else ""
        # Near the end it cannot be scrolled on to: then the place itself is remembered.
        same = self._found[0] == words
        after = [index for index in found if index > self._found[1]] if same else found
        at = after[0] if after else found[0]
        self._found = (words, at)
        self.list.move_to(at)
        return f"{words}: {found.index(at) + 1} of {len(found)}.  / and Enter: the next."

    # -- drawing ---------------------------------------------------------------------------------

    def reload(self, *, top: bool = False) -> None:
        """Make the lines anew from what is known now."""
        if not self.is_mounted or not self.display:
            return
        tab = self.tab if self.tab in self.tabs else "overview"
        bar = self.query_one("#tabs", ClickBar)
        bar.show_words(self._tab_words(tab, bar.size.width))
        width = max(20, self.list.scrollable_content_region.width or 60)
        self.list.with_cursor = tab in ("archives", "history")
        if tab == "archives" and isinstance(self.line, HostLine) and self.line.key not in self.archives:
            self._begin_asking(self.line)
        self.list.show(self._rows(tab, width), top=top)

    def _tab_words(self, tab: str, width: int) -> list[tuple[str, Line]]:
        """The tabs, closer together where they would not fit, else the one that is shown and its number."""
        keys = [self.app.keys_of(actions.BY_ID[name]) for name in ("prev_tab", "next_tab")]
        hint: tuple[str, Line] = ("", [(f"  {' '.join(keys)} turn", "dim")])
        long = sum(len(name) + 2 for name in self.tabs) - 2
        if width and long > width:
            place = f" {self.tabs.index(tab) + 1} of {len(self.tabs)}"
            return [(tab, [(f" {tab.capitalize()} ", "on")]), ("", [(place, "dim")]), hint]
        around = " " if long + 2 * len(self.tabs) <= width or not width else ""
        words: list[tuple[str, Line]] = [
            (name, [(f"{around}{name.capitalize()}{around}", "on" if name == tab else "dim")])
            for name in self.tabs
        ]
        has_room = long + 2 * len(words) + 2 + len(hint[1][0][0]) <= width
        return [*words, hint] if len(words) > 1 and has_room else words

    def grow_older(self) -> None:
        """Ages in the pane go on; only lines that differ are drawn."""
        tab = self.tab if self.tab in self.tabs else "overview"
        if not self.is_mounted or not self.display or tab == "plan" or self.line is None:
            return
        rows = self._rows(tab, max(20, self.list.scrollable_content_region.width or 60))
        if len(rows) == len(self.list.rows):
            self.list.rows = rows
            self.list.redraw()

    def _rows(self, tab: str, width: int) -> list[Row]:
        try:
            return self._made(tab, width)
        except NsmigError as error:
            return wrap.number(wrap.text(sentences(error.message, error.hint), width, "fail"))

    def _made(self, tab: str, width: int) -> list[Row]:
        line, app = self.line, self.app
        if line is None:
            return []
        if isinstance(line, HostLine):
            make: dict[str, Callable[[HostLine, int], list[Row]]] = {
                "overview": self._overview,
                "findings": self._findings,
                "plan": self._plan,
                "archives": self._archives,
                "history": self._history,
            }
            return make[tab](line, width)
        if isinstance(line, NodeLine):
            if tab == "history":
                records = app.store.runs(line.name, limit=100)
                return points.runs(records, app.signs, app.clock(), width, named=True)
            return overview.vnode(line.vnode, line.counts, app.signs, app.clock(), width)
        return overview.vsite(line, app.signs, app.clock(), width)

    def _overview(self, line: HostLine, width: int) -> list[Row]:
        app = self.app
        host = app.store.vhost(line.node.name, line.domain)
        if host is None:
            return []
        records = app.store.runs(line.node.name, line.domain, limit=1)
        return overview.vhost(host, line.vnode, records, app.signs, app.clock(), width)

    def _findings(self, line: HostLine, width: int) -> list[Row]:
        host = self.app.store.vhost(line.node.name, line.domain)
        return findings.lines(host, self.app.signs, self.app.clock(), width) if host else []

    def _plan(self, line: HostLine, width: int) -> list[Row]:
        made = self.plans.get(line.key, "p asks the vnode what a migration would change. It changes nothing.")
        if isinstance(made, str):
            return wrap.number(wrap.text(made, width, "dim"))
        return plan.lines(made, self.app.signs, width)

    def _archives(self, line: HostLine, width: int) -> list[Row]:
        found = self.archives.get(line.key, f"Asking {line.node.name} …")
        if isinstance(found, str):
            return wrap.number(wrap.text(found, width, "dim"))
        return points.points(found, self.app.signs, self.app.clock(), width)

    def _history(self, line: HostLine, width: int) -> list[Row]:
        app = self.app
        records = app.store.runs(line.node.name, line.domain, limit=50)
        rows = points.runs(records, app.signs, app.clock(), width)
        if records:
            last = app.store.log_lines(records[0].run)[-200:]
            rows += [wrap.blank(), wrap.heading("Log of the last run (UTC)"), *run_lines.log(last, width)]
        return wrap.number(
            [Row(row.pieces, "" if row.key.startswith("#") else row.key, row.about) for row in rows]
        )

    @on(VirtualList.Opened, "#lines")
    def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        about = event.row.about
        if isinstance(about, RunRecord):
            self.app.show_log(
                f"{about.verb} {about.vhost or about.vnode}", lambda: self.app.store.log_lines(about.run)
            )
        elif isinstance(about, RollbackPoint) and isinstance(self.line, HostLine):
            self.app.open_rollback(self.line, about.filename)
