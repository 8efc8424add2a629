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


@pytest.fixture
def world():
    """A store and an engine of the made-up fleet."""
    return tui_world.parts()


@pytest.fixture
def open_app():
    """``async with open_app(world) as (app, pilot)``; keyword arguments are UiOptions, or ``size``."""

    @contextlib.asynccontextmanager
    async def opened(world, size=(120, 40), **options):
        app = NsmigApp(world, UiOptions(**options), clock=world.clock)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.press = pilot.press
            yield app, pilot
            world.engine.free = True
            for gate in world.engine.gates.values():
                gate.set()
            await asyncio.wait_for(app.controller.wait(), 10)

    return opened


async def rest(app, pilot):
    """Wait until no run goes on and all messages are handled."""
    await app.controller.wait()
    await pilot.pause()
    await pilot.pause()


@pytest.fixture
def at_rest():
    """The function that waits for rest."""
    return rest
