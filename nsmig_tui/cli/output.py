"""The two streams: stdout is data, stderr is talk. A reader that goes away never stops work on a vnode."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any, TextIO

from ..domain.text import clean


class Output:
    """Writes lines. ``broken``: why data could not be written (a full disk; a closed pipe is no fault).

    ``question``: held by whoever asks the person, so that an answer is heard by who asked.
    """

    def __init__(
        self, *, quiet: bool = False, data: TextIO | None = None, talk: TextIO | None = None
    ) -> None:
        self.data = data or sys.stdout or _nowhere()
        self._talk = talk or sys.stderr or _nowhere()
        self.quiet = quiet
        self.broken = ""
        self.question = asyncio.Lock()
        self._gone = False
        for stream in (self.data, self._talk):
            # A terminal or locale that cannot show a letter must not end a run.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    @property
    def asks(self) -> bool:
        """Whether there is a person to ask: a terminal to read from and one to show the question on."""
        return _is_terminal(sys.stdin) and _is_terminal(self._talk)

    @property
    def data_is_terminal(self) -> bool:
        """Whether data goes to a person's eyes."""
        return _is_terminal(self.data)

    @property
    def talk_is_terminal(self) -> bool:
        """Whether progress can be drawn."""
        return _is_terminal(self._talk)

    def line(self, text: str = "") -> None:
        """One line of data. ``text`` must be clean already."""
        if self._gone:
            return
        try:
            self.data.write(text + "\n")
            self.data.flush()
        except OSError as error:
            self._gone = True
            if not isinstance(error, BrokenPipeError):
                self.broken = error.strerror or str(error)
            # What is still in the buffer would fail again at exit, with a traceback.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.data.fileno())

    def document(self, value: Any) -> None:
        """One JSON document, readable."""
        self.line(json.dumps(value, indent=2, default=str))

    def json_line(self, value: dict[str, Any]) -> None:
        """One JSON object on one line; control characters leave as escapes."""
        self.line(json.dumps(value, default=str))

    def talk(self, text: str) -> None:
        """One line for people, unless they asked for quiet. Cleaned here: it may quote a server."""
        if not self.quiet:
            self.tell(text)

    def bell(self) -> None:
        """Call the person at the terminal; only where there is one."""
        if self.talk_is_terminal:
            with contextlib.suppress(OSError, ValueError):
                self._talk.write("\a")
                self._talk.flush()

    def tell(self, text: str) -> None:
        """One line for people that quiet does not hide: errors and questions."""
        with contextlib.suppress(OSError, ValueError):
            self._talk.write(clean(text, 8000, newlines=True) + "\n")
            self._talk.flush()


def _nowhere() -> TextIO:
    """In place of a stream that the caller has closed (``>&-``): what goes there is wanted by nobody."""
    return open(os.devnull, "w", encoding="utf-8")


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
