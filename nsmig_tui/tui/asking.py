"""Dialogs that others wait for: questions, errors, host keys, passwords."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from textual.app import App
from textual.screen import ModalScreen

from ..domain.errors import NsmigError
from .dialogs.prompts import BusyDialog, HostKeyDialog, MessageDialog, PasswordDialog

T = TypeVar("T")


class Asking(App[int]):
    """The half of the application that asks. Every answer may be "no"."""

    _question: asyncio.Lock | None = None

    async def ask(self, dialog: ModalScreen[T]) -> T | None:
        """Show ``dialog`` and wait for its answer; also from tasks that are no Textual worker."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(value: Any) -> None:
            if not answer.done():
                answer.set_result(value)

        await self.push_screen(dialog, answered)
        return await answer

    async def ask_in_turn(self, dialog: ModalScreen[T]) -> T | None:
        """Like ``ask``, but one question at a time: many vnodes may want an answer at once."""
        if self._question is None:
            self._question = asyncio.Lock()
        async with self._question:
            return await self.ask(dialog)

    async def busy(self, title: str, words: str, work: Coroutine[Any, Any, T]) -> T | None:
        """Await ``work`` behind a box that takes the keys, so that none meets the question after it unseen.

        Answers None when the operator gave up, or when it failed, which is then said.
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
            if self.screen is dialog:
                dialog.dismiss(None)
            await self.show_error(title, error)
        finally:
            task.cancel()
            if self.screen is dialog:
                dialog.dismiss(None)
        return None

    async def ask_host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """The AskHostKey of the ports."""
        return bool(self.is_running and await self.ask_in_turn(HostKeyDialog(host, kind, fingerprint)))

    async def ask_password(self, prompt: str) -> str | None:
        """The AskPassword of the ports."""
        return await self.ask_in_turn(PasswordDialog(prompt)) if self.is_running else None

    async def show_error(self, title: str, error: NsmigError) -> None:
        """An error for people: what happened, and what to do."""
        lines = [("fail", error.message), ("", ""), ("bold", error.hint)]
        await self.ask(MessageDialog(title, lines, danger=True))
