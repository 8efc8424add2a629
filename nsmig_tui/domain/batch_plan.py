"""Plans a batch before it starts: order, room per file system, duration, what is left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .batch import BatchItem, Limits, set_aside
from .fleet import Status, Vhost

FIRST_RATE = 20e6
"""Bytes per second of a vhost's backup that are assumed where nothing was measured yet."""

FIRST_FIXED = 3.0
"""Seconds that a vhost takes beside its backup, where nothing was measured yet."""

NEWEST_WEIGHT = 0.3
"""How much the newest measurement of a vnode counts against all before it."""


@dataclass(frozen=True)
class Speed:
    """A vnode's measured throughput: bytes a second while backing up, and seconds a vhost besides."""

    rate: float = FIRST_RATE
    fixed: float = FIRST_FIXED
    measured: int = 0

    def seconds(self, size: int) -> float:
        """How long one vhost of ``size`` bytes is likely to take."""
        return size / self.rate + self.fixed

    def with_run(self, size: int, backup_s: float, whole_s: float) -> Speed:
        """The throughput after one more vhost was measured."""
        fixed = max(whole_s - backup_s, 0.0)
        # A tiny backup measures the fixed cost of starting tools, not the disk.
        rate = size / backup_s if backup_s > 0.5 and size > 1 << 20 else self.rate
        if not self.measured:
            return Speed(rate, fixed, 1)
        old = 1 - NEWEST_WEIGHT
        return Speed(
            old * self.rate + NEWEST_WEIGHT * rate,
            old * self.fixed + NEWEST_WEIGHT * fixed,
            self.measured + 1,
        )


def speed_from(value: Any) -> Speed:
    """The Speed kept in the store, or the first assumption for anything else."""
    try:
        found = Speed(float(value["rate"]), float(value["fixed"]), int(value["measured"]))
    except (TypeError, KeyError, ValueError):
        return Speed()
    return found if found.rate > 0 else Speed()


@dataclass(frozen=True)
class FileSystem:
    """One file system of a vnode: ``free`` bytes and inodes (None where it does not count them)."""

    device: str
    free: int
    inodes: int | None = None


@dataclass(frozen=True)
class Measured:
    """What a vnode said: ``sizes`` domain -> (device, allocated bytes).

    ``problem``: why it could not say.
    """

    sizes: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    systems: Mapping[str, FileSystem] = field(default_factory=dict)
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class VnodePlan:
    """One vnode's part: how many vhosts, bytes, seconds, and what it needs of each file system."""

    vnode: str
    vhosts: int
    size: int
    seconds: float
    measured: bool
    needs: tuple[tuple[str, int, int], ...] = ()
    """(device, bytes needed, bytes free)"""


@dataclass(frozen=True)
class BatchPlan:
    """The whole: items in order (left-out ones last, each with its reason), and the vnodes' parts."""

    items: tuple[BatchItem, ...]
    vnodes: tuple[VnodePlan, ...]
    expected_s: float


def make_batch_plan(
    vhosts: Sequence[Vhost],
    measured: Mapping[str, Measured],
    speeds: Mapping[str, Speed],
    limits: Limits,
    *,
    backup: bool = True,
) -> BatchPlan:
    """Decide about every vhost. The biggest begin first, so that no long one is left for the end."""
    lanes: dict[str, list[BatchItem]] = {}
    left_out: list[BatchItem] = []
    for vhost in vhosts:
        item = _judge(vhost, measured.get(vhost.vnode))
        if item.skip:
            left_out.append(item)
        else:
            lanes.setdefault(vhost.vnode, []).append(item)
    parts, ordered = [], []
    for vnode, items in lanes.items():
        seen = measured.get(vnode, Measured())
        items.sort(key=lambda item: (-item.size, item.domain))
        fitting, crowded, needs = _fit(items, seen, limits, backup)
        left_out += crowded
        if fitting:
            speed = speeds.get(vnode, Speed())
            parts.append(_part(vnode, fitting, speed, limits, needs))
            ordered.append(fitting)
    ordered.sort(key=lambda items: -sum(item.size for item in items))
    parts.sort(key=lambda part: (-part.seconds, part.vnode))
    flat = [item for items in ordered for item in items]
    return BatchPlan((*flat, *left_out), tuple(parts), _expected(parts, limits.vnodes))


def _judge(vhost: Vhost, seen: Measured | None) -> BatchItem:
    size = int(vhost.details.get("size") or 0)
    files = (vhost.details.get("site_files") or []) + (vhost.details.get("pool_files") or [])
    item = BatchItem(vhost.vnode, vhost.domain, size, files=tuple(dict.fromkeys(files)))
    if vhost.vanished:
        return set_aside(item, "it has vanished from its vnode", f"nsmig discover {vhost.vnode}", 4)
    if vhost.status is not Status.VALIDATED:
        hint = f"nsmig validate {vhost.vnode} {vhost.domain}" if vhost.status is Status.DISCOVERED else ""
        return set_aside(item, f"it is {vhost.status}, not validated", hint, 4)
    if seen is None:
        return item
    if seen.problem:
        return set_aside(item, seen.problem, seen.hint, 3)
    if vhost.domain not in seen.sizes:
        return set_aside(
            item, "its folder is not there or is not a folder", f"nsmig discover {vhost.vnode}", 4
        )
    return replace(item, size=seen.sizes[vhost.domain][1])


def _fit(
    items: list[BatchItem], seen: Measured, limits: Limits, backup: bool
) -> tuple[list[BatchItem], list[BatchItem], tuple[tuple[str, int, int], ...]]:
    """Which items the file systems hold together.

    An archive takes at most what its tree takes, and stays; while a vhost is worked on we ask for as much
    again (so that one vhost alone needs twice its size, as its own check says). Who does not fit is left
    out, the biggest of what is left first, so that as many as possible go.
    """
    if not backup or not seen.systems:
        return items, [], ()
    fitting, crowded, needs = [], [], []
    by_device: dict[str, list[BatchItem]] = {}
    for item in items:
        by_device.setdefault(seen.sizes[item.domain][0], []).append(item)
    for device, here in by_device.items():
        system = seen.systems.get(device)
        kept = list(here)
        while system is not None and kept and not _holds(kept, system, seen, limits):
            gone = kept.pop(0)
            need = _need([gone, *kept], limits)
            words = f"its file system has room for {system.free} bytes, the batch needs {need}"
            crowded.append(set_aside(gone, words, "Free space there, or prune: nsmig archives prune", 4))
        fitting += kept
        if system is not None:
            needs.append((device, _need(kept, limits), system.free))
    order = {item.key: number for number, item in enumerate(items)}
    fitting.sort(key=lambda item: order[item.key])
    return fitting, crowded, tuple(needs)


def _need(items: list[BatchItem], limits: Limits) -> int:
    at_once = sorted((item.size for item in items), reverse=True)[: limits.per_vnode]
    return sum(item.size for item in items) + sum(at_once)


def _holds(items: list[BatchItem], system: FileSystem, seen: Measured, limits: Limits) -> bool:
    if _need(items, limits) > system.free:
        return False
    # An archive, its manifest, record and configuration, and a few folders: not one inode per entry.
    return system.inodes is None or 40 * len(items) + 200 <= system.inodes


def _part(
    vnode: str,
    items: list[BatchItem],
    speed: Speed,
    limits: Limits,
    needs: tuple[tuple[str, int, int], ...],
) -> VnodePlan:
    whole = sum(speed.seconds(item.size) for item in items) / max(1, min(limits.per_vnode, len(items)))
    longest = max(speed.seconds(item.size) for item in items)
    size = sum(item.size for item in items)
    return VnodePlan(vnode, len(items), size, max(whole, longest), speed.measured > 0, needs)


def _expected(parts: Sequence[VnodePlan], at_once: int) -> float:
    """Seconds until the last vnode is through, ``at_once`` of them side by side, longest first."""
    ends = [0.0] * max(1, at_once)
    for part in parts:
        first = ends.index(min(ends))
        ends[first] += part.seconds
    return round(max(ends), 1)
