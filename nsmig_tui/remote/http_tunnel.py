"""One HTTP GET to a vnode's own web server, through the SSH connection (direct-tcpip).

TLS is spoken through the tunnel with the asked host as SNI. Certificates are not verified: answers are
compared with each other, nothing is trusted or sent.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import ssl
from typing import Any

import asyncssh

from nsmig_tui.domain.ports import HttpAnswer, HttpRequest
from nsmig_tui.domain.text import clean

MAX_BODY = 1024 * 1024
"""Bytes of a body that are kept; the rest is not even fetched."""

_MAX_RAW = MAX_BODY + 256 * 1024
_PIECE = 64 * 1024
_FORBIDDEN = (
    asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
    asyncssh.OPEN_UNKNOWN_CHANNEL_TYPE,
)


class NoTunnel(Exception):
    """The server does not forward connections (AllowTcpForwarding no): ask there instead."""


async def fetch(connection: Any, request: HttpRequest, timeout: float) -> HttpAnswer:
    """Ask through ``connection``; a failure is an answer with status 0. Raises NoTunnel."""
    try:
        question = _question(request)
        async with asyncio.timeout(timeout):
            return await _ask(connection, request, question)
    except TimeoutError:
        return HttpAnswer(0, error=f"no answer within {timeout:g} s")
    except asyncssh.ChannelOpenError as error:
        if error.code in _FORBIDDEN:
            raise NoTunnel from error
        return HttpAnswer(0, error=f"cannot connect: {clean(str(error), 200)}")
    except ssl.SSLError as error:
        return HttpAnswer(0, error=f"TLS failed: {clean(str(error), 200)}")
    except (OSError, asyncssh.Error, ValueError) as error:
        return HttpAnswer(0, error=clean(str(error) or type(error).__name__, 200))


def parse(raw: bytes, *, ended: bool) -> HttpAnswer | None:
    """The answer in ``raw``; None while more is needed. ``ended``: no more will come.

    An answer that ended early is none: status 0.
    """
    full = len(raw) >= _MAX_RAW
    if b"\r\n\r\n" not in raw and b"\n\n" not in raw:
        return _early() if ended or full else None
    response = http.client.HTTPResponse(_Fake(raw))  # type: ignore[arg-type]
    try:
        response.begin()
        body = _body(response, ended=ended)
    except http.client.IncompleteRead as error:
        if not full and len(error.partial) < MAX_BODY:
            return _early() if ended else None
        body = error.partial[:MAX_BODY]
    except (http.client.HTTPException, ValueError) as error:
        if isinstance(error, http.client.RemoteDisconnected):
            # Only an interim answer (100 Continue) so far.
            return _early() if ended or full else None
        return HttpAnswer(0, error=f"no HTTP: {clean(repr(error), 200)}")
    if body is None:
        return None
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return HttpAnswer(response.status, headers, body)


def from_tool(rc: int, output: bytes) -> HttpAnswer:
    """The answer out of what ``http_get.sh`` printed: a line naming the tool, then the raw answer."""
    tool, _, raw = output.partition(b"\n")
    if rc == 3:
        return HttpAnswer(0, error="cannot look: no forwarding over SSH, and no tool for HTTP on the server")
    if rc != 0 or not tool.startswith(b"tool="):
        return HttpAnswer(0, error=f"no answer to {clean(tool[5:], 20) or 'any tool'} on the server")
    return parse(raw, ended=True) or _early()


class _Fake:
    """What http.client takes for a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_args: object, **_kwargs: object) -> io.BytesIO:
        """The bytes to read."""
        return io.BytesIO(self._raw)


def _early() -> HttpAnswer:
    return HttpAnswer(0, error="the answer ended early")


def _body(response: http.client.HTTPResponse, *, ended: bool) -> bytes | None:
    """The body, at most MAX_BODY; None while its end, which only the end of the stream tells, is not there.

    Raises IncompleteRead when the body is announced longer than what is there.
    """
    expected = response.length
    if expected is None and not response.chunked:
        body = response.read(MAX_BODY)
        return body if ended or len(body) == MAX_BODY else None
    if response.chunked:
        return response.read()[:MAX_BODY]
    body = response.read(MAX_BODY)
    if len(body) < min(expected or 0, MAX_BODY):
        raise http.client.IncompleteRead(body)
    return body


def _question(request: HttpRequest) -> bytes:
    """The request's bytes. Raises ValueError for words that would break out of their line."""
    port = "" if request.port == (443 if request.tls else 80) else f":{request.port}"
    for word in (request.host, request.path):
        if not word.isprintable() or " " in word:
            raise ValueError("host or path of the request holds blanks or control characters")
    return (
        f"GET {request.path} HTTP/1.1\r\nHost: {request.host}{port}\r\n"
        "User-Agent: nsmig\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode()


async def _ask(connection: Any, request: HttpRequest, question: bytes) -> HttpAnswer:
    """Send the question down the tunnel and read until the answer is whole."""
    reader, writer = await connection.open_connection(request.address, request.port)
    try:
        stream = _Tls(reader, writer, request.host) if request.tls else _Plain(reader, writer)
        await stream.send(question)
        raw = b""
        while True:
            piece = await stream.receive()
            raw += piece
            answer = parse(raw, ended=not piece)
            if answer is not None:
                return answer
    finally:
        writer.channel.abort()


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
