"""The world as a whole: what is seeded, and that nothing of it is left, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nsmig_tui.demo import leftovers
from nsmig_tui.demo.seed import SECRET, check_lengths, plan_sites
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.errors import Refused

_OWNER = """
import asyncio, sys
from nsmig_tui.demo.world import DemoWorld

async def main():
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        print(world.directory, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


LIMIT = 60
"""Seconds that a program which owns a world may take to begin and end, on a machine under load."""


@contextlib.asynccontextmanager
async def begun(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Python with these words; it is killed, and the test fails, when the block takes longer than LIMIT."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(LIMIT):
            yield program
    finally:
        if program.returncode is None:
            program.kill()
            await program.communicate()


def gone(world: Path) -> bool:
    """Wait until neither the directory nor a process of the world is there."""
    give_up = time.monotonic() + 30
    while world.exists() or leftovers.processes(world):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


async def test_a_fleet_is_seeded_and_gone_afterwards():
    async with DemoWorld(vnodes=2, vhosts_per_vnode=2) as world:
        directory = world.directory
        assert [node.name for node in world.vnodes] == ["vn1", "vn2"]
        assert {site.kind for site in world.sites} >= {"shared", "own", "linked", "native", "misnamed"}
        for site in world.sites:
            assert (world.root(site.vnode) / "srv" / site.domain).is_dir()
        assert len(leftovers.processes(directory)) >= 8
        ids = {(world.root(name) / "etc/machine-id").read_text() for name in world.names}
        assert len(ids) == 2
        assert SECRET in (world.root("vn1") / "root/.vhosts" / world.sites[0].domain).read_text()
    assert not directory.exists()
    assert leftovers.processes(directory) == []


async def test_an_error_inside_leaves_nothing():
    with pytest.raises(KeyError):
        async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
            raise KeyError("from the user of the world")
    assert not world.directory.exists() and leftovers.processes(world.directory) == []


def spoil_php(monkeypatch, script):
    """Put a php-fpm of ours into every vnode."""

    def spoil(root, _name, _sites):
        (root / "bin").mkdir()
        (root / "bin/php-fpm8.2").write_text(script)
        (root / "bin/php-fpm8.2").chmod(0o755)

    monkeypatch.setattr("nsmig_tui.demo.world.seed_vnode", spoil)


async def test_a_daemon_that_does_not_start_is_named_and_leaves_nothing(monkeypatch):
    spoil_php(monkeypatch, "#!/bin/sh\necho no room; exit 1\n")
    world = DemoWorld(vnodes=2, vhosts_per_vnode=1)
    with pytest.raises(Refused, match="did not start: no room"):
        await world.__aenter__()
    assert not world.directory.exists()


async def test_a_daemon_that_never_comes_up_is_named_and_leaves_nothing(monkeypatch):
    spoil_php(monkeypatch, "#!/bin/sh\nexec sleep 900\n")
    monkeypatch.setattr("nsmig_tui.demo.world.UP_WITHIN", 0.2)
    world = DemoWorld(vnodes=1, vhosts_per_vnode=1)
    with pytest.raises(Refused, match=r"php-fpm8.2 did not start within 0.2 s"):
        async with asyncio.timeout(LIMIT):
            await world.__aenter__()
    assert not world.directory.exists() and leftovers.processes(world.directory) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_nothing_is_left_when_the_owner_is_ended(number):
    async with begun("-c", _OWNER) as owner:
        world = Path((await owner.stdout.readline()).decode().strip())
        assert leftovers.processes(world)
        os.kill(owner.pid, number)
        await owner.wait()
    assert await asyncio.to_thread(gone, world)


async def test_what_nohup_ignores_does_not_end_the_owner():
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{_OWNER}"
    async with begun("-c", code) as owner:
        world = Path((await owner.stdout.readline()).decode().strip())
        os.kill(owner.pid, signal.SIGHUP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await owner.wait()
        assert leftovers.processes(world)
        os.kill(owner.pid, signal.SIGTERM)
        await owner.wait()
    assert await asyncio.to_thread(gone, world)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_interrupted_walk_says_so_and_leaves_nothing(number, tmp_path):
    words = ["demo", "--run", "--data-dir", str(tmp_path / "d"), "--config-dir", str(tmp_path / "c")]
    async with begun("-m", "nsmig_tui", *words) as program:
        assert b"servers are up" in await program.stdout.readline()
        worlds = [path for place in leftovers.places() for path in place.glob(f"{leftovers.PREFIX}*")]
        owned = [path for path in worlds if owner_of(path) == program.pid]
        os.kill(program.pid, number)
        _out, errors = await program.communicate()
    assert program.returncode == 130
    assert b"Interrupted" in errors and b"Traceback" not in errors
    assert len(owned) == 1 and not owned[0].exists() and leftovers.processes(owned[0]) == []
    assert not (tmp_path / "d").exists()


def owner_of(world: Path) -> int:
    """The process that a world says it belongs to; 0 when it is just being made or taken away."""
    try:
        return int((world / leftovers.OWNER).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


async def test_a_detached_process_of_a_vnode_ends_with_the_world(visitor):
    stubborn = "trap '' TERM HUP INT; echo $$ >$NSMIG_ROOT/pid; sleep 900; :"
    command = f'setsid sh -c "{stubborn}" </dev/null >/dev/null 2>&1 &'.replace("$$", "\\$\\$")
    await visitor.run(command)
    pid_file = visitor.root / "pid"
    await visitor.until(lambda: pid_file.exists() and bool(pid_file.read_text()), "began")
    pid = int(pid_file.read_text())
    assert pid in leftovers.processes(visitor.world.directory)
    assert leftovers.end_processes(visitor.world.directory)
    assert pid not in leftovers.processes(visitor.world.directory)


async def test_a_program_on_the_worlds_data_ends_with_it_and_a_reader_of_its_files_does_not(visitor):
    world = visitor.world.directory
    options = [
        ["--data-dir", f"{world}/operator/data"],
        [f"--data-dir={world}/operator/data"],
        [f"{world}/x"],
    ]
    programs = [
        subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", *words]) for words in options
    ]
    env = {**os.environ, "NSMIG_DATA_DIR": f"{world}/operator/data"}
    programs.append(subprocess.Popen(["sleep", "900"], env=env))
    reader = programs[2]
    try:
        assert leftovers.end_processes(world)
        for program in programs:
            if program is not reader:
                assert await asyncio.to_thread(program.wait, LIMIT) == -signal.SIGKILL
        assert reader.poll() is None
    finally:
        for program in programs:
            program.kill()
            program.wait()


def test_the_next_start_sweeps_worlds_without_owner_and_no_others(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    stale, living, unknown = (place / f"{leftovers.PREFIX}{name}" for name in ("stale", "living", "unknown"))
    for folder in (stale, living, unknown, place / "else"):
        folder.mkdir()
    (stale / "closed").mkdir(mode=0)
    os.close(leftovers.claim(stale))
    held = leftovers.claim(living)
    assert leftovers.sweep([place]) == [stale]
    assert sorted(place.iterdir()) == sorted([living, unknown, place / "else"])
    os.close(held)
    assert leftovers.sweep([place]) == [living]


def test_only_worlds_are_ever_cleared(tmp_path):
    for path in (Path(), tmp_path, tmp_path / "home"):
        with pytest.raises(ValueError, match="no demo world"):
            leftovers.clear(path)
    assert tmp_path.is_dir()


def test_socket_paths_are_measured():
    sites = plan_sites(["vn1", "vn2", "vn3"], 25)
    assert len({site.domain for site in sites if site.pages}) == 77
    assert check_lengths(Path("/tmp/nsmig-demo-12345678"), sites)
    assert not check_lengths(Path("/tmp", "x" * 90), sites)


async def test_a_temporary_directory_with_a_long_or_odd_path_is_not_used(tmp_path, monkeypatch):
    odd = tmp_path / "with blanks in it"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        assert world.directory.parent == Path("/tmp")
