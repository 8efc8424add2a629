"""What an undo says of the site's answers, whatever state it found the site in."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from nsmig_tui.domain.errors import ConnectError, Refused
from nsmig_tui.domain.fleet import Status, Vhost, Vnode
from nsmig_tui.domain.http_answers import baseline_of
from nsmig_tui.domain.layout import read_journal
from nsmig_tui.domain.nginx_sites import Site
from nsmig_tui.domain.options import RollbackOptions, RollbackPoint
from nsmig_tui.domain.ports import HttpAnswer, HttpRequest
from nsmig_tui.domain.readings import Capabilities, Inspection, Place
from nsmig_tui.domain.surroundings import Serving
from nsmig_tui.engine import http_checks, restoring, returning
from nsmig_tui.engine.desk import Desk
from nsmig_tui.engine.reading import Record
from nsmig_tui.engine.runner_link import Ending
from nsmig_tui.store.fleet_store import Store

VNODE, VHOST = Vnode("vn1"), Vhost("vn1", "shop.test")
HALF = {"/": (404, b"no"), "/log/": (403, b"closed")}
"""The tree is new and the configuration old: the site is gone, and its logs' folder is below the root."""

WHOLE = {"/": (200, b"home"), "/log/": (404, b"no")}
EDITED = {**WHOLE, "/": (200, b"edited home")}
LOST = {}
BROKEN = {"/": (502, b"bad"), "/log/": (502, b"bad")}


def answered(site, request):
    status, body = site[request.path]
    return HttpAnswer(status, {"content-length": str(len(body))}, body)


def record(site, *, committed):
    """What the vnode keeps of a migration that began when the site answered like this."""
    requests = [HttpRequest("shop.test", path) for path in site]
    baseline = tuple(baseline_of(one, [answered(site, one)] * 2) for one in requests)
    return Record(exists=True, committed=committed, baseline=baseline)


@pytest.fixture
def undo(tmp_path, monkeypatch):
    """Undo where the site answers like ``now``, and like ``then`` afterwards; answers the warnings."""
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(VNODE)
    store.save_vhost(VHOST)
    site = {}

    class Shell:
        async def http_all(self, requests, *, timeout=10.0):
            if site["now"] is LOST:
                raise ConnectError("the line went")
            return [answered(site["now"], request) for request in requests]

    class Connector:
        async def shell(self, vnode):
            return Shell()

    class Link:
        async def start(self, files):
            site["now"] = site["then"]

        async def follow(self):
            rows = ["begin\tundo me", *["reloaded\tphp-fpm"] * site.get("reloads", 0), "end\tok"]
            lines = "".join(f"{n}\t{100 + n}\tr\t{row}\n" for n, row in enumerate(rows))
            return Ending(read_journal(lines.encode()))

    async def inspect(*_words, test):
        return SimpleNamespace(capabilities=None, entries={}), None

    async def no_sleep(_seconds):
        return None

    monkeypatch.setattr(returning.reading, "inspect", inspect)
    for name in ("same_machine", "still_there", "files_by_record"):
        monkeypatch.setattr(returning, name, lambda *words: None)
    found = [HttpRequest("shop.test", path) for path in WHOLE]
    monkeypatch.setattr(returning, "requests_for", lambda serving, entries: found)
    monkeypatch.setattr(returning, "neighbour_requests", lambda serving: [])
    monkeypatch.setattr(Desk, "link", lambda *words: Link())
    monkeypatch.setattr(http_checks.asyncio, "sleep", no_sleep)
    desk = Desk(store, Connector(), lambda name: name, "me@here")

    async def run(kept, now, then, reloads=0):
        site.update(now=now, then=then, reloads=reloads)
        books = desk.books("undo", "vn1", "shop.test", lambda event: None)
        result = await returning.undo(desk, books, VNODE, VHOST, Shell(), kept, RollbackOptions())
        assert result.ok
        return list(result.warnings)

    yield run
    store.close()


@pytest.mark.parametrize("now", [HALF, BROKEN, WHOLE], ids=["half", "broken", "whole"])
async def test_what_was_only_half_way_there_is_not_missed(undo, now):
    assert await undo(record(WHOLE, committed=False), now, WHOLE) == []


async def test_a_site_that_stays_broken_is_told_though_it_was_broken_half_way(undo):
    said = await undo(record(WHOLE, committed=False), BROKEN, BROKEN)
    assert said[0] == "after the undo: http://shop.test/ answered 200 before and 502 now"


async def test_a_page_that_was_edited_since_is_no_difference(undo):
    assert await undo(record(WHOLE, committed=False), EDITED, EDITED) == []


async def test_another_page_than_before_and_than_half_way_is_one(undo):
    said = await undo(record(WHOLE, committed=False), HALF, EDITED)
    assert said == ["after the undo: http://shop.test/ has another body now"]


async def test_a_line_lost_after_the_undo_does_not_make_it_a_failure(undo):
    said = await undo(record(WHOLE, committed=True), WHOLE, LOST)
    assert said == ["after the undo: the site could not be asked: the line went"]


async def test_a_record_without_answers_leaves_those_of_now(undo):
    said = await undo(Record(exists=True), WHOLE, BROKEN)
    assert said[0] == "after the undo: http://shop.test/ answered 200 before and 502 now"


async def test_after_a_whole_migration_the_answers_of_now_count(undo):
    old = record({**WHOLE, "/": (200, b"last year's")}, committed=True)
    assert await undo(old, EDITED, EDITED) == []
    assert await undo(old, EDITED, WHOLE) == ["after the undo: http://shop.test/ has another body now"]


@pytest.mark.parametrize("reloads, words", [(3, "3 times"), (1, "once")])
async def test_reloads_of_php_fpm_are_told(undo, reloads, words):
    said = await undo(record(WHOLE, committed=True), WHOLE, WHOLE, reloads)
    assert said == [f"php-fpm was reloaded {words}; each may end requests in flight"]


def test_those_of_a_restore_are_told_too(tmp_path):
    store = Store(tmp_path / "nsmig.db")
    books = Desk(store, None, lambda name: name, "me@here").books(
        "restore", "vn1", "shop.test", lambda e: None
    )
    rows = ("begin\trestore me", "reloaded\tphp-fpm", "reloaded\tphp-fpm", "end\tok")
    view = read_journal("".join(f"{n}\t100\tr\t{row}\n" for n, row in enumerate(rows)).encode())
    result = restoring.after_restore(books, VNODE, VHOST, Ending(view))
    store.close()
    assert result.warnings == ("php-fpm was reloaded 2 times; each may end requests in flight",)


@pytest.mark.parametrize("migrated", [True, False])
async def test_the_plan_of_a_restore_begins_with_the_undo_of_a_migration(tmp_path, monkeypatch, migrated):
    async def inspect(*_words, test):
        assert migrated and not test
        return Inspection(places={"web/app/public": Place("dir"), "web/tmp": Place("dir")}), None

    async def probe(*_words):
        return Capabilities()

    async def kept(*_words):
        return Record(exists=True, committed=migrated)

    async def compared(*_words):
        return b"count\tnew\t2\t20\ncount\tchanged\t1\t7\n"

    async def point(*_words):
        return RollbackPoint("a.tar.gz", "/srv/shop.test/.archive/a.tar.gz", 0.0, 9, True)

    class Connector:
        async def shell(self, vnode):
            return None

    for name, answer in (("inspect", inspect), ("probe", probe), ("record", kept), ("ask", compared)):
        monkeypatch.setattr(returning.reading, name, answer)
    monkeypatch.setattr(restoring, "chosen_point", point)
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(VNODE)
    store.save_vhost(VHOST)
    desk = Desk(store, Connector(), lambda name: name, "me@here")
    options = RollbackOptions(archive="a.tar.gz")
    if migrated:
        planned = await returning.plan_rollback(desk, "vn1", "shop.test", options)
    else:
        planned = await restoring.plan_restore(desk, None, VNODE, VHOST, options, migrated=False)
    store.close()
    steps = {step["name"]: [change["what"] for change in step["changes"]] for step in planned.steps}
    assert bool(steps["configuration_update"]) is bool(steps["permissions_update"]) is migrated
    assert "php-fpm" in steps["service_reload"][0]
    assert ("move" in steps["structural_migration"]) is migrated
    assert any("1 file(s)" in what for what in steps["structural_migration"])


@pytest.mark.parametrize(
    ("folders", "moved"),
    [
        (("web/app/public", "web/log", "web/tmp"), ["web/app/public", "web/log", "web/tmp"]),
        (("web/app/public", "web/log"), ["web/app/public", "web/log"]),
        (("web/tmp",), ["web/app/public", "web/log"]),
    ],
    ids=["moved", "never moved", "the site's own, not moved yet"],
)
async def test_the_plan_of_an_undo_names_what_moves(tmp_path, monkeypatch, folders, moved):
    async def inspect(*_words, test):
        assert not test, "nginx -t opens log files"
        return Inspection(places={name: Place("dir") for name in ("upath", *folders)}), None

    async def probe(*_words):
        return Capabilities()

    async def kept(*_words):
        return Record(exists=True, committed=True)

    class Connector:
        async def shell(self, vnode):
            return None

    monkeypatch.setattr(returning.reading, "inspect", inspect)
    monkeypatch.setattr(returning.reading, "probe", probe)
    monkeypatch.setattr(returning.reading, "record", kept)
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(VNODE)
    store.save_vhost(VHOST)
    desk = Desk(store, Connector(), lambda name: name, "me@here")
    planned = await returning.plan_rollback(desk, "vn1", "shop.test", RollbackOptions())
    store.close()
    moves = [c for step in planned.steps for c in step["changes"] if c["what"] == "move"]
    assert [c["from"].removeprefix("/srv/shop.test/") for c in moves] == moved
    if "web/tmp" in moved:
        assert moves[-1]["to"] == "/srv/shop.test/var/tmp"


@pytest.mark.parametrize("layout", ["new", "old"])
@pytest.mark.parametrize("status", [Status.MIGRATED, Status.NATIVE])
@pytest.mark.parametrize("plan", [False, True])
async def test_an_archive_is_not_restored_into_a_new_layout_without_a_record(
    tmp_path, monkeypatch, layout, status, plan
):
    """Its files would come back, and the configuration still name the new places."""
    new = ("web", "web/app/public", "web/log", "web/run")
    names = new if layout == "new" else ("web", "var", "var/log", "var/run")
    restored = []

    async def inspect(*_words, test):
        return Inspection(places={name: Place("dir") for name in names}), Serving(
            Site("shop.test", "/srv/shop.test"), None
        )

    async def kept(*_words):
        return Record()

    async def probe(*_words):
        return Capabilities()

    async def restore(*words, migrated=False):
        restored.append(words)

    class Connector:
        async def shell(self, vnode):
            return None

    monkeypatch.setattr(returning.reading, "inspect", inspect)
    monkeypatch.setattr(returning.reading, "record", kept)
    monkeypatch.setattr(returning.reading, "probe", probe)
    monkeypatch.setattr(returning.restoring, "restore", restore)
    monkeypatch.setattr(returning.restoring, "plan_restore", restore)
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(VNODE)
    store.save_vhost(replace(VHOST, status=status))
    desk = Desk(store, Connector(), lambda name: name, "me@here")
    options = RollbackOptions(archive="a.tar.gz")
    said = ""
    try:
        if plan:
            await returning.plan_rollback(desk, "vn1", "shop.test", options)
        else:
            result = await returning.rollback(desk, "vn1", "shop.test", options, lambda event: None)
            said = "" if result is None else f"{result.exit_code} {result.errors[0]} {result.hint}"
    except Refused as error:
        said = f"4 {error}"
    store.close()
    if layout == "old":
        assert said == "" and len(restored) == 1
    else:
        assert said.startswith("4 ") and "/var/lib/nsmig/shop.test" in said and "By hand" in said
        assert restored == []
