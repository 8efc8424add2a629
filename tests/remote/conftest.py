"""Servers to talk to: an SSH server in this process that spawns the real /bin/sh, with odd habits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.remote.ssh_transport import Limits, SshConnector

QUICK = Limits(connect=10, open=10)


@dataclass
class Habits:
    """What is odd about a server. ``login_noise`` is printed before each command runs."""

    login_noise: bytes = b""
    login_eats: int = 0
    max_sessions: int = 100
    forwarding: bool = True
    path: str = os.environ["PATH"]
    env: dict[str, str] = field(default_factory=dict)
    password: str | None = None
    keys: list[asyncssh.SSHKey] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    refused: int = 0
    connections: int = 0
    live: list[Any] = field(default_factory=list)
    serving: set[Any] = field(default_factory=set)
    most_sessions: int = 0
    on_output: Callable[[Any, bytes], Awaitable[None]] | None = None


class House(asyncssh.SSHServer):
    """One connection to the test server."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self.sessions = 0
        habits.connections += 1

    def connection_made(self, conn: Any) -> None:
        self._conn = conn
        self._habits.live.append(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._habits.live.remove(self._conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key in self._habits.keys

    def password_auth_supported(self) -> bool:
        return self._habits.password is not None

    def validate_password(self, username: str, password: str) -> bool:
        return password == self._habits.password

    def connection_requested(self, *_args: Any) -> bool:
        return self._forward()

    def unix_connection_requested(self, dest_path: str) -> bool:
        return self._forward()

    def _forward(self) -> bool:
        if not self._habits.forwarding:
            # The words and the code of OpenSSH's sshd.
            prohibited = asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
            raise asyncssh.ChannelOpenError(prohibited, "administratively prohibited: open failed")
        return True

    def session_requested(self) -> Any:
        if self.sessions >= self._habits.max_sessions:
            self._habits.refused += 1
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "open failed")
        self.sessions += 1
        self._habits.most_sessions = max(self._habits.most_sessions, self.sessions)
        return asyncssh.SSHServerProcess(self._serve, None, 3, False)

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self._habits.serving.add(asyncio.current_task())
        try:
            await serve(process, self._habits)
        finally:
            process.channel.close()
            await process.channel.wait_closed()
            self.sessions -= 1


async def serve(process: asyncssh.SSHServerProcess[bytes], habits: Habits) -> None:
    """Run the command as sshd does: by the login shell, which may print and eat things first."""
    habits.commands.append(process.command or "")
    if habits.login_noise:
        process.stdout.write(habits.login_noise)
        process.stderr.write(habits.login_noise[:1000])
    if habits.login_eats:
        await process.stdin.read(habits.login_eats)
    child = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", process.command or "true"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": habits.path, "HOME": "/", **habits.env},
        start_new_session=True,
    )
    assert child.stdin and child.stdout and child.stderr
    feeder = asyncio.create_task(_feed(process, child.stdin))
    pumps = [_pump(child.stdout, process.stdout, habits), _pump(child.stderr, process.stderr, None)]
    work = asyncio.gather(*pumps, child.wait())
    gone = asyncio.create_task(process.channel.wait_closed())
    try:
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        if work.done() and not gone.done():
            process.exit(child.returncode if child.returncode and child.returncode > 0 else 0)
    finally:
        for task in (feeder, gone, work):
            task.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        # asyncio has no public way to let go of pipes that are full, or held by what a script left behind.
        child._transport.close()  # type: ignore[attr-defined]
        await asyncio.gather(feeder, gone, work, child.wait(), return_exceptions=True)


async def _feed(process: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
    """What the client writes goes to the child."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await process.stdin.read(65536):
            stdin.write(data)
            await stdin.drain()
    with contextlib.suppress(OSError):
        stdin.close()


async def _pump(source: asyncio.StreamReader, target: Any, habits: Habits | None) -> None:
    """What the child prints goes to the client."""
    while data := await source.read(65536):
        if habits and habits.on_output:
            await habits.on_output(target, data)
        target.write(data)
        await target.drain()


@dataclass
class Site:
    """A running test server, the operator's SSH files for it, and connectors to it."""

    port: int
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    habits: Habits
    home: Path
    connectors: list[SshConnector] = field(default_factory=list)
    server: Any = None

    @property
    def config(self) -> Path:
        return self.home / "config"

    @property
    def known_hosts(self) -> Path:
        return self.home / "known_hosts"

    @property
    def vnode(self) -> Vnode:
        return Vnode("vn1", ssh_host="web1")

    def configure(self, *extra: str) -> None:
        """Write the SSH configuration, ``extra`` lines first within the host's block."""
        lines = [*extra, "HostName 127.0.0.1", f"Port {self.port}", "User tester", "IdentitiesOnly yes"]
        lines += [f"IdentityFile {self.home}/id", f"UserKnownHostsFile {self.known_hosts}"]
        lines += ["GlobalKnownHostsFile none"]
        self.config.write_text("Host web1\n" + "".join(f"  {line}\n" for line in lines))

    def know(self, name: str = "", key: asyncssh.SSHKey | None = None) -> None:
        """Put a host key on record."""
        public = (key or self.host_key).export_public_key("openssh").decode()
        with self.known_hosts.open("a") as file:
            file.write(f"{name or f'[127.0.0.1]:{self.port}'} {public}")

    def connector(self, **options: Any) -> SshConnector:
        """A connector with this site's files; closed when the test ends."""
        connector = SshConnector(self.config, **{"limits": QUICK, **options})
        self.connectors.append(connector)
        return connector


@pytest.fixture(scope="session")
def client_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519", "nsmig test")


@pytest.fixture
async def site(tmp_path: Path, client_key: asyncssh.SSHKey, monkeypatch: Any) -> AsyncIterator[Site]:
    """A server that is known and lets our key in."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    habits = Habits(keys=[client_key.convert_to_public()])
    if os.getuid():
        habits.env["NSMIG_UNPRIVILEGED"] = "1"
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: House(habits), server_host_keys=[host_key], encoding=None
    )
    home = tmp_path / "ssh"
    home.mkdir(mode=0o700)
    client_key.write_private_key(home / "id")
    site = Site(server.get_port(), host_key.convert_to_public(), client_key, habits, home, server=server)
    site.configure()
    site.know()
    yield site
    for connector in site.connectors:
        await connector.close()
    server.close()
    for connection in list(habits.live):
        connection.abort()
    await asyncio.gather(*habits.serving, return_exceptions=True)
    await server.wait_closed()
