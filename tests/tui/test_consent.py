"""What is agreed to in a question is what is done: no more, and nothing else."""

from dataclasses import replace

from test_actions import SHOP, called, choose
from textual.widgets import Static
from waiting import until

from nsmig_tui.domain.options import MigrateOptions, RollbackOptions
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog

DOMAIN = "shop.example.org"


async def question(app, pilot):
    """Wait for a question that can be answered."""
    await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)


def read(app):
    """All lines of the question that are shown."""
    return "\n".join(str(one.render()) for one in app.screen.query(Static) if one.display)


async def test_without_a_backup_no_archive_is_promised(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await question(app, pilot)
        assert "an archive is written" in read(app)
        await pilot.press("n")
        await until(pilot, lambda: "NO archive" in read(app))
        assert "an archive is written" not in read(app)


async def test_what_was_chosen_without_a_way_back_is_typed_again_for_another_try(world, open_app, at_rest):
    world.engine.fails[DOMAIN] = "configuration_update"
    async with open_app(world) as (app, pilot):
        app.controller.start(Wish("migrate", "vn1.example.net", DOMAIN, MigrateOptions(False, True)))
        await at_rest(app, pilot)
        await pilot.press("2", "R")
        await question(app, pilot)
        assert "NO backup" in read(app)
        await pilot.press("y", "enter")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog) and called(world, "take_up") == []
        world.engine.fails.clear()
        await pilot.press("backspace", *DOMAIN, "enter")
        await at_rest(app, pilot)
        assert len(called(world, "take_up")) == 1


async def test_another_try_of_an_exact_restore_says_so(world, open_app, at_rest):
    world.engine.fails[DOMAIN] = "verification"
    options = RollbackOptions("pre-migration-20260921-131320.tar.gz", exact=True, with_mail=True)
    async with open_app(world) as (app, pilot):
        app.controller.start(Wish("rollback", "vn1.example.net", DOMAIN, options))
        await at_rest(app, pilot)
        await pilot.press("2", "R")
        await question(app, pilot)
        assert "NOT carried over" in read(app) and "mail is restored too" in read(app)
        assert app.screen.needs_word


async def test_other_choices_are_asked_about_with_their_own_plan(world, open_app, at_rest, monkeypatch):
    plan = world.engine.plan_migrate

    async def by_choice(vnode, domain, options):
        made = await plan(vnode, domain, options)
        return replace(made, warnings=("renewals fail",)) if options.compat == "never" else made

    monkeypatch.setattr(world.engine, "plan_migrate", by_choice)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await question(app, pilot)
        first = app.screen
        await pilot.press("l", "y")
        await until(pilot, lambda: app.screen is not first)
        await question(app, pilot)
        assert "another plan" in read(app) and "renewals fail" in read(app)
        assert "links for old paths: never" in read(app)
        assert called(world, "migrate") == []
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(world, "migrate")[0][2].compat == "never"


async def test_a_question_that_stood_long_is_asked_anew_where_the_plan_has_changed(
    world, open_app, monkeypatch
):
    plan, more = world.engine.plan_migrate, []

    async def by_time(vnode, domain, options):
        return replace(await plan(vnode, domain, options), warnings=tuple(more))

    monkeypatch.setattr(world.engine, "plan_migrate", by_time)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await question(app, pilot)
        first = app.screen
        more.append("a cron job names it by now")
        world.clock.now += 3600
        await pilot.press("y")
        await until(pilot, lambda: app.screen is not first)
        await question(app, pilot)
        assert "a cron job names it by now" in read(app) and called(world, "migrate") == []
