"""Small dialogs: a menu of keys, a message, a password, a host key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Key
from textual.widgets import Button, Input, Static

from ..safe import content
from ..widgets.virtual_list import VirtualList
from ..words import Line, pad, shortened
from .base import Dialog


class MenuDialog(Dialog[str | None]):
    """A short menu; each entry is (key, id, text). Its key or Enter takes it."""

    def __init__(
        self, title: str, entries: Sequence[tuple[str, str, str]], *, facts: Sequence[str] = ()
    ) -> None:
        super().__init__(title)
        self.entries = list(entries)
        self.fact_lines = [("", fact) for fact in facts]

    def body(self) -> ComposeResult:
        """The facts, if any, and the list."""
        if self.fact_lines:
            yield from self.facts(self.fact_lines)
        menu = VirtualList(self._draw, lambda entry: entry[1], id="menu")
        menu.styles.height = len(self.entries)
        yield menu

    def on_mount(self) -> None:
        """Fill the list and take the focus."""
        menu = self.query_one(VirtualList)
        menu.show(self.entries)
        menu.focus()

    def _draw(self, entry: tuple[str, str, str], width: int) -> Line:
        return [(pad(f" {entry[0]}", 4), "key"), (shortened(entry[2], width - 4), "")]

    @on(VirtualList.Opened)
    def _opened(self, event: VirtualList.Opened) -> None:
        event.stop()
        self.dismiss(event.row[1])

    def on_key(self, event: Key) -> None:
        """The key of an entry takes it."""
        for key, name, _text in self.entries:
            if event.character == key:
                event.stop()
                self.dismiss(name)
                return


class MessageDialog(Dialog[None]):
    """Something to read: an error with its hint, or facts."""

    def __init__(self, title: str, lines: list[tuple[str, str]], *, danger: bool = False) -> None:
        super().__init__(title, danger=danger)
        self.lines = lines

    def body(self) -> ComposeResult:
        """The lines and a button."""
        yield from self.facts(self.lines)
        with Horizontal(id="buttons"):
            yield Button(content("Close (esc)"), id="cancel")

    def on_mount(self) -> None:
        """Focus the button."""
        self.query_one("#cancel").focus()

    @on(Button.Pressed)
    def _closed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(None)


class BusyDialog(Dialog[None]):
    """Says what is waited for. Escape gives up."""

    def __init__(self, title: str, words: str) -> None:
        super().__init__(title)
        self.words, self._over = words, False

    def body(self) -> ComposeResult:
        """The words and how to give up."""
        yield from self.facts([("", self.words), ("dim", "Escape gives up; nothing is changed by asking.")])

    def close(self) -> None:
        """What was waited for is here. Below another question it goes when that has been answered."""
        self._over = True
        if self.app.screen_stack[-1:] == [self]:
            self.dismiss(None)

    def on_screen_resume(self) -> None:
        """On top again."""
        if self._over:
            self.dismiss(None)


class PasswordDialog(Dialog[str | None]):
    """Asks for a secret. It is handed over once and kept nowhere."""

    def __init__(self, prompt: str) -> None:
        super().__init__("Password")
        self.prompt = prompt

    def body(self) -> ComposeResult:
        """The prompt and a field that shows dots."""
        yield from self.facts([("", self.prompt), ("dim", "It is sent to the vnode only and never stored.")])
        yield Input(password=True, id="secret")
        yield Static(content("Enter sends it, escape gives up."), classes="fact dim", markup=False)

    def on_mount(self) -> None:
        """Ready to type."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        secret, event.input.value = event.value, ""
        self.dismiss(secret)


class HostKeyDialog(Dialog[bool]):
    """Shows the fingerprint of a key that is not known yet; only the word ``yes``, typed, trusts it."""

    WORD: ClassVar = "yes"
    nothing = False

    def __init__(self, host: str, kind: str, fingerprint: str) -> None:
        super().__init__(f"Unknown host key: {host}", danger=True)
        self.facts_of_key = [
            ("", f"{host} is not in known_hosts. It shows this key:"),
            ("bold", f"  {kind}  {fingerprint}"),
            ("", "Compare it with what the server's own console says (ssh-keygen -lf)."),
            ("dim", "Trusting writes it to known_hosts. A key that changes later is always refused."),
        ]

    def body(self) -> ComposeResult:
        """The key, the field, and a way out."""
        yield from self.facts(self.facts_of_key)
        yield Static(content(f"Type  {self.WORD}  and press Enter to trust it:"), id="ask", markup=False)
        yield Input(id="word", select_on_focus=False)
        with Horizontal(id="buttons"):
            yield Button(content("Do not connect (esc)"), id="cancel")

    def on_mount(self) -> None:
        """Ready to type."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip().lower() == self.WORD:
            self.dismiss(True)
        else:
            self.notify(f"That is not {self.WORD}.", severity="warning", markup=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(False)
