"""Fixtures for pilot tests: the made-up fleet, an application on it, and a way to wait for rest."""

import asyncio
import contextlib

import pytest
import tui_world

from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.options import UiOptions


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Nothing of the caller's terminal shows in a test."""
    for name in ("NO_COLOR", "TEXTUAL", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_guard(monkeypatch):
    """A test waits until it sees the dialog, so keys need not wait."""
    monkeypatch.setattr(NsmigApp, "GUARDED", False)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A store, an engine and batches of the made-up fleet."""
    monkeypatch.setattr("nsmig_tui.tui.acts.batches.secrets.token_hex", lambda _count: "c0ffee")
    return tui_world.parts(data_dir=tmp_path)


@pytest.fixture
def open_app():
    """``async with open_app(world) as (app, pilot)``; keyword arguments are UiOptions, or ``size``."""

    @contextlib.asynccontextmanager
    async def opened(world, size=(120, 40), **options):
        app = NsmigApp(world, UiOptions(**options), clock=world.clock)
        batches = getattr(world, "batches", None)
        if batches is not None:
            batches.loop = asyncio.get_running_loop()
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.press = pilot.press
            yield app, pilot
            world.engine.free = True
            for gate in world.engine.gates.values():
                gate.set()
            await asyncio.wait_for(app.controller.wait(), 10)
            if batches is not None:
                await batches.kill()

    return opened


async def rest(app, pilot):
    """Wait until no run goes on and all messages are handled."""
    await app.all_runs.wait()
    await pilot.pause()
    await pilot.pause()


@pytest.fixture
def at_rest():
    """The function that waits for rest."""
    return rest
