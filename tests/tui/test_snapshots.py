"""Pictures of each screen at 80x24 and 140x40, each with a key fact beside it; ``--snapshot-update`` anew."""

import asyncio

import pytest
from pytest_textual_snapshot import SVGImageExtension, normalize_svg
from real_world import dialog
from test_screenshots import confirm, dashboard, fleet, rollback, run
from waiting import until

from nsmig_tui.tui.dialogs.help import HelpDialog


async def into(app, pilot, downs, tab):
    """Into the pane of a vhost of the first vnode, by Enter as hands do, and to this tab."""
    await pilot.press("j", "enter", *["j"] * downs, "enter")
    await until(pilot, lambda: app.screen.detail.has_focus_within and app.screen.detail.line is not None)
    await pilot.pause()
    app.screen.detail.choose(tab)


async def overview(app, pilot, world):
    """What is known of one vhost."""
    await into(app, pilot, 3, "overview")


async def findings(app, pilot, world):
    """The findings of a vhost that has an error."""
    await into(app, pilot, 1, "findings")


async def plan(app, pilot, world):
    """A dry run, scrolled to its diff."""
    await pilot.press("j", "enter", "j", "j", "j")
    await app.screen.make_plan()
    if not app.screen.has_class("-wide"):
        title = "".join(part for part, _style in app.screen.query_one("#titlebar").pieces)
        assert "sydney > vn1.example.net > shop.example.org" in title
    await at_rest_picture(app, pilot)
    app.screen.detail.list.scroll_to(y=14, animate=False)


async def archives(app, pilot, world):
    """The points of a migrated vhost in its tab."""
    await into(app, pilot, 5, "archives")
    key = app.screen.detail.line.key
    await until(pilot, lambda: isinstance(app.screen.detail.archives.get(key), list))


async def log(app, pilot, world):
    """The log of the last run on a vhost that failed."""
    app.reveal("vn1.example.net/forum.example.org")
    await pilot.pause()
    await pilot.press("l")


async def settings(app, pilot, world):
    """Every value."""
    await pilot.press("comma")


async def keys(app, pilot, world):
    """The help overlay."""
    await pilot.press("question_mark")
    await dialog(app, pilot, HelpDialog)


async def at_rest_picture(app, pilot):
    """The picture once nothing on it moves any more."""
    shots = [""]
    async with asyncio.timeout(60):
        while len(shots) < 4 or len(set(shots[-3:])) > 1:
            app.clear_notifications()
            await pilot.pause(0.05)
            shots.append(normalize_svg(app.export_screenshot(title="nsmig")))
    return shots[-1]


FACTS = {
    "fleet": (fleet, ("2 marked on 1 vnode", "vn8.example.net")),
    "overview": (overview, ("18,204", "validated")),
    "findings": (findings, ("The pool listens where the site does not ask", "hint")),
    "plan": (plan, ("web/app/public", "access_log")),
    "archives": (archives, ("verified", "DAMAGED", "unknown")),
    "rollback": (rollback, ("Undo the migration", "DAMAGED", "poster.jpg")),
    "runs": (run, ("FAIL", "backup_creation", "57%")),
    "log": (log, ("nginx -t failed", "migrate begins")),
    "dashboard": (dashboard, ("Needs attention", "connection timed out")),
    "settings": (settings, ("default", "jobs")),
    "help": (keys, ("Migrate", "Validate", "/ filters")),
    "confirm": (confirm, ("PRODUCTION", "Way back", "Migrate (y)")),
}


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
@pytest.mark.parametrize("name", FACTS)
async def test_screen(name, size, world, open_app, snapshot):
    go, facts = FACTS[name]
    async with open_app(world, size=size, theme="dark") as (app, pilot):
        await go(app, pilot, world)
        picture = await at_rest_picture(app, pilot)
    words = picture.replace("&#160;", " ")
    assert [fact for fact in facts if fact not in words] == []
    assert picture == snapshot.use_extension(SVGImageExtension)
