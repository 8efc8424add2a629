"""Keys that come faster than the program looks at them."""

import asyncio

import pytest
from textual import events
from textual.widgets import Input
from waiting import until

from nsmig_tui.domain.errors import Refused
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.prompts import BusyDialog, HostKeyDialog, MessageDialog
from nsmig_tui.tui.typing_ahead import GAP, GRACE, Grace

SHOP, BLOG = "vn1.example.net/shop.example.org", "vn1.example.net/blog.example.org"


@pytest.fixture
def guarded(monkeypatch):
    """Dialogs that come unasked take no keys at once, as outside of tests."""
    monkeypatch.setattr(NsmigApp, "GUARDED", True)


class Moments:
    """The clock that key presses are judged by."""

    def __init__(self, app):
        self.now = 1000.0
        app.moment = lambda: self.now


async def choose(app, pilot, key):
    """Put the fleet's cursor on a line."""
    app.reveal(key)
    await until(pilot, lambda: app.screen.tree.row.key == key)


def slow_plan(world, monkeypatch):
    """The plan comes when the test says so."""
    come, plan = asyncio.Event(), world.engine.plan_migrate

    async def later(*words):
        await come.wait()
        return await plan(*words)

    monkeypatch.setattr(world.engine, "plan_migrate", later)
    return come


def readable(app, kind):
    """Whether such a dialog is on top and its grace has begun."""
    return isinstance(app.screen, kind) and app.screen.grace and app.screen.grace.until < 1e9


async def burst(app, pilot, keys):
    """All keys in the queue at once, as from a paste or a slow link."""
    for key in keys:
        name = {"/": "slash", ".": "full_stop"}.get(key, key)
        app._driver.process_message(events.Key(name, key if len(key) == 1 else None))
    for _turn in range(4):
        await pilot.pause()


async def test_letters_behind_the_filter_key_are_typed_and_never_acts(world, open_app):
    async with open_app(world) as (app, pilot):
        await burst(app, pilot, "/my.baker/x")
        assert app.screen.id == "fleet"
        assert app.screen.query_one("#filter", Input).value == "my.baker/x"
        assert world.engine.calls == []
        assert app.marks == set()


async def test_enter_ends_the_filter_before_the_next_key(world, open_app):
    async with open_app(world) as (app, pilot):
        await burst(app, pilot, ["slash", *"wiki", "enter", "j"])
        assert app.screen.query_one("#filter", Input).value == "wiki"
        assert app.model.query == "wiki"
        assert app.screen.focused is app.screen.tree
        assert app.screen.query_one("#filter-row").display


async def test_a_burst_of_keys_breaks_nothing(world, open_app):
    async with open_app(world) as (app, pilot):
        await burst(app, pilot, "jekaryzoauVV*+O][")
        assert app.is_running


async def test_keys_behind_the_key_of_another_screen_meet_that_screen(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert app.screen.id == "runs"
        await burst(app, pilot, ["1", "/", *"shop.ex"])
        assert app.screen.id == "fleet"
        assert app.screen.query_one("#filter", Input).value == "shop.ex"
        assert app.screen.focused is app.screen.query_one("#filter", Input)


def test_a_dialog_takes_keys_when_it_was_to_be_read_and_nobody_types_on():
    grace = Grace()
    assert not grace.lets(5.0), "not to be seen yet"
    grace.seen(10.0)
    assert not grace.lets(10.0 + GRACE - 0.01)
    assert not grace.lets(10.0 + GRACE + GAP - 0.1), "still typing"
    assert grace.lets(10.0 + GRACE + 2 * GAP)
    assert grace.lets(10.0 + GRACE + 2 * GAP)


@pytest.mark.usefixtures("guarded")
async def test_letters_meant_for_the_filter_do_not_confirm_a_migration(world, open_app, monkeypatch):
    come = slow_plan(world, monkeypatch)
    async with open_app(world) as (app, pilot):
        clock = Moments(app)
        await choose(app, pilot, SHOP)
        await burst(app, pilot, ["m"])
        await until(pilot, lambda: isinstance(app.screen, BusyDialog))
        for letter in "/meadowymeadowy":
            await burst(app, pilot, letter)
            clock.now += 0.12
            if letter == "d":
                come.set()
                await until(pilot, lambda: readable(app, ConfirmDialog))
        assert isinstance(app.screen, ConfirmDialog)
        assert [call[0] for call in world.engine.calls if call[0] == "migrate"] == []
        clock.now += 1.0
        await burst(app, pilot, "y")
        await until(pilot, lambda: any(call[0] == "migrate" for call in world.engine.calls))


@pytest.mark.usefixtures("guarded")
async def test_typed_ahead_keys_neither_trust_nor_refuse_a_host_key(world, open_app):
    async with open_app(world) as (app, pilot):
        clock = Moments(app)
        await choose(app, pilot, BLOG)
        answer = asyncio.create_task(app.ask_host_key("vn1", "ssh-ed25519", "SHA256:abc"))
        await until(pilot, lambda: readable(app, HostKeyDialog))
        await burst(app, pilot, ["y", "escape", "y", "e", "s", "enter"])
        assert isinstance(app.screen, HostKeyDialog) and not answer.done()
        assert app.screen.query_one(Input).value == ""
        clock.now += 2.0
        await burst(app, pilot, ["y", "enter"])
        assert isinstance(app.screen, HostKeyDialog), "y is a letter here, not an answer"
        await burst(app, pilot, ["e", "s", "enter"])
        assert await answer is True


@pytest.mark.usefixtures("guarded")
async def test_an_error_that_nobody_asked_for_stays_until_it_can_be_read(world, open_app):
    async with open_app(world) as (app, pilot):
        clock = Moments(app)
        failure = asyncio.create_task(app.show_error("Trouble", Refused("it broke", hint="mend it")))
        await until(pilot, lambda: readable(app, MessageDialog))
        await burst(app, pilot, ["enter", "escape"])
        assert isinstance(app.screen, MessageDialog)
        clock.now += 2.0
        await burst(app, pilot, ["escape"])
        await failure


async def test_a_question_that_is_open_survives_the_start_of_a_run_and_later_ones_come(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        first = asyncio.create_task(app.ask_host_key("vn1", "ssh-ed25519", "SHA256:abc"))
        second = asyncio.create_task(app.ask_host_key("vn2", "ssh-ed25519", "SHA256:def"))
        await until(pilot, lambda: isinstance(app.screen, HostKeyDialog))
        app.controller.start(Wish("validate", *BLOG.split("/")))
        app.open_runs(BLOG)
        await pilot.pause()
        assert isinstance(app.screen, HostKeyDialog), "nobody has answered it"
        await pilot.press("escape")
        assert await first is False
        await until(pilot, lambda: isinstance(app.screen, HostKeyDialog) or app.screen.id == "runs")
        await until(pilot, lambda: isinstance(app.screen, HostKeyDialog))
        await pilot.press("escape")
        assert await second is False
        await until(pilot, lambda: app.screen.id == "runs")


async def test_a_dialog_in_the_way_of_another_screen_answers_no(world, open_app):
    async with open_app(world) as (app, pilot):
        asked = asyncio.create_task(app.ask(ConfirmDialog("Sure?", [], verb="go")))
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        app.open_runs()
        assert await asyncio.wait_for(asked, 5) is None
        await until(pilot, lambda: app.screen.id == "runs")


async def test_a_word_that_must_be_typed_can_be_typed_at_once(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "vn7.example.net")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press(*"vn7.example.net", "enter")
        await until(pilot, lambda: world.store.vnode("vn7.example.net") is None)
