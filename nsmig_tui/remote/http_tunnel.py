"""One HTTP GET to a vnode's own web server, through the SSH connection (direct-tcpip).

TLS is spoken through the tunnel with the asked host as SNI. Certificates are not verified: answers are
compared with each other, nothing is trusted or sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from nsmig_tui.domain.ports import HttpAnswer, HttpRequest
from nsmig_tui.domain.text import clean

from .http_parse import MAX_BODY, cut, early

__all__ = ["MAX_BODY", "NoTunnel", "fetch", "fetch_all", "from_tool", "parse"]

LANES = 4
"""Connections to one door of the web server that are held at the same time, at most."""

LANE_AFTER = 0.2
"""Seconds that questions wait before one more connection is made for them."""

TOGETHER = 4
"""Questions sent one behind the other before the first answer is there; then twice as many each time."""

MOST_TOGETHER = 16
"""No more than these, also of a server that answered all before."""

_MORE = b"\r\n"
_LAST = b"Connection: close\r\n\r\n"
_PIECE = 64 * 1024
_FORBIDDEN = (
    asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
    asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE,
)


class NoTunnel(Exception):
    """The server does not forward connections (AllowTcpForwarding no): ask there instead."""


async def fetch(connection: Any, request: HttpRequest, timeout: float) -> HttpAnswer:
    """Ask through ``connection``; a failure is an answer with status 0. Raises NoTunnel."""
    return (await fetch_all(connection, [request], timeout))[0]


async def fetch_all(connection: Any, requests: Sequence[HttpRequest], timeout: float) -> list[HttpAnswer]:
    """The answers in the order of ``requests``; each may take ``timeout`` seconds. Raises NoTunnel.

    Questions for the same door share a connection through the tunnel, and a few more when they wait.
    """
    found = _Found(connection, timeout, {})
    doors: dict[tuple[str, int, str | None], deque[_Asked]] = {}
    for index, request in enumerate(requests):
        try:
            question = _question(request)
        except ValueError as error:
            found.answers[index] = _failure(error, timeout)
            continue
        door = (request.address, request.port, request.host if request.tls else None)
        doors.setdefault(door, deque()).append((index, request, question))
    async with asyncio.TaskGroup() as group:
        for todo in doors.values():
            group.create_task(_visit(found, todo))
    if found.refused is not None:
        raise NoTunnel from found.refused
    return [found.answers[index] for index in range(len(requests))]


_Asked = tuple[int, HttpRequest, bytes]


@dataclass
class _Found:
    """What is known so far. ``refused``: the server does not forward, so asking is of no use."""

    connection: Any
    timeout: float
    answers: dict[int, HttpAnswer]
    refused: asyncssh.ChannelOpenError | None = None


async def _visit(found: _Found, todo: deque[_Asked]) -> None:
    """All questions for one door, over as few connections as are quick enough."""

    async def lane() -> None:
        while todo and found.refused is None:
            await _converse(found, todo)

    async with asyncio.TaskGroup() as group:
        for _ in range(LANES):
            await asyncio.wait([group.create_task(lane())], timeout=LANE_AFTER)
            if not todo or found.refused is not None:
                break


async def _converse(found: _Found, todo: deque[_Asked]) -> None:
    """Ask over one connection until it ends.

    The first question on it gets its answer, good or bad. Later ones may suffer from their company: those
    that come to nothing go back, to be the first on another connection.
    """
    asked: deque[_Asked] = deque()
    stream: _Plain | _Tls | None = None
    first = True
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(found.timeout) as clock:
            together = TOGETHER
            _take_next(asked, todo, together)
            stream = await _open(found.connection, asked[0][1])
            raw = b""
            while asked:
                ends = _MORE if todo else _LAST
                await stream.send(_MORE.join(question for _, _, question in asked) + ends)
                while asked:
                    answer = cut(raw, ended=False) if raw else None
                    while answer is None:
                        piece = await stream.receive()
                        raw += piece
                        answer = cut(raw, ended=not piece)
                    if not first and answer.answer.status == 0:
                        return
                    found.answers[asked.popleft()[0]] = answer.answer
                    first = False
                    if not answer.goes_on:
                        return
                    raw = raw[answer.taken :]
                    clock.reschedule(loop.time() + found.timeout)
                together = min(2 * together, MOST_TOGETHER)
                _take_next(asked, todo, together)
    except (TimeoutError, OSError, asyncssh.Error, ValueError) as error:
        if isinstance(error, asyncssh.ChannelOpenError) and error.code in _FORBIDDEN:
            found.refused = error
        elif first:
            found.answers[asked.popleft()[0]] = _failure(error, found.timeout)
    finally:
        todo.extendleft(reversed(asked))
        if stream is not None:
            stream.abort()


def parse(raw: bytes, *, ended: bool) -> HttpAnswer | None:
    """The answer in ``raw``; None while more is needed. ``ended``: no more will come.

    An answer that ended early is none: status 0.
    """
    found = cut(raw, ended=ended)
    return found.answer if found else None


def from_tool(rc: int, output: bytes) -> HttpAnswer:
    """The answer out of what ``http_get.sh`` printed: a line naming the tool, then the raw answer."""
    tool, _, raw = output.partition(b"\n")
    if rc == 3:
        return HttpAnswer(0, error="cannot look: no forwarding over SSH, and no tool for HTTP on the server")
    if rc != 0 or not tool.startswith(b"tool="):
        return HttpAnswer(0, error=f"no answer to {clean(tool[5:], 20) or 'any tool'} on the server")
    return parse(raw, ended=True) or early()


def _question(request: HttpRequest) -> bytes:
    """The request but for the end of its head. Raises ValueError for words that would break out of a line."""
    port = "" if request.port == (443 if request.tls else 80) else f":{request.port}"
    for word in (request.host, request.path):
        if not word.isprintable() or " " in word:
            raise ValueError("host or path of the request holds blanks or control characters")
    return (
        f"GET {request.path} HTTP/1.1\r\nHost: {request.host}{port}\r\n"
        "User-Agent: nsmig\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
    ).encode()


def _take_next(asked: deque[_Asked], todo: deque[_Asked], most: int) -> None:
    """Move the next questions, ``most`` of them, from ``todo`` to what is asked together."""
    asked.extend(todo.popleft() for _ in range(min(most, len(todo))))


def _failure(error: Exception, timeout: float) -> HttpAnswer:
    """The answer that stands for a failure."""
    if isinstance(error, TimeoutError):
        return HttpAnswer(0, error=f"no answer within {timeout:g} s")
    what = "cannot connect: " if isinstance(error, asyncssh.ChannelOpenError) else ""
    if isinstance(error, ssl.SSLError):
        what = "TLS failed: "
    return HttpAnswer(0, error=what + clean(str(error) or type(error).__name__, 200))


async def _open(connection: Any, request: HttpRequest) -> _Plain | _Tls:
    """A fresh connection to the door of ``request``."""
    reader, writer = await connection.open_connection(request.address, request.port)
    return _Tls(reader, writer, request.host) if request.tls else _Plain(reader, writer)


class _Plain:
    """The tunnel as it is."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Write and wait until it is on its way."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """The next bytes; none at the end."""
        return bytes(await self._reader.read(_PIECE))

    def abort(self) -> None:
        """End the connection."""
        self._writer.channel.abort()


class _Tls:
    """TLS over the tunnel: asyncio's own needs a transport that an SSH channel is not."""

    def __init__(self, reader: Any, writer: Any, host: str) -> None:
        self._tunnel = _Plain(reader, writer)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def send(self, data: bytes) -> None:
        """Encrypt and write, after the handshake."""
        await self._step(self._tls.do_handshake)
        await self._step(self._tls.write, data)

    async def receive(self) -> bytes:
        """The next decrypted bytes; none at the end, also where the server forgot to say goodbye."""
        try:
            return bytes(await self._step(self._tls.read, _PIECE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def abort(self) -> None:
        """End the connection."""
        self._tunnel.abort()

    async def _step(self, act: Any, *args: Any) -> Any:
        """Do one TLS operation, moving bytes through the tunnel as it asks for them."""
        while True:
            try:
                result = act(*args)
                await self._flush()
                return result
            except ssl.SSLWantReadError:
                await self._flush()
                piece = await self._tunnel.receive()
                if piece:
                    self._incoming.write(piece)
                else:
                    self._incoming.write_eof()

    async def _flush(self) -> None:
        if pending := self._outgoing.read():
            await self._tunnel.send(pending)
