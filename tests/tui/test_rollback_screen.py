"""The rollback screen: what its question says is so at the moment of the question."""

import asyncio
from dataclasses import replace

import pytest
import tui_world
from test_actions import WWW, called, choose
from waiting import until

from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.prompts import BusyDialog

NEWEST = "pre-migration-20260921-131320.tar.gz"


@pytest.fixture
def live(world, monkeypatch):
    """The site goes on living: ``live.changes`` more files differ from the archive."""
    world.changes, make = 0, world.engine.plan_rollback

    async def plan(vnode, domain, options):
        made = await make(vnode, domain, options)
        more = [{"what": "changed since", "to": f"web/{number}.html"} for number in range(world.changes)]
        return replace(made, steps=(*made.steps, {"name": "more", "changes": more}))

    monkeypatch.setattr(world.engine, "plan_rollback", plan)
    return world


async def on_the_archive(app, pilot):
    """The rollback screen, with the cursor on the newest archive and its plan in the pane."""
    await choose(app, pilot, WWW)
    await pilot.press("b")
    await until(pilot, lambda: app.screen.id != "fleet" and len(app.screen.list.rows) == 4)
    await pilot.press("j")
    await until(pilot, lambda: "Plan: restore" in pane(app))


def pane(app):
    """What the lower part says."""
    rows = app.screen.query_one("#plan").rows
    return "\n".join("".join(text for text, _style in row.pieces) for row in rows)


async def question(app, pilot):
    """Wait for the question; answers its facts."""
    await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
    return " ".join(text for _style, text in app.screen.fact_lines)


async def test_the_question_tells_of_what_changed_since_the_plan_was_shown(live, open_app, at_rest):
    async with open_app(live) as (app, pilot):
        await on_the_archive(app, pilot)
        await pilot.press("enter")
        assert "4 changes" in await question(app, pilot)
        await pilot.press("escape")
        live.changes, live.clock.now = 2, live.clock.now + 30
        await pilot.press("k", "j", "enter")
        facts = await question(app, pilot)
        assert "6 changes" in facts
        assert "has changed since the plan that you saw" in facts
        await pilot.press("escape")
        await until(pilot, lambda: "web/1.html" in pane(app))
        await pilot.press("enter")
        facts = await question(app, pilot)
        assert "6 changes" in facts and "has changed" not in facts
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(live, "rollback")[0][2].archive == NEWEST


async def test_a_plan_of_today_is_not_asked_for_again(live, open_app):
    async with open_app(live) as (app, pilot):
        await on_the_archive(app, pilot)
        before = len(called(live, "plan_rollback"))
        live.clock.now += 3
        await pilot.press("enter")
        await question(app, pilot)
        assert len(called(live, "plan_rollback")) == before
        await pilot.press("escape")


async def test_an_answer_that_comes_late_is_to_what_is_so_by_then(live, open_app, at_rest):
    async with open_app(live) as (app, pilot):
        await on_the_archive(app, pilot)
        await pilot.press("enter")
        assert "4 changes" in await question(app, pilot)
        live.changes, live.clock.now = 1, live.clock.now + 300
        first = app.screen
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen is not first)
        facts = await question(app, pilot)
        assert "5 changes" in facts and "has changed since the plan that you saw" in facts
        assert called(live, "rollback") == []
        live.clock.now += 300
        await pilot.press("y")
        await at_rest(app, pilot)
        assert len(called(live, "rollback")) == 1, "nothing has changed: the answer holds"


async def test_a_plan_that_is_refused_meanwhile_begins_nothing(live, open_app, monkeypatch):
    async def refused(*_words):
        raise tui_world.REFUSED

    async with open_app(live) as (app, pilot):
        await on_the_archive(app, pilot)
        await pilot.press("enter")
        await question(app, pilot)
        monkeypatch.setattr(live.engine, "plan_rollback", refused)
        live.clock.now += 300
        first = app.screen
        await pilot.press("y")
        await until(pilot, lambda: app.screen is not first and not isinstance(app.screen, BusyDialog))
        await pilot.press("escape")
        assert called(live, "rollback") == []


async def test_an_old_plan_says_how_old_it_is(live, open_app):
    async with open_app(live) as (app, pilot):
        await on_the_archive(app, pilot)
        assert "ago" not in pane(app)
        live.clock.now += 40
        await until(pilot, lambda: "This was so 40 s ago." in pane(app))


async def test_a_late_first_plan_does_not_take_the_place_of_a_newer_one(live, open_app, monkeypatch):
    make, first = live.engine.plan_rollback, asyncio.Event()

    async def slow_once(*words):
        monkeypatch.setattr(live.engine, "plan_rollback", make)
        made = await make(*words)
        await first.wait()
        return made

    async with open_app(live) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press("b")
        await until(pilot, lambda: app.screen.id != "fleet" and len(app.screen.list.rows) == 4)
        monkeypatch.setattr(live.engine, "plan_rollback", slow_once)
        await pilot.press("j")
        await pilot.pause()
        live.changes, live.clock.now = 2, live.clock.now + 30
        await pilot.press("enter")
        assert "6 changes" in await question(app, pilot)
        first.set()
        await pilot.pause(0.05)
        await pilot.press("escape")
        assert "web/1.html" in pane(app)


async def test_a_plan_that_comes_while_the_program_is_left_finds_no_parts(world, open_app, monkeypatch):
    asked, made = asyncio.Event(), asyncio.Event()

    async def plan(*_asked):
        asked.set()
        await made.wait()
        return tui_world.rollback_plan(*_asked[:2], None)

    monkeypatch.setattr(world.engine, "plan_rollback", plan)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press("b")
        await asyncio.wait_for(asked.wait(), 30)
        close = app._close_all

        async def close_while_it_comes():
            await app.screen.query("#plan").remove()
            made.set()
            await asyncio.sleep(0.1)
            await close()

        monkeypatch.setattr(app, "_close_all", close_while_it_comes)
    assert made.is_set() and app._exception is None
