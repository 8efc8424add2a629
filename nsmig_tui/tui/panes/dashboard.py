"""The whole fleet at a glance: counts, success, space, what needs attention, recent runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...domain.fleet import Refusal, RunRecord
from ..fleet_model import FleetModel, NodeLine
from ..safe import one_line
from ..words import Line, Signs, pad, plural, shortened
from . import points, wrap
from .fleet_lines import ORDER
from .overview import space
from .wrap import Row

FULL = 0.85
"""From here on a file system is named."""

FULLEST = 6
"""So many file systems are shown, the fullest ones."""

NAMED = 40
"""So many of each kind of trouble are named one by one; the rest are counted."""

STALE = 7 * 86400
"""Seconds after which a vnode counts as not seen for long."""


def lines(
    model: FleetModel,
    records: list[RunRecord],
    refusals: Sequence[Refusal],
    signs: Signs,
    now: float,
    width: int,
) -> list[Row]:
    """All parts, one under the other; lines about a vnode or vhost can be opened."""
    counts = model.totals()
    rows = [Row(_summary(model, counts)), wrap.blank(), wrap.heading("Vhosts by status")]
    rows += _bars(counts, signs, width)
    rows += [wrap.blank(), Row([("Needs attention", "head")])]
    rows += attention(model, refusals, now, width) or [
        Row([(f"  Nothing. {signs.mark('migrated')[0]}", "ok")])
    ]
    rows += _space(model, signs, width)
    rows += [wrap.blank(), Row([("Recent runs (UTC)  ", "head"), *_success(records)])]
    rows += points.runs(records[:12], signs, now, width, named=True)
    return [Row(row.pieces, row.key if row.about is not None else "", row.about) for row in rows]


def attention(model: FleetModel, refusals: Sequence[Refusal], now: float, width: int) -> list[Row]:
    """What a person should look at, worst first; of each kind the first ones, and how many more."""
    hosts, nodes = model.hosts.values(), model.nodes.values()
    failed = [(host.domain, f"failed on {host.node.name}", host.key)
              for host in hosts if host.status == "failed"]  # fmt: skip
    gone = [(host.domain, f"is no longer on {host.node.name}", host.key)
            for host in hosts if host.status == "vanished"]  # fmt: skip
    lost = [(node.name, f"unreachable: {node.vnode.unreachable}", node.key)
            for node in nodes if node.vnode.unreachable]  # fmt: skip
    refused = [(domain, f"refused: {reason}", f"{vnode}/{domain}") for vnode, domain, reason in refusals]
    room = [(node, space(node.vnode.facts)[0] or 0.0) for node in nodes]
    full = [(node.name, f"{node.vnode.vpath} is {used:.0%} full", node.key)
            for node, used in room if used > FULL]  # fmt: skip
    stale = [(node.name, words, node.key) for node in nodes if (words := _unseen(node, now))]
    rows: list[Row] = []
    for found, style, kind in (
        (lost, "fail", "unreachable"),
        (failed, "fail", "failed"),
        (gone, "warn", "vanished"),
        (refused, "warn", "refused"),
        (full, "warn", "nearly full"),
        (stale, "wait", "not asked of late"),
    ):
        rows += [_trouble(name, words, style, key, width) for name, words, key in found[:NAMED]]
        if len(found) > NAMED:
            rows.append(Row([(f"  and {len(found) - NAMED:,} more {kind}", style)]))
    return rows


def _unseen(node: NodeLine, now: float) -> str:
    """That a vnode was not asked for long; empty where it was, or cannot be reached."""
    seen = node.vnode.last_contact
    if node.vnode.unreachable or (seen is not None and now - seen <= STALE):
        return ""
    return "never asked: discover" if seen is None else "not asked for a week: discover again"


def _trouble(name: str, words: str, style: str, key: str, width: int) -> Row:
    room = min(34, max(16, width // 3))
    said = shortened(one_line(words), width - room - 3)
    return Row([("  ", ""), (pad(name, room), "bold"), (" ", ""), (said, style)], key, key)


def _summary(model: FleetModel, counts: Counter[str]) -> Line:
    lost = sum(bool(node.vnode.unreachable) for node in model.nodes.values())
    production = sum(node.vnode.production for node in model.nodes.values())
    line: Line = [
        (plural(len(model.sites), "vsite"), "bold"),
        ("   ", ""),
        (plural(len(model.nodes), "vnode"), "bold"),
        ("   ", ""),
        (plural(sum(counts.values()), "vhost"), "bold"),
    ]
    if production:
        line.append((f"   {production} PROD", "prod"))
    if lost:
        line.append((f"   {lost} unreachable", "fail"))
    return line


def _bars(counts: Counter[str], signs: Signs, width: int) -> list[Row]:
    whole = sum(counts.values()) or 1
    rows = []
    for status in ORDER:
        if not counts.get(status):
            continue
        word, style = signs.status(status)
        bar = signs.bar(counts[status] / whole, max(10, min(50, width - 34)), style)
        rows.append(
            Row(
                [
                    ("  ", ""),
                    (pad(word, 14), style),
                    *bar,
                    (f" {counts[status]:>7,} {counts[status] / whole:4.0%}", ""),
                ]
            )
        )
    return rows or [Row([("  none yet", "dim")])]


def _success(records: list[RunRecord]) -> Line:
    ended = [
        one for one in records if one.verb in ("migrate", "undo", "restore") and one.outcome != "running"
    ]
    if not ended:
        return []
    good = sum(one.outcome == "ok" for one in ended)
    style = "ok" if good == len(ended) else "warn"
    return [(f"{good} of {len(ended)} migrations and rollbacks went well ({good / len(ended):.0%})", style)]


def _space(model: FleetModel, signs: Signs, width: int) -> list[Row]:
    found = [
        (used, node) for node in model.nodes.values() if (used := space(node.vnode.facts)[0]) is not None
    ]
    if not found:
        return []
    rows = [wrap.blank(), wrap.heading("Space, fullest first")]
    shown = sorted(found, key=lambda entry: -entry[0])[:FULLEST]
    labels = [f"  {node.name} {node.vnode.vpath}" for _used, node in shown]
    room = min(max(map(len, labels)), max(24, width // 2 - 8))
    for (used, node), label in zip(shown, labels, strict=True):
        style = "fail" if used > 0.9 else "warn" if used > 0.75 else "ok"
        bar = signs.bar(used, max(10, min(50, width - room - 8)), style)
        rows.append(
            Row(
                [(pad(label, room), ""), ("  ", ""), *bar, (f" {used:4.0%}", style)],
                f"{node.key}#space",
                node.key,
            )
        )
    return rows
