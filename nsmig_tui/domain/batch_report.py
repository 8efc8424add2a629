"""A batch told to people and machines when it is over: JSON, Markdown, HTML, and a summary for one screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from .batch_view import BatchView
from .markup import html_page, html_table, html_text, md_table, md_text
from .text import clean

FORMATS = ("json", "md", "html")
NAMED = 18
"""So many vhosts of a summary that did not go well are named one by one; the rest are counted."""
_HEAD = ("vnode", "vhost", "outcome", "state", "seconds", "archive", "reason", "next step")
_WORDS = {"done": "all done", "partial": "some done, some not", "failed": "failed"}


def report(view: BatchView) -> dict[str, Any]:
    """Everything about a batch as one JSON document; times in ISO 8601 UTC."""
    counts = {"ok": 0, "failed": 0, "skipped": 0, "unfinished": 0}
    rows = []
    for key, run in view.runs.items():
        result = view.results.get(key)
        word = "unfinished"
        if result is not None:
            word = "skipped" if result.skipped else "ok" if result.ok else "failed"
        counts[word] += 1
        rows.append(
            {
                "vnode": run.vnode,
                "vhost": run.vhost,
                "outcome": word,
                "state": state_words(view, key),
                "status": run.status,
                "size": run.size,
                "started": iso(run.started),
                "finished": iso(run.finished),
                "duration_s": result.duration_s if result else 0.0,
                "steps": [
                    {"name": step.name, "state": step.state, "seconds": step.seconds} for step in run.steps
                ],
                "backup_archive": run.archive,
                "warnings": list(run.warnings),
                "errors": list(result.errors) if result else [],
                "hint": run.hint,
                "exit_code": run.exit_code,
                "run": run.run,
            }
        )
    return {
        "batch": view.spec.batch,
        "operator": view.spec.operator,
        "outcome": view.outcome or view.phase,
        "exit_code": view.exit_code,
        "started": iso(view.started),
        "finished": iso(view.ended),
        "counts": counts,
        "set_aside": dict(view.aside),
        "hint": view.hint,
        "vhosts": rows,
    }


def state_words(view: BatchView, key: str) -> str:
    """In which state a vhost was left, in words."""
    result = view.results.get(key)
    if result is None:
        return "under way or not begun"
    if result.ok:
        return "left as it was" if result.skipped else "migrated"
    return {
        3: "not begun",
        4: "nothing touched",
        5: "all undone",
        6: "half-done: a person must look",
        75: "another run works on it",
        130: "its run goes on on the vnode",
    }.get(result.exit_code, "failed")


def summary_lines(view: BatchView) -> Iterator[str]:
    """The batch on one screen: the counts, then what did not go well, each with state and next step."""
    told = report(view)
    counts, bad = told["counts"], [r for r in told["vhosts"] if r["outcome"] != "ok"]
    took = ""
    if view.started is not None and view.ended is not None:
        took = f" in {view.ended - view.started:.0f} s"
    yield (
        f"batch {view.spec.batch}: {_WORDS.get(view.outcome, told['outcome'])}{took}: {counts['ok']} ok, "
        f"{counts['failed']} failed, {counts['skipped']} skipped"
        + (f", {counts['unfinished']} unfinished" if counts["unfinished"] else "")
    )
    for vnode, reason in view.aside.items():
        yield clean(f"  {vnode} was set aside: {reason}", 200)
    # What waits behind a set-aside vnode is told by its line; the reasons of its own stand below.
    alone = [r for r in bad if not (r["outcome"] == "skipped" and r["vnode"] in view.aside)]
    for row in alone[:NAMED]:
        why = row["errors"][0] if row["errors"] else row["outcome"]
        yield clean(f"  {row['vnode']} {row['vhost']}: {why} ({row['state']})", 240)
        if row["hint"]:
            yield clean(f"      {row['hint']}", 240)
    if len(alone) > NAMED:
        yield f"  and {len(alone) - NAMED} more: nsmig report {view.spec.batch}"
    if view.hint:
        yield f"  {view.hint}"


def markdown(told: dict[str, Any]) -> str:
    """The report as Markdown; what servers said is escaped."""
    lines = [f"# Batch {told['batch']}: {told['outcome']}", "", _sums(told, md_text), ""]
    lines += [f"- {md_text(name)} was set aside: {md_text(why)}" for name, why in told["set_aside"].items()]
    lines += ["", *md_table(_HEAD, [_cells(row) for row in told["vhosts"]])]
    for row in told["vhosts"]:
        if row["warnings"]:
            lines += ["", f"## Warnings for {md_text(row['vhost'])} on {md_text(row['vnode'])}", ""]
            lines += [f"- {md_text(words)}" for words in row["warnings"]]
    return "\n".join(lines) + "\n"


def html(told: dict[str, Any]) -> str:
    """The report as one HTML page that needs nothing else."""
    aside = "".join(
        f"<li>{html_text(vnode)} was set aside: {html_text(reason)}</li>"
        for vnode, reason in told["set_aside"].items()
    )
    rows = [(row["outcome"], [*_cells(row), "; ".join(row["warnings"])]) for row in told["vhosts"]]
    return html_page(
        f"Batch {told['batch']}: {told['outcome']}",
        f"<p>{_sums(told, html_text)}</p><ul>{aside}</ul>{html_table((*_HEAD, 'warnings'), rows)}",
    )


def _sums(told: dict[str, Any], safe: Callable[[Any], str]) -> str:
    counts = told["counts"]
    return (
        f"By {safe(told['operator'])}, {told['started'] or '-'} to {told['finished'] or '-'}: "
        f"{counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped, "
        f"{counts['unfinished']} unfinished."
    )


def _cells(row: dict[str, Any]) -> list[Any]:
    return [row["vnode"], row["vhost"], row["outcome"], row["state"], f"{row['duration_s']:.1f}",
            row["backup_archive"] or "", "; ".join(row["errors"]), row["hint"]]  # fmt: skip


def iso(at: float | None) -> str | None:
    """Seconds since the epoch as ``2026-01-31T12:00:00Z``."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
