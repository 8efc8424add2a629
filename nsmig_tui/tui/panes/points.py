"""Rollback points and kept runs as lines."""

from __future__ import annotations

from ...domain.fleet import RunRecord
from ...domain.options import RollbackPoint
from ..words import Line, Signs, ago, lap, pad, size, when
from . import wrap
from .wrap import Row

OUTCOME = {
    "ok": ("✓", "+", "ok"),
    "running": ("▶", ">", "run"),
    "undone": ("◀", "<", "warn"),
    "refused": ("!", "!", "warn"),
    "interrupted": ("~", "~", "warn"),
    "failed": ("✗", "x", "fail"),
}


def check_word(ok: bool | None, signs: Signs) -> tuple[str, str]:
    """Whether an archive can be trusted, as sign, word and style."""
    if ok is None:
        return "? unknown", "warn"
    good, bad = ("+", "x") if signs.ascii else ("✓", "✗")
    return (f"{good} verified", "ok") if ok else (f"{bad} DAMAGED", "fail")


def point_row(point: RollbackPoint, signs: Signs, now: float, width: int) -> Row:
    """One archive: time, age, size, entries, and whether it can be trusted."""
    word, style = check_word(point.ok, signs)
    entries = f"{point.entries:,} entries" if point.entries is not None else "- entries"
    line: Line = [
        (f"{when(point.created_at)}  ", ""),
        (pad(ago(point.created_at, now), 10), "dim"),
        (f"{size(point.size):>8}  ", ""),
    ]
    if width >= 66:
        line.append((pad(entries, 16), "dim"))
    line.append((pad(word, 11), style))
    if width >= 110:
        line.append((point.filename, "dim"))
    return Row(line, point.filename, point)


def points(found: list[RollbackPoint], signs: Signs, now: float, width: int) -> list[Row]:
    """All archives of a vhost, newest first."""
    if not found:
        return wrap.number(wrap.text("There is no archive on the vnode.", width, "dim"))
    rows = [point_row(point, signs, now, width) for point in found]
    rows += [wrap.blank(), *wrap.text("b opens rollback: undo, or restore one of these.", width, "dim")]
    return wrap.number(rows)


def runs(records: list[RunRecord], signs: Signs, now: float, width: int, *, named: bool = False) -> list[Row]:
    """Kept runs, newest first; with ``named``, each says on which vhost it was."""
    if not records:
        return wrap.number(wrap.text("No run is recorded.", width, "dim"))
    rows = []
    for record in records:
        entry = OUTCOME.get(record.outcome, ("?", "?", "warn"))
        sign = entry[1] if signs.ascii else entry[0]
        took = lap(record.finished - record.started) if record.finished else "-"
        line: Line = [
            (f"{when(record.started)}  ", ""),
            (pad(record.verb, 9), "bold"),
            (pad(f"{sign} {record.outcome}", 14), entry[2]),
        ]
        if named:
            line.append((pad(record.vhost or record.vnode, 28 if width < 120 else 40), ""))
            if width >= 100:
                line.append((pad(f"  {record.vnode if record.vhost else ''}", 22), "dim"))
        line.append((f"{took:>6}  ", "dim"))
        if sum(len(text) for text, _style in line) + len(record.operator) <= width:
            line.append((record.operator, "dim"))
        rows.append(Row(line, record.run, record))
        if record.errors and not named:
            rows += wrap.text(record.errors[0], width, "fail", indent=4)
    return wrap.number(rows)
