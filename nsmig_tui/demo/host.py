"""One vnode of the demo as an SSH server on loopback, which runs a real ``sh`` over its directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import asyncssh

MAX_SESSIONS = 10
"""Sessions on one connection, as sshd's default; more are refused."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(root: Path) -> dict[str, str]:
    """All that a command on this vnode finds in its environment."""
    return {
        "PATH": f"{root}/bin:{_PATH}",
        "HOME": f"{root}/root",
        "TMPDIR": f"{root}/tmp",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/sh",
        "LC_ALL": "C.UTF-8",
        "NSMIG_ROOT": str(root),
        "NSMIG_UNPRIVILEGED": "1",
    }


class DemoHost:
    """The SSH server of one vnode. ``root`` is its directory; ``key`` what it is known by."""

    def __init__(self, name: str, root: Path, key: asyncssh.SSHKey, user_key: asyncssh.SSHKey) -> None:
        self.name, self.root, self.key = name, root, key
        self._allowed = asyncssh.import_authorized_keys(user_key.export_public_key().decode())
        self._server: asyncssh.SSHAcceptor | None = None
        self._children: set[int] = set()
        self._connections: set[_Connection] = set()

    async def start(self) -> int:
        """Listen on a free port of loopback; answers it."""
        self._server = await asyncssh.create_server(
            lambda: _Connection(self),
            "127.0.0.1",
            0,
            server_host_keys=[self.key],
            authorized_client_keys=self._allowed,
            password_auth=False,
            kbdint_auth=False,
            gss_host=None,
            encoding=None,
            line_editor=False,
            keepalive_interval=15,
            login_timeout=30,
        )
        return self._server.get_port()

    async def stop(self) -> None:
        """Refuse new connections, end those that are open and what they run."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        for pid in list(self._children):
            _end_group(pid)
        await self._server.wait_closed()
        self._server = None

    async def drop(self) -> None:
        """Cut all connections, as a network that fails does; the server goes on listening."""
        for connection in list(self._connections):
            connection.abort()

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run what one session asks for, as sshd does: streams apart, the exit status told."""
        words = ["-c", process.command] if process.command else []
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.root / "root",
            env=environment(self.root),
            start_new_session=True,
        )
        self._children.add(child.pid)
        assert child.stdin and child.stdout and child.stderr
        feeding = asyncio.create_task(_feed(process.stdin, child.stdin))
        working = asyncio.gather(
            _carry(child.stdout, process.stdout), _carry(child.stderr, process.stderr), child.wait()
        )
        leaving = asyncio.create_task(process.wait_closed())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not leaving.done():
                status = working.result()[2]
                if status < 0:
                    process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
                else:
                    process.exit(status)
        finally:
            # The whole group goes with its channel; what called setsid has left it and lives on.
            if child.returncode is None or not working.done():
                _end_group(child.pid)
            for task in (feeding, working, leaving):
                task.cancel()
            await asyncio.gather(feeding, working, leaving, return_exceptions=True)
            await child.wait()
            self._children.discard(child.pid)


class _Connection(asyncssh.SSHServer):
    """What one client may do: sessions, and reaching the vnode's own web server or sockets."""

    def __init__(self, host: DemoHost) -> None:
        self._host = host
        self._connection: asyncssh.SSHServerConnection | None = None
        self._sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._host._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host._connections.discard(self)

    def abort(self) -> None:
        """Cut this connection without a word."""
        if self._connection is not None:
            self._connection.abort()

    def session_requested(self) -> asyncssh.SSHServerProcess[bytes] | bool:
        if self._sessions >= MAX_SESSIONS:
            return False
        self._sessions += 1
        return asyncssh.SSHServerProcess(self._session, None, 3, False)

    async def _session(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            await self._host.run(process)
        finally:
            self._sessions -= 1

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int):
        """Ports of the vnode itself are socket files of its web server; nothing else is reached."""
        path = self._host.root / "run/nginx" / f"port-{dest_port}.sock"
        if dest_host in ("127.0.0.1", "localhost", "::1") and path.exists() and self._connection:
            return self._connection.forward_unix_connection(str(path))
        return False

    def unix_connection_requested(self, dest_path: str):
        """Sockets below the vnode's own directory only."""
        inside = os.path.realpath(dest_path).startswith(f"{os.path.realpath(self._host.root)}/")
        return inside


async def _feed(source: asyncssh.SSHReader[bytes], target: asyncio.StreamWriter) -> None:
    """Client to command, until the client ends its input or the command closes its own."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError):
        target.close()
        await target.wait_closed()


async def _carry(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    """Command to client, until the command ends its output; goes on reading when nobody listens."""
    while data := await source.read(65_536):
        with contextlib.suppress(OSError, asyncssh.Error):
            target.write(data)
            await target.drain()


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
