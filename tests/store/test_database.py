"""The file itself: private, whole, of a known schema, shared by two processes."""

import os
import sqlite3
import subprocess
import sys
import types
from contextlib import closing

import pytest

from nsmig_tui.domain.errors import LockHeld, Refused
from nsmig_tui.domain.fleet import RunRecord, Vhost
from nsmig_tui.store import database, fleet_store, migrations
from nsmig_tui.store.fleet_store import Store


@pytest.fixture
def path(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "nsmig.db"


def modes(directory):
    return {file.name: file.stat().st_mode & 0o777 for file in directory.iterdir()}


def test_all_files_are_0600_whatever_the_umask(path):
    old = os.umask(0)
    try:
        store = Store(path)
        store.put("k", 1)
        assert modes(path.parent) == {"nsmig.db": 0o600, "nsmig.db-wal": 0o600, "nsmig.db-shm": 0o600}
        store.close()
    finally:
        os.umask(old)


def test_a_wider_mode_is_tightened(path):
    Store(path).close()
    path.chmod(0o644)
    Store(path).close()
    assert modes(path.parent) == {"nsmig.db": 0o600}


def test_a_link_is_refused(path, tmp_path):
    (tmp_path / "elsewhere").touch()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="not a plain file"):
        Store(path)
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_pragmas(path):
    opened = database.open_database(path)
    asked = {
        name: opened.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    }
    assert asked == {"journal_mode": "wal", "synchronous": 2}
    assert opened.execute_sql("PRAGMA busy_timeout").fetchone()[0] == database.BUSY_SECONDS * 1000
    opened.close()


def test_newer_schema_is_refused_untouched(path):
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("CREATE TABLE from_the_future (x)")
        newer.execute(f"PRAGMA user_version = {migrations.NEWEST + 1}")
    before = path.read_bytes()
    with pytest.raises(Refused, match="newer nsmig"):
        Store(path)
    assert path.read_bytes() == before
    assert list(modes(path.parent)) == ["nsmig.db"]


def test_upgrade_copies_aside_and_keeps_the_rows(path, monkeypatch):
    store = Store(path)
    store.save_vhost(Vhost("web1", "example.org"))
    store.close()
    newest = migrations.NEWEST
    added = types.SimpleNamespace(up=lambda execute: execute("ALTER TABLE vnode ADD COLUMN note TEXT"))
    monkeypatch.setattr(migrations, "ALL", (*migrations.ALL, added))
    monkeypatch.setattr(migrations, "NEWEST", migrations.NEWEST + 1)
    old = os.umask(0)
    try:
        Store(path).close()
        Store(path).close()
    finally:
        os.umask(old)
    assert modes(path.parent) == {"nsmig.db": 0o600, f"nsmig.db.schema-{newest}": 0o600}
    for name, version in (("nsmig.db", newest + 1), (f"nsmig.db.schema-{newest}", newest)):
        with closing(sqlite3.connect(path.with_name(name))) as kept:
            assert kept.execute("PRAGMA user_version").fetchone() == (version,)
            assert kept.execute("SELECT domain FROM vhost").fetchall() == [("example.org",)]


def test_a_database_that_still_has_a_history_of_findings_is_used_as_it_is(path):
    Store(path).close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE TABLE finding (id INTEGER PRIMARY KEY, message TEXT NOT NULL)")
        old.execute("INSERT INTO finding VALUES (1, 'm')")
        old.commit()
    store = Store(path)
    store.save_vhost(Vhost("web1", "example.org", findings=({"severity": "error", "message": "n"},)))
    store.close()
    with closing(sqlite3.connect(path)) as kept:
        assert kept.execute("SELECT message FROM finding").fetchall() == [("m",)]
    assert list(modes(path.parent)) == ["nsmig.db"], "it is no other schema: a process of before goes on"


def test_an_upgrade_that_fails_changes_nothing(path, monkeypatch):
    Store(path).close()

    def up(execute):
        execute("CREATE TABLE half (x)")
        execute("CREATE TABLE half (x)")

    monkeypatch.setattr(migrations, "ALL", (*migrations.ALL, types.SimpleNamespace(up=up)))
    monkeypatch.setattr(migrations, "NEWEST", migrations.NEWEST + 1)
    with pytest.raises(Exception, match="already exists"):
        Store(path)
    with closing(sqlite3.connect(path)) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (migrations.NEWEST - 1,)
        assert kept.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)


@pytest.mark.parametrize("damage", ["flip", "truncate", "text"])
def test_damage_is_told_with_a_way_on_and_left_alone(path, damage):
    store = Store(path)
    store.save_vhosts([Vhost("web1", f"site{number}.example") for number in range(500)])
    store.close()
    whole = path.read_bytes()
    broken = {
        "flip": whole[:8192] + bytes(4096) + whole[12288:],
        "truncate": whole[: len(whole) // 2],
        "text": b"this is no database, but someone's notes\n" * 100,
    }[damage]
    path.write_bytes(broken)
    with pytest.raises(Refused, match="damaged") as caught:
        Store(path)
    assert "discover" in caught.value.hint
    assert path.read_bytes() == broken


@pytest.mark.parametrize("change", ["DROP TABLE vhost", "PRAGMA user_version = 0"])
def test_a_database_that_is_not_what_it_says_has_a_way_on(path, change):
    """Another program's, or one that somebody mended by hand."""
    Store(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(change)
        other.commit()
    with pytest.raises(Refused, match="is damaged") as told:
        store = Store(path)
        try:
            store.vhosts()
        finally:
            store.close()
    assert "nsmig discover" in told.value.hint


def test_a_database_held_by_another_program_is_told(path, monkeypatch):
    monkeypatch.setitem(database.PRAGMAS, "busy_timeout", 1)
    store = Store(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockHeld, match="Another program"):
            store.put("k", 1)
        assert store.get("k") is None
    store.put("k", 2)
    assert store.get("k") == 2
    store.close()


def test_lines_for_a_held_database_wait_and_hold_up_nobody(path, monkeypatch):
    """Who waits for the database does not hear the vnode meanwhile: a run there goes by the clock."""
    tried = []
    monkeypatch.setitem(database.PRAGMAS, "busy_timeout", 1)
    store = Store(path)
    write = store._write_waiting
    monkeypatch.setattr(store, "_write_waiting", lambda: (tried.append(1), write())[1])
    store.log("r", 1.0, "first")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(fleet_store, "LOG_EVERY", 0.0)
        before = len(tried)
        for number in range(21):
            store.log("r", 2.0 + number, "more")
        assert len(tried) == before, "none waits for the other program"
    store.put("k", 1)  # takes along what waits
    assert len(store.log_lines("r")) == 22
    store.close()


def test_lines_that_cannot_be_written_are_told_once_and_tried_again_later(path, monkeypatch):
    store = Store(path)
    store.log("r", 1.0, "first")
    store._database.execute_sql("PRAGMA query_only = 1")
    monkeypatch.setattr(fleet_store, "LOG_EVERY", 0.0)
    with pytest.raises(Refused):
        store.log("r", 2.0, "second")
    for number in range(20):
        store.log("r", 3.0 + number, "more")
    store._database.execute_sql("PRAGMA query_only = 0")
    store.put("k", 1)
    assert len(store.log_lines("r")) == 22
    store.close()


def test_a_log_is_read_also_while_another_program_holds_the_database(path, monkeypatch):
    monkeypatch.setitem(database.PRAGMAS, "busy_timeout", 1)
    store = Store(path)
    store.log("r", 1.0, "written")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.log("r", 2.0, "waits")
        store.log("other", 2.0, "of another run")
        assert store.log_lines("r") == [(1.0, "written"), (2.0, "waits")]
    store.put("k", 1)
    assert store.log_lines("r") == [(1.0, "written"), (2.0, "waits")]
    store.close()


def test_two_stores_in_one_process_keep_each_others_locks(path):
    first, second = Store(path), Store(path)
    first.put("k", 1)
    second.put("k", 2)
    assert first.get("k") == 2
    second.close()
    first.put("k", 3)
    assert first.get("k") == 3
    first.close()


WRITER = """
import sys
from pathlib import Path
from nsmig_tui.domain.fleet import RunRecord
from nsmig_tui.store.fleet_store import Store
print("ready", flush=True)
sys.stdin.readline()
store = Store(Path(sys.argv[1]))
for number in range(100):
    run = f"{sys.argv[2]}-{number}"
    store.save_run(RunRecord(run, "migrate", "web1", "example.org", "op", float(number)))
    store.log(run, 0.0, "line")
store.close()
"""


def test_two_processes_write_one_new_database(path):
    """Both create it at once, both write; nothing is lost."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], **pipes) for name in ("a", "b")
    ]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    errors = [writer.communicate()[1] for writer in writers]
    assert errors == [b"", b""]
    store = Store(path)
    runs: list[RunRecord] = store.runs(limit=1000)
    assert {record.run for record in runs} == {f"{name}-{number}" for name in "ab" for number in range(100)}
    assert store.log_lines("b-99") == [(0.0, "line")]
    store.close()


def test_a_rollback_that_fails_too_does_not_hide_the_full_disk(path):
    with pytest.raises(Refused, match=r"disk is full.*Make room"), database.told(path):
        try:
            raise sqlite3.OperationalError("database or disk is full")
        except sqlite3.Error:
            raise database.OperationalError("cannot rollback - no transaction is active") from None


def test_whether_another_program_is_writing_is_known_without_waiting_for_it(path):
    store = Store(path)
    assert store.is_free()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not store.is_free()
        other.execute("ROLLBACK")
        assert store.is_free()
        other.execute("INSERT INTO kept_value VALUES ('k', '1')")
    assert store.was_changed() and store.is_free() and not store.was_changed(), "asking is no writing"
    assert store._database.execute_sql("PRAGMA busy_timeout").fetchone()[0] == 10_000
    store.close()
