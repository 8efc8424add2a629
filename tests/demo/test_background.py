"""The world in a thread, and what `nsmig demo` hands to the terminal application."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import asyncssh
import pytest

from nsmig_tui.demo import leftovers
from nsmig_tui.demo.background import open_demo, running_world
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.errors import Refused
from nsmig_tui.settings import Settings
from nsmig_tui.store.fleet_store import Store


def test_the_world_answers_from_its_thread_and_goes_with_the_block():
    async def ask(config: Path) -> str:
        async with asyncssh.connect("vn1", config=[str(config)]) as connection:
            return str((await connection.run("echo $NSMIG_ROOT")).stdout)

    with pytest.raises(KeyError), running_world(1, 1) as world:
        assert asyncio.run(ask(world.ssh_config)) == f"{world.root('vn1')}\n"
        raise KeyError("from the program")
    assert not world.directory.exists()
    assert "demo world" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("origin", "holds"), [("option", True), ("file", False)])
def test_a_read_only_demo_is_one_where_the_option_says_so(tmp_path, monkeypatch, origin, holds):
    monkeypatch.setattr("nsmig_tui.demo.background.running_world", partial(running_world, 1, 1))
    seen: list[bool] = []

    def screen(settings: Settings) -> int:
        seen.append(settings.read_only)
        return 0

    own = Settings(tmp_path / "data", tmp_path / "config", read_only=True, origins={"read_only": origin})
    assert open_demo(own, screen) == 0 and seen == [holds]


def test_a_world_that_cannot_start_says_so(monkeypatch):
    async def refuse(_self) -> None:
        raise Refused("no room")

    monkeypatch.setattr(DemoWorld, "__aenter__", refuse)
    with pytest.raises(Refused, match="no room"), running_world(1, 1):
        pass
    assert "demo world" not in {thread.name for thread in threading.enumerate()}


def test_a_loop_that_cannot_be_made_is_told_and_not_waited_for(monkeypatch):
    def refuse(coroutine) -> None:
        coroutine.close()
        raise OSError("too many open files")

    monkeypatch.setattr("nsmig_tui.demo.background.asyncio.run", refuse)
    with pytest.raises(OSError, match="too many open files"), running_world(1, 1):
        pass
    assert "demo world" not in {thread.name for thread in threading.enumerate()}


def test_the_screen_gets_a_fleet_and_nothing_of_the_users_own(tmp_path):
    own = Settings(tmp_path / "data", tmp_path / "config", tmp_path / "ssh", services={"vn1": {"nginx": "x"}})
    seen = {}

    def screen(settings: Settings) -> int:
        store = Store(settings.database)
        seen["names"] = [vnode.name for vnode in store.vnodes()]
        store.close()
        world = seen["world"] = settings.ssh_config.parent.parent
        for path in (settings.data_dir, settings.config_dir, settings.ssh_config):
            assert path.is_relative_to(world)
        assert not settings.services
        return 7

    assert open_demo(own, screen) == 7
    assert seen["names"] == ["vn1", "vn2", "vn3"]
    assert not seen["world"].exists() and leftovers.processes(seen["world"]) == []
    assert not any((tmp_path / name).exists() for name in ("data", "config", "ssh"))
