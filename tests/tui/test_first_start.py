"""The first start: an empty fleet offers import, adding by hand, the demo; dialogs for keys and passwords."""

import asyncio

import tui_world
from textual.widgets import Input

from nsmig_tui.tui.dialogs.pick import PickDialog
from nsmig_tui.tui.dialogs.prompts import HostKeyDialog, MenuDialog, MessageDialog, PasswordDialog


async def test_an_empty_fleet_offers_the_ways_in(open_app):
    world = tui_world.parts(tui_world.FakeStore())
    async with open_app(world) as (app, pilot):
        assert isinstance(app.screen, MenuDialog)
        assert [entry[1] for entry in app.screen.entries] == ["ssh", "ansible", "add", "demo"]
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.query_one("#empty").display


async def test_the_demo_is_one_key_away(open_app):
    world = tui_world.parts(tui_world.FakeStore())
    async with open_app(world) as (app, pilot):
        await pilot.press("d")
        await pilot.pause()
    assert app.wants_demo
    assert app.return_code == 0


async def test_import_from_ssh_config_picks_and_keeps(open_app, tmp_path):
    config = tmp_path / "config"
    config.write_text("Host vn1 vn2\n  User root\nHost *.x !y\nHost vn3\n")
    world = tui_world.parts(tui_world.FakeStore())
    async with open_app(world) as (app, pilot):
        await pilot.press("s")
        await pilot.pause()
        app.screen.query_one(Input).value = str(config)
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert isinstance(app.screen, PickDialog)
        assert [name for name, _remark in app.screen.names] == ["vn1", "vn2", "vn3"]
        await pilot.press("j", "space", "y")
        await pilot.pause(0.1)
    assert [vnode.name for vnode in world.store.vnodes()] == ["vn1", "vn3"]


async def test_import_from_ansible_says_what_ssh_must_know(world, open_app, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("[web]\nw1 ansible_host=10.0.0.1 ansible_port=2222\nw2 ansible_host=w2.example\n")
    async with open_app(world) as (app, pilot):
        await pilot.press("i", "a")
        await pilot.pause()
        app.screen.query_one(Input).value = str(hosts)
        await pilot.press("enter")
        await pilot.pause(0.3)
        await pilot.press("y")
        await pilot.pause(0.1)
        assert isinstance(app.screen, MessageDialog)
        assert any("Port 2222" in text for _style, text in app.screen.lines)
        await pilot.press("escape")
    assert (world.store.vnode("w1").vsite, world.store.vnode("w2").ssh_host) == ("web", "w2.example")


async def test_an_unreadable_file_is_said(world, open_app, tmp_path):
    async with open_app(world) as (app, pilot):
        await pilot.press("i", "s")
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path / "absent")
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert isinstance(app.screen, MessageDialog)
        await pilot.press("escape")


async def test_an_unknown_host_key_is_asked_and_only_the_typed_word_trusts(world, open_app):
    async with open_app(world) as (app, pilot):
        for keys, trusted in (
            (["escape"], False),
            (["enter", "y", "enter", "escape"], False),
            ([*"yes", "enter"], True),
        ):
            answer = asyncio.create_task(app.ask_host_key("vn1", "ssh-ed25519", "SHA256:abc"))
            await pilot.pause(0.05)
            assert isinstance(app.screen, HostKeyDialog)
            await pilot.press(*keys)
            assert await answer is trusted


async def test_questions_come_one_at_a_time_and_a_password_is_not_kept(world, open_app):
    async with open_app(world) as (app, pilot):
        first = asyncio.create_task(app.ask_password("root@vn1"))
        second = asyncio.create_task(app.ask_password("root@vn2"))
        await pilot.pause(0.05)
        dialog = app.screen
        assert isinstance(dialog, PasswordDialog)
        assert dialog.query_one(Input).password
        await pilot.press(*"geheim", "enter")
        assert await first == "geheim"
        await pilot.pause(0.05)
        assert app.screen.prompt == "root@vn2"
        await pilot.press("escape")
        assert await second is None
