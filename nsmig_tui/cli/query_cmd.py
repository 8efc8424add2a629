"""`nsmig list`, `show`, `history`: what the database knows; no vnode is asked."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter

from ..domain.errors import ExitCode, UsageError
from ..domain.text import clean
from .documents import run_row, vhost_document, vhost_row
from .session import Session
from .tables import print_table


async def list_vhosts(session: Session, arguments: Namespace) -> int:
    """Print vhosts, of one vnode or all, optionally of one status."""
    if arguments.vnode:
        session.vnode(arguments.vnode)
    rows = [vhost_row(vhost) for vhost in session.app.store.vhosts(arguments.vnode, arguments.status)]
    if session.settings.json:
        session.out.document(rows)
        return ExitCode.DONE
    columns = ["vnode", "vhost", "status", "layout", "way back", "migrated"]
    cells = [
        [row["vnode"], row["vhost"], _status(row), row["layout"], row["rollback_available"], _minute(row)]
        for row in rows
    ]
    if any(row["last_error"] for row in rows):
        columns.append("last error")
        cells = [[*line, row["last_error"]] for line, row in zip(cells, rows, strict=True)]
    print_table(session.out, columns, cells, color=session.settings.color)
    return ExitCode.DONE


async def show(session: Session, arguments: Namespace) -> int:
    """Print everything about one vhost."""
    vhost = session.vhost(arguments.vnode, arguments.vhost)
    store = session.app.store
    of_it = (vhost.vnode, vhost.domain)
    document = vhost_document(vhost, store.runs(*of_it), store.status_changes(*of_it))
    if session.settings.json:
        session.out.document(document)
        return ExitCode.DONE
    color = session.settings.color
    plain = {**vhost_row(vhost), "steps_completed": ", ".join(vhost.steps_completed), **vhost.details}
    print_table(session.out, ("what", "value"), list(plain.items()), color=color)
    counts = Counter(str(finding.get("severity")) for finding in vhost.findings)
    if counts:
        session.out.line()
        session.out.line(
            "findings: " + clean(", ".join(f"{number} {name}" for name, number in counts.items()))
        )
        columns = ("severity", "category", "message", "expected", "actual", "hint")
        told = [finding for finding in vhost.findings if finding.get("severity") != "passed"]
        print_table(
            session.out, columns, [[finding.get(name) for name in columns] for finding in told], color=color
        )
    changes = document["status_changes"]
    if changes:
        session.out.line()
        columns = ("at", "status", "reason")
        cells = [(one["at"], _step(one), one["reason"]) for one in changes]
        print_table(session.out, columns, cells, color=color)
    if document["runs"]:
        session.out.line()
        _print_runs(session, document["runs"])
    return ExitCode.DONE


async def history(session: Session, arguments: Namespace) -> int:
    """Print the kept runs, newest first, of all or of one vhost."""
    if arguments.vnode and not arguments.vhost:
        raise UsageError("Give VNODE and VHOST, or neither.")
    # Names are not checked: history outlives the vnodes and vhosts it tells of.
    found = session.app.store.runs(arguments.vnode, arguments.vhost, limit=arguments.limit)
    rows = [run_row(record) for record in found]
    if session.settings.json:
        session.out.document(rows)
    else:
        _print_runs(session, rows)
    return ExitCode.DONE


def _print_runs(session: Session, rows: list[dict]) -> None:
    columns = ("started", "verb", "vnode", "vhost", "outcome", "operator", "run")
    cells = [[*(row[name] for name in columns), "; ".join(row["errors"])] for row in rows]
    print_table(session.out, (*columns, "errors"), cells, color=session.settings.color)


def _minute(row: dict) -> str:
    """When the vhost was migrated, as short as a row on a terminal wants it."""
    return f"{row['migrated_at'][:16].replace('T', ' ')}Z" if row["migrated_at"] else ""


def _step(change: dict) -> str:
    return f"{change['old']} -> {change['new']}" if change["old"] else change["new"]


def _status(row: dict) -> str:
    return f"{row['status']} (vanished)" if row["vanished"] else row["status"]
