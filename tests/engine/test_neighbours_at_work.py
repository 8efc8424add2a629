"""A neighbour that answers wrong while it is migrated itself is judged by its own run, and undone alone."""

import asyncio
import base64

import pytest

from nsmig_tui.domain.fleet import Vhost, Vnode
from nsmig_tui.domain.http_answers import baseline_of
from nsmig_tui.domain.ports import HttpAnswer, HttpRequest
from nsmig_tui.engine import http_checks
from nsmig_tui.engine.desk import Desk
from nsmig_tui.engine.migrating import answers_as_before
from nsmig_tui.store.fleet_store import Store

VNODE = Vnode("vn1")
WELL, BROKEN = HttpAnswer(200, {}, b"home"), HttpAnswer(500)
JOURNAL = b"1\t5.0\trun-9\tbegin\tmigrate you@there\n"
OTHERS = ("www.other.test", "alias.test", "third.test", "stranger.test")


class Server:
    """A vnode on which other runs are ``at_work``, until they have been asked after ``goes_on`` times.

    ``broken``: hosts that answer 500; ``mended``: those of them that are well once these runs have ended.
    """

    def __init__(self, broken, mended=(), at_work=("other.test",), goes_on=3):
        self.broken, self.mended, self.at_work, self.left = set(broken), set(mended), at_work, goes_on
        self.looks = 0

    async def http_all(self, requests, *, timeout=10.0):
        self.looks += 1
        return [BROKEN if request.host in self.broken else WELL for request in requests]

    async def run(self, script, args=(), *, timeout=60.0):
        if script == "record":
            return 0, b"journal\t" + base64.b64encode(JOURNAL if args[0] in self.at_work else b"") + b"\n"
        assert (script, args[2]) == ("poll", "run-9")
        self.left -= 1
        if self.left < 0:
            self.broken -= self.mended
        return 0, b"alive\t0\tyes\n" if self.left >= 0 else b"alive\t0\tno\n"


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """The verdict on shop.test, whose neighbours other.test and third.test are known here."""
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(VNODE)
    for domain, names in (("shop.test", []), ("other.test", ["alias.test"]), ("third.test", [])):
        store.save_vhost(Vhost("vn1", domain, details={"names": names}))
    real = asyncio.sleep
    monkeypatch.setattr(http_checks.asyncio, "sleep", lambda _seconds: real(0))
    desk = Desk(store, None, lambda name: name, "me@here")
    before = [baseline_of(HttpRequest(host), [WELL] * 2) for host in ("shop.test", *OTHERS)]

    async def verdict(server, patience=30.0):
        books = desk.books("migrate", "vn1", "shop.test", lambda event: None)
        return await answers_as_before(desk, VNODE, books, before, patience)(server)

    yield verdict
    store.close()


@pytest.mark.parametrize("name", ["www.other.test", "alias.test"])
async def test_a_neighbour_whose_own_migration_is_undone_undoes_nobody_else(judge, name):
    assert await judge(Server({name}, mended={name})) == ""


@pytest.mark.parametrize("goes_on", [0, 3])
async def test_a_neighbour_that_stays_wrong_once_nobody_works_on_it_counts(judge, goes_on):
    assert "www.other.test" in await judge(Server({"www.other.test"}, goes_on=goes_on))


@pytest.mark.parametrize("more", ["third.test", "stranger.test", "shop.test"])
async def test_what_else_is_wrong_counts_at_once(judge, more):
    """A neighbour on which nobody works, a site that is no vhost here, and the vhost itself."""
    server = Server({"www.other.test", more}, mended={"www.other.test"})
    assert more in await judge(server)
    assert server.left >= 0, "the run on the other one was not waited for"


async def test_a_run_that_does_not_end_is_waited_for_so_long_only(judge):
    assert "www.other.test" in await judge(Server({"www.other.test"}, goes_on=10**9), patience=0.0)
