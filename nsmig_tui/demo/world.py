"""The demo world: a fleet on this machine, without root, network or installed servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType

import asyncssh

from ..domain.errors import Refused
from ..domain.fleet import Vnode
from . import leftovers
from .host import DemoHost, environment
from .seed import SeededSite, check_lengths, plan_sites, seed_vnode

DAEMONS = ("nginx", "php-fpm8.2")

UP_WITHIN = 60.0
"""Seconds that a daemon may take to come up, on a machine under load."""


class DemoWorld:
    """``async with DemoWorld() as world``: vnodes that answer, gone without trace afterwards.

    ``directory`` holds everything; ``ssh_config`` and ``vnodes`` are what the product needs to reach it;
    ``sites`` says what was seeded. Needs Linux, for /proc. A guard process clears up if we are killed.
    """

    def __init__(self, vnodes: int = 3, vhosts_per_vnode: int = 4) -> None:
        self.names = [f"vn{number}" for number in range(1, vnodes + 1)]
        self.sites: list[SeededSite] = plan_sites(self.names, vhosts_per_vnode)
        self.directory = Path()
        self.hosts: dict[str, DemoHost] = {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._handled: list[signal.Signals] = []
        self._claim = -1

    @property
    def ssh_config(self) -> Path:
        """The OpenSSH configuration that knows every vnode by its name."""
        return self.directory / "ssh/config"

    @property
    def vnodes(self) -> list[Vnode]:
        """The vnodes as the product's store keeps them."""
        return [
            Vnode(name, vsite="south" if at > 1 else "north", ssh_host=name, vpath=f"{self.root(name)}/srv")
            for at, name in enumerate(self.names)
        ]

    def root(self, vnode: str) -> Path:
        """What is ``/`` to this vnode's scripts."""
        return self.directory / vnode

    async def __aenter__(self) -> DemoWorld:
        if not os.path.isdir("/proc/self"):
            raise Refused(
                "The demo needs Linux: its stand-ins are found through /proc.",
                hint="Run it on a Linux machine, in a container or in a virtual machine.",
            )
        self._make_directory()
        try:
            self._start_guard()
            self._watch_signals()
            async with asyncio.TaskGroup() as group:
                for name in self.names:
                    group.create_task(self._start_vnode(name))
            self._write_ssh_files(await self._listen())
        except BaseException as error:
            await self._end()
            if isinstance(error, BaseExceptionGroup):
                raise error.exceptions[0] from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    def _make_directory(self) -> None:
        leftovers.sweep(leftovers.places())
        for folder in leftovers.places():
            if not _usable(folder):
                continue
            if check_lengths(folder / f"{leftovers.PREFIX}12345678", self.sites):
                self.directory = Path(tempfile.mkdtemp(prefix=leftovers.PREFIX, dir=folder)).resolve()
                break
        else:
            raise Refused(
                "No temporary directory will do for the demo: it must be ours to write and run programs in, "
                "with a short and plain path.",
                hint="Set TMPDIR to such a directory, for example /tmp.",
            )
        self._claim = leftovers.claim(self.directory)

    def _start_guard(self) -> None:
        """The guard clears up when its input ends, so whatever becomes of this process."""
        command = [sys.executable, "-I", "-S", "-B", leftovers.__file__, str(self.directory)]
        self._guard = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def _watch_signals(self) -> None:
        """Let a polite kill take the same way out as Ctrl-C."""
        task = asyncio.current_task()
        if threading.current_thread() is not threading.main_thread() or task is None:
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
                self._handled.append(number)

    async def _start_vnode(self, name: str) -> None:
        root = self.root(name)
        sites = [site for site in self.sites if site.vnode == name]
        root.mkdir(mode=0o755)
        await asyncio.to_thread(seed_vnode, root, name, sites)
        # PHP first: nginx would answer 502 without it.
        for daemon in reversed(DAEMONS):
            child = await asyncio.create_subprocess_exec(
                root / "bin" / daemon,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd="/",
                env=environment(root),
            )
            try:
                async with asyncio.timeout(UP_WITHIN):
                    said, _nothing = await child.communicate()
            except TimeoutError as error:
                # What it has begun goes with the world.
                child.kill()
                words = f"The demo's {daemon} did not start within {UP_WITHIN:g} s."
                raise Refused(words, hint="Is the machine very busy? Try again.", vnode=name) from error
            if child.returncode:
                words = said.decode(errors="replace").strip()
                raise Refused(f"The demo's {daemon} did not start: {words}", vnode=name)

    async def _listen(self) -> dict[str, int]:
        folder = self.directory / "ssh"
        folder.mkdir(mode=0o700)
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        user_key.write_private_key(folder / "key")
        (folder / "key").chmod(0o600)
        ports = {}
        for name in self.names:
            host = DemoHost(name, self.root(name), asyncssh.generate_private_key("ssh-ed25519"), user_key)
            self.hosts[name] = host
            ports[name] = await host.start()
        return ports

    def _write_ssh_files(self, ports: dict[str, int]) -> None:
        folder = self.directory / "ssh"
        known, config = [], []
        for name, port in ports.items():
            known.append(f"[127.0.0.1]:{port} {self.hosts[name].key.export_public_key().decode().strip()}\n")
            options = {
                "HostName": "127.0.0.1",
                "Port": port,
                "User": "root",
                "IdentityFile": folder / "key",
                "IdentitiesOnly": "yes",
                "IdentityAgent": "none",
                "UserKnownHostsFile": folder / "known_hosts",
                "GlobalKnownHostsFile": "/dev/null",
            }
            config += [f"Host {name}\n", *(f"  {word} {value}\n" for word, value in options.items()), "\n"]
        (folder / "known_hosts").write_text("".join(known))
        (folder / "config").write_text("".join(config))

    async def _end(self) -> None:
        """Leave nothing behind. What a second cancel leaves undone, the guard does."""
        await asyncio.shield(asyncio.ensure_future(self._clear()))

    async def _clear(self) -> None:
        for host in self.hosts.values():
            with contextlib.suppress(OSError, asyncssh.Error):
                await host.stop()
        self.hosts.clear()
        for number in self._handled:
            asyncio.get_running_loop().remove_signal_handler(number)
        self._handled.clear()
        await asyncio.to_thread(leftovers.clear, self.directory)
        os.close(self._claim)
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            await asyncio.to_thread(self._guard.wait)


def _usable(folder: Path) -> bool:
    """Whether a world can live there: a plain path (files hold it bare), writable, programs run."""
    try:
        runs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except OSError:
        return False
    return (
        runs and bool(re.fullmatch(r"[A-Za-z0-9/._-]+", str(folder))) and os.access(folder, os.W_OK | os.X_OK)
    )
