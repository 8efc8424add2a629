"""The application on the demo fleet: the real engine, real scripts, real files; there and back."""

import asyncio

import pytest

from nsmig_tui import settings as settings_module
from nsmig_tui import wiring
from nsmig_tui.demo.background import running_world
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.options import from_settings
from nsmig_tui.tui.widgets.virtual_list import VirtualList


@pytest.fixture
def demo(tmp_path):
    """A demo world with two vnodes, and the settings for it."""
    with running_world(2, 3) as world:
        base = settings_module.load({"data_dir": tmp_path / "data", "config_dir": tmp_path / "config"})
        chosen = demo_settings(world, base)
        parts = wiring.build(chosen)
        add_vnodes(parts.store, world)
        parts.store.close()
        yield chosen, world


def text(app, where):
    """What a list shows."""
    view = app.screen.query_one(where, VirtualList)
    return "\n".join("".join(part for part, _style in view.draw(row, 100)) for row in view.rows)


def asked(app):
    """Whether the question is there and ready."""
    return isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None


async def until(pilot, true, seconds=60):
    """Let the application go on until ``true()``."""
    async with asyncio.timeout(seconds):
        while not true():
            await pilot.pause(0.05)


async def test_from_discovery_to_rollback(demo):
    chosen, _world = demo
    app = NsmigApp(wiring.build(chosen), from_settings(chosen))
    async with app.run_test(size=(120, 40)) as pilot:

        async def idle():
            await app.controller.wait()
            await pilot.pause()

        node = next(iter(app.model.nodes))
        app.reveal(node)
        await pilot.press("c")
        await until(pilot, lambda: any("all well" in str(note.message) for note in app._notifications))
        await pilot.press("d")
        await idle()
        assert app.model.nodes[node].hosts
        await pilot.press("v")
        await idle()
        ready = [host for host in app.model.nodes[node].hosts if host.status == "validated"]
        assert ready
        host = ready[0]
        app.reveal(host.key)
        await pilot.pause(0.1)
        app.screen.detail.choose("findings")
        assert "passed" in text(app, "#lines")
        await pilot.press("p")
        await until(pilot, lambda: "nothing has been touched" in text(app, "#lines"))
        assert "web/app/public" in text(app, "#lines")

        await pilot.press("m")
        await until(pilot, lambda: asked(app))
        await pilot.press("y")
        await until(pilot, lambda: app.controller.state(host.key).verb == "migrate")
        await pilot.press("escape")
        assert app.screen.id == "fleet", "the run does not need its screen"
        await idle()
        state = app.controller.state(host.key)
        assert (state.phase, state.error) == ("ok", "")
        assert [step.state for step in state.steps] == ["done"] * 7
        assert host.status == "migrated"

        await pilot.press("b")
        await until(pilot, lambda: "1 archive" in str(app.screen.query_one("#facts").pieces))
        assert "verified" in text(app, "#points")
        await until(pilot, lambda: "nothing has been touched" in text(app, "#plan"))
        app.screen.list.move_to(0)
        await pilot.press("enter")
        await until(pilot, lambda: asked(app))
        await pilot.press("y")
        await until(pilot, lambda: app.controller.state(host.key).verb == "rollback")
        await idle()
        state = app.controller.state(host.key)
        assert (state.phase, state.error) == ("ok", "")
        assert app.store.vhost(node, host.domain).status.value == "validated"
        assert app.store.runs(node, host.domain)[0].verb == "undo"
