"""What is known of some vhosts, told to people and machines: status, findings, runs, the last log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .batch_report import iso
from .fleet import RunRecord, Vhost
from .markup import html_page, html_table, html_text, md_table, md_text

LogLines = Sequence[tuple[float, str]]

FINDINGS = ("severity", "category", "message", "expected", "actual", "hint")
RUNS = ("started", "verb", "outcome", "seconds", "operator", "archive", "errors and warnings")


@dataclass(frozen=True)
class Known:
    """One vhost with its kept runs, newest first, and the log of the newest."""

    vhost: Vhost
    runs: Sequence[RunRecord] = ()
    log: LogLines = ()


def report(known: Sequence[Known], *, at: float, operator: str = "") -> dict[str, Any]:
    """Everything as one JSON document; times in ISO 8601 UTC. ``at``: when the report is made."""
    return {"made_at": iso(at), "operator": operator, "vhosts": [_vhost(one) for one in known]}


def _vhost(known: Known) -> dict[str, Any]:
    host = known.vhost
    return {
        "vnode": host.vnode,
        "vhost": host.domain,
        "status": "vanished" if host.vanished else host.status.value,
        "layout": host.layout.value,
        "account": host.uuser,
        "uid": host.uid,
        "gid": host.gid,
        "size": host.details.get("size"),
        "rollback_available": host.rollback_available,
        "backup_archive": host.backup_archive,
        "migration_attempts": host.migration_attempts,
        "validated_at": iso(host.validated_at),
        "migrated_at": iso(host.migrated_at),
        "last_error": host.last_error,
        "last_hint": host.last_hint,
        "steps_completed": list(host.steps_completed),
        "findings": [{name: str(one.get(name, "")) for name in FINDINGS} for one in host.findings],
        "runs": [_run(record) for record in known.runs],
        "log": [{"at": iso(when), "text": text} for when, text in known.log],
    }


def _run(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.run,
        "verb": record.verb,
        "outcome": record.outcome,
        "operator": record.operator,
        "started": iso(record.started),
        "finished": iso(record.finished),
        "seconds": None if record.finished is None else round(record.finished - record.started, 1),
        "steps": [dict(step) for step in record.steps],
        "warnings": list(record.warnings),
        "errors": list(record.errors),
        "backup_archive": record.backup_archive,
        "archive_sha256": record.archive_sha256,
        "batch": record.batch,
    }


def title(told: dict[str, Any]) -> str:
    """What the report is about."""
    rows = told["vhosts"]
    return f"{rows[0]['vhost']} on {rows[0]['vnode']}" if len(rows) == 1 else f"{len(rows)} vhosts"


def markdown(told: dict[str, Any]) -> str:
    """The report as Markdown; what servers said is escaped."""
    lines = [f"# {md_text(title(told))}", "", f"As of {told['made_at']}, by {md_text(told['operator'])}."]
    for row in told["vhosts"]:
        lines += ["", f"## {md_text(row['vhost'])} on {md_text(row['vnode'])}: {row['status']}", ""]
        lines += [f"- {name}: {md_text(value)}" for name, value in _facts(row)]
        if row["findings"]:
            cells = [[one[name] for name in FINDINGS] for one in row["findings"]]
            lines += ["", "### Findings", "", *md_table(FINDINGS, cells)]
        if row["runs"]:
            lines += ["", "### Runs", "", *md_table(RUNS, [_run_cells(one) for one in row["runs"]])]
        if row["log"]:
            lines += ["", "### Log of the last run", ""]
            lines += [f"- {line['at']} {md_text(line['text'])}" for line in row["log"]]
    return "\n".join(lines) + "\n"


def html(told: dict[str, Any]) -> str:
    """The report as one HTML page that needs nothing else."""
    parts = [f"<p>As of {told['made_at']}, by {html_text(told['operator'])}.</p>"]
    for row in told["vhosts"]:
        parts.append(f"<h2>{html_text(row['vhost'])} on {html_text(row['vnode'])}: {row['status']}</h2><ul>")
        parts += [f"<li>{name}: {html_text(value)}</li>" for name, value in _facts(row)]
        parts.append("</ul>")
        if row["findings"]:
            cells = [(one["severity"], [one[name] for name in FINDINGS]) for one in row["findings"]]
            parts.append(f"<h3>Findings</h3>{html_table(FINDINGS, cells)}")
        if row["runs"]:
            cells = [(one["outcome"], _run_cells(one)) for one in row["runs"]]
            parts.append(f"<h3>Runs</h3>{html_table(RUNS, cells)}")
        if row["log"]:
            lines = "".join(f"<li>{line['at']} {html_text(line['text'])}</li>" for line in row["log"])
            parts.append(f"<h3>Log of the last run</h3><ul>{lines}</ul>")
    return html_page(title(told), "".join(parts))


def _facts(row: dict[str, Any]) -> list[tuple[str, Any]]:
    account = f"{row['account'] or '-'} (uid {'not known' if row['uid'] is None else row['uid']})"
    found = [("layout", row["layout"].upper()), ("account", account), ("size", _size(row["size"]))]
    found += [(name.replace("_", " "), row[name] or "never") for name in ("validated_at", "migrated_at")]
    found += [("attempts", row["migration_attempts"]), ("archive", row["backup_archive"] or "none")]
    if row["last_error"]:
        found += [("error", row["last_error"]), ("what to do", row["last_hint"] or "-")]
    return found


def _size(size: Any) -> str:
    if not isinstance(size, int):
        return "not known"
    return f"{size:,} byte{'s' * (size != 1)}"


def _run_cells(run: dict[str, Any]) -> list[Any]:
    seconds = "" if run["seconds"] is None else f"{run['seconds']:.1f}"
    words = "; ".join((*run["errors"], *run["warnings"]))
    return [run["started"] or "", run["verb"], run["outcome"], seconds, run["operator"],
            run["backup_archive"] or "", words]  # fmt: skip
