"""The fleet screen: tree, filter, marks, pane, narrow and wide."""

from dataclasses import replace

import pytest
from test_actions import said
from waiting import until

from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.options import UiOptions
from nsmig_tui.tui.widgets.virtual_list import VirtualList


def shown(app, where="#tree"):
    """The text of all lines of a list."""
    view = app.screen.query_one(where, VirtualList)
    return ["".join(text for text, _style in view.draw(row, 80)) for row in view.rows]


async def test_the_tree_shows_sites_nodes_counts_and_what_is_wrong(world, open_app):
    async with open_app(world) as (app, _pilot):
        lines = shown(app)
        assert any("sydney" in line and "2 vnodes" in line for line in lines)
        assert any("vn1.example.net" in line and "PROD" in line for line in lines)
        assert any("unreachable: connection timed out" in line for line in lines)


async def test_enter_unfolds_a_vnode_and_the_pane_follows(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("j", "enter", "j")
        assert app.screen.tree.row.domain == "blog.example.org"
        await pilot.pause(0.1)
        assert any("discovered" in line for line in shown(app, "#lines"))
        assert any("/srv/blog.example.org" in line for line in shown(app, "#lines"))


async def test_filter_narrows_as_typed_and_escape_clears(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("slash", *"status:val")
        assert app.model.matching == 3
        assert [row.kind for row in app.screen.tree.rows].count("vhost") == 3
        await pilot.press("enter", "j", "j")
        assert app.screen.tree.row.kind == "vhost"
        await pilot.press("escape")
        await pilot.pause()
        assert app.model.query == ""
        assert not app.screen.query_one("#filter-row").display


async def test_what_the_filter_found_keeps_the_cursor_without_it(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("slash", *"wiki", "enter", "j", "j", "j")
        assert app.screen.tree.row.domain == "wiki.example.org"
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.tree.row.domain == "wiki.example.org"


async def test_marks_survive_filter_and_sort_and_count_nodes(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("slash", *"example.org", "enter", "a")
        assert len(app.marks) == 5
        await pilot.press("escape", "o", "asterisk")
        assert len(app.marks) == 4
        assert "4 marked on 3 vnodes" in "".join(text for text, _s in app.screen.query_one("#status").pieces)
        await pilot.press("u")
        assert app.marks == set()


async def test_range_marks_what_is_between(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("j", "enter", "j", "V", "j", "j", "V")
        assert {key.partition("/")[2] for key in app.marks} == {
            "blog.example.org",
            "forum.example.org",
            "shop.example.org",
        }


async def test_space_on_a_branch_marks_all_below_and_again_unmarks(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("space")
        assert len(app.marks) == 7
        await pilot.press("k", "space")
        assert app.marks == set()


async def test_narrow_shows_one_part_with_breadcrumbs(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        assert not app.screen.detail.display
        await pilot.press("j", "enter", "j", "enter")
        await pilot.pause()
        assert app.screen.detail.display
        assert not app.screen.query_one("#left").display
        assert "sydney > vn1.example.net > blog.example.org" in "".join(
            t for t, _s in app.screen.title_pieces()
        )
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.query_one("#left").display
        await pilot.resize_terminal(140, 40)
        await pilot.pause()
        assert app.screen.detail.display and app.screen.query_one("#left").display


async def test_tabs_show_findings_plan_archives_history(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("j", "enter", "j", "right_square_bracket")
        await until(pilot, lambda: "Service health" in "\n".join(shown(app, "#lines")))
        text = "\n".join(shown(app, "#lines"))
        assert text.index("Configuration files") < text.index("Service health")
        assert "Make fastcgi_pass" in text
        await pilot.press("p")
        await until(pilot, lambda: any("/web/app/public;" in line for line in shown(app, "#lines")))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: any("DAMAGED" in line for line in shown(app, "#lines")))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: any("No run is recorded" in line for line in shown(app, "#lines")))


async def test_state_is_remembered_between_starts(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("j", "enter", "j", "space", "o")
        kept, marked = app.screen.tree.row.key, set(app.marks)
    async with open_app(world) as (app, pilot):
        assert app.model.sort == "status"
        assert app.marks == marked and len(marked) == 1
        assert app.screen.tree.row.key == kept


async def test_broken_memory_is_as_good_as_none(world, open_app):
    world.store.put("tui", {"expanded": 3, "marks": [1, "gone/x"], "sort": [], "query": 5})
    async with open_app(world) as (app, _pilot):
        assert app.marks == set()
        assert app.model.sort == "name"


async def test_words_are_found_in_the_pane_one_after_the_other(world, open_app):
    async with open_app(world) as (app, pilot):
        app.reveal("vn1.example.net/shop.example.org")
        await pilot.press("p")
        await pilot.pause(0.1)
        app.screen.detail.take_focus()
        said = []
        for _turn in range(3):
            await pilot.press("slash")
            await pilot.pause(0.05)
            if not said:
                await pilot.press(*"ACCESS")
            await pilot.press("enter")
            await pilot.pause(0.05)
            said.append(str(list(app._notifications)[-1].message).partition(".")[0])
        view = app.screen.detail.list
        marked = [part for row in view.rows for part, style in view.draw(row, 80) if style == "match"]
    assert said == ["ACCESS: 1 of 4", "ACCESS: 2 of 4", "ACCESS: 3 of 4"]
    assert set(marked) == {"access"}


SHOP = "vn1.example.net/shop.example.org"


def of_the_pane(app):
    """The pane's text."""
    return "\n".join(shown(app, "#lines"))


async def on_shop(app, pilot, *first):
    """Press ``first``, put the cursor on the shop, and let the pane follow."""
    await pilot.press(*first)
    app.reveal(SHOP)
    await until(pilot, lambda: app.screen.detail.line is not None and app.screen.detail.line.key == SHOP)


@pytest.mark.parametrize("view", [("slash", *"shop", "enter"), ("o",), ()])
@pytest.mark.parametrize("below", [True, False])
async def test_tree_and_pane_say_the_same_after_a_run(world, open_app, at_rest, view, below):
    async with open_app(world) as (app, pilot):
        await on_shop(app, pilot, *view)
        app.controller.start(Wish("migrate", *SHOP.split("/")))
        await pilot.press(*(["2"] if below else []))
        await at_rest(app, pilot)
        await pilot.press("1")
        await until(pilot, lambda: any("✓ migrated" in line for line in shown(app) if "shop" in line))
        await pilot.pause(0.1)
        assert "✓ migrated" in of_the_pane(app) and "then migrate" not in of_the_pane(app)


async def test_the_findings_of_a_filtered_tree_are_those_of_the_last_validation(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await on_shop(app, pilot, "slash", *"shop", "enter")
        app.screen.detail.choose("findings")
        assert "2 h ago" in of_the_pane(app)
        await pilot.press("v")
        await at_rest(app, pilot)
        assert "0 s ago" in of_the_pane(app)


async def test_the_archives_are_asked_for_again_after_a_run(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await on_shop(app, pilot)
        app.screen.detail.choose("archives")
        await until(pilot, lambda: "DAMAGED" in of_the_pane(app))
        for end in (1, 0):
            world.engine.point_list = world.engine.point_list[:end]
            app.controller.start(Wish("rollback", *SHOP.split("/")))
            await pilot.press("2")
            await at_rest(app, pilot)
            await pilot.press("1")
            await until(pilot, lambda: "verified" in of_the_pane(app) or "no archive" in of_the_pane(app))
            assert of_the_pane(app).count("verified") == end
            assert "Asking" not in of_the_pane(app)
        assert len([call for call in world.engine.calls if call[0] == "points"]) == 3


async def test_the_ages_in_the_pane_go_on(world, open_app):
    async with open_app(world) as (app, pilot):
        await on_shop(app, pilot)
        assert "2 h ago" in of_the_pane(app)
        world.clock.now += 3600
        await until(pilot, lambda: "3 h ago" in of_the_pane(app))


async def test_a_vhost_that_was_migrated_once_is_not_called_never_migrated(world, open_app):
    host = world.store.vhost(*SHOP.split("/"))
    world.store.save_vhost(replace(host, migration_attempts=1, backup_archive="/srv/a.tar.gz"))
    async with open_app(world) as (app, pilot):
        await on_shop(app, pilot)
        assert "migrated       not now" in of_the_pane(app)
        app.reveal("vn1.example.net/blog.example.org")
        await until(pilot, lambda: "migrated       never" in of_the_pane(app))


async def test_marking_a_branch_names_the_vnodes_that_have_nothing_to_mark(world, open_app):
    async with open_app(world) as (app, pilot):
        app.reveal("site:testlab")
        await pilot.pause()
        await pilot.press("space")
        assert app.marks == {"vn7.example.net/test.example.net"}
        await until(pilot, lambda: "no vhost is known there: vn8.example.net. d" in said(app))
        app.clear_notifications()
        app.reveal("site:sydney")
        await pilot.pause()
        await pilot.press("space")
        assert said(app) == ""


async def test_a_toast_leaves_the_number_of_marks_in_sight(world):
    app = NsmigApp(world, UiOptions(), clock=world.clock)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("j", "space")
        app.notify("One.")
        await until(pilot, lambda: bool(app.screen.query("Toast")))
        await pilot.pause(0.1)
        status = app.screen.query_one("#status").region
        assert all(not toast.region.overlaps(status) for toast in app.screen.query("Toast"))


async def test_a_branch_that_a_filter_holds_open_is_not_folded_for_later(world, open_app):
    async with open_app(world) as (app, pilot):
        before = set(app.model.expanded)
        await pilot.press("/", *"shop", "enter", "g", "j")
        assert app.screen.tree.row.kind == "vnode"
        rows = [row.key for row in app.screen.tree.rows]
        for key in ("enter", "O", "left"):
            await pilot.press(key)
            assert [row.key for row in app.screen.tree.rows] == rows
            assert app.model.expanded == before, key
        assert app.screen.tree.row.kind == "vsite", "left goes to the head of the branch"
        assert any("filter keeps every branch open" in str(note.message) for note in app._notifications)
        await pilot.press("right")
        assert app.screen.tree.row.kind == "vnode", "it is open: right goes into it"


async def test_keys_are_answered_while_another_program_holds_the_database(world, open_app, at_rest):
    world.store.is_free = lambda: False
    async with open_app(world) as (app, pilot):
        app.reveal("vn1.example.net/shop.example.org")
        await pilot.press("v")
        await until(pilot, lambda: app.controller.active)
        before = app.screen.tree.cursor
        await pilot.press("k")
        assert app.screen.tree.cursor == before - 1
        assert not any(call[0] == "validate" for call in world.engine.calls), "it has not begun"
        world.store.is_free = lambda: True
        await at_rest(app, pilot)
        assert any(call[0] == "validate" for call in world.engine.calls)


async def test_a_database_that_is_held_for_long_is_said(world, open_app, monkeypatch):
    monkeypatch.setattr("nsmig_tui.tui.navigation.HELD", 0.2)
    world.store.is_free = lambda: False
    async with open_app(world) as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "name")
        await pilot.press(*"web9", "enter")
        await until(pilot, lambda: type(app.screen).__name__ == "MessageDialog")
        assert "has held the database" in " ".join(words for _style, words in app.screen.lines)
        assert world.store.vnode("web9") is None
