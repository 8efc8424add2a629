"""Export: a file of the operator's own, with the facts, never over one that is there."""

import json
import os
import stat

import pytest
from textual.widgets import Input
from waiting import until

from nsmig_tui.domain import vhost_report
from nsmig_tui.domain.fleet import RunRecord, Vhost
from nsmig_tui.domain.vhost_report import Known
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.pick import PromptDialog
from nsmig_tui.tui.dialogs.prompts import MenuDialog, MessageDialog

FORUM = "vn1.example.net/forum.example.org"
EVIL = "\x1b]0;x\x07<script>|`[/x]"


def said(app):
    """What toasts say."""
    return " | ".join(str(note.message) for note in app._notifications)


async def write_to(app, pilot, path):
    """Give the prompt this path."""
    await until(pilot, lambda: isinstance(app.screen, PromptDialog))
    app.screen.query_one(Input).value = str(path)
    await pilot.press("enter")


@pytest.mark.parametrize("kind", ["json", "md", "html"])
async def test_a_vhost_is_told_in_a_file_for_its_owner_only(world, open_app, tmp_path, kind):
    path = tmp_path / f"forum.{kind}"
    async with open_app(world) as (app, pilot):
        app.reveal(FORUM)
        await pilot.pause(0.1)
        await pilot.press("E")
        await write_to(app, pilot, path)
        await until(pilot, lambda: f"Written: {path}" in said(app))
    text = path.read_text()
    for words in ("forum", "unknown directive", "Make fastcgi", "undone"):
        assert words in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if kind == "json":
        (row,) = json.loads(text)["vhosts"]
        assert (row["status"], row["runs"][0]["verb"], len(row["findings"])) == ("failed", "migrate", 5)


async def test_what_is_there_stays_and_another_name_is_asked_for(world, open_app, tmp_path):
    taken = tmp_path / "taken.md"
    taken.write_text("mine")
    async with open_app(world) as (app, pilot):
        app.reveal(FORUM)
        await pilot.pause(0.1)
        await pilot.press("E")
        for path, why in ((taken, "is there already"), (tmp_path / "x.pdf", "says nothing")):
            await write_to(app, pilot, path)
            await until(pilot, lambda: isinstance(app.screen, MessageDialog))
            assert why in " ".join(text for _style, text in app.screen.lines)
            await pilot.press("escape")
        await write_to(app, pilot, tmp_path / "free.md")
        await until(pilot, lambda: "Written" in said(app))
    assert taken.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["free.md", "taken.md"]


async def test_the_batch_on_the_screen_is_told(world, open_app, tmp_path):
    world.engine.fails["wiki.example.org"] = "configuration_update"
    path = tmp_path / "batch.json"
    async with open_app(world) as (app, pilot):
        await pilot.press("a", "m")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press("y")
        await until(pilot, lambda: app.batch_watch.views() and not app.batch_watch.live())
        await until(pilot, lambda: app.screen.id == "runs" and app.screen.list.rows)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, MenuDialog))
        await pilot.press("b")
        await write_to(app, pilot, path)
        await until(pilot, lambda: "Written" in said(app))
    told = json.loads(path.read_text())
    assert told["counts"] == {"ok": 2, "failed": 1, "skipped": 0, "unfinished": 0}


async def test_nothing_chosen_and_no_batch_is_said(world, open_app):
    async with open_app(world) as (app, pilot):
        app.reveal("vn8.example.net")
        await pilot.pause(0.1)
        await pilot.press("E")
        await pilot.pause()
        assert "Choose a vhost first" in said(app)


def test_what_servers_said_is_no_markup():
    finding = {"severity": EVIL, "message": EVIL}
    host = Vhost("vn1", "a.example", last_error=EVIL, findings=(finding,))
    run = RunRecord("r", EVIL, "vn1", "a.example", EVIL, 1.0, 3.5, outcome=EVIL, errors=(EVIL,))
    told = vhost_report.report([Known(host, [run], [(2.0, EVIL)])], at=4.0, operator=EVIL)
    page, words = vhost_report.html(told), vhost_report.markdown(told)
    assert "<script" not in page and "<script" not in words.replace("\\<", "")
    assert "\x1b" not in page + words
    assert "2.5" in page


def test_what_is_not_known_is_said_in_words():
    told = vhost_report.report([Known(Vhost("vn1", "a.example"))], at=4.0)
    assert "uid not known" in vhost_report.markdown(told) and "size: not known" in vhost_report.markdown(told)
    told = vhost_report.report([Known(Vhost("vn1", "a.example", details={"size": 1}))], at=4.0)
    assert "size: 1 byte\n" in vhost_report.markdown(told)
