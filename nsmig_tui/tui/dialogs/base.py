"""What all dialogs share: a modal box with safe lines, escape to leave."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ..safe import content
from ..typing_ahead import Grace

T = TypeVar("T")


class Dialog(ModalScreen[T], Generic[T]):
    """A box in the middle. Escape answers ``self.nothing``, which always means: do not."""

    CSS_PATH = "dialogs.tcss"
    VERTICAL_BREAKPOINTS: ClassVar = [(0, "-low"), (23, "-high")]
    BINDINGS: ClassVar = [
        Binding("escape", "leave", "Close"),
        Binding("up,k", "scroll_facts(-1)", "Up", show=False),
        Binding("down,j", "scroll_facts(1)", "Down", show=False),
        Binding("pageup", "scroll_facts(-8)", "Page up", show=False),
        Binding("pagedown", "scroll_facts(8)", "Page down", show=False),
    ]
    nothing: T | None = None

    def __init__(self, title: str, *, danger: bool = False) -> None:
        super().__init__()
        self.dialog_title, self.danger = title, danger
        self.grace: Grace | None = None

    def on_mount(self) -> None:
        """Where it came unasked, it may be answered some time after it can be read."""
        self.screen_layout_refresh_signal.subscribe(self, lambda _screen: self.fit())
        self.call_after_refresh(self._seen)

    def _seen(self) -> None:
        if self.grace is not None:
            self.grace.seen(self.app.moment())

    def compose(self) -> ComposeResult:
        """The title, then what ``body`` yields."""
        with Vertical(id="box", classes="-danger" if self.danger else ""):
            yield Static(content(self.dialog_title), id="title", markup=False)
            yield from self.body()

    def body(self) -> ComposeResult:
        """What is in the box."""
        yield from ()

    def facts(self, lines: list[tuple[str, str]]) -> ComposeResult:
        """Facts as ``(style class, text)`` lines in a part that scrolls."""
        with VerticalScroll(id="facts", can_focus=False):
            for style, text in lines:
                if text:
                    yield Static(content(text), classes=f"fact {style}".strip(), markup=False)

    def on_resize(self) -> None:
        """Another size, another layout."""
        self.fit()

    def fit(self) -> None:
        """Facts scroll in what the rest of the box leaves of the screen; again after each layout."""
        # Where there is little room, it is the answers that must be seen: facts can be scrolled.
        low = self.has_class("-low")
        for facts in self.query("#facts"):
            others = 0
            for part in self.query("#box > *"):
                if part is not facts and part.display:
                    # What has just come has no size yet, but needs a line.
                    others += max(1, part.outer_size.height) + part.styles.margin.height
            # The box is as tall as the style says (94 %, or all), and has a border.
            room = self.size.height * (100 if low else 94) // 100
            facts.styles.max_height = max(1 if low else 3, room - others - 2)

    def action_scroll_facts(self, by: int) -> None:
        """Facts that do not fit are read with the keys that move everywhere."""
        for facts in self.query("#facts"):
            facts.scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        """Close without doing anything."""
        self.dismiss(self.nothing)
