"""The whole fleet at a glance: counts, success, space, what needs attention, recent runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...domain.fleet import Refusal, RunRecord
from ..fleet_model import FleetModel
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
    rows += [wrap.blank(), Row([("Recent runs  ", "head"), *_success(records)])]
    rows += points.runs(records[:12], signs, now, width, named=True)
    return [Row(row.pieces, row.key if row.about is not None else "", row.about) for row in rows]


def attention(model: FleetModel, refusals: Sequence[Refusal], now: float, width: int) -> list[Row]:
    """What a person should look at, worst first."""
    rows: list[Row] = []
    for node in model.nodes.values():
        if node.vnode.unreachable:
            rows.append(
                _trouble(node.name, f"unreachable: {node.vnode.unreachable}", "fail", node.key, width)
            )
    for host in model.hosts.values():
        if host.status == "failed":
            rows.append(
                _trouble(
                    host.domain,
                    f"failed on {host.node.name}",
                    "fail",
                    host.key,
                    width,
                )
            )
        elif host.status == "vanished":
            rows.append(_trouble(host.domain, f"is no longer on {host.node.name}", "warn", host.key, width))
    for vnode, domain, reason in refusals:
        rows.append(_trouble(domain, f"refused: {reason}", "warn", f"{vnode}/{domain}", width))
    for node in model.nodes.values():
        used = space(node.vnode.facts)[0]
        if used is not None and used > FULL:
            words = f"{node.vnode.vpath} is {used:.0%} full"
            rows.append(_trouble(node.name, words, "warn", node.key, width))
        seen = node.vnode.last_contact
        if not node.vnode.unreachable and (seen is None or now - seen > STALE):
            words = "never asked: discover" if seen is None else "not asked for a week: discover again"
            rows.append(_trouble(node.name, words, "wait", node.key, width))
    return rows[:200]


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
