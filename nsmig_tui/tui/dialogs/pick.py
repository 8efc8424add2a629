"""Dialogs to name a file, and to pick some of many names."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from ..safe import content
from ..widgets.virtual_list import VirtualList
from ..words import Line, pad, shortened
from .base import Dialog


class PromptDialog(Dialog[str | None]):
    """One line to type; answers it, or None. ``may_be_empty``: nothing is an answer, too."""

    def __init__(self, title: str, label: str, value: str = "", *, may_be_empty: bool = False) -> None:
        super().__init__(title)
        self.label, self.value, self.may_be_empty = label, value, may_be_empty

    def body(self) -> ComposeResult:
        """The label and the field."""
        yield Static(content(self.label), classes="fact", markup=False)
        yield Input(self.value, id="line")
        yield Static(content("Enter goes on, escape gives up."), classes="fact dim", markup=False)

    def on_mount(self) -> None:
        """Ready to type."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip() or ("" if self.may_be_empty else None))


class PickDialog(Dialog[list[str] | None]):
    """Names with a remark each; ``space`` picks, ``y`` imports what is picked. All are picked at first."""

    BINDINGS: ClassVar = [
        Binding("space", "pick", "Pick", show=False),
        Binding("a", "all", "All", show=False),
        Binding("u", "none", "None", show=False),
        Binding("y", "take", "Take", show=False),
    ]

    def __init__(self, title: str, names: list[tuple[str, str]]) -> None:
        super().__init__(title)
        self.names = names
        self.picked = {name for name, _remark in names}

    def body(self) -> ComposeResult:
        """A filter, the names, the buttons."""
        yield Input(placeholder="/ filters; space picks, a all, u none", id="filter")
        yield VirtualList(self._draw, lambda entry: entry[0], marked=self.picked, id="names")
        with Horizontal(id="buttons"):
            yield Button(content("Cancel (esc)"), id="cancel")
            go = Button(content("Import (y)"), id="confirm", variant="primary")
            go.can_focus = False
            yield go

    def on_mount(self) -> None:
        """The cursor is in the list."""
        names = self.query_one("#names", VirtualList)
        names.show(self.names)
        names.styles.height = max(1, min(len(self.names), 14))
        names.focus()

    def on_key(self, event) -> None:
        """``/`` goes to the filter; Enter and down come back."""
        field = self.query_one("#filter", Input)
        if event.character == "/" and self.focused is not field:
            event.stop()
            event.prevent_default()
            field.focus()
        elif self.focused is field and event.key in ("down", "enter"):
            event.stop()
            self.query_one("#names").focus()

    @on(Input.Changed)
    def _filtered(self, event: Input.Changed) -> None:
        event.stop()
        words = event.value.lower().split()
        found = [entry for entry in self.names if all(word in " ".join(entry).lower() for word in words)]
        self.query_one("#names", VirtualList).show(found)

    def action_pick(self) -> None:
        """Pick or drop the name under the cursor, and go down."""
        names = self.query_one("#names", VirtualList)
        if names.row is not None:
            self.picked ^= {names.row[0]}
            names.redraw()
            names.action_move(1)

    def action_all(self) -> None:
        """Pick all that are shown."""
        names = self.query_one("#names", VirtualList)
        self.picked |= {entry[0] for entry in names.rows}
        names.redraw()

    def action_none(self) -> None:
        """Drop all."""
        self.picked.clear()
        self.query_one("#names", VirtualList).redraw()

    def action_take(self) -> None:
        """Answer what is picked, in the order of the list."""
        self.dismiss([name for name, _remark in self.names if name in self.picked])

    @on(VirtualList.Opened)
    def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        self.action_pick()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_take() if event.button.id == "confirm" else self.action_leave()

    def _draw(self, entry: tuple[str, str], width: int) -> Line:
        room = min(40, width // 2)
        return [(pad(entry[0], room), ""), (f"  {shortened(entry[1], width - room - 2)}", "dim")]
