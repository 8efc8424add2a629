"""One script's conversation on one SSH channel: wait for the shell itself, send, cut the answer out.

Nothing is sent before the shell at the far end has repeated a private word. So what a login script eats
of its standard input is that word only, never a part of a script; and a password goes out only when sudo
asks for it with a private marker.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncssh

from . import wire
from .secret import Secret

_TAIL = 2048
"""Bytes of talk (noise, standard error) that are held to explain a failure."""


class NotStarted(Exception):
    """The shell never came up; nothing was sent. ``said`` is the end of what the server printed."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class WrongPassword(Exception):
    """sudo asked for the password a second time."""


class Conversation(asyncssh.SSHClientSession[bytes]):
    """The state machine of one exchange; ``ready`` and ``finished`` are its two milestones.

    ``knows``: the names of the scripts whose text its shell has. With ``password`` the shell comes up behind
    ``sudo -S``: its command line says the ready word, and the password is sent once, when ``nonce`` as the
    prompt is seen on standard error.
    """

    def __init__(self, nonce: str, limit: int, *, says_ready: bool = False, password: Secret | None = None):
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[tuple[int, bytes]] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        for future in (self.ready, self.finished):
            future.add_done_callback(_retrieved)
        self.is_renewed = False
        self.knows: set[str] = set()
        self._says_ready = says_ready
        self._password = password
        self._prompt = prompt_marker(nonce).encode()
        self._nonce = nonce
        self._word = wire.ready_word(nonce).encode()
        self._limit = limit
        self._reader = wire.AnswerReader(nonce, limit)
        self._noise = bytearray(b"\n")
        self._stderr = bytearray()
        self._prompts = 0
        self._channel: Any = None

    def connection_made(self, chan: Any) -> None:
        """Keep the channel to write on."""
        self._channel = chan

    def session_started(self) -> None:
        """The server took the command: ask its shell for the ready word."""
        if not self._says_ready:
            self._channel.write(wire.ready_line(self._nonce))

    def send(self, stream: bytes, *, more: bool = False) -> None:
        """Send the frame, and close the shell's input unless ``more`` will follow. Only once it is ready."""
        self._channel.write(stream)
        if not more:
            self._channel.write_eof()

    def renew(self, nonce: str) -> None:
        """Begin the next exchange over the same shell, which has answered in full before: ask for a new word.

        Lines are lost, and shells are ended, while nothing is said: that must show before anything is sent.
        """
        loop = asyncio.get_running_loop()
        self.ready, self.finished = loop.create_future(), loop.create_future()
        for future in (self.ready, self.finished):
            future.add_done_callback(_retrieved)
        self.is_renewed, self._password = True, None
        self._word = wire.ready_word(nonce).encode()
        self._reader = wire.AnswerReader(nonce, self._limit)
        self._noise = bytearray(b"\n")
        self._stderr.clear()
        self._channel.write(wire.ready_line(nonce))

    @property
    def is_gone(self) -> bool:
        """Whether the channel is closed."""
        return self._gone.done()

    def abort(self) -> None:
        """End the channel."""
        self._channel.abort()

    def data_received(self, data: bytes, datatype: Any) -> None:
        """Take what the server printed."""
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            self._take_stderr(data)
        elif self.ready.done():
            self._take_answer(data)
        else:
            self._await_ready(data)

    def eof_received(self) -> bool:
        """Leave our own side open: the exit of the shell closes the channel."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: whatever is not complete by now never will be."""
        self._fail(exc)
        if not self._gone.done():
            self._gone.set_result(None)

    async def leave(self) -> None:
        """After the answer, let the server close the session itself: only then does it not count any more.

        Something the script left behind may hold it open, so this waits only a moment.
        """
        with contextlib.suppress(OSError):  # it is closed already
            self._channel.write_eof()
        await asyncio.wait([self._gone], timeout=1.0)

    def said(self) -> str:
        """The end of what the server printed besides answers."""
        return (bytes(self._noise[-_TAIL:]) + bytes(self._stderr[-_TAIL:])).decode("utf-8", "replace").strip()

    def _await_ready(self, data: bytes) -> None:
        self._noise += data
        if self._word + b"\n" in self._noise or self._word + b"\r\n" in self._noise:
            self._noise.clear()
            if not self.ready.done():
                self.ready.set_result(None)
        elif len(self._noise) > 2 * _TAIL:
            del self._noise[:-_TAIL]

    def _take_answer(self, data: bytes) -> None:
        if self.finished.done():
            return
        try:
            if self._reader.feed(data):
                self.finished.set_result(self._reader.result())
        except wire.WireError as error:
            self.finished.set_exception(error)

    def _take_stderr(self, data: bytes) -> None:
        self._stderr += data
        if self._password is not None and not self.ready.done():
            self._answer_prompts(self._password)
        if len(self._stderr) > 2 * _TAIL:
            del self._stderr[:-_TAIL]

    def _answer_prompts(self, password: Secret) -> None:
        while (at := self._stderr.find(self._prompt)) >= 0:
            del self._stderr[: at + len(self._prompt)]
            self._prompts += 1
            if self._prompts > 1:
                self.ready.set_exception(WrongPassword())
                return
            self._channel.write(password.reveal().encode() + b"\n")

    def _fail(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(WrongPassword() if self._refused_password() else NotStarted(self.said()))
        if not self.finished.done():
            try:
                self.finished.set_result(self._reader.result())
            except wire.WireError as error:
                self.finished.set_exception(error if exc is None else wire.WireError(f"{error} ({exc})"))

    def _refused_password(self) -> bool:
        """Whether sudo gave up after the one password it got (``passwd_tries=1``)."""
        return self._prompts == 1 and b"incorrect password attempt" in self._stderr


def prompt_marker(nonce: str) -> str:
    """The prompt that sudo is told to use; no login script can know it."""
    return f"NSMIG-PROMPT-{nonce}:"


def _retrieved(future: asyncio.Future[Any]) -> None:
    """Mark a future's exception as seen: nobody may be waiting for it any more."""
    if not future.cancelled():
        future.exception()
