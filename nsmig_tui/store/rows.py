"""Between rows and the domain's dataclasses. Rows never leave this package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.fleet import ArchiveRecord, Layout, RunRecord, Status, StatusChange, Vhost, Vnode

VNODE = (
    "name",
    "vsite",
    "ssh_host",
    "vpath",
    "production",
    "machine_id",
    "facts",
    "service",
    "last_contact",
    "unreachable",
)
VHOST = (
    "vnode",
    "domain",
    "status",
    "layout",
    "uuser",
    "uid",
    "gid",
    "vanished",
    "rollback_available",
    "migration_attempts",
    "migrated_at",
    "validated_at",
    "backup_archive",
    "last_error",
    "last_hint",
    "steps_completed",
    "details",
    "findings",
)
RUN = (
    "run",
    "verb",
    "vnode",
    "vhost",
    "operator",
    "started",
    "finished",
    "outcome",
    "steps",
    "warnings",
    "errors",
    "backup_archive",
    "archive_sha256",
    "batch",
)
ARCHIVE = ("vnode", "domain", "path", "sha256", "size", "created", "verified", "ok", "entries")
STATUS_CHANGE = ("at", "vnode", "domain", "old", "new", "reason")

SECRET_ENDINGS = ("PASS", "PASSWD", "PASSWORD", "SECRET", "TOKEN")
"""A key with such an ending is dropped before anything is stored: a second fence behind discovery's."""

_STATUS = {status.value: status for status in Status}
_LAYOUT = {layout.value: layout for layout in Layout}


def plain(text: str) -> str:
    """``text`` as SQLite can hold it: bytes that were no UTF-8 become visible escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def to_json(value: Any) -> str:
    """``value`` as compact JSON, without anything whose name says that it is a secret."""
    return json.dumps(_without_secrets(value), separators=(",", ":"), default=str)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_secrets(inner)
            for key, inner in value.items()
            if not str(key).upper().endswith(SECRET_ENDINGS)
        }
    if isinstance(value, (list, tuple)):
        return [_without_secrets(inner) for inner in value]
    return value


def from_json(text: str) -> Any:
    """The inverse of ``to_json``."""
    return json.loads(text)


def _dictionary(text: str) -> dict[str, Any]:
    # Most rows hold nothing; at 100,000 of them asking the parser is felt.
    return {} if text == "{}" else json.loads(text)


def _sequence(text: str) -> tuple[Any, ...]:
    return () if text == "[]" else tuple(json.loads(text))


def vnode_row(vnode: Vnode) -> tuple[Any, ...]:
    """The row of one vnode, in the order of VNODE."""
    return (
        plain(vnode.name),
        plain(vnode.vsite),
        plain(vnode.ssh_host),
        plain(vnode.vpath),
        int(vnode.production),
        plain(vnode.machine_id),
        to_json(vnode.facts),
        to_json(vnode.service),
        vnode.last_contact,
        plain(vnode.unreachable),
    )


def to_vnode(row: Sequence[Any]) -> Vnode:
    """The vnode of one row in the order of VNODE."""
    name, vsite, ssh_host, vpath, production, machine_id, facts, service, contact, unreachable = row
    return Vnode(
        name,
        vsite,
        ssh_host,
        vpath,
        bool(production),
        machine_id,
        _dictionary(facts),
        _dictionary(service),
        contact,
        unreachable,
    )


def vhost_row(vhost: Vhost) -> tuple[Any, ...]:
    """The row of one vhost, in the order of VHOST."""
    return (
        plain(vhost.vnode),
        plain(vhost.domain),
        Status(vhost.status).value,
        Layout(vhost.layout).value,
        plain(vhost.uuser),
        vhost.uid,
        vhost.gid,
        int(vhost.vanished),
        int(vhost.rollback_available),
        vhost.migration_attempts,
        vhost.migrated_at,
        vhost.validated_at,
        None if vhost.backup_archive is None else plain(vhost.backup_archive),
        plain(vhost.last_error),
        plain(vhost.last_hint),
        to_json(vhost.steps_completed),
        to_json(vhost.details),
        to_json(vhost.findings),
    )


def to_vhost(row: Sequence[Any]) -> Vhost:
    """The vhost of one row in the order of VHOST."""
    (vnode, domain, status, layout, uuser, uid, gid, vanished, rollback, attempts, migrated, validated) = row[
        :12
    ]
    archive, error, hint, steps, details, findings = row[12:]
    return Vhost(
        vnode,
        domain,
        _STATUS[status],
        _LAYOUT[layout],
        uuser,
        uid,
        gid,
        bool(vanished),
        bool(rollback),
        attempts,
        migrated,
        validated,
        archive,
        error,
        hint,
        _sequence(steps),
        _dictionary(details),
        _sequence(findings),
    )


def run_row(record: RunRecord) -> tuple[Any, ...]:
    """The row of one run, in the order of RUN."""
    return (
        record.run,
        record.verb,
        plain(record.vnode),
        plain(record.vhost),
        plain(record.operator),
        record.started,
        record.finished,
        record.outcome,
        to_json(record.steps),
        to_json(record.warnings),
        to_json(record.errors),
        None if record.backup_archive is None else plain(record.backup_archive),
        record.archive_sha256,
        record.batch,
    )


def to_run(row: Sequence[Any]) -> RunRecord:
    """The run of one row in the order of RUN."""
    run, verb, vnode, vhost, operator, started, finished, outcome, steps, warnings, errors = row[:11]
    return RunRecord(
        run,
        verb,
        vnode,
        vhost,
        operator,
        started,
        finished,
        outcome,
        _sequence(steps),
        _sequence(warnings),
        _sequence(errors),
        *row[11:],
    )


def archive_row(archive: ArchiveRecord) -> tuple[Any, ...]:
    """The row of one archive, in the order of ARCHIVE."""
    return (
        plain(archive.vnode),
        plain(archive.vhost),
        plain(archive.path),
        archive.sha256,
        archive.size,
        archive.created,
        archive.verified,
        None if archive.ok is None else int(archive.ok),
        archive.entries,
    )


def to_archive(row: Sequence[Any]) -> ArchiveRecord:
    """The archive of one row in the order of ARCHIVE."""
    *columns, ok, entries = row
    return ArchiveRecord(*columns, None if ok is None else bool(ok), entries)


def to_status_change(row: Sequence[Any]) -> StatusChange:
    """The change of one row in the order of STATUS_CHANGE."""
    at, vnode, vhost, old, new, reason = row
    return StatusChange(at, vnode, vhost, None if old is None else _STATUS[old], _STATUS[new], reason)
