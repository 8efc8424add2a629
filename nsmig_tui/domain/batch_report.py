"""A batch told to people and machines when it is over: JSON, Markdown, HTML, and a summary for one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from .batch_view import BatchView
from .text import clean

FORMATS = ("json", "md", "html")
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


def summary_lines(view: BatchView, most: int = 18) -> Iterator[str]:
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
    for row in alone[:most]:
        why = row["errors"][0] if row["errors"] else row["outcome"]
        yield clean(f"  {row['vnode']} {row['vhost']}: {why} ({row['state']})", 240)
        if row["hint"]:
            yield clean(f"      {row['hint']}", 240)
    if len(alone) > most:
        yield f"  and {len(alone) - most} more: nsmig report {view.spec.batch}"
    if view.hint:
        yield f"  {view.hint}"


def markdown(told: dict[str, Any]) -> str:
    """The report as Markdown; what servers said is escaped."""
    counts = told["counts"]
    lines = [
        f"# Batch {told['batch']}: {told['outcome']}",
        "",
        f"By {_md(told['operator'])}, {told['started'] or '-'} to {told['finished'] or '-'}: "
        f"{counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped, "
        f"{counts['unfinished']} unfinished.",
        "",
    ]
    lines += [f"- {_md(vnode)} was set aside: {_md(reason)}" for vnode, reason in told["set_aside"].items()]
    lines += ["", "| vnode | vhost | outcome | state | seconds | archive | reason | next step |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for row in told["vhosts"]:
        cells = [row["vnode"], row["vhost"], row["outcome"], row["state"], f"{row['duration_s']:.1f}"]
        cells += [row["backup_archive"] or "", "; ".join(row["errors"]), row["hint"]]
        lines.append("| " + " | ".join(_md(cell) for cell in cells) + " |")
    for row in told["vhosts"]:
        if row["warnings"]:
            lines += ["", f"## Warnings for {_md(row['vhost'])} on {_md(row['vnode'])}", ""]
            lines += [f"- {_md(words)}" for words in row["warnings"]]
    return "\n".join(lines) + "\n"


def html(told: dict[str, Any]) -> str:
    """The report as one HTML page that needs nothing else."""
    counts = told["counts"]
    head = ("vnode", "vhost", "outcome", "state", "seconds", "archive", "reason", "next step", "warnings")
    rows = []
    for row in told["vhosts"]:
        cells = [row["vnode"], row["vhost"], row["outcome"], row["state"], f"{row['duration_s']:.1f}"]
        cells += [row["backup_archive"] or "", "; ".join(row["errors"]), row["hint"]]
        cells += ["; ".join(row["warnings"])]
        rows.append(f"<tr class={row['outcome']}>" + "".join(f"<td>{_html(c)}</td>" for c in cells) + "</tr>")
    aside = "".join(
        f"<li>{_html(vnode)} was set aside: {_html(reason)}</li>"
        for vnode, reason in told["set_aside"].items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>Batch {_html(told['batch'])}</title>"
        "<style>body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{border:1px solid #888;padding:.3em .6em;text-align:left;vertical-align:top}"
        "tr.ok{background:#eef7ee}tr.failed{background:#fbeaea}tr.skipped{background:#f6f3e4}</style>"
        f"<h1>Batch {_html(told['batch'])}: {_html(told['outcome'])}</h1>"
        f"<p>By {_html(told['operator'])}, {told['started'] or '-'} to {told['finished'] or '-'}: "
        f"{counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped, "
        f"{counts['unfinished']} unfinished.</p><ul>{aside}</ul>"
        f"<table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{''.join(rows)}</table></html>\n"
    )


def iso(at: float | None) -> str | None:
    """Seconds since the epoch as ``2026-01-31T12:00:00Z``."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _md(value: Any) -> str:
    text = clean(str(value), 500)
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#|!~" else c for c in text)


def _html(value: Any) -> str:
    text = clean(str(value), 2000)
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(sign, name)
    return text
