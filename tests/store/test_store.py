"""What is saved comes back equal, history only grows, secrets and odd bytes do not get in."""

import sqlite3
from contextlib import closing

import pytest

from nsmig_tui.domain.fleet import ArchiveRecord, Layout, RunRecord, Status, Vhost, Vnode
from nsmig_tui.store.fleet_store import Store

FINDING = {
    "severity": "error",
    "category": "service health",
    "message": "nginx -t fails",
    "expected": "ok",
    "actual": "emerg",
    "hint": "mend it",
}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "nsmig.db"


@pytest.fixture
def store(path):
    times = iter(range(1000, 2000))
    opened = Store(path, clock=lambda: float(next(times)))
    yield opened
    opened.close()


def full_vhost(**changes) -> Vhost:
    values = {
        "vnode": "web1",
        "domain": "example.org",
        "status": Status.VALIDATED,
        "layout": Layout.NS1,
        "uuser": "u1000",
        "uid": 1000,
        "gid": 1000,
        "vanished": True,
        "rollback_available": True,
        "migration_attempts": 2,
        "migrated_at": 5.5,
        "validated_at": 4.5,
        "backup_archive": "/srv/example.org/.archive/a.tar.gz",
        "last_error": "e",
        "last_hint": "h",
        "steps_completed": ("pre_flight_checks",),
        "details": {"php": "8.2", "aliases": ["www"]},
        "findings": (FINDING,),
    }
    return Vhost(**{**values, **changes})


def test_vnode_round_trip(store):
    vnode = Vnode(
        "web1",
        "sydney",
        "alias",
        "/var/www",
        True,
        "abc",
        {"os": "debian"},
        {"manager": "openrc"},
        9.5,
        "no route",
    )
    store.save_vnode(Vnode("web2"))
    store.save_vnode(vnode)
    assert store.vnode("web1") == vnode
    assert store.vnodes() == [vnode, Vnode("web2")]
    assert store.vnode("nobody") is None


def test_vhost_round_trip_and_filters(store):
    first, second = full_vhost(), full_vhost(domain="b.example", status=Status.MIGRATED)
    third = Vhost("web2", "a.example")
    store.save_vhosts([third, second, first])
    assert store.vhost("web1", "example.org") == first
    assert store.vhosts() == [second, first, third]
    assert store.vhosts("web1") == [second, first]
    assert store.vhosts(status="validated") == [first]
    assert store.vhosts("web2", Status.VALIDATED) == []
    assert store.vhost("web1", "nobody") is None


def test_removing_a_vnode_keeps_history(store):
    store.save_vnode(Vnode("web1"))
    store.save_vhost(full_vhost())
    store.save_run(RunRecord("r1", "migrate", "web1", "example.org", "op", 1.0))
    store.remove_vnode("web1")
    assert store.vnodes() == [] and store.vhosts() == []
    assert [record.run for record in store.runs("web1")] == ["r1"]
    assert len(store.status_changes("web1", "example.org")) == 1


def test_status_changes_are_kept_in_order(store):
    for status in (Status.DISCOVERED, Status.DISCOVERED, Status.VALIDATED, Status.FAILED):
        store.save_vhost(full_vhost(status=status, last_error="broken" if status == Status.FAILED else ""))
    changes = store.status_changes("web1", "example.org")
    assert [(change.old, change.new, change.reason) for change in changes] == [
        (None, Status.DISCOVERED, ""),
        (Status.DISCOVERED, Status.VALIDATED, ""),
        (Status.VALIDATED, Status.FAILED, "broken"),
    ]
    assert [change.at for change in changes] == sorted(change.at for change in changes)


def test_the_same_vhost_twice_in_one_save_changes_once(store):
    store.save_vhosts([full_vhost(), full_vhost()])
    assert len(store.status_changes("web1", "example.org")) == 1


@pytest.mark.parametrize("table", ["status_change"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET at = 0"])
def test_histories_cannot_be_rewritten(store, path, table, statement):
    store.save_vhost(full_vhost())
    with sqlite3.connect(path) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement.format(table))
    other.close()


def test_validating_again_and_again_does_not_make_the_database_grow(store, path):
    def counts():
        with closing(sqlite3.connect(path)) as other:
            names = [name for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: other.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}

    store.save_vhost(full_vhost())
    before = counts()
    store.save_vhost(full_vhost(validated_at=6.5, findings=(FINDING, {**FINDING, "message": "another"})))
    assert counts() == before
    assert len(store.vhost("web1", "example.org").findings) == 2


def test_runs(store):
    done = RunRecord(
        "r2",
        "migrate",
        "web1",
        "example.org",
        "root@here",
        2.0,
        3.0,
        "ok",
        ({"name": "pre_flight_checks", "ok": True, "started": 2.0, "seconds": 0.5},),
        ("w",),
        ("e",),
        "/a.tar.gz",
        "ff" * 32,
        "b1",
    )
    store.save_run(RunRecord("r1", "restore", "web1", "b.example", "op", 1.0))
    store.save_run(RunRecord("r2", "migrate", "web1", "example.org", "op", 2.0))
    assert [record.run for record in store.unfinished()] == ["r1", "r2"]
    store.save_run(done)
    assert store.run("r2") == done and store.run("r9") is None
    assert [record.run for record in store.runs()] == ["r2", "r1"]
    assert [record.run for record in store.runs(limit=1)] == ["r2"]
    assert [record.run for record in store.runs("web1", "b.example")] == ["r1"]
    assert [record.run for record in store.unfinished()] == ["r1"]
    assert [(kept.path, kept.sha256) for kept in store.archives("web1")] == [("/a.tar.gz", "ff" * 32)]


def test_a_run_and_what_it_made_of_its_vhost_are_saved_together(store, path):
    store.save_vnode(Vnode("web1"))
    store.save_vhost(full_vhost(status=Status.VALIDATED))
    after = full_vhost(status=Status.MIGRATED)
    record = RunRecord("r1", "migrate", after.vnode, after.domain, "op", 1.0, 2.0, "ok")
    store.save_run(record, after)
    assert store.vhost(after.vnode, after.domain) == after and store.run("r1") == record
    assert [c.new for c in store.status_changes(after.vnode, after.domain)] == ["validated", "migrated"]


def test_archives(store):
    archive = ArchiveRecord("web1", "example.org", "/x.tar.gz", "00", 10, 1.0, 2.0, False, 7)
    newer = ArchiveRecord("web1", "b.example", "/y.tar.gz", created=3.0)
    store.save_archive(archive)
    store.save_archive(newer)
    assert store.archives() == [newer, archive]
    assert store.archives("web1", "example.org") == [archive]
    store.remove_archive("web1", "example.org", "/x.tar.gz")
    assert store.archives() == [newer]


def test_log_lines_come_back_in_order_and_any_byte_is_survived(store):
    store.log("r1", 2.0, "second by clock")
    store.log("r1", 1.0, b"caf\xe9".decode("utf-8", "surrogateescape"))
    store.log("r2", 1.0, "other")
    assert store.log_lines("r1") == [(2.0, "second by clock"), (1.0, "caf\\udce9")]


def test_values(store):
    assert store.get("tree") is None
    store.put("tree", {"open": ["web1"], "n": 3})
    assert store.get("tree") == {"open": ["web1"], "n": 3}
    store.put("tree", None)
    assert store.get("tree") is None


def test_a_value_that_may_wait_is_there_at_once_and_written_with_what_comes_next(store, path):
    other = Store(path)
    store.put("speed", {"mb": 1}, later=True)
    store.put("speed", {"mb": 2}, later=True)
    assert (store.get("speed"), other.get("speed")) == ({"mb": 2}, None)
    store.put("another", 1)
    assert (store.get("speed"), other.get("speed")) == ({"mb": 2}, {"mb": 2})
    store.put("speed", {"mb": 3}, later=True)
    store.put("speed", {"mb": 4})
    assert (store.get("speed"), other.get("speed")) == ({"mb": 4}, {"mb": 4})
    store.put("speed", {"mb": 5}, later=True)
    store.put("speed", None)
    assert store.get("speed") is None and other.get("speed") is None
    last = Store(path)
    last.put("speed", 6, later=True)
    last.close()
    assert other.get("speed") == 6
    other.close()


def test_what_is_named_a_secret_is_not_stored(store, path):
    details = {"DPASS": "hunter2", "php": "8.2", "deep": [{"api_token": "hunter2", "DUSER": "u"}]}
    store.save_vhost(full_vhost(details=details))
    store.save_vnode(Vnode("web1", facts={"MPASS": "hunter2"}))
    store.put("notes", {"smtp_password": "hunter2"})
    kept = store.vhost("web1", "example.org")
    assert kept.details == {"php": "8.2", "deep": [{"DUSER": "u"}]}
    store.close()
    assert b"hunter2" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_only_what_may_be_half_done_is_unfinished(store):
    """Reading leaves nothing behind, and a later run that ended settles an earlier one."""
    store.save_run(RunRecord("r1", "migrate", "web1", "a.example", "op", 1.0, outcome="interrupted"))
    store.save_run(RunRecord("r2", "validate", "web1", "b.example", "op", 1.0))
    store.save_run(RunRecord("r3", "undo", "web1", "c.example", "op", 1.0))
    store.save_run(RunRecord("r4", "validate", "web1", "a.example", "op", 2.0, 2.5, "ok"))
    store.save_run(RunRecord("r5", "resume", "web1", "a.example", "op", 3.0, 3.5, "failed"))
    assert [record.run for record in store.unfinished()] == ["r1", "r3"]
    store.save_run(RunRecord("r6", "resume", "web1", "a.example", "op", 4.0, 4.5, "undone"))
    assert [record.run for record in store.unfinished()] == ["r3"]
