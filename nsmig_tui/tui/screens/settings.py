"""The settings screen: every value and where it came from; the file itself is edited in the user's editor."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding

from .. import actions
from ..panes import settings_lines, wrap
from ..widgets.virtual_list import VirtualList
from ..words import Line
from .base import WorkScreen


class SettingsScreen(WorkScreen):
    """Shows; what it shows is changed in config.toml."""

    WHERE = "settings"
    CSS_PATH = "settings.tcss"
    BINDINGS: ClassVar = [*actions.bindings("settings"), Binding("left", "back", "Back", show=False)]

    def body(self):
        """One list."""
        yield VirtualList(wrap.draw, wrap.key_of, id="lines")

    @property
    def list(self) -> VirtualList:
        """The list of lines."""
        return self.query_one("#lines", VirtualList)

    def title_pieces(self) -> Line:
        """Where we are."""
        return [("Settings", "bold")]

    def on_mount(self) -> None:
        """Draw."""
        if not self.is_here:
            return
        self.list.focus()
        self.refresh_all()

    def on_resize(self) -> None:
        """Lines fit the new width."""
        super().on_resize()
        self.call_after_refresh(self.refresh_all)

    def refresh_all(self) -> None:
        """Make the lines anew."""
        if not self.is_here:
            return
        app = self.app
        width = max(40, self.list.scrollable_content_region.width)
        keys = app.options.keys
        known = [(one.id, app.keys_of(one), one.name, one.id in keys) for one in actions.ACTIONS]
        known.sort(key=lambda entry: not entry[3])
        path = app.options.config_file
        there = path is not None and path.exists()
        source = app.options.source or app.options
        self.list.show(settings_lines.lines(source, str(path or "-"), there, known, width))

    def action_back(self) -> None:
        """Back to where we came from."""
        self.dismiss(None)
