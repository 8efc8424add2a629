"""The simulated vnodes of ``simulation``: SSH servers that are slow to reach and answer from a recording.

Arguments: PLACE CANNED COUNT DELAY TAKES. Prints its ports as one JSON line; on SIGTERM what it counted.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncssh

from nsmig_tui.remote import wire
from nsmig_tui.remote.script_loader import PARTS, load_script

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok"


class Vnodes:
    """All of them: they differ by nothing but the port. ``canned``: script -> what it said."""

    def __init__(self, canned: Path, takes: float) -> None:
        self.names = {wire.script_name(load_script(name)): name for name in PARTS if name != "runner"}
        self.said = {path.name: path.read_bytes() for path in canned.iterdir() if path.is_file()}
        self.takes = takes
        self.connections = 0
        self.begun: dict[str, float] = {}
        self.going: dict[str, float] = {}

    async def session(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Exchanges one after another, as wire.py frames them."""
        while first := (await process.stdin.readline()).decode():
            nonce = first.strip().rpartition('""')[2]
            process.stdout.write(f"NSMIG-READY-{nonce}\n".encode())
            frame, line = b"", b""
            while f"nsmig_main_{nonce}".encode() not in line or line.endswith(b"{\n"):
                if not (line := await process.stdin.readline()):
                    break
                frame += line
            script = re.search(rb"^nsmig_script=\$nsmig_s_([0-9a-f]+)$", frame, re.MULTILINE)
            words = re.search(rb"^set --(.*)$", frame, re.MULTILINE)
            if not script or not words:
                break
            args = shlex.split(words[1].decode())
            output = await self.answer(self.names.get(script[1].decode(), ""), args)
            process.stdout.write(
                f"\nNSMIG-BEGIN {nonce}\n".encode() + output + f"\nNSMIG-END {nonce} 0\n".encode()
            )
        process.exit(0)

    async def answer(self, name: str, args: list[str]) -> bytes:
        """What the script says."""
        now = asyncio.get_running_loop().time()
        if name == "launch":
            self.begun.setdefault(args[1], now)
            return b"started 1 0\n"
        if name == "poll":
            return await self.poll(args[2], int(args[3]), int(args[0]) / 10, args[4])
        # What is no script of the engine is the transport's first question: who are we?
        return self.said.get(name, b"") if name else b"uid=0\n"

    async def poll(self, run: str, seen: int, patience: float, word: str) -> bytes:
        """The journal as far as the run has come; waits for news. Each vnode here has one run at a time."""
        now = asyncio.get_running_loop().time()
        if word:
            self.going.setdefault(run, now)
        until = now + patience
        while len(self.journal(run).splitlines()) <= seen and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.1)
        lines = self.journal(run).splitlines()[seen:]
        return b"".join([b"alive\t0\tyes\n", *(b"j\t0\t" + line + b"\n" for line in lines)])

    def journal(self, run: str) -> bytes:
        """As of now: nothing, all up to the question, or all."""
        now = asyncio.get_running_loop().time()
        whole = self.said["journal"].replace(b"@RUN@", run.encode())
        if now - self.going.get(run, now) >= self.takes:
            return whole
        question = whole.index(b"\tawait\t")
        return whole[: whole.index(b"\n", question) + 1] if now - self.begun[run] >= self.takes else b""


class Server(asyncssh.SSHServer):
    """One connection."""

    def __init__(self, vnodes: Vnodes) -> None:
        vnodes.connections += 1

    def connection_requested(self, *_args: Any) -> Callable[[Any, Any], Awaitable[None]]:
        """Whatever port is asked for, the page is there."""
        return page


async def page(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
    """The same page for every question on this connection."""
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(PAGE)
    except (asyncio.IncompleteReadError, asyncssh.Error, OSError):
        writer.close()


class Slow(asyncio.Protocol):
    """One end of a connection whose bytes arrive later at the other; in order, as call_later keeps it."""

    def __init__(self, delay: float, port: int = 0) -> None:
        self._delay, self._port = delay, port
        self._loop = asyncio.get_running_loop()
        self.other: Slow | None = None
        self.transport: Any = None
        self._early: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        """An outer connection: make the inner one."""
        self.transport = transport
        if self._port:
            self._reaching = self._loop.create_task(self._reach())

    async def _reach(self) -> None:
        inner = Slow(self._delay)
        inner.other = self
        await self._loop.create_connection(lambda: inner, "127.0.0.1", self._port)
        self.other = inner
        for data in self._early:
            self._pass(data)

    def data_received(self, data: bytes) -> None:
        """Send it on, later."""
        if self.other is None:
            self._early.append(data)
        else:
            self._pass(data)

    def _pass(self, data: bytes) -> None:
        self._loop.call_later(self._delay, self.other.transport.write, data)  # type: ignore[union-attr]

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side as well, later."""
        if self.other is not None:
            self._loop.call_later(self._delay, self.other.transport.close)


async def main(place: str, canned: str, count: str, delay: str, takes: str) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    vnodes = Vnodes(Path(canned), float(takes))
    acceptor = await asyncssh.create_server(
        lambda: Server(vnodes),
        "127.0.0.1",
        0,
        server_host_keys=[f"{place}/host"],
        authorized_client_keys=f"{place}/user.pub",
        process_factory=vnodes.session,
        encoding=None,
        line_editor=False,
    )
    inner = acceptor.get_port()
    ports = []
    for _ in range(int(count)):
        outer = await loop.create_server(lambda: Slow(float(delay), inner), "127.0.0.1", 0)
        ports.append(outer.sockets[0].getsockname()[1])
    print(json.dumps(ports), flush=True)
    await done.wait()
    print(json.dumps({"connections": vnodes.connections}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
