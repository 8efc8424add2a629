"""The plan pane: a dry run's steps and changes, diffs in colour, the tree before and after."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len

from ...domain.events import Planned
from ..safe import one_line
from ..words import Signs, pad, plural, size, span
from . import wrap
from .wrap import Row

AGAINST_TODAY = (
    ("new since", "+", "add", "new since: carried over"),
    ("put aside", "+", "add", "new since: put aside"),
    ("changed since", "~", "warn", "changed since: reverts; today's stays in .archive/replaced-…"),
    ("gone", "-", "del", "gone today: comes back"),
)
"""In what words a restore says how a file differs from today; sign, style and words shown for each."""

SIZES = {"bytes": "content"}
"""Words for sizes whose names say too little."""

COUNTED = re.compile(r"(\d+) file\(s\), (\d+) bytes: ")


def lines(plan: Planned, signs: Signs, width: int) -> list[Row]:
    """The whole of ``plan``. Nothing in it has been done."""
    rows = [Row([(f"Plan: {plan.verb} {plan.vhost}", "head"), ("   nothing has been touched", "dim")])]
    rows += wrap.text(facts(plan, signs), width)
    for warning in plan.warnings:
        rows += wrap.fact("warning", warning, width, "warn")
    top = top_of(plan)
    if top:
        rows += wrap.fact("paths below", top, width)
    rows.append(wrap.blank())
    for index, step in enumerate(plan.steps, 1):
        rows += _step(index, step, signs, width, top)
    rows += _trees(plan, signs, width)
    return wrap.number(rows)


def facts(plan: Planned, signs: Signs) -> str:
    """Sizes and time on one line."""
    parts = [f"{SIZES.get(name, name).replace('_', ' ')} {_size(name, value)}"
             for name, value in plan.sizes.items()]  # fmt: skip
    if plan.expected_s:
        parts.append(f"about {span(plan.expected_s)}")
    return f" {signs.dot} ".join(parts)


def _size(name: str, value: Any) -> str:
    counted = any(word in name for word in ("count", "entries", "files", "inodes"))
    return f"{value:,}" if counted else size(value)


def top_of(plan: Planned) -> str:
    """The vhost's top directory, as far as the plan's own paths tell it; else nothing."""
    if plan.tree_before and plan.tree_before[0].startswith("/"):
        return plan.tree_before[0].rstrip("/")
    changes = [change for step in plan.steps for change in step.get("changes") or ()]
    for change in changes:
        for path in (str(change.get(name) or "") for name in ("from", "to") if isinstance(change, dict)):
            before, found, after = path.partition(f"/{plan.vhost}")
            if found and path.startswith("/") and after[:1] in ("", "/") and "/etc/" not in before:
                return before + found
    return ""


def _below(path: Any, top: str) -> str:
    """A path of the vhost from its top on; others as they are."""
    text = str(path or "")
    if top and text == top:
        return "./"
    return text[len(top) + 1 :] if top and text.startswith(f"{top}/") else text


def _step(index: int, step: dict[str, Any], signs: Signs, width: int, top: str) -> list[Row]:
    changes = step.get("changes") or []
    tail = plural(len(changes), "change") if changes else "nothing to change"
    rows = [Row([(f"{index} {step.get('name', '')}", "bold"), (f"   {tail}", "dim")])]
    for change in changes:
        rows += _change(change, signs, width, top)
    return [*rows, wrap.blank()]


def _change(change: Any, signs: Signs, width: int, top: str) -> list[Row]:
    if not isinstance(change, dict):
        return wrap.text(str(change), width, indent=4)
    words = str(change.get("what", ""))
    old, new = _below(change.get("from"), top), _below(change.get("to"), top)
    for mark, sign, style, meaning in AGAINST_TODAY:
        if mark in words:
            counted = COUNTED.match(words)
            name = new.removeprefix("./")
            if counted:
                name = f"{plural(int(counted[1]), 'file')}, {size(int(counted[2]))}"
            return _against_today(f"{sign} {one_line(name)}", style, meaning, width)
    if change.get("mode") and new:
        same = old == change["mode"]
        how = f"stays {old}" if same else f"{old} {signs.arrow} {change['mode']}" if old else change["mode"]
        words += f"  {new}  {how}"
    elif old and new and old != new:
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
    if cell_len(name) + cell_len(meaning) + 6 <= width:
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
        lead = text[: len(text) - len(text[1:].lstrip())] if text[:1] in "+- " else ""
        first, *rest = wrap.cut(text[len(lead) :], max(20, width - 8 - len(lead))) or [""]
        rows.append(Row([(f"      {lead}{first}", style)]))
        rows += [Row([(" " * (8 + len(lead)) + line, style)]) for line in rest]
    return rows


def _trees(plan: Planned, signs: Signs, width: int) -> list[Row]:
    if not plan.tree_before and not plan.tree_after:
        return []
    rows = [wrap.heading("Tree")]
    if width < 76:
        for label, tree in (("before", plan.tree_before), ("after", plan.tree_after)):
            rows += [Row([(f"  {label}", "dim")]), *(Row([(f"    {one_line(line)}", "")]) for line in tree)]
        return rows
    half = width // 2 - 2
    rows.append(Row([(pad("  before", half), "dim"), ("  after", "dim")]))
    for old, new in zip_longest(_shown(plan.tree_before), _shown(plan.tree_after), fillvalue=""):
        rows.append(Row([(pad(f"  {one_line(old)}", half), ""), (f"  {one_line(new)}", "")]))
    return rows


def _shown(tree: tuple[str, ...]) -> tuple[str, ...]:
    """A tree whose first line, the top directory, is named by its last part: the rest stands above."""
    return tuple(line if index or not line.startswith("/") else f"{line.rstrip('/').rpartition('/')[2]}/"
                 for index, line in enumerate(tree))  # fmt: skip


def against_today(plan: Planned) -> list[tuple[str, str]]:
    """How many files are new since, would revert and would come back; each a style and a line."""
    found = []
    for step in plan.steps:
        for change in step.get("changes") or ():
            counted = COUNTED.match(str(change.get("what", ""))) if isinstance(change, dict) else None
            for mark, sign, style, meaning in AGAINST_TODAY:
                if counted and int(counted[1]) and mark in str(change["what"]):
                    count = f"{plural(int(counted[1]), 'file')}, {size(int(counted[2]))}"
                    # What becomes of new ones is still to be chosen.
                    meaning = "new since" if style == "add" else meaning
                    found.append(("ok" if style == "add" else "warn", f"{sign} {count} {meaning}"))
                    break
    return found
