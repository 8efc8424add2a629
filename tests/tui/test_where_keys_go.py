"""Keys meet what is seen: a part that is hidden has no focus, and a line that was asked for is shown."""

import asyncio

import pytest
from test_actions import said
from waiting import until

from nsmig_tui.domain.fleet import RunRecord, Vhost, Vnode
from nsmig_tui.tui.dialogs.pick import PromptDialog
from nsmig_tui.tui.palette import FleetCommands

SHOP, FORUM = (f"vn1.example.net/{name}.example.org" for name in ("shop", "forum"))


async def on(app, pilot, key):
    """Put the fleet's cursor on a line and let the pane follow."""
    app.reveal(key)
    await until(pilot, lambda: app.screen.detail.line is not None and app.screen.detail.line.key == key)


async def test_the_keys_scroll_a_plan_that_fills_a_narrow_screen(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        await on(app, pilot, SHOP)
        await pilot.press("p")
        pane = app.screen.detail.list
        await until(pilot, lambda: len(pane.rows) > pane.size.height > 0)
        await pilot.press("j", "j")
        await until(pilot, lambda: pane.scroll_y == 2)
        assert app.screen.detail.line.key == SHOP
        await pilot.press("escape", "k")
        await until(pilot, lambda: app.screen.tree.has_focus)
        assert app.screen.tree.row.key == FORUM


async def test_the_keys_are_the_panes_while_it_is_zoomed_and_escape_brings_the_tree_back(world, open_app):
    async with open_app(world) as (app, pilot):
        await on(app, pilot, SHOP)
        await pilot.press("plus")
        await until(pilot, lambda: app.screen.detail.has_focus_within)
        title = "".join(text for text, _style in app.screen.title_pieces())
        assert title.endswith("vn1.example.net > shop.example.org")
        for leave in ("escape", "plus"):
            await pilot.press(leave)
            await until(pilot, lambda: app.screen.tree.has_focus)
            assert app.screen.query_one("#left").display and app.screen.tree.region.width
            await pilot.press("plus")
            await until(pilot, lambda: app.screen.detail.has_focus_within)


@pytest.mark.parametrize("keys", [("tab",), ("plus",), ()])
async def test_a_screen_that_becomes_narrow_leaves_the_keys_where_something_is_seen(world, open_app, keys):
    async with open_app(world) as (app, pilot):
        await on(app, pilot, SHOP)
        await pilot.press(*keys)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: app.screen.focused is not None and app.screen.focused.region.width > 0)
        await pilot.press("k")
        await until(pilot, lambda: app.screen.tree.row.key == FORUM)


async def test_a_line_that_the_dashboard_leads_to_is_shown_also_where_the_filter_hid_it(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("slash", *"wiki", "enter", "3")
        await until(pilot, lambda: app.screen.id == "dashboard")
        at = app.screen.list.index_of(FORUM)
        app.screen.list.move_to(at)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.id == "fleet")
        assert app.screen.tree.row.key == FORUM
        assert app.model.query == "" and not app.screen.query_one("#filter-row").display
        assert "it hid vn1.example.net/forum" in said(app)


async def test_a_filter_that_shows_the_line_stays(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("slash", *"forum", "enter")
        app.open_fleet(FORUM)
        await pilot.pause()
        assert app.screen.tree.row.key == FORUM and app.model.query == "forum"


async def test_a_plan_that_comes_late_does_not_move_what_is_read_meanwhile(world, open_app, monkeypatch):
    gate, plan = asyncio.Event(), world.engine.plan_migrate

    async def slow(*args):
        await gate.wait()
        return await plan(*args)

    monkeypatch.setattr(world.engine, "plan_migrate", slow)
    async with open_app(world, size=(120, 12)) as (app, pilot):
        await on(app, pilot, SHOP)
        await pilot.press("p")
        await on(app, pilot, FORUM)
        app.screen.detail.choose("overview")
        pane = app.screen.detail.list
        await until(pilot, lambda: "status" in "".join(text for text, _s in pane.rows[2].pieces))
        await until(pilot, lambda: pane.scroll_y == 1 or pane.move_to(1))
        gate.set()
        await until(pilot, lambda: not isinstance(app.screen.detail.plans[SHOP], str))
        await pilot.pause(0.1)
        assert pane.scroll_y == 1


async def test_another_tab_begins_at_its_top(world, open_app):
    async with open_app(world, size=(120, 12)) as (app, pilot):
        await on(app, pilot, SHOP)
        await pilot.press("p")
        pane = app.screen.detail.list
        await until(pilot, lambda: pane.scroll_y == 3 or pane.move_to(3))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app.screen.detail.tab == "findings" and len(pane.rows) > pane.size.height)
        await until(pilot, lambda: pane.scroll_y == 0, seconds=5)


async def best_hit(app, query):
    """What Enter in the palette takes when this has been typed."""
    hits = [hit async for hit in FleetCommands(app.screen).search(query)]
    return max(hits, key=lambda hit: hit.score).text


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("lantern", "Go to Web1/lantern.example"),
        ("web1", "Go to Web1"),
        ("mig", "Migrate"),
        ("roll", "Rollback"),
    ],
)
async def test_the_palette_puts_what_was_typed_before_what_it_may_mean(world, open_app, query, first):
    world.store.save_vnode(Vnode("Web1"))
    world.store.save_vhost(Vhost("Web1", "lantern.example"))
    async with open_app(world) as (app, pilot):
        await pilot.pause()
        assert (await best_hit(app, query)).startswith(first)


async def test_a_vsite_has_no_log_also_where_a_vnode_has_its_name(world, open_app):
    world.store.save_run(RunRecord("r1", "discover", "sydney", "", "op", 1.0, 2.0, "ok"))
    async with open_app(world) as (app, pilot):
        app.reveal("site:sydney")
        await pilot.press("l")
        await pilot.pause()
        assert app.screen.id == "fleet" and "Log: Choose a vnode or a vhost first." in said(app)


async def test_points_to_go_back_to_grow_older_and_fit_a_screen_that_changes(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        await on(app, pilot, "vn1.example.net/www.example.org")
        await pilot.press("b")
        await until(pilot, lambda: len(app.screen.query("#points")) and len(app.screen.list.rows) == 4)

        def line():
            return "".join(text for text, _style in app.screen.list.rows[1].pieces)

        before = line()
        assert "pre-migration" not in before
        world.clock.now += 86400 * 30
        await until(pilot, lambda: "30 d ago" in line() or "31 d ago" in line())
        await pilot.resize_terminal(140, 40)
        await until(pilot, lambda: "pre-migration-" in line())


async def test_a_vsite_stands_for_the_vnodes_that_the_filter_shows(world, open_app):
    async with open_app(world) as (app, pilot):
        app.reveal("site:sydney")
        await pilot.pause()
        assert len(app.screen.targets().nodes) == 2
        await pilot.press("slash", *"node:vn1", "enter", "home", "d")
        await pilot.pause()
        await until(pilot, lambda: bool([call for call in world.engine.calls if call[0] == "discover"]))
        await app.controller.wait()
        asked = [call[1] for call in world.engine.calls if call[0] == "discover"]
        assert asked == ["vn1.example.net"]


async def test_what_was_found_in_the_pane_can_be_unmarked(world, open_app):
    async with open_app(world) as (app, pilot):
        await on(app, pilot, SHOP)
        await pilot.press("tab", "slash", *"vnode", "enter")
        pane = app.screen.detail.list

        def marked():
            return [part for row in pane.rows for part, style in pane.draw(row, 80) if style == "match"]

        await until(pilot, lambda: bool(marked()))
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, PromptDialog))
        app.screen.query_one("#line").value = ""
        await pilot.press("enter")
        await until(pilot, lambda: not marked())
        assert "vnode: 1 of" in said(app)
