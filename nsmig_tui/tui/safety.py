"""Leaves the terminal whole and the secrets unseen, whatever ends the program."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import traceback

from rich.text import Text
from textual.app import App

from ..domain.text import clean

SIGNALS = ("SIGTERM", "SIGHUP")


class CalmApp(App[int]):
    """An App that restores the terminal on SIGTERM and SIGHUP, and whose crash report shows no values."""

    def catch_signals(self) -> None:
        """Turn the signals that would kill us with a broken terminal into an orderly end."""
        loop = asyncio.get_running_loop()
        for name in SIGNALS:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
                number = getattr(signal, name)
                loop.add_signal_handler(number, self._on_signal, int(number))

    def release_signals(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for name in SIGNALS:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
                loop.remove_signal_handler(getattr(signal, name))

    def _on_signal(self, number: int) -> None:
        self.exit(return_code=128 + number if number == signal.SIGTERM else 130)

    def _fatal_error(self) -> None:
        """Textual's own report shows local variables, which may hold secrets; this one shows places only."""
        self.bell()
        self._exit_renderables.append(crash_report(self._exception))
        self._close_messages_no_wait()


def crash_report(error: BaseException | None) -> Text:
    """Where and what kind, without any value: not even the message, for it may quote one."""
    # A worker's failure stands around what really happened.
    error = getattr(error, "error", None) or error
    lines = ["nsmig made a mistake and had to stop. Runs on vnodes go on; `nsmig resume` looks after them."]
    for frame in traceback.extract_tb(error.__traceback__ if error else None)[-12:]:
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    lines.append(f"  {type(error).__name__}")
    return Text(clean("\n".join(lines), newlines=True))
