"""The plan pane: a dry run's steps and changes, diffs in colour, the tree before and after."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

from ...domain.events import Planned
from ..safe import one_line
from ..words import Line, Signs, pad, plural, size, span
from . import wrap
from .wrap import Row

AGAINST_TODAY = (
    ("new since", "+", "add", "new since: carried over"),
    ("put aside", "+", "add", "new since: put aside"),
    ("changed since", "~", "warn", "changed since: reverts; today's stays in .archive/replaced-…"),
    ("gone", "-", "del", "gone today: comes back"),
)
"""In what words a restore says how a file differs from today; sign, style and words shown for each."""

COUNTED = re.compile(r"(\d+) file\(s\), (\d+) bytes: ")


def lines(plan: Planned, signs: Signs, width: int) -> list[Row]:
    """The whole of ``plan``. Nothing in it has been done."""
    rows = [Row([(f"Plan: {plan.verb} {plan.vhost}", "head"), ("   nothing has been touched", "dim")])]
    rows.append(Row(facts(plan, signs)))
    for warning in plan.warnings:
        rows += wrap.fact("warning", warning, width, "warn")
    rows.append(wrap.blank())
    for index, step in enumerate(plan.steps, 1):
        rows += _step(index, step, signs, width)
    rows += _trees(plan, signs, width)
    return wrap.number(rows)


def facts(plan: Planned, signs: Signs) -> Line:
    """Sizes and time on one line."""
    parts = [f"{name.replace('_', ' ')} {_size(name, value)}" for name, value in plan.sizes.items()]
    if plan.expected_s:
        parts.append(f"about {span(plan.expected_s)}")
    return [(f"  {signs.dot}  ".join(parts), "")]


def _size(name: str, value: Any) -> str:
    counted = any(word in name for word in ("count", "entries", "files", "inodes"))
    return f"{value:,}" if counted else size(value)


def _step(index: int, step: dict[str, Any], signs: Signs, width: int) -> list[Row]:
    changes = step.get("changes") or []
    tail = plural(len(changes), "change") if changes else "nothing to change"
    rows = [Row([(f"{index} {step.get('name', '')}", "bold"), (f"   {tail}", "dim")])]
    for change in changes:
        rows += _change(change, signs, width)
    return [*rows, wrap.blank()]


def _change(change: Any, signs: Signs, width: int) -> list[Row]:
    if not isinstance(change, dict):
        return wrap.text(str(change), width, indent=4)
    words = str(change.get("what", ""))
    old, new = change.get("from"), change.get("to")
    for mark, sign, style, meaning in AGAINST_TODAY:
        if mark in words:
            counted = COUNTED.match(words)
            name = (
                f"{plural(int(counted[1]), 'file')}, {size(int(counted[2]))}" if counted else str(new or "")
            )
            return _against_today(f"{sign} {one_line(name)}", style, meaning, width)
    if change.get("mode") and new:
        words += f"  {new}  {old or ''} {signs.arrow} {change['mode']}"
    elif old and new:
        words += f"  {old} {signs.arrow} {new}"
    elif new or old:
        words += f"  {new or old}"
    rows = wrap.text(words.strip(), width, indent=4)
    diff = change.get("diff")
    if diff:
        rows += diff_rows(diff.split("\n") if isinstance(diff, str) else diff, width)
    return rows


def _against_today(name: str, style: str, meaning: str, width: int) -> list[Row]:
    """One file that differs from the archive, or how many do, and what becomes of it."""
    if len(name) + len(meaning) + 6 <= width:
        return [Row([(f"    {name}", style), (f"  {meaning}", "dim")])]
    return [*wrap.text(name, width, style, indent=4), *wrap.text(meaning, width, "dim", indent=8)]


def diff_rows(lines_of_diff: Any, width: int) -> list[Row]:
    """A unified diff, each line coloured by what it says, and still marked by + and -."""
    rows = []
    for line in lines_of_diff:
        text = one_line(line)
        if text.startswith(("+++", "---")):
            style = "bold"
        elif text.startswith("@@"):
            style = "run"
        else:
            style = {"+": "add", "-": "del"}.get(text[:1], "dim")
        room = max(20, width - 6)
        rows.append(Row([(f"      {text[:room]}", style)]))
        for start in range(room, len(text), room - 2):
            rows.append(Row([(f"        {text[start : start + room - 2]}", style)]))
    return rows


def _trees(plan: Planned, signs: Signs, width: int) -> list[Row]:
    if not plan.tree_before and not plan.tree_after:
        return []
    rows = [wrap.heading("Tree")]
    if width < 76:
        rows += [Row([("  before", "dim")]), *(Row([(f"    {line}", "")]) for line in plan.tree_before)]
        return [*rows, Row([("  after", "dim")]), *(Row([(f"    {line}", "")]) for line in plan.tree_after)]
    half = width // 2 - 2
    rows.append(Row([(pad("  before", half), "dim"), ("  after", "dim")]))
    for old, new in zip_longest(plan.tree_before, plan.tree_after, fillvalue=""):
        rows.append(Row([(pad(f"  {one_line(old)}", half), ""), (f"  {one_line(new)}", "")]))
    return rows
