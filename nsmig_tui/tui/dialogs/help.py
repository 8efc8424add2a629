"""The help overlay: every key of this screen, then the global ones; Enter runs one."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Static

from .. import filtering
from ..safe import content
from ..widgets.virtual_list import VirtualList
from ..words import Line, pad, shortened
from .base import Dialog


@dataclass(frozen=True)
class HelpLine:
    """One action as the help shows it; ``why`` says why it cannot run now."""

    id: str
    keys: str
    name: str
    help: str
    danger: bool = False
    why: str = ""


class HelpDialog(Dialog[str | None]):
    """Answers the id of the action to run, or None."""

    def __init__(self, lines: list[HelpLine], legend: str) -> None:
        super().__init__("Keys")
        self.lines, self.legend = lines, legend

    def body(self) -> ComposeResult:
        """A filter, the list, and the notes."""
        yield Input(placeholder="/ filters, Enter runs, escape closes; ctrl+p finds by name", id="filter")
        yield VirtualList(self._draw, lambda line: line.id, id="keys")
        yield Static(content(""), id="about", markup=False)
        yield Static(content(f"filter {filtering.HELP}\nsigns  {self.legend}"), id="notes", markup=False)

    def on_mount(self) -> None:
        """All actions, ready to filter."""
        # Closed at once, it has no parts any more.
        for keys in self.query(VirtualList):
            keys.show(self.lines)
            keys.focus()

    def on_key(self, event) -> None:
        """Typing ``/`` goes to the filter; arrows in the filter move the list."""
        field, keys = self.query_one(Input), self.query_one(VirtualList)
        if event.character == "/" and self.focused is not field:
            event.stop()
            event.prevent_default()
            field.focus()
        elif self.focused is field and event.key in ("up", "down"):
            event.stop()
            keys.action_move(-1 if event.key == "up" else 1)

    @on(Input.Changed)
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        words = event.value.lower().split()
        self.query_one(VirtualList).show(
            [line for line in self.lines if all(word in f"{line.name} {line.help}".lower() for word in words)]
        )

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(VirtualList).action_open()

    @on(VirtualList.Highlighted)
    def _highlighted(self, event: VirtualList.Highlighted) -> None:
        event.stop()
        line = event.row
        words = f"{line.name}: {line.help}{f'. Not now: {line.why}' if line.why else ''}" if line else ""
        for about in self.query("#about").results(Static):
            about.update(content(words))

    @on(VirtualList.Opened)
    def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        self.dismiss(event.row.id)

    def _draw(self, line: HelpLine, width: int) -> Line:
        style = "dim" if line.why else "bold"
        tail = f"not now: {line.why}" if line.why else line.help
        return [
            (pad(line.keys, 7), "key"),
            (pad(line.name, 19), style),
            (pad(shortened(tail, max(10, width - 28)), max(10, width - 28)), "dim" if line.why else ""),
            ("!" if line.danger else " ", "fail"),
        ]
