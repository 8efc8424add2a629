"""Writes the README's pictures, and compares them: NSMIG_WRITE_SCREENSHOTS=1 writes them anew."""

import os
from pathlib import Path

import pytest
from waiting import until

from nsmig_tui.tui.dialogs.confirm import ConfirmDialog

PICTURES = Path(__file__).resolve().parents[2] / "screenshots"
SIZE = (120, 30)
WRITE = bool(os.environ.get("NSMIG_WRITE_SCREENSHOTS"))


async def fleet(app, pilot, world):
    """The tree with one vnode open, marks, and the overview."""
    await pilot.press("j", "enter", "j", "j", "j", "space", "space")
    await pilot.press("k", "k")


async def findings(app, pilot, world):
    """The findings of a vhost that has an error."""
    await pilot.press("j", "enter", "j")
    app.screen.detail.show_line(app.screen.tree.row)
    app.screen.detail.choose("findings")


async def plan(app, pilot, world):
    """A dry run, scrolled to its diff."""
    await pilot.press("j", "enter", "j", "j", "j")
    await app.screen.make_plan()
    await pilot.pause()
    app.screen.detail.list.scroll_to(y=14, animate=False)


async def run(app, pilot, world):
    """A batch in flight: one failed, some move, some wait."""
    world.engine.hold()
    world.engine.fails["wiki.example.org"] = "configuration_update"
    await pilot.press("a")
    app.marks -= {"vn1.example.net/www.example.org"}
    await pilot.press("m")
    await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
    await pilot.press("y")
    shop, wiki = "vn1.example.net/shop.example.org", "vn1.example.net/wiki.example.org"
    await until(pilot, lambda: app.screen.id == "runs" and app.all_runs.state(shop).steps[1].done)
    world.clock.now += 64
    world.engine.release("wiki.example.org")
    await until(pilot, lambda: app.all_runs.state(wiki).phase == "failed")
    app.screen.focus_run(shop)


async def rollback(app, pilot, world):
    """The points to go back to, and what the first archive would change."""
    await pilot.press("j", "enter", "j", "j", "j", "j", "j")
    await pilot.press("b")
    await pilot.pause()
    await pilot.press("j")
    await pilot.pause()


async def confirm(app, pilot, world):
    """The question before a migration."""
    await pilot.press("j", "enter", "j", "j", "j", "m")
    await pilot.pause()


async def dashboard(app, pilot, world):
    """The whole fleet at a glance."""
    await pilot.press("3")


SCENES = (fleet, findings, plan, run, rollback, confirm, dashboard)
MUST_SHOW = {
    "fleet": ("shop.example.org", "connection timed out", "PROD", "2 marked"),
    "findings": ("ERROR", "hint"),
    "plan": ("web/app/public",),
    "run": ("FAIL", "backup_creation", "57%"),
    "rollback": ("verified", "DAMAGED", "poster.jpg"),
    "confirm": ("PRODUCTION", "Way back"),
    "dashboard": ("Needs attention", "migrated"),
}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_picture(scene, theme, world, open_app):
    async with open_app(world, size=SIZE, theme=theme) as (app, pilot):
        await scene(app, pilot, world)
        await pilot.pause(0.1)
        app.clear_notifications()
        await pilot.pause()
        # Some viewers take no-break blanks at the beginning of a text for nothing.
        picture = app.export_screenshot(title="nsmig").replace("<svg ", '<svg xml:space="preserve" ', 1)
    words = picture.replace("&#160;", " ")
    for word in MUST_SHOW[scene.__name__]:
        assert word in words
    path = PICTURES / f"{scene.__name__}-{theme}.svg"
    if WRITE:
        path.write_text(picture)
    assert path.read_text() == picture, f"{path.name} differs: look at it, then write it anew"
