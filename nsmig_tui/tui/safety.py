"""Leaves the terminal whole and the secrets unseen, whatever ends the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TextIO

from rich.text import Text
from textual.app import App

from ..domain.text import clean

STAYS = "This program would stop, and nobody could bring it back: there is no shell with jobs above it."
SIGNALS = ("SIGTERM", "SIGHUP")


class CalmApp(App[int]):
    """An App that restores the terminal on SIGTERM and SIGHUP, and whose crash report shows no values."""

    def catch_signals(self) -> None:
        """Turn the signals that would kill us with a broken terminal into an orderly end."""
        loop = asyncio.get_running_loop()
        for name in SIGNALS:
            with contextlib.suppress(RuntimeError, ValueError):
                number = getattr(signal, name)
                loop.add_signal_handler(number, self._on_signal, int(number))
        if not self.is_headless:
            hung_up = partial(loop.call_soon_threadsafe, self._on_signal, int(signal.SIGHUP))
            threading.Thread(target=watch_terminal, args=(hung_up,), name="terminal", daemon=True).start()

    def release_signals(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for name in SIGNALS:
            with contextlib.suppress(RuntimeError, ValueError):
                loop.remove_signal_handler(getattr(signal, name))

    def action_help_quit(self) -> None:
        """Ctrl-C, which ends nothing here, says what does."""
        self.notify("q quits (esc first closes what is open). Runs on vnodes go on.", markup=False)

    def action_put_aside(self) -> None:
        """Ctrl-Z: back to the shell until ``fg``, unless that would do harm or be for good."""
        why = self.why_not_aside() or ("" if has_shell_above() else STAYS)
        if why:
            self.notify(why, severity="warning", markup=False)
        else:
            self.action_suspend_process()

    def why_not_aside(self) -> str:
        """What would suffer while the program stands still; nothing, if empty."""
        return ""

    def _on_signal(self, number: int) -> None:
        self.exit(return_code=128 + number if number == signal.SIGTERM else 130)

    def _fatal_error(self) -> None:
        """Textual's own report shows local variables, which may hold secrets; this one shows places only."""
        self.bell()
        self._exit_renderables.append(crash_report(self._exception))
        self._close_messages_no_wait()


def has_shell_above() -> bool:
    """Whether a process of our session, in another group of it, can continue us: a shell that knows jobs."""
    try:
        above = os.getppid()
        return os.getsid(above) == os.getsid(0) and os.getpgid(above) != os.getpgrp()
    except OSError:
        return False


def watch_terminal(hung_up: Callable[[], object]) -> None:
    """Wait until the terminal is gone, and tell it: only a controlling terminal sends SIGHUP.

    Otherwise Textual would read its end for ever, and wait for ever to draw on it.
    """
    # A closed loop (RuntimeError) has nobody left to tell.
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        watched = select.poll()
        # No event asked for: what is left is that the other side has hung up.
        watched.register(sys.__stdin__.fileno(), 0)
        watched.poll()
        hung_up()


class LostTerminal:
    """A terminal's output whose writes, once the terminal is gone, are no errors but go nowhere.

    Textual writes from a thread that ends with the first write that fails. Its queue then fills, and the
    next one to draw waits for ever, so that nothing could end the program any more.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write what there is a terminal for."""
        with contextlib.suppress(OSError):
            return self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what there is a terminal for."""
        with contextlib.suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def terminal_may_go() -> Iterator[None]:
    """While this lasts, Textual's output survives the loss of the terminal."""
    before = sys.__stderr__
    if before is None:
        yield
        return
    sys.__stderr__ = LostTerminal(before)  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        sys.__stderr__ = before  # type: ignore[misc]


def crash_report(error: BaseException | None) -> Text:
    """Where and what kind, without any value: not even the message, for it may quote one."""
    # A worker's failure stands around what really happened.
    error = getattr(error, "error", None) or error
    lines = ["nsmig made a mistake and had to stop. Runs on vnodes go on; `nsmig resume` looks after them."]
    for frame in traceback.extract_tb(error.__traceback__ if error else None)[-12:]:
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}")
    lines.append(f"  {type(error).__name__}")
    return Text(clean("\n".join(lines), newlines=True))
