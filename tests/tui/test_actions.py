"""Every action from the keyboard: what it does, and what it says when it must not."""

import asyncio
from dataclasses import replace

import pytest
import tui_world
from textual.widgets import Input
from waiting import until

from nsmig_tui.domain.errors import LockHeld
from nsmig_tui.domain.fleet import RunRecord, Status
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui import actions
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.help import HelpDialog
from nsmig_tui.tui.dialogs.prompts import BusyDialog, MenuDialog, MessageDialog
from nsmig_tui.tui.dialogs.vnode_form import VnodeForm

SHOP, BLOG, FORUM, WIKI, WWW = (
    f"vn1.example.net/{name}.example.org" for name in ("shop", "blog", "forum", "wiki", "www")
)
HABIT_KEYS = {f"ctrl+{key}" for key in "abdhjklsz"} | {"ctrl+space", "ctrl+@"}


async def choose(app, pilot, key):
    """Put the fleet's cursor on a line."""
    app.reveal(key)
    await pilot.pause(0.1)
    assert app.screen.tree.row.key == key


def said(app):
    """What toasts say."""
    return " | ".join(str(note.message) for note in app._notifications)


def called(world, name):
    """Calls of the engine by name."""
    return [call for call in world.engine.calls if call[0] == name]


async def test_validate_runs_and_the_tree_follows(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, BLOG)
        await pilot.press("v")
        await at_rest(app, pilot)
        assert called(world, "validate") == [("validate", "blog.example.org")]
        assert app.model.hosts[BLOG].status == "validated"


async def test_discover_asks_the_vnode_and_shows_what_is_new(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "vn8.example.net")
        await pilot.press("d")
        await at_rest(app, pilot)
        assert "vn8.example.net/new.vn8.example.net.example" in app.model.hosts
        assert app.model.nodes["vn8.example.net"].vnode.unreachable == ""


async def test_a_vnode_that_cannot_be_reached_is_said_with_its_hint(world, open_app, at_rest):
    world.engine.refuses["vn8.example.net"] = tui_world.UNREACHABLE
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "vn8.example.net")
        await pilot.press("d")
        await at_rest(app, pilot)
        assert "did not answer" in said(app)
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(app.screen, MessageDialog)
        await pilot.press("escape")


async def test_migrate_shows_the_facts_and_y_begins(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await pilot.pause()
        dialog = app.screen
        assert isinstance(dialog, ConfirmDialog)
        facts = " ".join(text for _style, text in dialog.fact_lines)
        for words in ("PRODUCTION", "7 changes", "2.0 GiB", "1m36", "Way back"):
            assert words in facts
        assert dialog.focused.id == "cancel"
        await pilot.press("y")
        await at_rest(app, pilot)
        _name, domain, options = called(world, "migrate")[0]
        assert (domain, options.backup) == ("shop.example.org", True)
        assert app.screen.id == "runs"
        assert app.model.hosts[SHOP].status == "migrated"


@pytest.mark.parametrize("keys", [["enter"], ["m"], ["escape"], ["space"]])
async def test_neither_enter_nor_the_openers_key_confirms(world, open_app, keys):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        assert called(world, "migrate") == []


async def test_no_backup_needs_the_domain_typed_out(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press("n", "y", "enter")
        assert isinstance(app.screen, ConfirmDialog), "y is only a letter now, and a wrong word does nothing"
        app.screen.query_one("#word", Input).value = "shop.example.org"
        await pilot.press("enter")
        await at_rest(app, pilot)
        assert called(world, "migrate")[0][2] == MigrateOptions(backup=False)


async def test_choices_turn_with_their_keys(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press("o", "o", "l", "y")
        await at_rest(app, pilot)
        options = called(world, "migrate")[0][2]
        assert (options.owners, options.compat) == ("all", "never")


@pytest.mark.parametrize(
    ("key", "press", "words"),
    [
        (BLOG, "m", "validate it first"),
        (FORUM, "m", "resume"),
        (WWW, "m", "nothing to do"),
        (BLOG, "b", "never migrated"),
        (SHOP, "r", "nothing is left half-way"),
        (SHOP, "U", "nothing is left half-way"),
        ("site:sydney", "b", "one vhost at a time"),
        ("site:sydney", "p", "one vhost at a time"),
        ("vn8.example.net", "v", "Choose a vhost"),
        ("site:sydney", "x", "Choose one vnode"),
        ("site:sydney", "s", "Choose one vnode"),
    ],
)
async def test_refusals_say_why(world, open_app, key, press, words):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, key)
        await pilot.press(press)
        await until(pilot, lambda: words in said(app))
        assert not isinstance(app.screen, ConfirmDialog)


async def test_a_refused_plan_is_shown_with_its_hint(world, open_app):
    world.engine.refuses["shop.example.org"] = tui_world.REFUSED
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, MessageDialog))
        assert ("bold", "Free 3 GB.") in app.screen.lines


async def test_a_second_run_on_the_same_vhost_is_refused(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        await pilot.press("m")
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        await pilot.press("1", "v")
        await pilot.pause()
        assert "going on" in said(app)
        assert called(world, "validate") == []


async def test_resume_and_undo_of_a_failed_vhost(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, FORUM)
        await pilot.press("r")
        await pilot.pause()
        await pilot.press("y")
        await at_rest(app, pilot)
        world.store.save_vhost(tui_world._vhost("vn1.example.net", "forum.example.org", Status.FAILED, 1.0))
        app.reload_fleet()
        app.open_fleet(FORUM)
        await pilot.pause(0.1)
        await pilot.press("U")
        await pilot.pause()
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(world, "resume") == [
            ("resume", "forum.example.org", False),
            ("resume", "forum.example.org", True),
        ]


async def test_rollback_undo_and_restore(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press("b")
        await pilot.pause()
        assert app.screen.list.rows[0].key == "undo"
        assert len(app.screen.list.rows) == 4
        await pilot.press("j", "enter")
        await pilot.pause()
        await pilot.press("x")
        app.screen.query_one("#word", Input).value = "www.example.org"
        await pilot.press("enter")
        await at_rest(app, pilot)
        options = called(world, "rollback")[0][2]
        assert (
            options.exact
            and options.archive == "pre-migration-20260921-131320.tar.gz"
            and not options.with_mail
        )
        assert app.screen.id == "runs"


async def test_a_damaged_archive_is_never_used(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press("b")
        await pilot.pause()
        await pilot.press("j", "j", "enter")
        await pilot.pause()
        assert "damaged" in said(app)
        assert called(world, "rollback") == []


async def test_vnodes_are_added_edited_and_removed(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("n")
        await pilot.pause()
        assert isinstance(app.screen, VnodeForm)
        app.screen.query_one("#name", Input).value = "-bad"
        await pilot.press("enter")
        assert isinstance(app.screen, VnodeForm)
        app.screen.query_one("#name", Input).value = "vn99"
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert world.store.vnode("vn99").vpath == "/srv"
        assert app.screen.tree.row.key == "vn99"
        await pilot.press("e")
        await pilot.pause()
        app.screen.query_one("#vsite", Input).value = "paris"
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert world.store.vnode("vn99").vsite == "paris"
        await pilot.press("x")
        await pilot.pause()
        await pilot.press("y")
        assert isinstance(app.screen, ConfirmDialog), "removing wants the name typed"
        app.screen.query_one("#word", Input).value = "vn99"
        await pilot.press("enter")
        await pilot.pause()
        assert world.store.vnode("vn99") is None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("vpath", "/", "cannot be the parent of vhosts"),
        ("vpath", "/srv/a\x07", "cannot be the parent of vhosts"),
        ("ssh_host", "root@vn1", "An account or port goes into ~/.ssh/config"),
        ("ssh_host", "vn1:2222", "An account or port goes into ~/.ssh/config"),
    ],
)
async def test_the_form_refuses_what_the_command_line_refuses(world, open_app, field, value, words):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "vn1.example.net")
        before = world.store.vnode("vn1.example.net")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, VnodeForm))
        form = app.screen
        form.query_one(f"#{field}", Input).value = value
        await pilot.press("enter")
        await until(pilot, lambda: words in str(form.query_one("#complaint").render()))
        assert world.store.vnode("vn1.example.net") == before


async def test_an_edit_takes_back_nothing_that_was_learnt_meanwhile(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "vn1.example.net")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, VnodeForm))
        world.store.save_vnode(replace(world.store.vnode("vn1.example.net"), machine_id="fresh"))
        app.screen.query_one("#vpath", Input).value = "/data/"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, VnodeForm))
        kept = world.store.vnode("vn1.example.net")
        assert (kept.vpath, kept.machine_id) == ("/data", "fresh")


async def test_removing_a_vnode_names_what_is_left_half_way_on_it(world, open_app):
    world.store.save_run(RunRecord("r9", "migrate", "vn1.example.net", "shop.example.org", "marc", 1.0))
    async with open_app(world) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, MenuDialog))
        await pilot.press("escape")
        await choose(app, pilot, "vn1.example.net")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        assert any("half-way" in text and "shop.example.org" in text for _s, text in app.screen.fact_lines)
        await pilot.press("escape")


async def test_copy_offers_what_there_is(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, FORUM)
        await pilot.press("y")
        await pilot.pause()
        assert isinstance(app.screen, MenuDialog)
        await pilot.press("e")
        await pilot.pause()
        assert app.clipboard == "nginx -t failed: unknown directive"


async def test_acts_on_a_vnode_and_copies_follow_the_cursor_whatever_is_marked(world, open_app):
    async with open_app(world) as (app, pilot):
        app.marks.add("edge1.example.net/wien.example.at")
        await choose(app, pilot, SHOP)
        assert app.screen.targets().node.name == "vn1.example.net"
        assert [host.domain for host in app.screen.targets().hosts] == ["wien.example.at"]
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, MenuDialog))
        assert app.screen.entries[0][2] == "domain: shop.example.org"
        await pilot.press("escape")


async def test_there_is_nothing_to_copy_of_a_vsite(world, open_app):
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "site:sydney")
        await pilot.press("y")
        await pilot.pause()
        assert "Copy: Choose a vnode or a vhost first" in said(app)
        assert app.screen.id == "fleet"


async def test_removing_a_vnode_with_a_run_under_way_says_so(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        app.controller.start(Wish("migrate", *SHOP.split("/")))
        await choose(app, pilot, "vn1.example.net")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        assert any("1 run on it not ended" in text for _style, text in app.screen.fact_lines)
        await pilot.press("escape")


async def test_help_lists_every_key_and_runs_one(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpDialog)
        assert {line.id for line in app.screen.lines} == {action.id for action in actions.for_screen("fleet")}
        await pilot.press("slash", *"dashb", "enter")
        await pilot.pause()
        assert app.screen.id == "dashboard"


async def test_read_only_drops_what_is_dangerous(world, open_app):
    async with open_app(world, read_only=True) as (app, pilot):
        await choose(app, pilot, SHOP)
        left = {action.id for action, _why in app.available(app.screen.targets())}
        assert not left & {"migrate", "rollback", "resume", "undo", "shell", "remove", "edit", "add"}
        assert {"validate", "discover", "plan"} <= left
        await pilot.press("m")
        await pilot.pause()
        assert "read-only" in said(app)
        assert called(world, "migrate") == []
        assert "READ-ONLY" in "".join(text for text, _style in app.title_pieces())


async def test_keys_are_remapped_and_unknown_ones_are_named(world, open_app):
    async with open_app(world, keys={"validate": "f7", "nonsense": "f8"}) as (app, pilot):
        assert "nonsense" in said(app)
        await choose(app, pilot, BLOG)
        await pilot.press("v")
        await pilot.pause()
        assert called(world, "validate") == []
        await pilot.press("f7")
        await pilot.pause()
        assert called(world, "validate") == [("validate", "blog.example.org")]


async def test_quit_asks_while_runs_go_on(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, BLOG)
        await pilot.press("v")
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, MenuDialog)
        await pilot.press("s")
        await pilot.pause()
        assert app.is_running and app.controller.active == 1
        await pilot.press("q")
        await pilot.pause()
        await pilot.press("w")
        world.engine.release("blog.example.org")
        await asyncio.wait_for(app.controller.wait(), 5)
        await pilot.pause()
        assert app.return_code == 0


async def test_leaving_says_that_a_migration_without_our_word_is_undone(world, open_app):
    world.engine.hold()
    async with open_app(world, confirm_wait=45) as (app, pilot):
        app.controller.start(Wish("migrate", "vn1.example.net", "shop.example.org"))
        await until(pilot, lambda: called(world, "migrate"))
        assert any("undone there: it waits 45 s" in fact for fact in app.leaving_facts())


async def test_stay_takes_back_an_earlier_word_to_quit_when_all_has_ended(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, BLOG)
        await pilot.press("v")
        for word in "ws":
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, MenuDialog))
            await pilot.press(word)
            await until(pilot, lambda: not isinstance(app.screen, MenuDialog))
        world.engine.release("blog.example.org")
        await asyncio.wait_for(app.controller.wait(), 5)
        await pilot.pause(0.5)
        assert app.is_running and app.return_code is None


async def test_who_waits_to_quit_is_not_thrown_out_of_a_question(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, BLOG)
        await pilot.press("v", "q")
        await until(pilot, lambda: isinstance(app.screen, MenuDialog))
        await pilot.press("w", "n")
        await until(pilot, lambda: isinstance(app.screen, VnodeForm))
        world.engine.release("blog.example.org")
        await asyncio.wait_for(app.controller.wait(), 5)
        await pilot.pause(0.5)
        assert app.is_running and isinstance(app.screen, VnodeForm)
        await pilot.press("escape")
        await until(pilot, lambda: app.return_code == 0)


def test_no_default_key_is_one_that_hands_press_by_habit():
    keys = {key for action in actions.ACTIONS for key in action.key.split(",")}
    assert not keys & HABIT_KEYS
    assert len({action.id for action in actions.ACTIONS}) == len(actions.ACTIONS)


@pytest.mark.parametrize("where", ["fleet", "runs", "dashboard", "rollback", "log"])
def test_no_two_actions_of_a_screen_share_a_key(where):
    keys = [action.key for action in actions.for_screen(where)]
    assert len(keys) == len(set(keys))


async def test_unfinished_runs_are_offered_at_the_start(world, open_app, at_rest):
    record = RunRecord("r9", "migrate", "vn1.example.net", "forum.example.org", "marc", tui_world.NOW - 60)
    world.store.save_run(record)
    async with open_app(world) as (app, pilot):
        assert isinstance(app.screen, MenuDialog)
        assert "forum.example.org" in " ".join(text for _style, text in app.screen.fact_lines)
        assert app.screen.entries[0][1] == "later", "what Enter takes does nothing"
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press("y")
        await at_rest(app, pilot)
        assert called(world, "resume") == [("resume", "forum.example.org", False)]


async def test_what_is_left_half_way_can_be_resumed_though_its_status_does_not_say_so(world, open_app):
    record = RunRecord("r9", "migrate", "vn1.example.net", "shop.example.org", "marc", tui_world.NOW - 60)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, SHOP)
        world.store.save_run(record)
        await pilot.press("U")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        assert "Undo shop.example.org" in app.screen.dialog_title
        await pilot.press("escape")


async def test_an_error_of_the_database_is_said_and_ends_nothing(world, open_app, monkeypatch):
    def held(_vnode):
        raise LockHeld("Another program has held the database for more than 10 s.", hint="Wait.")

    async with open_app(world) as (app, pilot):
        await choose(app, pilot, "vn7.example.net")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, VnodeForm))
        monkeypatch.setattr(world.store, "save_vnode", held)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, MessageDialog))
        assert app.is_running
        await pilot.press("escape")


def hold_the_plan(world, monkeypatch):
    """The plan of a rollback comes when the test says so."""
    come, plan = asyncio.Event(), world.engine.plan_rollback

    async def later(*words):
        await come.wait()
        return await plan(*words)

    monkeypatch.setattr(world.engine, "plan_rollback", later)
    return come


async def test_a_restore_is_asked_about_once_and_with_what_reverts(world, open_app, monkeypatch):
    come = hold_the_plan(world, monkeypatch)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press("b")
        await until(pilot, lambda: app.screen.id != "fleet" and len(app.screen.list.rows) == 4)
        depth = len(app.screen_stack)
        await pilot.press("j", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, BusyDialog))
        come.set()
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.pause()
        assert len(app.screen_stack) == depth + 1, "one question"
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "4 changes" in facts
        await pilot.press("escape")


async def test_without_a_plan_there_is_no_rollback(world, open_app, monkeypatch):
    async def none(*_words):
        raise tui_world.REFUSED

    monkeypatch.setattr(world.engine, "plan_rollback", none)
    async with open_app(world) as (app, pilot):
        await choose(app, pilot, WWW)
        await pilot.press("b")
        await until(pilot, lambda: app.screen.id != "fleet" and len(app.screen.list.rows) == 4)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, MessageDialog))
        assert called(world, "rollback") == []
        await pilot.press("escape")


def test_the_table_of_keys_has_every_action():
    table = actions.markdown_table()
    for action in actions.ACTIONS:
        assert f"| {action.name} |" in table
