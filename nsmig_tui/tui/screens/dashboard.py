"""The dashboard: the whole fleet at a glance."""

from __future__ import annotations

from typing import ClassVar

from textual import on

from ...domain.fleet import RunRecord
from .. import actions
from ..panes import dashboard
from ..panes.wrap import Row
from ..widgets.virtual_list import VirtualList
from .one_list import ListScreen

LOOK_BACK = 200
"""So many of the newest runs count for the success rate."""


class DashboardScreen(ListScreen):
    """Enter on a line goes to the vnode, vhost or run that it is about."""

    WHERE, TITLE = "dashboard", "Dashboard"
    BINDINGS: ClassVar = actions.bindings("dashboard")

    def rows(self, width: int) -> list[Row]:
        """All parts of it, from the database."""
        app = self.app
        records, refusals = app.store.runs(limit=LOOK_BACK), app.store.refusals()
        return dashboard.lines(app.model, records, refusals, app.signs, app.clock(), width)

    @on(VirtualList.Opened, "#lines")
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
