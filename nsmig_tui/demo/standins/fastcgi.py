"""The responder role of FastCGI, both sides, over blocking sockets: one request a connection."""

from __future__ import annotations

import socket
import struct

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
_HEADER = struct.Struct("!BBHHBx")
_CHUNK = 65_528


class Broken(OSError):
    """The other side closed, or said what the protocol does not know."""


def ask(sock: socket.socket, params: dict[str, str], body: bytes) -> tuple[bytes, bytes]:
    """Send one request; answer what came on stdout and stderr. Raises OSError."""
    packed = b"".join(_pair(name, value) for name, value in params.items())
    message = _record(BEGIN, struct.pack("!HB5x", 1, 0))
    message += _stream(PARAMS, packed) + _stream(STDIN, body)
    sock.sendall(message)
    out, errors = bytearray(), bytearray()
    while True:
        kind, content = _read(sock)
        if kind == STDOUT:
            out += content
        elif kind == STDERR:
            errors += content
        elif kind == END:
            return bytes(out), bytes(errors)


def receive(sock: socket.socket) -> tuple[dict[str, str], bytes]:
    """Read one request: its parameters and its body. Raises Broken when there is none."""
    packed, body = bytearray(), bytearray()
    while True:
        kind, content = _read(sock)
        if kind == PARAMS:
            packed += content
        elif kind == STDIN:
            if not content:
                return _unpack(bytes(packed)), bytes(body)
            body += content


def answer(sock: socket.socket, out: bytes, errors: bytes = b"") -> None:
    """Send the answer to one request and end it."""
    message = _stream(STDERR, errors) if errors else b""
    message += _stream(STDOUT, out) + _record(END, struct.pack("!IB3x", 0, 0))
    sock.sendall(message)


def _record(kind: int, content: bytes) -> bytes:
    return _HEADER.pack(1, kind, 1, len(content), 0) + content


def _stream(kind: int, data: bytes) -> bytes:
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    return b"".join(_record(kind, chunk) for chunk in [*chunks, b""])


def _read(sock: socket.socket) -> tuple[int, bytes]:
    _version, kind, _request, length, padding = _HEADER.unpack(_exactly(sock, _HEADER.size))
    content = _exactly(sock, length)
    _exactly(sock, padding)
    return kind, content


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise Broken("the other side closed the connection")
        data += chunk
    return bytes(data)


def _pair(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode("utf-8", "surrogateescape")
    return struct.pack("!II", len(key) | 1 << 31, len(text) | 1 << 31) + key + text


def _unpack(data: bytes) -> dict[str, str]:
    params, at = {}, 0
    while at < len(data):
        sizes = []
        for _ in range(2):
            if data[at] & 0x80:
                sizes.append(struct.unpack_from("!I", data, at)[0] & 0x7FFFFFFF)
                at += 4
            else:
                sizes.append(data[at])
                at += 1
        name, value = data[at : at + sizes[0]], data[at + sizes[0] : at + sum(sizes)]
        params[name.decode()] = value.decode("utf-8", "surrogateescape")
        at += sum(sizes)
    return params
