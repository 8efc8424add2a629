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


def connect(namespace: str, port: int, timeout_s: float = 10.0) -> socket.socket:
    """A TCP connection to 127.0.0.1:port as seen inside the named namespace; OSError as usual."""

    def inside() -> socket.socket:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if _libc.setns(handle, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns failed")
        finally:
            os.close(handle)
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
    try:
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            plain = context.wrap_socket(plain, server_hostname=host)
        connection = http.client.HTTPConnection(host, port)
        connection.sock = plain
        connection.request(method, path, body=body, headers={"Connection": "close", **(headers or {})})
        reply = connection.getresponse()
        return Answer(reply.status, reply.headers, reply.read())
    finally:
        plain.close()
