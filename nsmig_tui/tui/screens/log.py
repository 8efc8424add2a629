"""The log of one run, full width: follows its end, filters, wraps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from ...domain.errors import NsmigError
from .. import actions
from ..panes import run_lines, wrap
from ..safe import content
from ..widgets.virtual_list import VirtualList
from ..words import Line
from .base import WorkScreen

NEWEST = 3000
"""So many lines are laid out: all of a very long log would hold up every key for seconds."""


class LogScreen(WorkScreen):
    """``read`` answers (time, text) lines; it is asked again while the run goes on."""

    WHERE = "log"
    CSS_PATH = "log.tcss"
    BINDINGS: ClassVar = [
        *actions.bindings("log"),
        Binding("left", "back", "Back", show=False),
    ]

    def __init__(self, title: str, read: Callable[[], list[tuple[float, str]]]) -> None:
        super().__init__()
        self.log_title, self.read = title, read
        self.query_text, self.is_wrapped = "", True
        self._seen: tuple[object, ...] = ()
        self._soon: Timer | None = None

    def body(self):
        """The lines, and a filter that is shown when asked for."""
        yield VirtualList(wrap.draw, wrap.key_of, with_cursor=False, follow=True, id="lines")
        with Horizontal(id="filter-row"):
            yield Static(content("/"), id="slash", markup=False)
            yield Input(placeholder="only lines with these words", id="filter")

    @property
    def list(self) -> VirtualList:
        """The list of lines."""
        return self.query_one("#lines", VirtualList)

    def title_pieces(self) -> Line:
        """Whose log it is."""
        return [(f"Log (UTC): {self.log_title}", "bold")]

    def on_mount(self) -> None:
        """Begin at the end."""
        if not self.is_here:
            return
        self.query_one("#filter-row").display = False
        self.list.focus()
        self.look()
        self.set_interval(0.5, self.look)

    def look(self, force: bool = False) -> None:
        """Read again; draw when there is more."""
        if not self.is_here:
            return
        try:
            lines = self.read()
        except NsmigError as error:
            lines = [(self.app.clock(), f"error: {error.message}")]
        # What is kept has an end: at it, each line that comes drops one.
        seen = (len(lines), *lines[:1], *lines[-1:])
        if seen != self._seen or force:
            self._seen = seen
            # Before the first layout the list has no width of its own.
            width = max(20, self.list.scrollable_content_region.width or self.app.size.width - 3)
            query = self.query_text.lower()
            found = [line for line in lines if query in line[1].lower()]
            rows = run_lines.log(found[-NEWEST:], width, query=query, wrapped=self.is_wrapped)
            if len(found) > NEWEST:
                words = f"{len(found) - NEWEST:,} earlier lines are not shown; / finds in all of them."
                told = wrap.text(words, width, "dim")
                rows = [*(replace(one, key=f"earlier {n}") for n, one in enumerate(told)), *rows]
            self.list.show(rows or wrap.text("There is nothing in the log.", width, "dim"))

    def on_resize(self) -> None:
        """Wrap to the new width."""
        super().on_resize()
        self.call_after_refresh(self.look, True)

    def action_back(self) -> None:
        """Close the filter, then the log."""
        if self.query_one("#filter-row").display:
            self.query_one("#filter", Input).value = ""
            self.query_one("#filter-row").display = False
            self.list.focus()
        else:
            self.dismiss(None)

    def follow_end(self) -> None:
        """To the last line, and to those that come after it."""
        self.list.action_go(-1)

    def wrap_lines(self) -> None:
        """Long lines on several lines, or cut."""
        self.is_wrapped = not self.is_wrapped
        self.look(force=True)

    def next_error(self) -> None:
        """Scroll to the next line with trouble."""
        here = round(self.list.scroll_y)
        for index, row in enumerate(self.list.rows):
            if index > here and any(style == "fail" for _text, style in row.pieces):
                self.list.follow = False
                self.list.move_to(index)
                return
        self.app.notify("No further error.", markup=False, timeout=2)

    def start_filter(self) -> None:
        """Show the filter and type in it."""
        self.query_one("#filter-row").display = True
        self.set_focus(self.query_one("#filter", Input))

    @on(Input.Changed, "#filter")
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_text = event.value
        # A long log is not searched anew for each letter of a word that is typed.
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.1, lambda: self.look(force=True))

    @on(Input.Submitted, "#filter")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.list.focus()
