"""The findings pane: the last validation, grouped by category, worst first, each with its hint."""

from __future__ import annotations

from ...domain.fleet import Vhost
from ..words import Line, Signs, ago
from . import wrap
from .wrap import Row

RANK = {"critical": 0, "error": 1, "warning": 2, "passed": 3}


def lines(host: Vhost, signs: Signs, now: float, width: int) -> list[Row]:
    """All findings of ``host``; categories with trouble come first, passed ones close up to one line."""
    if not host.findings:
        word = (
            "Not validated yet: v does it."
            if not host.validated_at
            else "The validation found nothing to say."
        )
        return wrap.number(wrap.text(word, width, "dim"))
    groups: dict[str, list[dict]] = {}
    for finding in host.findings:
        groups.setdefault(str(finding.get("category", "")), []).append(finding)
    counts = {name: sum(found.get("severity") == name for found in host.findings) for name in RANK}
    rows = [
        Row([(f"Validated {ago(host.validated_at, now)}:  ", "dim"), *_counts(counts, signs)]),
        wrap.blank(),
    ]
    for name, found in sorted(groups.items(), key=lambda pair: (min(map(_rank, pair[1])), pair[0])):
        rows += _group(name, sorted(found, key=_rank), signs, width)
    return wrap.number(rows)


def _counts(counts: dict[str, int], signs: Signs) -> Line:
    line: Line = []
    for name, count in counts.items():
        if count:
            word, style = signs.severity(name)
            noun = "passed" if name == "passed" else f"{name}s" if count != 1 else name
            line.append((f"{word.split()[0]} {count} {noun}  ", style))
    return line


def _group(name: str, found: list[dict], signs: Signs, width: int) -> list[Row]:
    trouble = [one for one in found if one.get("severity") != "passed"]
    passed = [one for one in found if one.get("severity") == "passed"]
    tail = f"  {len(passed)} passed" if passed else ""
    title = name.replace("_", " ").capitalize() or "Other"
    if not trouble and len(passed) == 1:
        word, style = signs.severity("passed")
        return [Row([(f"{word.split()[0]} {title}", style), (f"  {passed[0].get('message', '')}", "dim")])]
    rows = [Row([(title, "head"), (tail, "dim")])]
    for one in trouble:
        rows += _finding(one, signs, width)
    for one in passed:
        rows += _wrapped(signs.severity("passed"), str(one.get("message", "")), width)
    return [*rows, wrap.blank()]


def _finding(one: dict, signs: Signs, width: int) -> list[Row]:
    rows = _wrapped(signs.severity(str(one.get("severity", ""))), str(one.get("message", "")), width, "bold")
    for label in ("expected", "actual"):
        if one.get(label):
            rows += [_indented(row) for row in wrap.fact(label, one[label], width - 4, "", room=10)]
    if one.get("hint"):
        rows += [_indented(row) for row in wrap.fact("hint", one["hint"], width - 4, "key", room=10)]
    return rows


def _wrapped(sign: tuple[str, str], message: str, width: int, style: str = "") -> list[Row]:
    first, *rest = wrap.text(message, width, style, indent=12)
    word = f"  {sign[0]}"
    return [Row([(word.ljust(12), sign[1]), (first.pieces[0][0][12:], style)]), *rest]


def _indented(row: Row) -> Row:
    return Row([("    ", ""), *row.pieces])


def _rank(finding: dict) -> int:
    return RANK.get(str(finding.get("severity")), 9)
