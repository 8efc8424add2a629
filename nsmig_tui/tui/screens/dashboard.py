"""The dashboard: the whole fleet at a glance."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding

from ...domain.fleet import RunRecord
from .. import actions
from ..panes import dashboard, wrap
from ..widgets.virtual_list import VirtualList
from ..words import Line
from .base import WorkScreen


class DashboardScreen(WorkScreen):
    """One list; Enter on a line goes to the vnode, vhost or run that it is about."""

    WHERE = "dashboard"
    CSS_PATH = "dashboard.tcss"
    BINDINGS: ClassVar = [*actions.bindings("dashboard"), Binding("left", "back", "Back", show=False)]

    def body(self):
        """The list."""
        yield VirtualList(wrap.draw, wrap.key_of, id="board")

    @property
    def list(self) -> VirtualList:
        """The list of lines."""
        return self.query_one("#board", VirtualList)

    def title_pieces(self) -> Line:
        """Where we are."""
        return [("Dashboard", "bold")]

    def on_mount(self) -> None:
        """Draw from the database."""
        if not self.is_here:
            return
        self.list.focus()
        self.refresh_all()

    def on_screen_resume(self) -> None:
        """Back here: the fleet may have changed."""
        super().on_screen_resume()
        self.refresh_all()

    def on_resize(self) -> None:
        """Bars fit the new width."""
        super().on_resize()
        self.call_after_refresh(self.refresh_all)

    def refresh_all(self) -> None:
        """Make the lines anew."""
        if not self.is_here:
            return
        app = self.app
        width = max(40, self.list.scrollable_content_region.width)
        records = app.store.runs(limit=200)
        self.list.show(wrap.number(dashboard.lines(app.model, records, app.signs, app.clock(), width)))

    @on(VirtualList.Opened, "#board")
    def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        about = event.row.about
        if isinstance(about, RunRecord):
            self.app.show_log(
                f"{about.verb} {about.vhost or about.vnode}", lambda: self.app.store.log_lines(about.run)
            )
        elif isinstance(about, str):
            self.app.open_fleet(focus=about)

    def action_back(self) -> None:
        """Back to the fleet."""
        self.app.open_fleet()
