"""Verify and prune on the demo's servers: what goes, what stays whatever the limits, and what stops it."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.errors import Refused
from nsmig_tui.domain.events import LogLine
from nsmig_tui.domain.options import MigrateOptions, RollbackOptions
from nsmig_tui.settings import load

YEAR = 365 * 86400


@dataclass
class Keeper:
    """A migrated vhost with two archives of earlier times besides, seen a year later."""

    world: DemoWorld
    app: Any
    domain: str

    @property
    def folder(self) -> Path:
        return self.world.root("vn1") / "srv" / self.domain / ".archive"

    @property
    def records(self) -> Path:
        return self.world.root("vn1") / "var/lib/nsmig" / self.domain

    def archives(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("pre-migration-*.tar.gz"))

    async def prune(self, days: int = 30, count: int = 1) -> Any:
        return await self.app.engine.prune("vn1", self.domain, days, count, lambda _event: None)

    async def plan(self, days: int = 30, count: int = 1) -> dict[str, str]:
        choices = await self.app.engine.plan_prune("vn1", self.domain, days, count)
        return {choice.kept.name: choice.why for choice in choices if choice.prune}


def _earlier_ones(root: Path, domain: str) -> None:
    """Two more archives with their companions, as earlier migrations would have left and recorded them."""
    folder, records = root / "srv" / domain / ".archive", root / "var/lib/nsmig" / domain / "archives"
    (newest,) = folder.glob("pre-migration-*.tar.gz")
    line = records.read_text()
    older = ""
    for stamp in ("20260101-000000", "20260102-000000"):
        for path in folder.glob("pre-migration-*"):
            if path.name.startswith(newest.name.removesuffix(".tar.gz")):
                ending = path.name.removeprefix(newest.name.removesuffix(".tar.gz"))
                shutil.copy2(path, folder / f"pre-migration-{stamp}{ending}")
        older += line.replace(newest.name, f"pre-migration-{stamp}.tar.gz")
    records.write_text(older + line)


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        place = world.directory / "operator"
        base = load({"data_dir": place / "data", "config_dir": place / "config"})
        app = wiring.build(demo_settings(world, base))
        add_vnodes(app.store, world)
        domain = next(site.domain for site in world.sites if site.migrates)
        engine = app.engine
        await engine.discover("vn1", lambda _event: None)
        await engine.validate("vn1", domain, lambda _event: None)
        assert (await engine.migrate("vn1", domain, MigrateOptions(), lambda _event: None)).ok
        _earlier_ones(world.root("vn1"), domain)
        engine.desk.clock = lambda: time.time() + YEAR
        made = Keeper(world, app, domain)
        assert len(made.archives()) == 3
        yield made
        await app.close()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def meddle(keeper: Keeper, act: Callable[[], None]) -> None:
    """Have something happen between the listing and the deletion."""
    real = keeper.app.connector.shell

    async def shell(vnode: Any) -> Any:
        found = await real(vnode)

        class Slow:
            async def run(self, script: str, args: Any, *, timeout: float = 60.0) -> Any:
                if args[0] == "prune":
                    act()
                return await found.run(script, args, timeout=timeout)

        return Slow()

    keeper.app.connector.shell = shell


async def test_an_archive_that_nothing_is_recorded_of_is_not_passed_over_in_silence(keeper: Keeper):
    """Of many that are verified one may be a copy that somebody put there: whole, but of what?"""
    stranger = keeper.folder / "pre-migration-20251231-000000.tar.gz"
    shutil.copy2(keeper.folder / keeper.archives()[0], stranger)
    told = await keeper.app.engine.verify_archives("vn1", keeper.domain, lambda _event: None)
    assert told.ok and [words for words in told.warnings if stranger.name in words], told
    assert not [words for words in told.warnings if keeper.archives()[-1] in words]


async def test_old_ones_go_with_what_belongs_to_them_and_the_way_back_stays(keeper: Keeper):
    newest = keeper.archives()[-1]
    assert set(await keeper.plan()) == set(keeper.archives()[:-1])
    assert await keeper.plan(days=1000) == {}
    assert await keeper.plan(count=3) == {}
    assert len(keeper.archives()) == 3, "a plan changes nothing"
    assert (await keeper.prune()).ok
    assert keeper.archives() == [newest]
    stem = newest.removesuffix(".tar.gz")
    left = {path.name for path in keeper.folder.glob("pre-migration-*")}
    assert left == {newest, f"{stem}.manifest.gz", f"{stem}.config.tar"}
    assert not list(keeper.folder.glob(".trash*"))
    assert [point.filename for point in await keeper.app.engine.points("vn1", keeper.domain)] == [newest]
    undone = await keeper.app.engine.rollback("vn1", keeper.domain, RollbackOptions(), lambda _event: None)
    assert undone.ok, undone.errors
    assert (keeper.folder.parent / ".ssh").is_dir() == (keeper.folder.parent / "bin").is_dir()


async def test_when_the_newest_is_damaged_the_one_before_it_stays(keeper: Keeper):
    first, second, third = keeper.archives()
    damage(keeper.folder / third)
    lines: list[LogLine] = []
    result = await keeper.app.engine.verify_archives("vn1", keeper.domain, lambda e: lines.append(e))
    assert not result.ok and third in result.errors[0]
    told = [event.message for event in lines if isinstance(event, LogLine)]
    assert f"{third}: DAMAGED" in told and f"{first}: verified" in told
    known = {record.path: record.ok for record in keeper.app.store.archives("vn1", keeper.domain)}
    assert known == {first: True, second: True, third: False}
    assert (await keeper.prune()).ok
    assert second in keeper.archives() and first not in keeper.archives()


async def test_nothing_goes_while_a_run_holds_the_lock_or_is_not_settled(keeper: Keeper):
    with (keeper.records / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = await keeper.prune()
    assert (result.ok, result.exit_code) == (False, 75)
    (keeper.records / "cur/flag.committed").rename(keeper.records / "aside")
    assert await keeper.plan() == {}
    assert (await keeper.prune()).ok and len(keeper.archives()) == 3


async def test_another_file_of_the_same_name_is_not_deleted(keeper: Keeper):
    first = keeper.archives()[1]

    def swap() -> None:
        other = keeper.folder / "other"
        other.write_bytes(b"not the one that was judged")
        other.rename(keeper.folder / first)

    before = {path.name for path in keeper.folder.iterdir()}
    meddle(keeper, swap)
    result = await keeper.prune()
    assert not result.ok and "could be pruned (0 of 2)" in result.errors[0]
    assert {path.name for path in keeper.folder.iterdir()} == before, (
        "nothing is renamed before all is as listed"
    )
    assert (keeper.folder / first).read_bytes() == b"not the one that was judged"
    assert keeper.archives()[-1] in keeper.archives()


async def test_what_an_earlier_prune_left_in_the_trash_goes_too(keeper: Keeper):
    trash = keeper.folder / ".trash-pre-migration-20200101-000000.tar.gz"
    trash.write_bytes(b"half-done")
    assert (await keeper.prune()).ok
    assert not trash.exists()


def second(keeper: Keeper, name: str, text: bytes = b"what changed meanwhile") -> Path:
    """The second archive beside one, recorded before it as a migration does."""
    path = keeper.folder / name.replace(".tar.gz", ".again.tar.gz")
    path.write_bytes(gzip.compress(text))
    data = path.read_bytes()
    row = f"{path.name}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}\t1\n"
    lines = (keeper.records / "archives").read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith(f"{name}\t"))
    (keeper.records / "archives").write_text("".join([*lines[:at], row, *lines[at:]]))
    return path


def mains(keeper: Keeper) -> list[str]:
    return [name for name in keeper.archives() if not name.endswith(".again.tar.gz")]


async def test_a_second_archive_is_no_archive_of_its_own(keeper: Keeper):
    """It neither counts nor goes by itself, and is never taken for the newest verified one."""
    names = mains(keeper)
    beside = [second(keeper, name) for name in names]
    assert set(await keeper.plan(count=2)) == {names[0]}
    damage(keeper.folder / names[2])
    assert set(await keeper.plan()) == {names[0]}, "the one before the damaged newest is the way back"
    assert (await keeper.prune()).ok
    assert mains(keeper) == names[1:]
    assert [path.exists() for path in beside] == [False, True, True]


@pytest.mark.parametrize("harm", ["missing", "damaged", "longer"])
async def test_an_archive_is_as_good_as_the_second_one_beside_it(keeper: Keeper, harm: str):
    names = mains(keeper)
    path = second(keeper, names[2])
    engine = keeper.app.engine
    assert [point.ok for point in await engine.points("vn1", keeper.domain)] == [True] * 3
    if harm == "missing":
        path.unlink()
    elif harm == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        damage(path)
    result = await engine.verify_archives("vn1", keeper.domain, lambda _event: None)
    assert not result.ok and names[2] in result.errors[0]
    assert {point.filename: point.ok for point in await engine.points("vn1", keeper.domain)}[
        names[2]
    ] is False
    options = RollbackOptions(archive=names[2])
    refused = await engine.rollback("vn1", keeper.domain, options, lambda _event: None)
    assert (refused.ok, refused.exit_code) == (False, 4), refused
    assert (await keeper.prune()).ok
    assert mains(keeper) == names[1:], "the newest whole one stays"


async def test_a_prune_that_broke_off_is_finished_though_nothing_else_goes(keeper: Keeper):
    first, *others = mains(keeper)
    await keeper.app.engine.verify_archives("vn1", keeper.domain, lambda _event: None)
    beside = second(keeper, first)
    (keeper.folder / first).rename(keeper.folder / f".trash-{first}")  # killed after its first rename
    assert first not in [point.filename for point in await keeper.app.engine.points("vn1", keeper.domain)]
    assert set(await keeper.plan(days=1000)) == {f".trash-{first}"}
    assert (await keeper.prune(days=1000)).ok
    stem = first.removesuffix(".tar.gz")
    assert not [path.name for path in keeper.folder.iterdir() if stem in path.name]
    assert not beside.exists() and mains(keeper) == others
    assert {record.path for record in keeper.app.store.archives("vn1", keeper.domain)} == set(others)


async def test_archives_in_the_trash_stay_while_none_is_verified(keeper: Keeper):
    first, *others = mains(keeper)
    (keeper.folder / first).rename(keeper.folder / f".trash-{first}")
    (keeper.folder / ".trash-legacy-20200101-000000").mkdir()
    for name in others:
        damage(keeper.folder / name)
    assert (await keeper.prune()).ok
    assert [path.name for path in keeper.folder.glob(".trash-*")] == [f".trash-{first}"]


async def test_an_archive_that_is_gone_is_not_called_verified(keeper: Keeper):
    newest = mains(keeper)[-1]
    for name in mains(keeper):
        (keeper.folder / name).unlink()
    result = await keeper.app.engine.verify_archives("vn1", keeper.domain, lambda _event: None)
    assert (result.ok, result.exit_code) == (False, 4)
    assert result.errors == (f"missing: {newest}",) and result.hint
    kept = keeper.app.store.runs("vn1", keeper.domain)[0]
    assert (kept.verb, kept.outcome) == ("verify", "failed")


@pytest.mark.parametrize("hidden", ["vhost", "vpath", "archives led away"])
async def test_what_cannot_be_looked_at_is_not_an_empty_list(keeper: Keeper, hidden: str):
    """A disk that is not mounted, for one: its archives are not gone, and no plan can be made."""
    away = {"vhost": keeper.folder.parent, "vpath": keeper.folder.parent.parent}.get(hidden, keeper.folder)
    aside = away.rename(away.with_name("aside"))
    if away == keeper.folder:
        away.symlink_to(aside)
    engine = keeper.app.engine
    with pytest.raises(Refused, match="is no real directory" if away == keeper.folder else "is not there"):
        await engine.points("vn1", keeper.domain)
    result = await engine.verify_archives("vn1", keeper.domain, lambda _event: None)
    assert (result.ok, result.exit_code) == (False, 4) and result.errors
    if away != keeper.folder:
        with pytest.raises(Refused, match="is not there"):
            await engine.plan_rollback("vn1", keeper.domain, RollbackOptions())


async def test_a_vhost_without_archives_has_an_empty_list(keeper: Keeper):
    keeper.folder.rename(keeper.folder.with_name("aside"))
    assert await keeper.app.engine.points("vn1", keeper.domain) == []


async def test_the_path_of_an_archive_elsewhere_is_not_taken_for_its_name(keeper: Keeper):
    """Another vhost's may be called the same, as after a batch; restoring ours is not what was asked for."""
    name = mains(keeper)[-1]
    plan = keeper.app.engine.plan_rollback
    for ours in (name, str(keeper.folder / name)):
        assert (await plan("vn1", keeper.domain, RollbackOptions(archive=ours))).verb == "restore"
    for other in (f"/srv/other.test/.archive/{name}", f"../other.test/.archive/{name}"):
        with pytest.raises(Refused, match=f"has no archive .*other.test.*{name}"):
            await plan("vn1", keeper.domain, RollbackOptions(archive=other))
