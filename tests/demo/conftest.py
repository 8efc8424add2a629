"""A small demo world, and a visitor that reaches it as the product does: by its OpenSSH configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from nsmig_tui.demo.world import DemoWorld


@dataclass
class Visitor:
    """A logged-in client on one vnode of a world."""

    world: DemoWorld
    connection: asyncssh.SSHClientConnection
    vnode: str = "vn1"

    @property
    def root(self) -> Path:
        return self.world.root(self.vnode)

    def domain(self, kind: str) -> str:
        """The seeded domain of this kind."""
        return next(site.domain for site in self.world.sites if site.kind == kind)

    async def run(self, command: str, text: bytes = b"") -> tuple[int | None, bytes, bytes]:
        done = await self.connection.run(command, input=text, encoding=None)
        return done.exit_status, bytes(done.stdout or b""), bytes(done.stderr or b"")

    async def get(self, host: str, path: str) -> tuple[int, bytes]:
        reader, writer = await self.connection.open_connection("127.0.0.1", 80)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body

    async def until(self, question: Callable[[], bool], what: str) -> None:
        """Look again and again until ``question`` says yes; gives up after a generous time."""
        async with asyncio.timeout(30):
            while not question():
                await asyncio.sleep(0.01)
        assert question(), what


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    async with (
        DemoWorld(vnodes=1, vhosts_per_vnode=4) as world,
        asyncssh.connect("vn1", config=[str(world.ssh_config)]) as connection,
    ):
        yield Visitor(world, connection)
