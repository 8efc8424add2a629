"""The domain's values as the JSON that the contract promises: times in ISO 8601 UTC, additive only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..domain.batch_report import iso
from ..domain.errors import NsmigError
from ..domain.fleet import RunRecord, StatusChange, Vhost, Vnode
from ..domain.options import RollbackPoint


def vnode_row(vnode: Vnode) -> dict[str, Any]:
    """A row of ``node list``. ``status``: ok, unreachable, or new when it was never asked."""
    status = "unreachable" if vnode.unreachable else "ok" if vnode.last_contact else "new"
    return {
        "name": vnode.name,
        "vsite": vnode.vsite,
        "ssh_host": vnode.target,
        "vpath": vnode.vpath,
        "production": vnode.production,
        "status": status,
        "unreachable": vnode.unreachable,
        "last_contact": iso(vnode.last_contact),
        "facts": vnode.facts,
    }


def vhost_row(vhost: Vhost) -> dict[str, Any]:
    """A row of ``list``."""
    return {
        "vnode": vhost.vnode,
        "vhost": vhost.domain,
        "status": str(vhost.status),
        "layout": str(vhost.layout),
        "uuser": vhost.uuser,
        "uid": vhost.uid,
        "gid": vhost.gid,
        "vanished": vhost.vanished,
        "rollback_available": vhost.rollback_available,
        "migration_attempts": vhost.migration_attempts,
        "migrated_at": iso(vhost.migrated_at),
        "validated_at": iso(vhost.validated_at),
        "backup_archive": vhost.backup_archive,
        "last_error": vhost.last_error,
        "last_hint": vhost.last_hint,
    }


def vhost_document(vhost: Vhost, runs: list[RunRecord], changes: list[StatusChange]) -> dict[str, Any]:
    """What ``show`` prints: the row, and all that is known."""
    return {
        **vhost_row(vhost),
        "steps_completed": list(vhost.steps_completed),
        "details": vhost.details,
        "findings": list(vhost.findings),
        "status_changes": [
            {"at": iso(one.at), "old": one.old and str(one.old), "new": str(one.new), "reason": one.reason}
            for one in changes
        ],
        "runs": [run_row(record) for record in runs],
    }


def run_row(record: RunRecord) -> dict[str, Any]:
    """A row of ``history``."""
    row = asdict(record)
    row["started"], row["finished"] = iso(record.started), iso(record.finished)
    row["steps"] = [
        {**step, "started": iso(step["started"])}
        if isinstance(step.get("started"), (int, float))
        else dict(step)
        for step in record.steps
    ]
    return row


def point_row(point: RollbackPoint) -> dict[str, Any]:
    """A row of ``rollback --list``."""
    return {**asdict(point), "created_at": iso(point.created_at)}


def error_line(error: NsmigError) -> dict[str, Any]:
    """An error that belongs to no result line."""
    where = {"vnode": error.vnode, "vhost": error.vhost}
    return {
        "type": "error",
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
        **{name: value for name, value in where.items() if value},
    }
