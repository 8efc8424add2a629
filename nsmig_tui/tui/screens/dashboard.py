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

EVERY = 2.0
"""Seconds between looks whether the fleet is another by now."""

REFUSED = 100_000
"""More refused vhosts are not counted."""


class DashboardScreen(ListScreen):
    """Enter on a line goes to the vnode, vhost or run that it is about."""

    WHERE, TITLE = "dashboard", "Dashboard"
    BINDINGS: ClassVar = actions.bindings("dashboard")

    _drawn = -1

    def on_mount(self) -> None:
        """Draw again when runs or another program have changed the fleet."""
        self.set_interval(EVERY, self._look)

    def _look(self) -> None:
        if self.app.screen is self and self.app.model.version != self._drawn:
            self.refresh_all()

    def rows(self, width: int) -> list[Row]:
        """All parts of it, from the database."""
        app = self.app
        self._drawn = app.model.version
        records, refusals = app.store.runs(limit=LOOK_BACK), app.store.refusals(REFUSED)
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
