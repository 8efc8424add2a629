"""What all full screens share: a title, a key bar fed from the actions, and one door for every action."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from ...domain.errors import NsmigError
from .. import actions
from ..selection import Targets
from ..widgets.bars import ClickBar, LineBar
from ..words import Line

if TYPE_CHECKING:
    from ..app import NsmigApp


class WorkScreen(Screen[None]):
    """A screen with a name (``WHERE``) under which actions are found for it."""

    WHERE = ""
    HORIZONTAL_BREAKPOINTS: ClassVar = [(0, "-narrow"), (100, "-wide")]
    app: NsmigApp

    def compose(self) -> ComposeResult:
        """Title, body, keys."""
        yield LineBar(id="titlebar")
        yield from self.body()
        yield ClickBar(id="keybar")

    def body(self) -> Iterable[Widget]:
        """What is between the bars."""
        return ()

    def targets(self) -> Targets:
        """What an action would act on now."""
        return Targets()

    def title_pieces(self) -> Line:
        """What the title says of this screen."""
        return []

    @property
    def is_here(self) -> bool:
        """Whether it has not been left: what was asked of it before may still come, and find no parts."""
        return self.app.is_running and self in self.app.screen_stack

    def on_screen_resume(self) -> None:
        """Back on this screen: what it shows may be old."""
        self.refresh_bars()

    def on_resize(self) -> None:
        """The bars hold what fits."""
        self.call_after_refresh(self.refresh_bars)

    def refresh_bars(self) -> None:
        """Draw title and keys anew."""
        if not self.is_mounted or not self.is_here:
            return
        self.query_one("#titlebar", LineBar).show([*self.app.title_pieces(), *self.title_pieces()])
        words = []
        found = self.app.available(self.targets(), self)
        for action, why in sorted(found, key=lambda one: not one[0].waits):
            if action.footer or (action.waits and not why):
                style = "dim" if why else "key"
                words.append(
                    (
                        action.id,
                        [(f"{self.app.keys_of(action)} ", style), (action.name, "dim" if why else "")],
                    )
                )
        bar = self.query_one("#keybar", ClickBar)
        bar.show_words(words)

    async def action_do(self, name: str) -> None:
        """Run the action with this id, or say why not."""
        action = actions.BY_ID[name]
        if self.app.options.read_only and action.danger:
            self.app.notify(
                f"{action.name}: switched off in a read-only session.", severity="warning", markup=False
            )
            return
        targets = self.targets()
        why = self.app.why_not(action, targets)
        if why:
            self.app.notify(f"{action.name}: {why}", severity="warning", markup=False, timeout=4)
            return
        method = getattr(action.run, "method", "")
        if getattr(action.run, "at_once", False):
            try:
                await action.run(self.app, targets)
            except NsmigError as error:
                self.app.notify(f"{action.name}: {error.message}", severity="error", markup=False)
            return
        if not method:
            self.app.run_act(action, targets)
            return
        # At once: the next key must meet the screen as this one leaves it.
        result = getattr(self, method)()
        if hasattr(result, "__await__"):
            self.app.run_worker(self.app.say_trouble(action.name, result), name=name, group="acts")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys that come before all others hold only where they are meant."""
        if action == "keep_filter":
            return isinstance(self.focused, Input)
        first = action == "do" and parameters[0] in actions.FIRST
        return not (first and isinstance(self.focused, Input))

    @on(ClickBar.Chosen, "#keybar")
    async def _key_clicked(self, event: ClickBar.Chosen) -> None:
        event.stop()
        await self.action_do(event.name)
