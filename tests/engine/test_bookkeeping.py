"""What a run's books keep: every step, warning and error, in the row, in the log and in the Result."""

from dataclasses import replace

import pytest

from nsmig_tui.domain.errors import ExitCode, Refused
from nsmig_tui.domain.events import (
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepStarted,
    Warned,
)
from nsmig_tui.domain.fleet import Layout, Status, Vhost
from nsmig_tui.engine.bookkeeping import Bookkeeper, failed, returned, served_from


class Shelf:
    """The store as far as books need it."""

    def __init__(self):
        self.rows, self.lines, self.vhosts, self.order = [], [], [], []

    def save_run(self, record, vhost=None):
        if vhost is not None:
            self.vhosts.append(vhost)
            self.order.append("vhost")
        self.rows.append(record)
        self.order.append("run")

    def log(self, run, at, line):
        self.lines.append((at, line))


WHERE = ("vn1", "a.test", "r1")


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def books(shelf):
    times = iter(range(100, 1000))
    heard = []
    made = Bookkeeper(shelf, "migrate", *WHERE, "me@host", heard.append, lambda: float(next(times)))
    made.heard = heard
    return made


def test_a_run_begins_with_an_open_row(books, shelf):
    books.begin()
    assert (shelf.rows[0].outcome, shelf.rows[0].finished, shelf.rows[0].started) == ("running", None, 100.0)
    assert isinstance(books.heard[0], RunStarted) and shelf.lines[0][1] == "migrate by me@host"


def test_a_good_run(books, shelf):
    books.begin()
    books.tell(StepStarted(*WHERE, "one"))
    books.tell(StepProgressed(*WHERE, "one", 1, 2))
    books.tell(StepFinished(*WHERE, "one", 1.5))
    books.tell(Warned(*WHERE, "odd"))
    books.tell(Warned(*WHERE, "odd"))
    vhost = Vhost("vn1", "a.test", Status.MIGRATED)
    result = books.end("ok", vhost, steps=("one",), archive="/x.tar.gz", sha256="abc")
    row = shelf.rows[-1]
    assert (row.outcome, row.backup_archive, row.archive_sha256) == ("ok", "/x.tar.gz", "abc")
    assert row.finished is not None and row.finished > row.started
    assert row.steps == ({"name": "one", "ok": True, "started": row.steps[0]["started"], "seconds": 1.5},)
    assert row.warnings == ("odd",) and row.errors == ()
    assert result.ok and result.exit_code == 0 and result.status == "migrated" and result.warnings == ("odd",)
    assert (
        result.steps_completed == ("one",) and result.backup_archive == "/x.tar.gz" and result.duration_s > 0
    )
    assert books.heard[-1] is result and shelf.vhosts == [vhost]
    assert shelf.order == ["run", "vhost", "run"]
    assert not [line for _, line in shelf.lines if "progress" in line]
    assert [line for _, line in shelf.lines][-1] == "ended well"


def test_a_failed_run_keeps_what_was_done_and_why(books, shelf):
    books.begin()
    for step in ("one", "two"):
        books.tell(StepStarted(*WHERE, step))
        if step == "one":
            books.tell(StepFinished(*WHERE, step, 1.0))
    books.tell(StepFailed(*WHERE, "two", "disk is full"))
    books.hint = "make room"
    result = books.end(
        "undone", failed(Vhost("vn1", "a.test"), "disk is full", "make room"), code=ExitCode.UNDONE
    )
    assert [(s["name"], s["ok"]) for s in shelf.rows[-1].steps] == [("one", True), ("two", False)]
    assert result.errors == ("disk is full",) and result.hint == "make room"
    assert not result.ok and result.exit_code == 5 and result.status == "failed"
    assert (shelf.vhosts[0].last_error, shelf.vhosts[0].last_hint) == ("disk is full", "make room")
    assert "ended badly: disk is full" in [line for _, line in shelf.lines]


def test_the_end_of_a_run_ends_its_last_step(books, shelf):
    books.begin()
    books.tell(StepStarted(*WHERE, "restore_back"))
    books.end("ok", None)
    (step,) = shelf.rows[-1].steps
    assert step["ok"] is True and step["seconds"] > 0


def test_a_run_without_a_vhost_saves_none(books, shelf):
    books.begin()
    result = books.end("refused", None, code=ExitCode.REFUSED, skipped=True)
    assert shelf.vhosts == [] and result.status == "" and result.skipped and result.exit_code == 4


def test_kept_rows_do_not_change_afterwards(books, shelf):
    books.begin()
    books.tell(StepStarted(*WHERE, "one"))
    books.end("interrupted", None, code=ExitCode.INTERRUPTED)
    before = repr(shelf.rows)
    books.tell(StepFinished(*WHERE, "one", 1.0))
    assert repr(shelf.rows) == before


class FullShelf(Shelf):
    """A store whose disk has filled up after the run began."""

    def save_vhost(self, vhost):
        raise Refused("no room.")

    log = save_run = lambda self, *_: FullShelf.save_vhost(self, None)


def test_a_full_disk_here_does_not_end_what_goes_on_there(books):
    books.begin()
    books.store = FullShelf()
    books.tell(StepStarted(*WHERE, step="verification"))
    result = books.end("ok", Vhost("vn1", "a.test", Status.MIGRATED))
    assert (result.ok, result.status) == (True, "migrated")
    assert "not all of this is recorded here: no room." in result.warnings[-1]
    assert "nsmig discover vn1" in result.warnings[-1]


def test_what_could_not_be_written_at_once_and_was_in_the_end_is_no_news(books, shelf):
    books.begin()
    books.store = FullShelf()
    books.tell(StepStarted(*WHERE, step="verification"))
    books.store = shelf  # whatever is written takes along what waited
    result = books.end("ok", Vhost("vn1", "a.test", Status.MIGRATED))
    assert result.ok and result.warnings == ()


def test_what_is_only_kept_here_is_not_said_to_be_done(books):
    books.verb = "validate"
    books.store = FullShelf()
    with pytest.raises(Refused, match="no room"):
        books.end("ok", Vhost("vn1", "a.test", Status.VALIDATED))


@pytest.mark.parametrize(
    ("root", "there"),
    [
        ("/srv/a.test/web", "/srv/a.test/web/app/public"),
        ("/srv/a.test/web/htdocs", "/srv/a.test/web/app/public/htdocs"),
        ("/elsewhere", "/elsewhere"),
        ("", ""),
    ],
)
def test_the_document_root_that_is_shown_moves_with_the_vhost(root, there):
    vhost = Vhost("a", "a.test", details={"document_root": root, "upath": "/srv/a.test"})
    moved = replace(vhost, details=served_from(vhost, Layout.NS3))
    assert moved.details["document_root"] == there
    assert served_from(moved, Layout.NS3) == moved.details
    assert returned(moved).details["document_root"] == root
