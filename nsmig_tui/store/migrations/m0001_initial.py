"""Schema 1: the fleet, its runs, and the append-only history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TABLES = (
    "CREATE TABLE vsite (name TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE vnode (
        name TEXT PRIMARY KEY, vsite TEXT NOT NULL, ssh_host TEXT NOT NULL, vpath TEXT NOT NULL,
        production INTEGER NOT NULL, machine_id TEXT NOT NULL, facts TEXT NOT NULL, service TEXT NOT NULL,
        last_contact REAL, unreachable TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE vhost (
        vnode TEXT NOT NULL, domain TEXT NOT NULL, status TEXT NOT NULL, layout TEXT NOT NULL,
        uuser TEXT NOT NULL, uid INTEGER, gid INTEGER, vanished INTEGER NOT NULL,
        rollback_available INTEGER NOT NULL, migration_attempts INTEGER NOT NULL, migrated_at REAL,
        validated_at REAL, backup_archive TEXT, last_error TEXT NOT NULL, last_hint TEXT NOT NULL,
        steps_completed TEXT NOT NULL, details TEXT NOT NULL, findings TEXT NOT NULL,
        PRIMARY KEY (vnode, domain))""",
    "CREATE INDEX vhost_status ON vhost (status)",
    """CREATE TABLE status_change (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, vnode TEXT NOT NULL, domain TEXT NOT NULL,
        old TEXT, new TEXT NOT NULL, reason TEXT NOT NULL)""",
    "CREATE INDEX status_change_vhost ON status_change (vnode, domain)",
    """CREATE TABLE run (
        run TEXT PRIMARY KEY, verb TEXT NOT NULL, vnode TEXT NOT NULL, vhost TEXT NOT NULL,
        operator TEXT NOT NULL, started REAL NOT NULL, finished REAL, outcome TEXT NOT NULL,
        steps TEXT NOT NULL, warnings TEXT NOT NULL, errors TEXT NOT NULL, backup_archive TEXT,
        archive_sha256 TEXT NOT NULL, batch TEXT NOT NULL)""",
    "CREATE INDEX run_vhost ON run (vnode, vhost, started)",
    "CREATE INDEX run_started ON run (started)",
    "CREATE INDEX run_open ON run (outcome) WHERE outcome IN ('running', 'interrupted')",
    "CREATE TABLE log_line (id INTEGER PRIMARY KEY, run TEXT NOT NULL, at REAL NOT NULL, line TEXT NOT NULL)",
    "CREATE INDEX log_line_run ON log_line (run)",
    """CREATE TABLE archive (
        vnode TEXT NOT NULL, domain TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
        size INTEGER NOT NULL, created REAL NOT NULL, verified REAL, ok INTEGER, entries INTEGER,
        PRIMARY KEY (vnode, domain, path))""",
    "CREATE TABLE kept_value (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)
HISTORIES = ("status_change",)


def up(execute: Callable[[str], Any]) -> None:
    """Create every table, and the triggers that keep the history append-only."""
    for statement in TABLES:
        execute(statement)
    for table in HISTORIES:
        for verb in ("UPDATE", "DELETE"):
            execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
