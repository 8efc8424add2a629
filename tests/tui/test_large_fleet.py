"""A fleet of several pages: all of it is counted, and looking for garbage costs no key."""

import gc

import pytest
import tui_world
from waiting import until

from nsmig_tui.domain.fleet import Layout, Status, Vhost, Vnode
from nsmig_tui.tui import navigation
from nsmig_tui.tui.filtering import keep
from nsmig_tui.tui.fleet_model import HostLine

COUNT = 2500
NAMES = {f"vn{number}" for number in range(5)}


@pytest.fixture
def large():
    """Parts whose store has COUNT vhosts on five vnodes at two vsites."""
    store = tui_world.FakeStore()
    states = [Status.VALIDATED, Status.FAILED]
    for number, name in enumerate(sorted(NAMES)):
        store.save_vnode(Vnode(name, f"site{number % 2}", last_contact=1.0))
        for at in range(COUNT // 5):
            store.save_vhost(Vhost(name, f"shop{at:03d}.example.org", states[at % 2], Layout.NS1))
    return tui_world.parts(store)


def looked_through():
    """How many lines of this fleet Python's search for garbage meets; other tests leave lines of theirs."""
    lines = [one for one in gc.get_objects() if isinstance(one, HostLine)]
    return sum(line.node.name in NAMES for line in lines)


async def test_every_page_is_counted(large, open_app):
    async with open_app(large) as (app, pilot):
        await until(pilot, lambda: len(app.model.hosts) == COUNT)
        assert app.model.totals() == {"validated": COUNT // 2, "failed": COUNT // 2}
        assert [sum(site.counts.values()) for site in app.model.sites] == [1500, 1000]
        assert all(sum(node.counts.values()) == COUNT // 5 for node in app.model.nodes.values())


async def test_what_was_read_once_is_left_alone_and_goes_when_it_is_read_again(large, open_app, monkeypatch):
    monkeypatch.setattr(navigation, "PAGE", 500)
    async with open_app(large) as (app, pilot):
        try:
            await until(pilot, lambda: len(app.model.hosts) == COUNT and gc.get_freeze_count() > COUNT)
            assert looked_through() == 0
            await pilot.press("f5")
            await until(pilot, lambda: len(app.model.hosts) == COUNT)
            await pilot.pause()
        finally:
            gc.unfreeze()
        assert looked_through() == COUNT


class Line:
    """Something to look through."""

    def __init__(self, haystack):
        self.haystack = haystack


@pytest.mark.parametrize("query", ["~a-z", "~a]b", "~a^", "~a\\", "~[x]", "~.*"])
def test_fuzzy_letters_are_letters_whatever_they_mean_to_a_pattern(query):
    inside = Line("".join(f"q{letter}" for letter in query[1:]))
    backwards = Line(query[:0:-1])
    assert keep([inside, backwards], query) == [inside]
