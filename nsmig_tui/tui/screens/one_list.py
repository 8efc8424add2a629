"""A screen that is one list: drawn anew at every size, left with escape or the left arrow."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding

from ...domain.errors import NsmigError
from ..panes import wrap
from ..panes.wrap import Row
from ..widgets.virtual_list import VirtualList
from ..words import Line, sentences
from .base import WorkScreen

NARROWEST = 40
"""Lines are made for at least so many cells."""


class ListScreen(WorkScreen):
    """Its name is ``TITLE``, its lines are what ``rows`` answers. Back closes it."""

    TITLE = ""
    CSS_PATH = "one_list.tcss"
    BINDINGS: ClassVar = [Binding("left", "back", "Back", show=False)]

    def body(self):
        """The list."""
        yield VirtualList(wrap.draw, wrap.key_of, id="lines")

    def rows(self, width: int) -> list[Row]:
        """The lines for ``width`` cells; a screen that says nothing has none."""
        return []

    @property
    def list(self) -> VirtualList:
        """The list of lines."""
        return self.query_one("#lines", VirtualList)

    def title_pieces(self) -> Line:
        """Where we are."""
        return [(self.TITLE or "", "bold")]

    def on_mount(self) -> None:
        """Draw at once."""
        if self.is_here:
            self.list.focus()
            self.refresh_all()

    def on_screen_resume(self) -> None:
        """Back here: what it shows may have changed."""
        super().on_screen_resume()
        self.refresh_all()

    def on_resize(self) -> None:
        """Bars and lines fit the new width."""
        super().on_resize()
        self.call_after_refresh(self.refresh_all)

    def refresh_all(self) -> None:
        """Make the lines anew."""
        if not self.is_mounted or not self.is_here:
            return
        # Before the first layout the list has no width of its own: its scroll bar and padding take three.
        width = self.list.scrollable_content_region.width or self.app.size.width - 3
        width = max(NARROWEST, width)
        try:
            rows = self.rows(width)
        except NsmigError as error:
            rows = wrap.text(sentences(error.message, error.hint), width, "fail")
        self.list.show(wrap.number(rows))

    def action_back(self) -> None:
        """Back to where we came from."""
        self.dismiss(None)
