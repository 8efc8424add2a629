"""The batch's own process on the demo's servers: what it survives, how it ends, who takes up from it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.seed import SECRET
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.batch import Limits
from nsmig_tui.domain.batch_events import BatchEnded, BatchStarted
from nsmig_tui.domain.events import Result, StepStarted
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine.batch.mailbox import Command, post
from nsmig_tui.engine.batch.measuring import kept_speed, plan_batch, spec_of
from nsmig_tui.engine.batch.places import BatchDir
from nsmig_tui.settings import load


@dataclass
class Operator:
    """Somebody with a data directory who has validated everything in a demo world."""

    world: DemoWorld
    settings: Any
    app: Any

    @property
    def batches(self) -> Any:
        return self.app.batches

    async def start(self, limits: Limits | None = None) -> str:
        """Start a batch of all validated vhosts."""
        limits, options = limits or Limits(), MigrateOptions()
        vhosts = self.app.store.vhosts(status="validated")
        plan = await plan_batch(self.app.store, self.app.engine, vhosts, limits, options)
        name = self.app.engine.desk.run_name()
        return self.batches.start(spec_of(plan, name, "tester", 1.0, limits, options))

    async def until(self, batch: str, kind: type, **values: Any) -> Any:
        """Watch until such an event comes; answers it."""
        async with asyncio.timeout(120):
            async for _, event in self.batches.attach(batch):
                if isinstance(event, kind) and all(getattr(event, k) == v for k, v in values.items()):
                    return event
        raise AssertionError(f"no {kind.__name__}: {self.batches.log_tail(batch)}")

    async def gone(self, batch: str) -> None:
        """Wait until no process works on it."""
        async with asyncio.timeout(60):
            while self.batches.is_alive(batch):
                await asyncio.sleep(0.01)

    async def to_its_end(self, batch: str) -> Any:
        """Wait for the end; answers the view."""
        async with asyncio.timeout(180):
            async for _ in self.batches.attach(batch):
                pass
        return self.batches.view(batch)

    def pid(self, batch: str) -> int:
        return int(BatchDir(self.batches.top, batch).process()["pid"])

    def statuses(self) -> set[str]:
        """What the store says of the vhosts that can be migrated."""
        known = {site.domain for site in self.world.sites if site.migrates}
        return {str(v.status) for v in self.app.store.vhosts() if v.domain in known}

    def command(self, *words: str) -> list[str]:
        """A command line for this operator."""
        s = self.settings
        places = ["--data-dir", s.data_dir, "--config-dir", s.config_dir, "--ssh-config", s.ssh_config]
        return [sys.executable, "-m", "nsmig_tui", *map(str, places), *words]


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    async with DemoWorld(vnodes=2, vhosts_per_vnode=1) as world:
        place = world.directory / "operator"
        base = load({"data_dir": place / "data", "config_dir": place / "config"})
        settings = demo_settings(world, base)
        app = wiring.build(settings)
        add_vnodes(app.store, world)
        for name in world.names:
            await app.engine.discover(name, lambda _event: None)
        for site in world.sites:
            if site.migrates:
                await app.engine.validate(site.vnode, site.domain, lambda _event: None)
        made = Operator(world, settings, app)
        assert made.statuses() == {"validated"}
        yield made
        for name in app.batches.names():
            if app.batches.is_alive(name):
                os.kill(made.pid(name), signal.SIGKILL)
                await made.gone(name)
        await app.close()


async def test_hangup_changes_nothing_and_watchers_may_come_and_go(operator: Operator):
    batch = await operator.start()
    await operator.until(batch, StepStarted)
    os.kill(operator.pid(batch), signal.SIGHUP)
    view = await operator.to_its_end(batch)
    assert (view.outcome, view.exit_code) == ("done", 0), operator.batches.log_tail(batch)
    assert operator.statuses() == {"migrated"}
    assert kept_speed(operator.app.store, "vn1").measured > 0
    runs = operator.app.store.runs()
    assert {(r.verb, r.batch) for r in runs if r.verb == "migrate"} == {("migrate", batch)}
    assert not [r.batch for r in runs if r.verb == "discover" and r.batch]


async def test_terminated_it_says_so_and_what_runs_on_the_vnodes_is_taken_up(operator: Operator):
    batch = await operator.start()
    await operator.until(batch, StepStarted, step="backup_creation")
    os.kill(operator.pid(batch), signal.SIGTERM)
    await operator.gone(batch)
    view = operator.batches.view(batch)
    assert (view.phase, view.outcome, view.exit_code) == ("ended", "interrupted", 130)
    assert f"nsmig resume {batch}" in view.hint
    operator.batches.resume(batch)
    view = await operator.to_its_end(batch)
    assert (view.outcome, view.exit_code) == ("done", 0), view.results
    assert operator.statuses() == {"migrated"}


@pytest.mark.parametrize("step", ["pre_flight_checks", "structural_migration"])
async def test_killed_outright_it_is_resumed_from_the_vnodes_journals(operator: Operator, step: str):
    batch = await operator.start()
    await operator.until(batch, StepStarted, step=step)
    os.kill(operator.pid(batch), signal.SIGKILL)
    await operator.gone(batch)
    assert operator.batches.view(batch).phase == "died"
    resumed = await asyncio.to_thread(
        subprocess.run, operator.command("resume", "--yes", "--json"), capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    lines = [json.loads(line) for line in resumed.stdout.splitlines()]
    results = [line for line in lines if line["type"] == "result"]
    assert len(results) == len({line["vhost"] for line in results}) == 2
    assert lines[-1] == {"type": "summary", "ok": 2, "failed": 0, "skipped": 0}
    assert operator.statuses() == {"migrated"}


async def test_the_command_that_watches_may_be_killed(operator: Operator):
    words = operator.command("migrate", "--all-validated", "--yes", "--json")
    watching = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert watching.stdout is not None
    first = json.loads(await watching.stdout.readline())
    assert first["type"] == "batch_started"
    watching.kill()
    await watching.wait()
    (batch,) = operator.batches.names()
    assert (await operator.to_its_end(batch)).exit_code == 0
    again = await asyncio.to_thread(
        subprocess.run, operator.command("attach", "--json"), capture_output=True, text=True
    )
    assert again.returncode == 0
    assert json.loads(again.stdout.splitlines()[-1])["ok"] == 2


async def test_one_process_a_batch_and_orders_reach_it(operator: Operator):
    batch = await operator.start(Limits(canary=1))
    await operator.until(batch, StepStarted)
    with pytest.raises(Exception, match="already works"):
        operator.batches.resume(batch)
    async with asyncio.timeout(120):
        while operator.batches.view(batch).phase != "waiting":
            await asyncio.sleep(0.05)
    operator.batches.send(batch, "cancel")
    view = await operator.to_its_end(batch)
    assert (view.outcome, view.exit_code) == ("cancelled", 7)
    assert sum(result.ok for result in view.results.values()) == 1
    assert operator.statuses() == {"migrated", "validated"}


async def test_an_order_that_comes_before_the_process_can_hear_is_obeyed(operator: Operator):
    """`nsmig attach --cancel` right after the start: the process is still loading its modules."""
    batch = await operator.start()
    operator.batches.send(batch, "cancel")
    view = await operator.to_its_end(batch)
    assert view.outcome == "cancelled", operator.batches.log_tail(batch)
    assert operator.statuses() == {"validated"}
    post(BatchDir(operator.batches.top, batch), Command("cancel"))  # by who came too late
    operator.batches.resume(batch)
    view = await operator.to_its_end(batch)
    assert (view.outcome, view.exit_code) == ("done", 0), view.results
    assert operator.statuses() == {"migrated"}


async def test_two_batches_over_the_same_vhosts_do_not_hurt_each_other(operator: Operator):
    first, second = await operator.start(), await operator.start()
    views = [await operator.to_its_end(name) for name in (first, second)]
    assert operator.statuses() == {"migrated"}
    ends = [{key: result.ok for key, result in view.results.items()} for view in views]
    assert all(ends[0][key] or ends[1][key] for key in ends[0])


async def test_a_process_that_cannot_begin_says_why(operator: Operator, tmp_path: Path):
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.toml").write_text("jobs = true\n")
    broken = wiring.build(replace(operator.settings, config_dir=config))
    spec = replace(operator.batches.view(await operator.start()).spec, batch="other")
    broken.batches.start(spec)
    await operator.gone("other")
    assert operator.batches.view("other").phase == "died"
    assert "jobs must be a whole number" in operator.batches.log_tail("other")[-1]
    await operator.to_its_end(operator.batches.names()[-1])


async def test_files_are_for_their_owner_only_and_hold_no_secret(operator: Operator):
    batch = await operator.start()
    view = await operator.to_its_end(batch)
    assert view.exit_code == 0
    await operator.gone(batch)  # it takes away files until then
    place = operator.batches.top / batch
    assert place.stat().st_mode & 0o777 == 0o700
    for path in place.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path
    ended = [event for _, event in _events(operator, batch) if isinstance(event, BatchEnded)]
    started = [event for _, event in _events(operator, batch) if isinstance(event, BatchStarted)]
    results = [event for _, event in _events(operator, batch) if isinstance(event, Result)]
    assert (len(started), len(results), len(ended)) == (1, 2, 1)


def _events(operator: Operator, batch: str) -> list[Any]:
    from nsmig_tui.engine.batch.journal import JournalTail

    return list(JournalTail(BatchDir(operator.batches.top, batch)).events())
