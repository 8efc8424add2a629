"""Dialogs that others wait for: questions, errors, host keys, passwords."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.app import App
from textual.screen import ModalScreen

from ..domain.errors import NsmigError
from .dialogs.base import Dialog
from .dialogs.prompts import BusyDialog, HostKeyDialog, MessageDialog, PasswordDialog
from .typing_ahead import Grace

T = TypeVar("T")

STANDS = 60.0
"""For so many seconds a question may stand before what it told must be asked for again."""


class Asking(App[int]):
    """The half of the application that asks. Every answer may be "no". ``moment``: a clock for keys."""

    GUARDED: ClassVar = True
    """Whether a dialog that comes unasked leaves time to be read; only tests do without."""

    moment: Callable[[], float] = staticmethod(time.monotonic)
    _question: asyncio.Lock | None = None
    _in_turn: Dialog[Any] | None = None
    _afterwards: Callable[[], Any] | None = None

    async def on_event(self, event: events.Event) -> None:
        """Take the next event, unless it was meant for what stood here before the dialog."""
        if (
            isinstance(event, (events.Key, events.Paste, events.MouseDown))
            and not event.is_forwarded
            and isinstance(self.screen, Dialog)
            and self.screen.grace is not None
        ):
            # Judged by when it was pressed, not by when we get round to it.
            pressed = self.moment() - (time.monotonic() - event.time)
            if not self.screen.grace.lets(pressed):
                return
        await super().on_event(event)

    async def ask(self, dialog: ModalScreen[T], *, unasked: bool = False) -> T | None:
        """Show ``dialog`` and wait for its answer; also from tasks that are no Textual worker.

        ``unasked``: it is not what the last key was pressed for, so keys do not reach it at once.
        """
        if unasked and self.GUARDED and isinstance(dialog, Dialog):
            dialog.grace = Grace()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)

        await self.push_screen(dialog, answered)
        return await answer

    async def ask_in_turn(self, dialog: Dialog[T]) -> T | None:
        """Like ``ask``, but one question at a time: many vnodes may want an answer at once.

        Such a question stays until it is answered; who wants to go elsewhere meanwhile goes afterwards.
        """
        if self._question is None:
            self._question = asyncio.Lock()
        async with self._question:
            self._in_turn = dialog
            try:
                return await self.ask(dialog, unasked=True)
            finally:
                self._in_turn = None
                go, self._afterwards = self._afterwards, None
                if go is not None:
                    self.call_later(go)

    def is_way_free(self, go: Callable[[], Any]) -> bool:
        """Whether another screen may be opened now; if not, ``go`` is called when it may."""
        if self._in_turn is None:
            return True
        self._afterwards = go
        return False

    def leave_screen(self) -> None:
        """Close the uppermost screen; a dialog answers "no", since somebody waits for its answer."""
        if isinstance(self.screen, Dialog):
            self.screen.dismiss(self.screen.nothing)
        else:
            self.pop_screen()

    async def busy(
        self, title: str, words: str, work: Coroutine[Any, Any, T], *, trouble: str = ""
    ) -> T | None:
        """Await ``work`` behind a box that takes the keys, so that none meets the question after it unseen.

        Answers None when the operator gave up, or when it failed, which is then said under ``trouble``.
        What is asked after it comes ``unasked``.
        """
        task = asyncio.get_running_loop().create_task(work)
        dialog = BusyDialog(title, words)
        await self.push_screen(dialog, lambda _none: task.cancel())
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
        except NsmigError as error:
            dialog.close()
            await self.show_error(trouble or title, error)
        finally:
            task.cancel()
            dialog.close()
        return None

    async def ask_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """The AskHostKey of the ports."""
        return bool(self.is_running and await self.ask_in_turn(HostKeyDialog(host, kind, fingerprint)))

    async def ask_password(self, prompt: str) -> str | None:
        """The AskPassword of the ports."""
        return await self.ask_in_turn(PasswordDialog(prompt)) if self.is_running else None

    async def say_trouble(self, title: str, work: Awaitable[Any]) -> None:
        """Await ``work``; an error that is meant for people is shown to them."""
        try:
            await work
        except NsmigError as error:
            await self.show_error(title, error)

    async def show_error(self, title: str, error: NsmigError) -> None:
        """An error for people: what happened, and what to do."""
        if not self.screen_stack:
            return  # the program is being left
        lines = [("fail", error.message), ("", ""), ("bold", error.hint)]
        await self.ask(MessageDialog(title, lines, danger=True), unasked=True)
