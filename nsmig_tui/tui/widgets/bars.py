"""The one-line bars: title above, tabs, keys below."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from ..safe import one_line
from ..words import Line, shortened


class LineBar(Widget):
    """One line of styled pieces; style names are the same as in lists, here as classes of the theme."""

    DEFAULT_CSS = "LineBar { height: 1; width: 1fr; }"
    COLOURS: ClassVar = {
        "ok": "$text-success", "warn": "$text-warning", "fail": "bold $text-error", "run": "$text-primary",
        "dim": "$foreground 55%", "bold": "bold", "head": "bold $text-primary", "key": "bold $text-accent",
        "prod": "bold $text-error", "on": "bold reverse",
        "wait": "$text-secondary", "mark": "bold $text-accent",
    }  # fmt: skip

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.pieces: Line = []

    def show(self, pieces: Line) -> None:
        """Draw ``pieces`` if they differ from what is there."""
        if pieces != self.pieces:
            self.pieces = pieces
            self.refresh()

    def render(self) -> Content:
        """The pieces as text that cannot hold markup."""
        parts, room = [], self.size.width
        for text, style in self.pieces:
            safe = text if text.isprintable() else one_line(text)
            if cell_len(safe.rstrip()) > room:
                safe = shortened(safe, room)
            room = max(0, room - cell_len(safe))
            look = self.COLOURS.get(style, "")
            parts.append(Content.styled(safe, look) if look else Content(safe))
        return Content("").join(parts)


class ClickBar(LineBar):
    """A bar of words, each of which can be clicked; tells the word's id."""

    class Chosen(Message):
        """The word with this id was clicked."""

        def __init__(self, sender: ClickBar, name: str) -> None:
            super().__init__()
            self.sender, self.name = sender, name

        @property
        def control(self) -> ClickBar:
            """The bar itself, for ``@on`` selectors."""
            return self.sender

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._spans: list[tuple[int, int, str]] = []

    def show_words(self, words: list[tuple[str, Line]]) -> None:
        """Show (id, pieces) one after the other, as many as fit; the last always has its place."""
        pieces, self._spans, at = [], [], 0
        last = sum(len(text) for text, _style in words[-1][1]) + 2 if words else 0
        for index, (name, line) in enumerate(words):
            long = sum(len(text) for text, _style in line)
            room = self.size.width - (last if index < len(words) - 1 else 0)
            if self.size.width and at + long > room:
                continue
            self._spans.append((at, at + long, name))
            pieces += [*line, ("  ", "")]
            at += long + 2
        self.show(pieces)

    def on_click(self, event: Click) -> None:
        """Find the word under the mouse."""
        at = event.x - self.gutter.left
        for start, end, name in self._spans:
            if start <= at < end:
                self.post_message(self.Chosen(self, name))
