"""The fleet store: what the operator's side remembers. A cache of the vnodes' journals, plus history."""

from __future__ import annotations

import gc
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from peewee import Select, Table, fn

from ..domain.errors import NsmigError
from ..domain.fleet import (
    ON_THE_VNODE,
    OPEN,
    TO_ITS_END,
    ArchiveRecord,
    Refusal,
    RunRecord,
    Status,
    StatusChange,
    Vhost,
    VhostBrief,
    Vnode,
)
from . import rows
from .database import PRAGMAS, open_database, told

Built = TypeVar("Built")
Many = Callable[[str, list[Any]], None]
"""Runs one statement over many rows."""

_VNODES = f"SELECT {', '.join(rows.VNODE)} FROM vnode"
_VHOSTS = f"SELECT {', '.join(rows.VHOST)} FROM vhost"

_KEEP_VALUE = "INSERT OR REPLACE INTO kept_value (key, value) VALUES (?, ?)"

LOG_EVERY = 1.0
"""Seconds that a line of a log may wait for company: a transaction costs more than many lines."""

LOG_AGAIN = 60.0
"""Seconds until lines are tried again that could not be written."""


class Store:
    """The SQLite implementation of ``FleetStore``. Methods are short, synchronous, and one transaction each.

    Two processes may use one file: readers never wait, a writer waits for the other's short transaction
    and gives up with LockHeld. ``clock`` gives the time of history rows, seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._database = open_database(path)
        self._waiting: list[tuple[str, float, str]] = []
        self._values: dict[str, str] = {}
        self._logged = -LOG_EVERY
        self._version = self._data_version()
        self._vnode = Table("vnode", rows.VNODE)
        self._vhost = Table("vhost", rows.VHOST)
        self._run = Table("run", rows.RUN)
        self._archive = Table("archive", rows.ARCHIVE)
        self._status_change = Table("status_change", ("id", *rows.STATUS_CHANGE))
        self._log_line = Table("log_line", ("id", "run", "at", "line"))

    # -- vnodes ------------------------------------------------------------------------------------

    def vnodes(self) -> list[Vnode]:
        """All vnodes, by name."""
        return [rows.to_vnode(row) for row in self._fetch(self._vnode.select().order_by(self._vnode.name))]

    def vnode(self, name: str) -> Vnode | None:
        """The vnode called ``name``, if there is one."""
        found = self._rows(f"{_VNODES} WHERE name = ?", name)
        return rows.to_vnode(found[0]) if found else None

    def save_vnode(self, vnode: Vnode) -> None:
        """Insert or replace one vnode."""
        with self._writing() as many:
            many("INSERT OR IGNORE INTO vsite VALUES (?)", [(rows.plain(vnode.vsite),)])
            many(_replace("vnode", rows.VNODE), [rows.vnode_row(vnode)])

    def remove_vnode(self, name: str) -> None:
        """Forget a vnode and its vhosts. What was done there stays in the histories."""
        with self._writing() as many:
            many("DELETE FROM vhost WHERE vnode = ?", [(name,)])
            many("DELETE FROM vnode WHERE name = ?", [(name,)])

    # -- vhosts ------------------------------------------------------------------------------------

    def vhosts(self, vnode: str | None = None, status: str | None = None) -> list[Vhost]:
        """The vhosts of one vnode or of all, by vnode and domain; optionally only those in ``status``."""
        table = self._vhost
        query = table.select().order_by(table.vnode, table.domain)
        if vnode is not None:
            query = query.where(table.vnode == vnode)
        if status is not None:
            query = query.where(table.status == str(status))
        return _without_collecting(lambda: [rows.to_vhost(row) for row in self._fetch(query)])

    def vhost(self, vnode: str, domain: str) -> Vhost | None:
        """One vhost, if it is known."""
        found = self._rows(f"{_VHOSTS} WHERE vnode = ? AND domain = ?", vnode, domain)
        return rows.to_vhost(found[0]) if found else None

    def brief(self, after: tuple[str, str] = ("", ""), limit: int = 5000) -> list[VhostBrief]:
        """At most ``limit`` vhosts that come after (vnode, domain), with only what a list shows of each.

        Page by page it reads the whole fleet without holding up whoever asks.
        """
        table = self._vhost
        of = [table.vnode, table.domain, table.status, table.layout, table.vanished]
        of += [fn.json_extract(table.details, f"$.{name}") for name in ("size", "php")]
        later = (table.vnode > after[0]) | ((table.vnode == after[0]) & (table.domain > after[1]))
        query = table.select(*of).where(later).order_by(table.vnode, table.domain).limit(limit)
        return [VhostBrief(*row[:4], bool(row[4]), row[5] or 0, row[6] or "") for row in self._fetch(query)]

    def refusals(self, limit: int = 200) -> list[Refusal]:
        """The first ``limit`` vhosts that are where validation refused them, by vnode and domain."""
        table = self._vhost
        bad = (table.status == Status.DISCOVERED.value) & (table.last_error != "") & (table.findings != "[]")
        query = table.select(table.vnode, table.domain, table.last_error).where(bad & (table.vanished == 0))
        return [Refusal(*row) for row in self._fetch(query.order_by(table.vnode, table.domain).limit(limit))]

    def save_vhost(self, vhost: Vhost) -> None:
        """Insert or replace one vhost; a change of status goes to the history."""
        self.save_vhosts((vhost,))

    def save_vhosts(self, vhosts: Sequence[Vhost]) -> None:
        """Insert or replace many vhosts in one transaction."""
        with self._writing() as many:
            self._put_vhosts(many, vhosts)

    def _put_vhosts(self, many: Many, vhosts: Sequence[Vhost]) -> None:
        now = self._clock()
        known = self._known(vhosts)
        changes, new_rows = [], []
        for vhost in vhosts:
            row = rows.vhost_row(vhost)
            if known.get(row[:2]) != row[2]:
                changes.append((now, *row[:2], known.get(row[:2]), row[2], row[13]))
            known[row[:2]] = row[2]
            new_rows.append(row)
        many(_replace("vhost", rows.VHOST), new_rows)
        many(_insert("status_change", rows.STATUS_CHANGE), changes)

    def _known(self, vhosts: Sequence[Vhost]) -> dict[tuple[str, str], str]:
        """What the history compares with: (vnode, domain) -> status."""
        select = "SELECT vnode, domain, status FROM vhost WHERE vnode = ?"
        if len(vhosts) == 1:
            one = self._rows(f"{select} AND domain = ?", vhosts[0].vnode, vhosts[0].domain)
            return {row[:2]: row[2] for row in one}
        names = sorted({vhost.vnode for vhost in vhosts})
        return {row[:2]: row[2] for name in names for row in self._rows(select, name)}

    # -- histories ---------------------------------------------------------------------------------

    def status_changes(self, vnode: str, domain: str) -> list[StatusChange]:
        """The life of one vhost, oldest first."""
        table = self._status_change
        columns = [getattr(table, name) for name in rows.STATUS_CHANGE]
        mine = (table.vnode == vnode) & (table.domain == domain)
        return [
            rows.to_status_change(row)
            for row in self._fetch(table.select(*columns).where(mine).order_by(table.id))
        ]

    # -- runs --------------------------------------------------------------------------------------

    def save_run(self, record: RunRecord, vhost: Vhost | None = None) -> None:
        """Insert or replace one run; an archive with a known checksum is remembered on its own too.

        ``vhost``: what the run made of its vhost, saved in the same transaction.
        """
        with self._writing() as many:
            if vhost is not None:
                self._put_vhosts(many, (vhost,))
            many(_replace("run", rows.RUN), [rows.run_row(record)])
            if record.backup_archive and record.archive_sha256:
                many(
                    "INSERT INTO archive (vnode, domain, path, sha256, size, created)"
                    " VALUES (?, ?, ?, ?, 0, ?)"
                    " ON CONFLICT (vnode, domain, path) DO UPDATE SET sha256 = excluded.sha256",
                    [
                        (
                            rows.plain(record.vnode),
                            rows.plain(record.vhost),
                            rows.plain(record.backup_archive),
                            record.archive_sha256,
                            record.started,
                        )
                    ],
                )

    def run(self, run: str) -> RunRecord | None:
        """One run by its id."""
        found = self._fetch(self._run.select().where(self._run.run == run))
        return rows.to_run(found[0]) if found else None

    def runs(self, vnode: str | None = None, vhost: str | None = None, limit: int = 200) -> list[RunRecord]:
        """The newest ``limit`` runs, newest first, of a vnode, of one vhost, or of all."""
        table = self._run
        query = table.select().order_by(table.started.desc(), table.run.desc()).limit(limit)
        if vnode is not None:
            query = query.where(table.vnode == vnode)
        if vhost is not None:
            query = query.where(table.vhost == vhost)
        return [rows.to_run(row) for row in self._fetch(query)]

    def unfinished(self) -> list[RunRecord]:
        """The runs that may have left a vhost half-done, as far as we know; oldest first.

        A later run on the same vhost that did come to an end has settled what an earlier one left open.
        """
        table, later = self._run, self._run.alias("later")
        settled = later.select(later.run).where(
            (later.vnode == table.vnode)
            & (later.vhost == table.vhost)
            & (later.started > table.started)
            & later.verb.in_(ON_THE_VNODE)
            & later.outcome.in_(TO_ITS_END)
        )
        query = (
            table.select()
            .where(table.outcome.in_(OPEN) & table.verb.in_(ON_THE_VNODE) & ~fn.EXISTS(settled))
            .order_by(table.started)
        )
        return [rows.to_run(row) for row in self._fetch(query)]

    def log(self, run: str, at: float, line: str) -> None:
        """Add one line to a run's log.

        Lines that come in quick succession are written together, at the latest with whatever is written
        next. Who is killed before that loses them here; the vnode's journal has what they tell.
        """
        self._waiting.append((run, at, rows.plain(line)))
        if time.monotonic() - self._logged < LOG_EVERY:
            return
        try:
            if self.is_free():
                self._write_waiting()
            else:
                self._logged = time.monotonic()
        except NsmigError:
            self._logged = time.monotonic() + LOG_AGAIN
            raise

    def _write_waiting(self) -> None:
        if self._waiting or self._values:
            with self._writing():
                pass  # every transaction takes along what waits

    def log_lines(self, run: str) -> list[tuple[float, str]]:
        """A run's log, oldest line first, with what still waits to be written: who reads need not write."""
        table = self._log_line
        query = table.select(table.at, table.line).where(table.run == run).order_by(table.id)
        return [*self._fetch(query), *((at, line) for name, at, line in self._waiting if name == run)]

    # -- archives ----------------------------------------------------------------------------------

    def save_archive(self, archive: ArchiveRecord) -> None:
        """Insert or replace what is known of one archive."""
        with self._writing() as many:
            many(_replace("archive", rows.ARCHIVE), [rows.archive_row(archive)])

    def archives(self, vnode: str | None = None, vhost: str | None = None) -> list[ArchiveRecord]:
        """The remembered archives, newest first."""
        table = self._archive
        query = table.select().order_by(table.created.desc(), table.path.desc())
        if vnode is not None:
            query = query.where(table.vnode == vnode)
        if vhost is not None:
            query = query.where(table.domain == vhost)
        return [rows.to_archive(row) for row in self._fetch(query)]

    def remove_archive(self, vnode: str, vhost: str, path: str) -> None:
        """Forget an archive that is gone from its vnode."""
        with self._writing() as many:
            many("DELETE FROM archive WHERE vnode = ? AND domain = ? AND path = ?", [(vnode, vhost, path)])

    # -- values ------------------------------------------------------------------------------------

    def put(self, key: str, value: Any, *, later: bool = False) -> None:
        """Remember a JSON-able ``value``, such as the state of a view. None forgets it.

        ``later``: a value that may wait for whatever is written next, and be lost with a killed process.
        """
        if later and value is not None:
            self._values[key] = rows.to_json(value)
            return
        with self._writing() as many:
            if value is None:
                many("DELETE FROM kept_value WHERE key = ?", [(key,)])
            else:
                many(_KEEP_VALUE, [(key, rows.to_json(value))])

    def get(self, key: str) -> Any:
        """What was put under ``key``, or None."""
        if key in self._values:
            return rows.from_json(self._values[key])
        found = self._rows("SELECT value FROM kept_value WHERE key = ?", key)
        return rows.from_json(found[0][0]) if found else None

    def close(self) -> None:
        """Close the file. The store cannot be used afterwards."""
        try:
            self._write_waiting()
        finally:
            with told(self._path):
                self._database.close()

    def was_changed(self) -> bool:
        """Whether another process has written since this was asked last."""
        before, self._version = self._version, self._data_version()
        return self._version != before

    def is_free(self) -> bool:
        """Whether a write would begin at once; else another program is writing, and who wrote would wait."""
        with told(self._path):
            connection = self._database.connection()
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                return False
            finally:
                connection.execute(f"PRAGMA busy_timeout = {PRAGMAS['busy_timeout']}")
        return True

    # -- inside ------------------------------------------------------------------------------------

    def _data_version(self) -> int:
        return int(self._rows("PRAGMA data_version")[0][0])

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a written-out statement gives: composing one costs ten times what SQLite needs for it."""
        with told(self._path):
            return self._database.execute_sql(statement, values).fetchall()

    def _fetch(self, query: Select) -> list[tuple[Any, ...]]:
        with told(self._path):
            return self._database.execute(query).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[Many]:
        """One write transaction; gives a function that runs one statement over many rows.

        IMMEDIATE: the write lock is taken before we read what we compare with, so that two processes
        cannot both think they were first.
        """
        with told(self._path), self._database.atomic("IMMEDIATE"):
            cursor = self._database.cursor()

            def many(statement: str, values: list[Any]) -> None:
                if values:
                    cursor.executemany(statement, values)

            waiting, values = list(self._waiting), list(self._values.items())
            many("INSERT INTO log_line (run, at, line) VALUES (?, ?, ?)", waiting)
            many(_KEEP_VALUE, values)
            yield many
        del self._waiting[: len(waiting)]
        self._values.clear()
        self._logged = time.monotonic()


def _without_collecting(build: Callable[[], Built]) -> Built:
    """Build many small objects that all live on, without the garbage collector walking them meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return build()
    finally:
        if enabled:
            gc.enable()


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _replace(table: str, columns: Sequence[str]) -> str:
    return _insert(table, columns).replace("INSERT", "INSERT OR REPLACE", 1)
