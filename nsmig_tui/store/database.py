"""Opening the operator's SQLite file: private, whole, of a schema that we know, copied before upgrades."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from peewee import DatabaseError, InterfaceError, OperationalError, SqliteDatabase

from ..domain.errors import LockHeld, Refused
from . import migrations

BUSY_SECONDS = 10
PRAGMAS = {
    "journal_mode": "wal",
    # FULL: what we say is recorded survives a power cut; a commit then costs about a millisecond.
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": BUSY_SECONDS * 1000,
}
NOT_OURS = ("malformed", "not a database", "no such table", "no such column", "already exists")
"""What SQLite says of a file that is damaged, or holds other tables than its schema number tells."""

WHOLE_CHECK_LIMIT = 32 * 1024 * 1024


def open_database(path: Path) -> SqliteDatabase:
    """Open (or create) the database at ``path``, brought to the newest schema.

    Raises Refused when the file is not ours, is damaged, or was written by a newer program; in none of
    these cases has it been changed.
    """
    with _alone(path):
        return _open(path)


def _open(path: Path) -> SqliteDatabase:
    _claim(path)
    schema = _examine(path)
    if schema > migrations.NEWEST:
        raise Refused(
            f"{path} was written by a newer nsmig (schema {schema}; this one knows {migrations.NEWEST}).",
            hint="Use that nsmig, or choose another directory with --data-dir. Nothing was changed.",
        )
    database = SqliteDatabase(str(path), pragmas=PRAGMAS, timeout=BUSY_SECONDS)
    with told(path):
        database.connect()
        if schema < migrations.NEWEST:
            if schema:
                _copy_aside(path, schema)
            upgrade(database)
    return database


def upgrade(database: SqliteDatabase) -> None:
    """Apply every schema change that is missing, all and their record in one transaction.

    Another process may have done it meanwhile: the schema is read again once we hold the write lock.
    """
    with database.atomic("EXCLUSIVE"):
        schema = database.execute_sql("PRAGMA user_version").fetchone()[0]
        for number, module in enumerate(migrations.ALL[schema:], schema + 1):
            module.up(database.execute_sql)
            database.execute_sql(f"PRAGMA user_version = {number:d}")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what SQLite says into an error that tells the operator what to do."""
    try:
        yield
    except (OperationalError, DatabaseError, InterfaceError, sqlite3.Error) as error:
        words = _first_words(error)
        if "locked" in words or "busy" in words:
            raise LockHeld(
                f"Another program has held {path} for more than {BUSY_SECONDS} s.",
                hint="Wait for the other nsmig to end, then try again.",
            ) from error
        if "full" in words or "disk I/O" in words:
            raise Refused(
                f"{path} cannot be written: {words}.",
                hint="Make room on that disk. What runs on a vnode is recorded there and can be resumed.",
            ) from error
        if "readonly" in words or "unable to open" in words:
            raise Refused(f"{path} cannot be written: {words}.", hint="Check its owner and mode.") from error
        if any(sign in words for sign in NOT_OURS):
            raise _damaged(path, words) from error
        raise


def _first_words(error: BaseException) -> str:
    """What went wrong first: a rollback that fails in turn hides the full disk that called for it."""
    while isinstance(error.__context__, (DatabaseError, InterfaceError, sqlite3.Error)):
        error = error.__context__
    return str(error)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time open: SQLite's switch to WAL fails at once, not late, when two try it."""
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(
            f"{path.parent} cannot be used: {error.strerror}.",
            hint="Choose another directory with --data-dir.",
        ) from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _claim(path: Path) -> None:
    """Create the file 0600, or make sure that the one there is a plain file of ours with that mode.

    An existing file is not opened here: closing it would drop the locks of this process's other
    connections. SQLite gives its -wal and -shm files the mode of the database.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        return
    except FileExistsError:
        found = path.lstat()
    except OSError as error:
        raise Refused(
            f"The database {path} cannot be created: {error.strerror}.",
            hint="Choose another directory with --data-dir.",
        ) from error
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(
            f"{path} is not a plain file of yours.", hint="Move it away, or choose another with --data-dir."
        )
    if found.st_mode & 0o077:
        path.chmod(0o600)


def _examine(path: Path) -> int:
    """Check that the file is whole; answers its schema number, 0 for a new file. Only reads."""
    if path.stat().st_size == 0:
        return 0
    try:
        with closing(sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, timeout=BUSY_SECONDS)) as reader:
            verdict = reader.execute(_check_statement(path)).fetchone()
            if verdict is not None and verdict[0] != "ok":
                raise _damaged(path, str(verdict[0]))
            return int(reader.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        with told(path):
            raise error
    raise AssertionError("unreachable")


def _check_statement(path: Path) -> str:
    # Reading all of a very large file at every start costs seconds; a look at its schema must do there.
    return "PRAGMA quick_check(1)" if path.stat().st_size <= WHOLE_CHECK_LIMIT else "SELECT 'ok'"


def _copy_aside(path: Path, schema: int) -> Path:
    """Keep the database as it was, beside it, before its schema changes. Never over an older copy."""
    number = 1
    while True:
        copy = path.with_name(f"{path.name}.schema-{schema}" + (f"-{number}" if number > 1 else ""))
        try:
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            break
        except FileExistsError:
            number += 1
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def _damaged(path: Path, words: str) -> Refused:
    return Refused(
        f"The database {path} is damaged ({words}).",
        hint=f"Move it away (mv '{path}' '{path}.damaged'), add or import the vnodes again and run "
        "`nsmig discover`: what was done is recorded on the vnodes.",
    )
