"""The settings screen: every value and where it came from; the file itself is edited in the user's editor."""

from __future__ import annotations

from typing import ClassVar

from .. import actions
from ..panes import settings_lines
from ..panes.wrap import Row
from .one_list import ListScreen


class SettingsScreen(ListScreen):
    """Shows; what it shows is changed in config.toml."""

    WHERE, TITLE = "settings", "Settings"
    BINDINGS: ClassVar = actions.bindings("settings")

    def rows(self, width: int) -> list[Row]:
        """Every setting, then the keys, re-mapped ones first."""
        app = self.app
        keys = app.options.keys
        known = [(one.id, app.keys_of(one), one.name, one.id in keys) for one in actions.ACTIONS]
        known.sort(key=lambda entry: not entry[3])
        path = app.options.config_file
        there = path is not None and path.exists()
        source = app.options.source or app.options
        return settings_lines.lines(source, str(path or "-"), there, known, width)
