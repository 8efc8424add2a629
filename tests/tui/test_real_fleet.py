"""The fleet's own actions and every refusal by their keys, on the demo's servers, store and disks."""

import asyncio
import contextlib
import importlib
import json
import sys

import pytest
from real_world import (
    COVERED,
    GONE,
    STRANGER,
    choose,
    dialog,
    do,
    ended,
    hears,
    opened,
    prepare,
    presses,
    said,
    status,
    text,
    wait,
    words_of,
)
from textual.widgets import Input

from nsmig_tui import settings as settings_module
from nsmig_tui.demo.background import running_world
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.tui import actions
from nsmig_tui.tui.acts import exporting, nodes
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.help import HelpDialog, HelpLine
from nsmig_tui.tui.dialogs.pick import PickDialog, PromptDialog
from nsmig_tui.tui.dialogs.prompts import HostKeyDialog, MenuDialog, MessageDialog
from nsmig_tui.tui.dialogs.vnode_form import VnodeForm

AWAY = "site:away"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """One vnode with two vhosts that can migrate, and one of each kind that cannot."""
    with running_world(1, 2) as world:
        yield prepare(world, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def keys(scene):
    """Kind -> the vhost of that kind."""
    return {site.kind: f"vn1/{site.domain}" for site in scene.world.sites}


async def typed(app, pilot, kind, **values):
    """Fill the fields of a dialog and press Enter."""
    form = await dialog(app, pilot, kind)
    if kind is ConfirmDialog:
        await pilot.press("y")
    for name, value in values.items():
        form.query_one(f"#{name}", Input).value = str(value)
    await pilot.press("enter")
    return form


def test_every_action_has_a_test_that_presses_its_key():
    assert importlib.import_module("test_real_engine").scene
    assert {action.id for action in actions.ACTIONS} - set(COVERED) == set()


# -- actions ------------------------------------------------------------------------------------------


@presses("add", "edit", "remove", "import", "refresh")
async def test_vnodes_come_change_and_go(scene, tmp_path):
    (tmp_path / "hosts").write_text("[web]\nw1\nw2 ansible_host=127.0.0.1\n")
    async with opened(scene.own()) as (app, pilot):
        await do(pilot, "add")
        form = await typed(app, pilot, VnodeForm, name="vn1")
        assert app.screen is form, "it is there already"
        await typed(app, pilot, VnodeForm, name="vn5", vsite="lab")
        await hears(app, pilot, "vn5 added")
        assert (app.store.vnode("vn5").vsite, app.store.vnode("vn5").vpath) == ("lab", "/srv")
        await do(pilot, "edit")
        await typed(app, pilot, VnodeForm, vpath="/data", ssh_host="alias5")
        await wait(pilot, lambda: app.store.vnode("vn5").vpath == "/data")
        assert app.store.vnode("vn5").ssh_host == "alias5"
        await choose(app, pilot, "vn5")
        await do(pilot, "remove")
        asked = await typed(app, pilot, ConfirmDialog, word="vn1")
        assert app.screen is asked and "That is not vn5" in said(app)
        await typed(app, pilot, ConfirmDialog, word="vn5")
        await wait(pilot, lambda: app.store.vnode("vn5") is None)
        assert (scene.world.root("vn1") / "srv").is_dir() and "vn5" not in app.model.nodes
        await do(pilot, "import")
        await dialog(app, pilot, MenuDialog)
        await pilot.press("a")
        prompt = await dialog(app, pilot, PromptDialog)
        prompt.query_one(Input).value = str(tmp_path / "hosts")
        await pilot.press("enter")
        await dialog(app, pilot, PickDialog)
        await pilot.press("y")
        await hears(app, pilot, "2 vnodes imported")
        assert (app.store.vnode("w1").vsite, app.store.vnode("w2").ssh_host) == ("web", "127.0.0.1")
        app.store.remove_vnode("w1")
        assert "w1" in app.model.nodes
        await do(pilot, "refresh")
        assert "w1" not in app.model.nodes and "w2" in app.model.nodes


@presses("export", "copy")
async def test_a_report_is_written_and_a_path_copied(scene, keys, tmp_path):
    path = tmp_path / "shared.json"
    async with opened(scene.own()) as (app, pilot):
        await choose(app, pilot, keys["shared"])
        await do(pilot, "export")
        prompt = await dialog(app, pilot, PromptDialog)
        prompt.query_one(Input).value = str(path)
        await pilot.press("enter")
        await hears(app, pilot, f"Written: {path}")
        (row,) = json.loads(path.read_text())["vhosts"]
        assert (row["status"], row["runs"][0]["verb"]) == ("validated", "validate") and row["findings"]
        await do(pilot, "copy")
        await dialog(app, pilot, MenuDialog)
        await pilot.press("p")
        await wait(pilot, lambda: app.clipboard == str(scene.path(keys["shared"])))


@presses("filter", "sort", "mark", "mark_range", "mark_all", "mark_none", "mark_invert", "expand_all", "zoom")
async def test_the_tree_is_filtered_sorted_marked_and_folded(scene, keys):
    async with opened(scene.own()) as (app, pilot):
        every = set(app.model.hosts)
        shared = keys["shared"]
        await do(pilot, "mark_all")
        assert app.marks == every
        await do(pilot, "mark_none")
        assert app.marks == set()
        await choose(app, pilot, shared)
        await do(pilot, "mark", "mark_invert")
        assert app.marks == every - {shared}
        await do(pilot, "mark_none")
        app.screen.tree.move_to(app.screen.tree.index_of("vn1"))
        await do(pilot, "mark_range")
        await pilot.press("j", "j")
        await do(pilot, "mark_range")
        assert len(app.marks) == 2
        await do(pilot, "mark_none")
        orders = [app.model.sort]
        for _turn in range(2):
            await do(pilot, "sort")
            orders.append(app.model.sort)
        assert len(set(orders)) == 3
        await do(pilot, "expand_all")
        unfolded = len(app.screen.tree.rows)
        await do(pilot, "expand_all")
        assert len(app.screen.tree.rows) == len(app.model.sites) < unfolded
        await do(pilot, "zoom")
        assert app.screen.has_class("-zoom")
        await do(pilot, "zoom")
        assert not app.screen.has_class("-zoom")
        await do(pilot, "filter")
        await pilot.press(*"status:native", "enter")
        await wait(pilot, lambda: app.model.matching == 1)
        await do(pilot, "mark_all")
        assert app.marks == {keys["native"]}


@presses("dashboard", "settings", "try_theme", "edit_file", "help", "back", "log", "quit")
async def test_screens_settings_and_help(scene, keys, tmp_path, monkeypatch):
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(pathlib.Path(sys.argv[2]).read_text())"
    chosen, wanted = scene.own(config_dir=tmp_path / "config"), tmp_path / "wanted"
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "editor-of-tests")

    async def edit(_ui, command, _title):
        assert command == ["editor-of-tests", str(tmp_path / "config/config.toml")]
        await run_plain(sys.executable, "-c", write, command[1], str(wanted))

    monkeypatch.setattr(nodes, "run_outside", edit)
    async with opened(chosen) as (app, pilot):
        await do(pilot, "dashboard")
        assert app.screen.id == "dashboard" and "validated" in text(app, "#lines")
        await do(pilot, "settings")
        assert f"{tmp_path}/config" in text(app, "#lines")
        before = app.theme
        await do(pilot, "try_theme")
        await wait(pilot, lambda: app.theme != before)
        wanted.write_text("jbos = 3\n")
        await do(pilot, "edit_file")
        message = await dialog(app, pilot, MessageDialog)
        assert "Did you mean 'jobs'" in words_of(message)
        await pilot.press("escape")
        wanted.write_text('ascii = true\njobs = 3\n[keys]\nvalidate = "f7"\n')
        await do(pilot, "edit_file")
        await hears(app, pilot, "In force now: ascii, keys", "From the next start: jobs")
        assert app.signs.ascii and settings_module.load({"config_dir": tmp_path / "config"}).jobs == 3
        await do(pilot, "back", "back")
        assert app.screen.id == "fleet"
        await choose(app, pilot, keys["shared"])
        await do(pilot, "log")
        assert "validate" in text(app, "#lines")
        await do(pilot, "filter")
        await pilot.press(*"nowhere to be found", "enter")
        assert "There is nothing in the log" in text(app, "#lines")
        await do(pilot, "back", "back", "help")
        helping = await dialog(app, pilot, HelpDialog)
        assert next(line for line in helping.lines if line.id == "validate").keys == "F7"
        assert "never migrated" in next(line for line in helping.lines if line.id == "rollback").why
        await pilot.press("escape")
        await do(pilot, "quit")
        await wait(pilot, lambda: app.return_code == 0)


async def run_plain(*command):
    """A command without the terminal; answers what it said."""
    from asyncio import create_subprocess_exec, subprocess

    process = await create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said_there, _nothing = await process.communicate()
    assert process.returncode == 0
    return said_there.decode()


@presses("shell")
async def test_the_shell_is_the_users_own_ssh(scene, monkeypatch):
    asked = []

    class Over:
        async def wait(self):
            return 0

    async def begin(*command):
        asked.append(command)
        return Over()

    chosen = scene.own()
    async with opened(chosen) as (app, pilot):
        await choose(app, pilot, "vn1")
        await do(pilot, "shell")
        await hears(app, pilot, "This terminal cannot be given away")
        monkeypatch.setattr(nodes.asyncio, "create_subprocess_exec", begin)
        monkeypatch.setattr(app, "suspend", contextlib.nullcontext)
        await do(pilot, "shell")
        await wait(pilot, lambda: bool(asked))
        assert asked == [("ssh", "-T", "-F", str(chosen.ssh_config), "--", "vn1", "exec sh -i")]


@presses("check", "discover")
async def test_unknown_keys_are_asked_for_and_nobody_there_is_said(scene):
    async with opened(scene.own()) as (app, pilot):
        await choose(app, pilot, STRANGER)
        await do(pilot, "check")
        await dialog(app, pilot, HostKeyDialog)
        await pilot.press("y", "enter", "escape")
        message = await dialog(app, pilot, MessageDialog)
        assert "host key" in words_of(message)
        await pilot.press("escape")
        await do(pilot, "check")
        await dialog(app, pilot, HostKeyDialog)
        await pilot.press(*"yes", "enter")
        await hears(app, pilot, f"{STRANGER}: Debian", "all well")
        await choose(app, pilot, GONE)
        await do(pilot, "check")
        message = await dialog(app, pilot, MessageDialog)
        assert "refuses connections" in words_of(message) and "Check that sshd runs" in words_of(message)
        await pilot.press("escape")
        await do(pilot, "discover")
        await wait(pilot, lambda: app.all_runs.state(GONE) is not None and app.all_runs.state(GONE).ended)
        assert app.all_runs.state(GONE).phase == "failed"
        await wait(pilot, lambda: app.store.vnode(GONE).unreachable != "")


# -- refusals -----------------------------------------------------------------------------------------

REFUSED = (
    ("linked", "migrate", "is discovered: validate it first (v)"),
    ("native", "migrate", "is native: nothing to do"),
    (GONE, "migrate", "Choose a vhost first"),
    (GONE, "validate", "Choose a vhost first"),
    (GONE, "plan", "Choose a vhost first"),
    ("vn1", "plan", "For one vhost at a time"),
    ("vn1", "rollback", "For one vhost at a time"),
    ("shared", "rollback", "has no way back: as far as is known here (d asks), it was never migrated"),
    ("shared", "resume", "nothing is left half-way of"),
    ("native", "undo", "nothing is left half-way of"),
    (AWAY, "shell", "Choose one vnode"),
    (AWAY, "check", "Choose one vnode"),
    (AWAY, "edit", "Choose one vnode"),
    (AWAY, "remove", "Choose one vnode"),
    (AWAY, "export", "Choose a vhost first; no batch has been run yet"),
)
ELSEWHERE = {
    "discover": "test_an_empty_fleet_has_nothing_to_ask",
    "log": "test_an_empty_fleet_has_nothing_to_ask",
    "copy": "test_an_empty_fleet_has_nothing_to_ask",
    "edit_file": "test_without_a_settings_file_nothing_is_edited",
    "release": "test_a_batch_waits_after_its_canary_and_is_steered",
    **dict.fromkeys(
        ("cancel", "cancel_all", "retry"), "test_what_has_not_begun_waits_is_dropped_and_asked_for_again"
    ),
}
"""Actions whose refusal has a test of its own."""


def test_every_action_that_can_refuse_has_a_test_of_it():
    can = {action.id for action in actions.ACTIONS if action.why_not is not actions.always}
    assert can - {name for _line, name, _words in REFUSED} - set(ELSEWHERE) == set()
    tests = {**vars(importlib.import_module("test_real_engine")), **globals()}
    assert all(callable(tests[name]) for name in ELSEWHERE.values())


async def test_reasons_are_said_and_nothing_is_begun(scene, keys):
    async with opened(scene.own()) as (app, pilot):
        for line, name, words in REFUSED:
            await choose(app, pilot, keys.get(line, line))
            await do(pilot, name)
            await hears(app, pilot, f"{actions.BY_ID[name].name}: ", words)
            assert app.screen.id == "fleet" and app.all_runs.snapshot() == ()


@presses("discover", "log", "copy", "export", "migrate")
async def test_an_empty_fleet_has_nothing_to_ask(scene):
    async with opened(scene.own(fresh=True)) as (app, pilot):
        menu = await dialog(app, pilot, MenuDialog)
        assert [entry[1] for entry in menu.entries] == ["ssh", "ansible", "add", "demo"]
        await pilot.press("escape")
        for name, words in (
            ("discover", "Choose a vnode or a vhost first"),
            ("log", "Nothing is selected"),
            ("copy", "Nothing is selected"),
            ("export", "Choose a vhost first"),
            ("migrate", "Choose a vhost first"),
        ):
            await do(pilot, name)
            await hears(app, pilot, words)


@presses("settings", "edit_file")
async def test_without_a_settings_file_nothing_is_edited(scene):
    async with opened(scene.own()) as (app, pilot):
        app.options = type(app.options)()
        await do(pilot, "settings", "edit_file")
        await hears(app, pilot, "This session was started without a settings file")


@presses("export")
async def test_too_many_for_one_report_are_refused(scene, monkeypatch):
    monkeypatch.setattr(exporting, "MOST", 1)
    async with opened(scene.own()) as (app, pilot):
        await choose(app, pilot, "vn1")
        await do(pilot, "export")
        await hears(app, pilot, "At most 1 vhosts at once")


@presses("mark_all", "migrate")
async def test_of_many_none_is_validated(scene):
    async with opened(scene.own()) as (app, pilot):
        await do(pilot, "filter")
        await pilot.press(*"status:discovered", "enter")
        await choose(app, pilot, "vn1")
        await do(pilot, "mark_all")
        assert app.marks
        await do(pilot, "migrate")
        await hears(app, pilot, "alidate")
        assert app.screen.id == "fleet"


@presses("migrate", "plan")
async def test_the_engine_refuses_what_the_database_does_not_know_yet(scene, keys):
    key = keys["shared"]
    vnode, domain = key.split("/")
    web = scene.path(key) / "web"
    async with opened(scene.own()) as (app, pilot):
        web.rename(web.with_name("web-gone"))
        try:
            await choose(app, pilot, key)
            await do(pilot, "migrate")
            message = await dialog(app, pilot, MessageDialog)
            assert words_of(message).strip() and "nsmig" in words_of(message)
            await pilot.press("escape")
            await do(pilot, "plan")
            await wait(pilot, lambda: "No plan:" in text(app, "#lines"))
        finally:
            web.with_name("web-gone").rename(web)
        assert status(app, key) == "validated" and app.store.runs(vnode, domain)[0].verb == "validate"


OPENERS = {
    "rollback": lambda app, key: app.open_rollback(app.model.hosts[key]),
    "runs": lambda app, key: app.open_runs(key),
    "dashboard": lambda app, key: app.open_dashboard(),
    "settings": lambda app, key: app.open_settings(),
    "log": lambda app, key: app.show_log(key, lambda: [(1.0, "a line")]),
    "help": lambda app, key: app.push_screen(HelpDialog([HelpLine("plan", "p", "Plan", "help")], "")),
}


@pytest.mark.parametrize("name", OPENERS)
async def test_a_screen_may_be_left_before_it_is_shown(scene, keys, name):
    async with opened(scene.own()) as (app, pilot):
        await choose(app, pilot, keys["shared"])
        if name == "runs":
            await do(pilot, "validate")
            await ended(app, pilot, keys["shared"], "validate")
        for turns in range(0, 24, 2):
            OPENERS[name](app, keys["shared"])
            for _turn in range(turns):
                await asyncio.sleep(0)
            app.open_fleet()
            await pilot.pause()
            assert app.screen.id == "fleet" and app.is_running


@presses("rollback")
async def test_a_damaged_archive_is_shown_and_never_used(scene, keys):
    key = keys["own"]
    vnode, domain = key.split("/")
    async with opened(scene.own()) as (app, pilot):
        await app.engine.migrate(vnode, domain, MigrateOptions(), lambda _event: None)
        app.reload_fleet()
        (archive,) = (scene.path(key) / ".archive").glob("pre-migration-*.tar.gz")
        archive.chmod(0o600)
        archive.write_bytes(archive.read_bytes()[:-40])
        await choose(app, pilot, key)
        await do(pilot, "rollback")
        await wait(pilot, lambda: "DAMAGED" in text(app, "#points"))
        await pilot.press("j", "enter")
        await hears(app, pilot, "A damaged archive is never used")
        assert (status(app, key), scene.layout(key)) == ("migrated", "ns3")


async def test_a_read_only_session_refuses_all_that_changes(scene, keys):
    async with opened(scene.own(read_only=True)) as (app, pilot):
        dangerous = [action for action in actions.ACTIONS if action.danger]
        for where in ("fleet", "runs", "settings"):
            if where != "fleet":
                await do(pilot, where)
            else:
                await choose(app, pilot, keys["shared"])
            shown = {action.id for action, _why in app.available(app.screen.targets())}
            for action in dangerous:
                if where in action.where.split():
                    assert action.id not in shown
                    await do(pilot, action.id)
                    await hears(app, pilot, f"{action.name}: switched off in a read-only session")
        await do(pilot, "fleet")
        app.open_rollback(app.model.hosts[keys["shared"]])
        await wait(pilot, lambda: app.screen.WHERE == "rollback" and app.screen.is_mounted)
        await wait(pilot, lambda: "archive" in str(app.screen.query_one("#facts").pieces))
        app.screen.list.move_to(0)
        await pilot.press("enter")
        await hears(app, pilot, "Rollback: switched off in a read-only session")
        await do(pilot, "fleet")
        await do(pilot, "validate")
        await wait(pilot, lambda: not app.controller.active and app.all_runs.state(keys["shared"]).ended)
        assert status(app, keys["shared"]) == "validated"
