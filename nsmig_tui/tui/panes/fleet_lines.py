"""How the lines of the fleet tree look."""

from __future__ import annotations

from collections import Counter

from rich.cells import cell_len

from ..fleet_model import FleetLine, FleetModel, HostLine, NodeLine
from ..words import STATUS, Line, Signs, ago, pad, plural, size

ORDER = ("failed", "vanished", "discovered", "validated", "migrated", "native")

NAME = 8
"""So many cells the name of a vnode always has."""


def draw(row: FleetLine, width: int, model: FleetModel, signs: Signs, now: float) -> Line:
    """One line of the tree in ``width`` cells; columns fall away from the right as it narrows."""
    if isinstance(row, HostLine):
        return _host(row, width, signs)
    if isinstance(row, NodeLine):
        return _node(row, width, model, signs, now)
    fold = signs.fold(model.is_open(row))
    tail = plural(sum(row.counts.values()), "vhost")
    if width >= 64:
        tail = f"{plural(len(row.nodes), 'vnode')}  {tail}"
    counts = count_pieces(row.counts, signs)
    least = max(NAME, cell_len(row.name))
    if least + len(tail) + _long(counts) + 5 > width:
        counts = count_pieces(row.counts, signs, tight=True)
    if least + len(tail) + _long(counts) + 5 > width:
        tail = ""
    name = pad(row.name, max(NAME, width - len(tail) - _long(counts) - 5))
    return [(f"{fold} ", "dim"), (name, "head"), (" ", ""), *counts, (tail, "dim")]


def count_pieces(counts: Counter[str], signs: Signs, *, tight: bool = False) -> Line:
    """Counts by status, what needs attention first: ``✗ 2  ○ 5  ✓ 30``, or ``✗2 ○5 ✓30``."""
    pieces: Line = []
    for status in ORDER:
        if counts.get(status):
            sign, style = signs.mark(status)
            pieces.append((f"{sign}{counts[status]:,} " if tight else f"{sign} {counts[status]:,}  ", style))
    return pieces


def legend(signs: Signs) -> str:
    """What the signs mean, for the help: two lines, so that no sign stands away from its word."""
    words = [f"{signs.mark(name)[0]} {name}" for name in STATUS]
    return "   ".join(words[:3]) + "\n       " + "   ".join(words[3:])


def _host(row: HostLine, width: int, signs: Signs) -> Line:
    word, style = signs.status(row.status)
    long = 12 if width >= 34 else 1
    if long == 1:
        word = word[:1]
    show_size = width >= 62
    room = width - 6 - long - (9 if show_size else 0) - 1
    line: Line = [("      ", ""), (pad(row.domain, room), "dim" if row.vanished else ""), (" ", "")]
    if show_size:
        line.append((f"{size(row.size) if row.size else '-':>8} ", "dim"))
    return [*line, (pad(word, long), style)]


def _node(row: NodeLine, width: int, model: FleetModel, signs: Signs, now: float) -> Line:
    is_open = row.key in model.expanded or (bool(model.query) and bool(row.shown))
    line: Line = [("  ", ""), (f"{signs.fold(is_open)} ", "dim")]
    tail: Line = []
    if row.vnode.production:
        tail.append(("PROD ", "prod"))
    if row.vnode.unreachable:
        words = f"unreachable: {row.vnode.unreachable}"
        room = max(12, width - max(NAME, len(row.name)) - 5 - _long(tail))
        if len(words) > room:
            words = f"! {row.vnode.unreachable}"
        tail.append((pad(words, min(len(words), room)), "fail"))
    elif not row.vnode.last_contact:
        tail.append(("not asked yet", "wait"))
    else:
        counts = count_pieces(row.counts, signs) or [("no vhosts  ", "dim")]
        short = len(row.name) + 5 + _long(tail) + _long(counts) > width
        tail += count_pieces(row.counts, signs, tight=True) if short else counts
        if width >= 60:
            tail.append((f"{ago(row.vnode.last_contact, now):>9}", "dim"))
    return [*line, (pad(row.name, max(NAME, width - 5 - _long(tail))), "bold"), (" ", ""), *tail]


def _long(pieces: Line) -> int:
    return sum(len(text) for text, _style in pieces)
