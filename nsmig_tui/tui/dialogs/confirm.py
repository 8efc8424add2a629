"""The question before anything dangerous: facts, choices, and a key that is not the opener's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Key
from textual.widgets import Button, Input, Static

from ..safe import content
from .base import Dialog


@dataclass(frozen=True)
class Choice:
    """Something that can be chosen in the dialog by its ``key``; the first of ``values`` is the default.

    ``typed``: any other value demands that the word is typed out. ``why`` explains the value.
    ``unsays``: facts that begin so do not hold with any other value, and are not shown then.
    """

    id: str
    key: str
    text: str
    values: tuple[str, ...] = ("no", "yes")
    typed: bool = False
    why: str = ""
    unsays: str = ""


class ConfirmDialog(Dialog[dict[str, str] | None]):
    """Asks with the facts. ``y`` confirms, Enter alone never does, the focus is on Cancel.

    Where ``word`` must be typed (``always_typed``, or a choice demands it), only the exact word and then
    Enter confirm. Answers the choices, or None.
    """

    BINDINGS: ClassVar = [Binding("y", "confirm", "Confirm", show=False)]

    def __init__(
        self,
        title: str,
        facts: list[tuple[str, str]],
        *,
        verb: str,
        choices: tuple[Choice, ...] = (),
        word: str = "",
        always_typed: bool = False,
    ) -> None:
        super().__init__(title, danger=True)
        self.fact_lines, self.verb, self.choices = facts, verb, choices
        self.word, self.always_typed = word, always_typed
        self.values = {choice.id: choice.values[0] for choice in choices}
        self._was_low = False

    def body(self) -> ComposeResult:
        """Facts, choices, the typed word, and the two buttons."""
        yield from self.facts(self.fact_lines)
        for choice in self.choices:
            yield Static(self._choice_text(choice), id=f"choice-{choice.id}", classes="choice", markup=False)
        yield Static(content(f"Type  {self.word}  and press Enter to {self.verb}:"), id="ask", markup=False)
        yield Input(id="word", select_on_focus=False)
        with Horizontal(id="buttons"):
            yield Button(content("Cancel (esc)"), id="cancel")
            yield Button(content(f"{self.verb.capitalize()} (y)"), id="confirm", variant="error")

    def on_mount(self) -> None:
        """The focus is where nothing can happen: on Cancel, or where a word must be typed."""
        self.query_one("#cancel").focus()
        self._reflect()

    @property
    def needs_word(self) -> bool:
        """Whether the word must be typed as things are chosen."""
        strong = any(choice.typed and self._is_turned(choice) for choice in self.choices)
        return bool(self.word) and (self.always_typed or strong)

    def _is_turned(self, choice: Choice) -> bool:
        return self.values[choice.id] != choice.values[0]

    def fit(self) -> None:
        """Choices have one line each in a low terminal."""
        super().fit()
        if self.has_class("-low") != self._was_low:
            self._was_low = not self._was_low
            self._tell_choices()

    def on_key(self, event: Key) -> None:
        """A choice's key turns it on to its next value."""
        if isinstance(self.focused, Input):
            return
        for choice in self.choices:
            if event.key == choice.key:
                event.stop()
                at = choice.values.index(self.values[choice.id]) + 1
                self.values[choice.id] = choice.values[at % len(choice.values)]
                self._reflect()

    def action_confirm(self) -> None:
        """Go, unless the word must be typed."""
        if self.needs_word:
            self.query_one("#word").focus()
        else:
            self.dismiss(dict(self.values))

    @on(Button.Pressed, "#confirm")
    def _by_mouse(self, event: Button.Pressed) -> None:
        # A focused button is pressed by Enter too; only a mouse click reaches here, see tcss and can_focus.
        event.stop()
        self.action_confirm()

    @on(Button.Pressed, "#cancel")
    def _cancelled(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_leave()

    @on(Input.Submitted, "#word")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value == self.word:
            self.dismiss(dict(self.values))
        else:
            self.notify(f"That is not {self.word}.", severity="warning", markup=False)

    def _choice_text(self, choice: Choice):
        value = self.values[choice.id]
        shown = value if choice.values != ("no", "yes") else f"[{'x' if value == 'yes' else ' '}]"
        tail = f"   {choice.why}" if choice.why and self._is_turned(choice) else ""
        if self.has_class("-low"):  # one line, that may be cut: first what holds
            return content(f"{choice.key}  {shown}  {choice.text}{tail}")
        return content(f"{choice.key}  {choice.text}: {shown}{tail}")

    def _tell_choices(self) -> None:
        for choice in self.choices:
            self.query_one(f"#choice-{choice.id}", Static).update(self._choice_text(choice))

    def _reflect(self) -> None:
        self._tell_choices()
        unsaid = tuple(one.unsays for one in self.choices if one.unsays and self._is_turned(one))
        shown = [text for _style, text in self.fact_lines if text]
        for text, fact in zip(shown, self.query("#facts > .fact"), strict=True):
            fact.display = not text.startswith(unsaid)
        self.query_one("#ask").display = self.query_one("#word").display = self.needs_word
        go = self.query_one("#confirm", Button)
        go.can_focus = False
        go.disabled = self.needs_word
        self.fit()
        if self.needs_word:
            self.query_one("#word").focus()
        elif isinstance(self.focused, Input):
            self.query_one("#cancel").focus()
