"""Sockets inside another network namespace.

A thread enters the namespace, makes the socket and ends; a socket stays in the namespace it was made in, so
no process has to be started for a request.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Answer:
    """What an HTTP request brought back."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, odd bytes replaced."""
        return self.body.decode(errors="replace")


def enter(namespace: str) -> None:
    """Move the calling thread into the named namespace for good; OSError when that fails."""
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns failed")
    finally:
        os.close(handle)


def connect(namespace: str, port: int, timeout_s: float = 10.0) -> socket.socket:
    """A TCP connection to 127.0.0.1:port as seen inside the named namespace; OSError as usual."""

    def inside() -> socket.socket:
        enter(namespace)
        return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(inside).result()


def request(
    namespace: str,
    host: str,
    path: str,
    *,
    port: int = 80,
    tls: bool = False,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One HTTP request to 127.0.0.1 in the namespace with this Host header; redirects are not followed."""
    plain = connect(namespace, port)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = context.wrap_socket(plain, server_hostname=host)
    return _exchange(plain, host, path, method, headers or {}, body)


def plain_request(host: str, path: str, timeout_s: float = 30.0) -> Answer:
    """A GET to 127.0.0.1:80 from the namespace that the calling thread is in."""
    return _exchange(socket.create_connection(("127.0.0.1", 80), timeout_s), host, path, "GET", {}, None)


def _exchange(
    link: socket.socket, host: str, path: str, method: str, headers: dict[str, str], body: bytes | None
) -> Answer:
    """Send one request over ``link``, read the answer to its end, close."""
    with link:
        connection = http.client.HTTPConnection(host)
        connection.sock = link
        connection.request(method, path, body=body, headers={"Connection": "close", **headers})
        reply = connection.getresponse()
        return Answer(reply.status, reply.headers, reply.read())
