"""Many simulated vnodes behind a slow network: what the operator's own program costs. Needs no root.

What is simulated: the vnodes. Their SSH servers are real, on loopback, in a process of their own, each byte
delayed by DELAY each way; but their scripts are not run: answers are canned, recorded from one vhost of the
demo that is really validated and migrated here first. So every vnode has that one vhost, its runner takes
TAKES seconds whatever happens, and nothing is proven but scheduling, connections, CPU and memory.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh

from bench.contenders import Outcome, run_batch
from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.batch import Limits
from nsmig_tui.domain.fleet import Vhost
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine.batch.places import BatchDir
from nsmig_tui.remote.script_loader import load_script
from nsmig_tui.settings import load

DELAY = 0.05
"""Seconds that each byte is under way, each way."""

TAKES = 1.0
"""Seconds from a runner's start to its question, and again from the verdict to its end."""

SCRIPTS = ("inspect", "sizes")
"""What is answered from the recording; the rest, the server makes up by itself."""


def run(vnodes: int) -> int:
    """Print wall, ideal, CPU and memory for one vnode, then for ``vnodes``; answers how many problems."""
    print(f"\nSIM: {vnodes} simulated vnodes, {2 * DELAY * 1000:.0f} ms away", flush=True)
    with tempfile.TemporaryDirectory(prefix="nsmig-sim-") as name:
        folder = Path(name)
        vhost, vpath = asyncio.run(_record(folder))
        print("  vnodes   at once  wall s ideal s   CPU s    MB connections")
        alone = _simulate(folder / "one", folder, vhost, vpath, 1, 1)
        _tell(1, 1, alone, alone.seconds)
        problems = list(alone.problems)
        for at_once in dict.fromkeys((min(20, vnodes), vnodes)):
            found = _simulate(folder / f"many{at_once}", folder, vhost, vpath, vnodes, at_once)
            _tell(vnodes, at_once, found, alone.seconds * -(-vnodes // at_once))
            problems += found.problems
    for words in problems[:10]:
        print(f"  PROBLEM: {words}")
    return len(problems)


def _tell(vnodes: int, at_once: int, found: Outcome, ideal: float) -> None:
    print(
        f"  {vnodes:<8}{at_once:>8}{found.seconds:>8.1f}{ideal:>8.1f}{found.cpu_s:>8.2f}{found.rss_mb:>6.0f}"
        f"{found.connections:>12}",
        flush=True,
    )


async def _record(folder: Path) -> tuple[Vhost, str]:
    """Migrate a demo vhost and keep what its scripts said; answers it as validated, and VPATH."""
    async with DemoWorld(1, 1) as world:
        flags = {name: world.directory / "operator" / name for name in ("data_dir", "config_dir")}
        app = wiring.build(demo_settings(world, load(flags)))
        try:
            add_vnodes(app.store, world)
            site = next(site for site in world.sites if site.migrates)
            await app.engine.discover(site.vnode, _ignore)
            await app.engine.validate(site.vnode, site.domain, _ignore)
            vhost = app.store.vhost(site.vnode, site.domain)
            assert vhost is not None
            recorder = _Recorder(await app.connector.shell(world.vnodes[0]))
            app.connector.shell = recorder.shell  # type: ignore[method-assign]
            await app.engine.measure(site.vnode, [site.domain])
            done = await app.engine.migrate(site.vnode, site.domain, MigrateOptions(), _ignore)
            if not done.ok:
                raise RuntimeError(f"the recording failed: {done.errors}")
            journal = world.root(site.vnode) / "var/lib/nsmig" / site.domain / "journal"
            for name, answer in recorder.said.items():
                (folder / name).write_bytes(answer)
            (folder / "journal").write_bytes(journal.read_bytes().replace(done.run.encode(), b"@RUN@"))
            return vhost, world.vnodes[0].vpath
        finally:
            await app.close()


class _Recorder:
    """A shell that keeps what some scripts say, the first time."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.said: dict[str, bytes] = {}

    async def shell(self, _vnode: Any) -> Any:
        """Stands in for the connector's."""
        return self

    async def run(self, script: str, args: Any = (), **more: Any) -> tuple[int, bytes]:
        """Run and keep."""
        rc, output = await self._inner.run(script, args, **more)
        for name in SCRIPTS:
            if script == load_script(name):
                self.said.setdefault(name, output)
        return rc, output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _simulate(place: Path, canned: Path, vhost: Vhost, vpath: str, vnodes: int, at_once: int) -> Outcome:
    """One batch over ``vnodes`` fresh simulated vnodes."""
    place.mkdir()
    for name in ("user", "host"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(place / name)
        key.write_public_key(place / f"{name}.pub")
    command = [sys.executable, str(Path(__file__).with_name("simulated.py"))]
    command += [str(place), str(canned), str(vnodes), str(DELAY), str(TAKES)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        ports = json.loads(server.stdout.readline())
        _write_config(place, ports)
        settings = load(
            {"data_dir": place / "data", "config_dir": place / "none", "ssh_config": place / "config"}
        )
        _fill(settings, vhost, vpath, vnodes)
        limits = Limits(vnodes=at_once)
        found = asyncio.run(run_batch(settings, limits, vnodes))
        batch = next((settings.data_dir / "batches").iterdir()).name
        facts = BatchDir(settings.data_dir / "batches", batch).process()
        # Planning, which dials every vnode as well, is not the batch.
        found.seconds = facts["ended"] - facts["started"]
        server.send_signal(signal.SIGTERM)
        found.connections = json.loads(server.stdout.readline())["connections"] - vnodes
        return found
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(place, ignore_errors=True)


def _write_config(place: Path, ports: list[int]) -> None:
    public = (place / "host.pub").read_text().strip()
    config, known = "", ""
    for number, port in enumerate(ports):
        config += f"Host sim{number:03d}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n"
        known += f"[127.0.0.1]:{port} {public}\n"
    config += f"Host *\n  IdentityFile {place}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n"
    config += f"  UserKnownHostsFile {place}/known\n  GlobalKnownHostsFile none\n"
    (place / "known").write_text(known)
    (place / "config").write_text(config)


def _fill(settings: Any, vhost: Vhost, vpath: str, vnodes: int) -> None:
    """The operator's database: the same validated vhost on every vnode."""
    from nsmig_tui.domain.fleet import Vnode

    app = wiring.build(settings)
    names = [f"sim{number:03d}" for number in range(vnodes)]
    for name in names:
        app.store.save_vnode(Vnode(name, ssh_host=name, vpath=vpath))
    app.store.save_vhosts([replace(vhost, vnode=name) for name in names])
    app.store.close()


def _ignore(_event: Any) -> None:
    """Take an event and do nothing."""
