"""Before a batch: how big its vhosts are and how much room there is, one question a vnode; and the plan."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ...domain.batch import BatchSpec, Limits
from ...domain.batch_plan import BatchPlan, FileSystem, Measured, Speed, make_batch_plan, speed_from
from ...domain.errors import ConnectError, NsmigError
from ...domain.fleet import Vhost
from ...domain.options import MigrateOptions
from ...domain.ports import EngineApi, FleetStore
from ...domain.sections import split_sections
from .. import reading
from ..desk import Desk

AT_ONCE = 16
"""Vnodes that are asked side by side."""

WALK = 1800.0
"""Seconds that adding up all trees of a vnode may take."""


async def measure(desk: Desk, name: str, domains: Sequence[str]) -> Measured:
    """Ask one vnode. Never raises for what is wrong there: ``problem`` says it."""
    try:
        vnode = desk.vnode(name)
        shell = await desk.shell(vnode)
        text = desk.scripts("sizes")
        rows = split_sections(await reading.ask(shell, vnode, text, [vnode.vpath, *domains], WALK))
    except ConnectError as error:
        return Measured(problem=error.message, hint=error.hint)
    sizes = {row[0]: (row[1], int(row[2])) for row in rows.of("", "vhost") if len(row) >= 3}
    systems = {
        row[0]: FileSystem(row[0], int(row[1]), int(row[2]) if row[2].isdigit() else None)
        for row in rows.of("", "system")
        if len(row) >= 3
    }
    return Measured(sizes, systems)


async def plan_batch(
    store: FleetStore, engine: EngineApi, vhosts: Sequence[Vhost], limits: Limits, options: MigrateOptions
) -> BatchPlan:
    """Measure all vnodes concerned and plan. Changes nothing."""
    by_vnode: dict[str, list[str]] = {}
    for vhost in vhosts:
        by_vnode.setdefault(vhost.vnode, []).append(vhost.domain)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Measured:
        async with gate:
            try:
                return await engine.measure(name, by_vnode[name])
            except NsmigError as error:
                return Measured(problem=error.message, hint=error.hint)

    answers = await asyncio.gather(*(one(name) for name in by_vnode))
    measured = dict(zip(by_vnode, answers, strict=True))
    speeds = {name: kept_speed(store, name) for name in by_vnode}
    return make_batch_plan(vhosts, measured, speeds, limits, backup=options.backup)


def spec_of(
    plan: BatchPlan, batch: str, operator: str, now: float, limits: Limits, options: MigrateOptions
) -> BatchSpec:
    """The batch that follows this plan; reloads are shared where vhosts of one vnode run side by side."""
    options = replace(options, gather=options.gather or limits.per_vnode + limits.ahead > 1)
    return BatchSpec(batch, operator, now, plan.items, limits, options, plan.expected_s)


def kept_speed(store: FleetStore, vnode: str) -> Speed:
    """What earlier batches measured of this vnode."""
    return speed_from(store.get(_key(vnode)))


def keep_speed(store: FleetStore, vnode: str, speed: Speed) -> None:
    """Remember what this batch measured; not worth a transaction of its own after every vhost."""
    value: dict[str, Any] = asdict(speed)
    store.put(_key(vnode), value, later=True)


def _key(vnode: str) -> str:
    return f"throughput/{vnode}"
