"""The one-line filter below the fleet tree: live as typed, Enter keeps it, escape clears it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen
from textual.widgets import Input

from ..dialogs.pick import PromptDialog
from ..fleet_model import HostLine

if TYPE_CHECKING:
    from ..app import NsmigApp
    from ..widgets.virtual_list import VirtualList
    from .detail import Detail


class Filtering(Screen[None]):
    """The filtering half of the fleet screen; needs ``tree``, ``detail`` and ``show_tree``."""

    app: NsmigApp
    tree: VirtualList
    detail: Detail
    last_found = ""

    @property
    def _filtering(self) -> bool:
        return self.query_one("#filter", Input).has_focus

    def start_filter(self) -> None:
        """Show the filter and type in it; in the pane, ask what to find there."""
        if self.detail.has_focus_within:
            label = "Words, in whatever case; none takes the marks away:"
            dialog = PromptDialog("Find in this pane", label, self.last_found, may_be_empty=True)
            self.app.push_screen(dialog, self._find)
            return
        self.query_one("#filter-row").display = True
        self.set_focus(self.query_one("#filter", Input))

    def _find(self, words: str | None) -> None:
        if words is not None:
            self.last_found = words
            said = self.detail.find(words)
            if said:
                self.app.notify(said, markup=False, timeout=4)

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        row = self.tree.row
        if event.value == self.app.model.query:
            return
        self.app.model.query = event.value
        if not event.value.strip() and isinstance(row, HostLine):
            # Found by the filter, and still there without it.
            self.app.reveal(row.key)
        else:
            self.show_tree()

    def drop_filter(self) -> None:
        """Show everything again."""
        self.app.model.query = ""
        self.query_one("#filter", Input).value = ""

    @on(Input.Submitted, "#filter")
    def _filter_kept(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep_filter()

    def action_keep_filter(self) -> None:
        """Back to the tree with the filter as it is, before the next key is looked at."""
        self.set_focus(self.tree)
        # Letters may still be on their way into the field.
        self.call_after_refresh(self._show_row)

    def _show_row(self) -> None:
        if not self._filtering:
            self.query_one("#filter-row").display = bool(self.query_one("#filter", Input).value)

    def on_key(self, event) -> None:
        """In the filter, escape clears it and down goes to the list."""
        if not self._filtering:
            return
        if event.key == "escape":
            event.stop()
            self.query_one("#filter", Input).value = ""
        if event.key in ("escape", "down"):
            event.prevent_default()
            self.tree.focus()
            self.query_one("#filter-row").display = bool(self.app.model.query) and event.key == "down"
