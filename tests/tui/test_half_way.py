"""r and U ask the vnode how the last run stands; the question tells that, and what is done about it."""

import pytest
from test_actions import FORUM, SHOP, WWW, called, choose, said
from test_rollback_screen import question
from waiting import until

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import STEPS, RunRecord
from nsmig_tui.domain.layout import JournalView
from nsmig_tui.domain.options import Standing
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.prompts import MessageDialog


def stands(world, key, do, verb="migrate", state="running", **more):
    """What the vnode says of this vhost; ``began`` and ``finished`` in seconds before now."""
    now = world.clock.now
    finished = more.pop("finished", None)
    journal = JournalView(
        state,
        "r7",
        verb,
        "eva@ops2",
        started=now - more.pop("began", 300),
        finished=None if finished is None else now - finished,
        **more,
    )
    world.engine.stands[key.partition("/")[2]] = Standing(do, journal)


async def test_a_restore_is_taken_back_by_its_key(world, open_app, at_rest):
    stands(world, SHOP, "unrestore", "restore", "ok", finished=100)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("U")
        facts = await question(app, pilot)
        assert "restore of eva@ops2, begun 5 m ago: ended ok." in facts
        assert "The restore is taken back" in facts and "kept in .archive/replaced-…" in facts
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(world, "resume") == [("resume", "shop.example.org", True)]


@pytest.mark.parametrize(
    ("key", "words"),
    [("r", "nothing is begun beside it"), ("U", "where it ends well, what it did is then undone")],
)
async def test_a_run_of_somebody_else_is_attached_to(world, open_app, at_rest, key, words):
    stands(world, SHOP, "attach", current=STEPS[1], steps=STEPS[:1])
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press(key)
        facts = await question(app, pilot)
        assert "migrate of eva@ops2, begun 5 m ago, is at work in backup_creation." in facts
        assert words in facts
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(world, "resume") == [("resume", "shop.example.org", key == "U")]


@pytest.mark.parametrize("key", ["r", "U"])
async def test_an_undo_at_work_is_only_watched(world, open_app, key):
    stands(world, WWW, "attach", "undo")
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press(key)
        facts = await question(app, pilot)
        assert "nothing is begun beside it" in facts and "then undone" not in facts
        await pilot.press("escape")


async def test_what_had_begun_to_go_back_cannot_be_finished_and_says_so(world, open_app):
    stands(world, FORUM, "undo", current=STEPS[2], undoing=True)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, FORUM)
        await pilot.press("r")
        facts = await question(app, pilot)
        assert "stopped in structural_migration" in facts
        assert "it cannot be finished" in facts
        await pilot.press("escape")


async def test_a_run_that_ended_unseen_is_only_recorded(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        world.store.save_run(RunRecord("r9", "migrate", *SHOP.split("/"), "marc", world.clock.now - 60))
        stands(world, SHOP, "", state="ok", finished=10)
        await pilot.press("r")
        assert "how it ended is recorded here" in await question(app, pilot)
        await pilot.press("escape")


async def test_a_vnode_that_cannot_be_asked_is_not_guessed_about(world, open_app):
    world.engine.refuses["forum.example.org"] = ConnectError("vn1 did not answer.", hint="Is it up?")
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, FORUM)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, MessageDialog))
        assert ("fail", "vn1 did not answer.") in app.screen.lines
        assert called(world, "resume") == []
        await pilot.press("escape")


async def test_what_changes_while_the_question_stands_is_asked_anew(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, FORUM)
        await pilot.press("r")
        assert "It is finished from there" in await question(app, pilot)
        first = app.screen
        stands(world, FORUM, "attach", current=STEPS[3])
        world.clock.now += 300
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen is not first)
        facts = await question(app, pilot)
        assert "is at work" in facts and "changed while the question stood" in facts
        assert called(world, "resume") == []
        world.clock.now += 300
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(world, "resume") == [("resume", "forum.example.org", False)]


async def test_a_vhost_without_any_run_is_told_so_by_its_vnode(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("U")
        await until(
            pilot,
            lambda: "Undo: nothing is left half-way of shop.example.org on vn1.example.net" in said(app),
        )
        assert called(world, "standing") == [("standing", "shop.example.org", True)]
