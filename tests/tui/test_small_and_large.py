"""Every screen at 80x24 and at 140x40: nothing is cut, the keys are there, and so is what one came for."""

import pytest
import tui_world
from rich.cells import cell_len
from textual.widgets import Checkbox, Input
from waiting import until

from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.tui.acts.batches import CANARY
from nsmig_tui.tui.acts.work import CHOICES
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.pick import PickDialog
from nsmig_tui.tui.dialogs.prompts import HostKeyDialog, MenuDialog, PasswordDialog
from nsmig_tui.tui.dialogs.vnode_form import VnodeForm
from nsmig_tui.tui.fleet_model import FleetModel, NodeLine
from nsmig_tui.tui.panes import fleet_lines
from nsmig_tui.tui.panes.wrap import cut
from nsmig_tui.tui.widgets.bars import LineBar
from nsmig_tui.tui.widgets.virtual_list import VirtualList
from nsmig_tui.tui.words import Signs, shortened

SHOP, FORUM, WWW = (f"vn1.example.net/{name}.example.org" for name in ("shop", "forum", "www"))
SIZES = [(80, 24), (140, 40)]


def picture(app):
    """What is drawn, line by line."""
    return ["".join(segment.text for segment in line) for line in app.screen._compositor.render_strips()]


def cut_off(app):
    """Lines of lists and bars that say more than there is room for, without an ellipsis."""
    found = []
    for view in app.screen.query(VirtualList):
        top, width = view.scroll_offset.y, view.scrollable_content_region.width
        for index in range(top, min(len(view.rows), top + view.size.height)) if view.display else ():
            text = "".join(part for part, _style in view._pieces(index, width)).rstrip()
            if cell_len(text) > width and view.region.width:
                found.append(text)
    for bar in app.screen.query(LineBar):
        text = bar.render().plain.rstrip()
        if cell_len(text) > bar.size.width > 0:
            found.append(text)
    return found


async def on(app, pilot, key):
    """Put the fleet's cursor on a line and let the pane follow."""
    app.reveal(key)
    await pilot.pause(0.1)


async def fleet(app, pilot, world):
    await on(app, pilot, SHOP)


async def pane(app, pilot, world, tab):
    await on(app, pilot, FORUM)
    await pilot.press("enter")
    app.screen.detail.choose(tab)


async def findings(app, pilot, world):
    await pane(app, pilot, world, "findings")


async def overview(app, pilot, world):
    await pane(app, pilot, world, "overview")


async def archives(app, pilot, world):
    await pane(app, pilot, world, "archives")


async def history(app, pilot, world):
    await pane(app, pilot, world, "history")


async def plan(app, pilot, world):
    await on(app, pilot, SHOP)
    await pilot.press("p")
    await until(pilot, lambda: app.screen.detail.list.rows[1:])


async def vnode(app, pilot, world):
    await on(app, pilot, "vn1.example.net")
    await pilot.press("plus")


async def runs(app, pilot, world):
    world.engine.hold()
    world.engine.fails["wiki.example.org"] = "configuration_update"
    await pilot.press("a", "m")
    await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
    await pilot.press("y")
    await until(pilot, lambda: app.screen.id == "runs" and app.all_runs.state(SHOP).steps[1].done)
    world.engine.release("wiki.example.org")
    await until(pilot, lambda: any(one.phase == "failed" for one in app.all_runs.snapshot()))
    app.screen.focus_run(SHOP)


async def log(app, pilot, world):
    await on(app, pilot, FORUM)
    await pilot.press("l")


async def dashboard(app, pilot, world):
    await pilot.press("3")


async def settings(app, pilot, world):
    await pilot.press("comma")


async def rollback(app, pilot, world):
    await on(app, pilot, WWW)
    await pilot.press("b")
    await until(pilot, lambda: len(app.screen.list.rows) == 4)
    await pilot.press("j")
    await until(pilot, lambda: any("poster" in line for line in picture(app)))


SCREENS = {
    fleet: ("PROD", "unreachable: connection timed out", "● validated", "/ Filter"),
    overview: ("forum.example.org", "✗ failed", "Mend the site file.", "[ ] turn"),
    findings: ("✗ ERROR", "expected", "hint", "✓ Service health"),
    archives: ("✓ verified", "✗ DAMAGED", "? unknown"),
    history: ("migrate", "◀ undone", "Log of the last run"),
    plan: ("nothing has been touched", "backup_creation", "move  web → web/app/public"),
    vnode: ("Debian 12", "nginx", "last contact"),
    runs: ("✗ FAIL", "backup_creation", "57%", "Pause", "esc Back"),
    log: ("nginx -t failed", "w Wrap", "E Next error", "esc Back"),
    dashboard: ("Needs attention", "unreachable: connection timed out", "Space, fullest", "esc Back"),
    settings: ("per_vnode", "default", "e Edit file", "esc Back"),
    rollback: ("Undo the migration", "✗ DAMAGED", "+ web/uploads/2026/09/poster.jpg", "~ web/config.php",
               "- web/old.html", "comes back", "esc Back"),
}  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
async def test_nothing_is_cut_and_the_facts_are_there(world, open_app, screen, size):
    async with open_app(world, size=size) as (app, pilot):
        await screen(app, pilot, world)
        app.clear_notifications()
        await pilot.pause(0.1)
        lines = picture(app)
        text = "\n".join(lines)
        assert cut_off(app) == []
        assert lines[-1].rstrip().endswith("? Help"), lines[-1]
        for words in SCREENS[screen]:
            assert words in text, text


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_question_that_wants_a_word_has_room_for_it(world, open_app, size):
    async with open_app(world, size=size) as (app, pilot):
        await pilot.press("a", "m")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press("n")
        await pilot.pause(0.1)
        field = app.screen.query_one("#word", Input)
        text = "\n".join(picture(app))
        assert "Cancel (esc)" in text and "Type  migrate 3" in text, text
        assert field.region.height == 1 and app.screen.query_one("#box").region.contains_region(field.region)


async def test_facts_of_a_question_are_read_by_keys(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        await pilot.press("a", "m")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.pause(0.1)
        assert "Way back" not in "\n".join(picture(app))
        await pilot.press("pagedown", "down", "j")
        await pilot.pause(0.1)
        assert "Way back" in "\n".join(picture(app))


async def test_an_empty_log_says_so_on_one_line(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        app.show_log("a run that waits", lambda: [])
        await pilot.pause(0.1)
        assert "There is nothing in the log." in "\n".join(picture(app))


async def test_a_shell_on_the_demo_needs_no_terminal_of_its_servers(world, open_app):
    async with open_app(world, demo=True) as (app, _pilot):
        assert "-T" in app.ssh_command(world.store.vnode("vn1.example.net"))
    async with open_app(world) as (app, _pilot):
        command = app.ssh_command(world.store.vnode("vn1.example.net"))
        assert command == ["ssh", "--", "vn1.example.net"]


@pytest.mark.parametrize("columns", [60, 80, 100, 101, 110, 120, 140])
async def test_names_of_the_fleet_win_over_counts(world, open_app, columns):
    async with open_app(world, size=(columns, 24)) as (app, pilot):
        await pilot.pause()
        text = "\n".join(picture(app))
        for name in ("vn1.example.net", "edge1.example.net", "sydney", "connection timed out"):
            assert name in text, text
        assert cut_off(app) == []


@pytest.mark.parametrize("name", ["vn1", "web1", "a-vnode-with-a-longer-name.example.net"])
@pytest.mark.parametrize("columns", [40, 76, 96])
def test_the_reason_of_a_vnode_that_cannot_be_reached_ends_in_an_ellipsis_where_it_is_cut(name, columns):
    vnode = Vnode(name, "x", unreachable="The name of the server is not known: " + "Name or service " * 9)
    line = fleet_lines.draw(NodeLine(vnode), columns, FleetModel(), Signs(), 0.0)
    drawn = "".join(text for text, _style in line)
    assert cell_len(drawn) <= columns and drawn.rstrip().endswith("…")


async def test_menus_cut_nothing(open_app):
    async with open_app(tui_world.parts(tui_world.FakeStore()), size=(80, 24)) as (app, pilot):
        await pilot.pause()
        assert "gone afterwards" in "\n".join(picture(app))
        assert cut_off(app) == []


async def test_the_help_says_in_full_what_its_line_is_about(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        await pilot.press(*"jjjj")
        await pilot.pause()
        text = "\n".join(picture(app))
        assert "Discover: ask the vnode what is there" in text, text
        assert "◆ native" in text and "? vanished" in text


async def test_the_form_says_truly_whether_a_vnode_is_production(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        for node, sign in (("vn7.example.net", "[ ] production"), ("vn1.example.net", "[x] production")):
            await on(app, pilot, node)
            await pilot.press("e")
            await until(pilot, lambda: isinstance(app.screen, VnodeForm))
            await pilot.pause()
            assert sign in "\n".join(picture(app))
            await pilot.press("escape")
            await pilot.pause()
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, VnodeForm))
        app.screen.query_one(Checkbox).value = True
        await pilot.pause()
        assert "[x] production" in "\n".join(picture(app))


async def test_many_runs_are_summed_up_and_marks_are_gone_when_their_migration_begins(
    world, open_app, at_rest
):
    async with open_app(world) as (app, pilot):
        await pilot.press("a", "v")
        await at_rest(app, pilot)
        notes = [str(note.message) for note in app._notifications]
        assert sum("went well" in note for note in notes) == 1
        assert not any("OK  validate" in note for note in notes)
        assert len(app.marks) == 9, "what was validated is migrated next"
        await pilot.press("u")
        await on(app, pilot, SHOP)
        await pilot.press("space")
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press("y")
        await at_rest(app, pilot)
        assert app.marks == set()


@pytest.mark.parametrize(
    ("words", "room", "lines"),
    [
        ("a path /srv/shop.example.org/web/app/public", 24,
         ["a path /srv/", "shop.example.org/web/", "app/public"]),
        ("move  web → web/app", 30, ["move  web → web/app"]),
        ("one two three", 8, ["one two", "three"]),
        ("x" * 12, 10, ["x" * 10, "xx"]),
        ("", 10, []),
    ],
)  # fmt: skip
def test_paths_are_cut_behind_a_slash_and_words_not_at_all(words, room, lines):
    assert cut(words, room) == lines


@pytest.mark.parametrize("room", range(10, 60))
def test_cutting_loses_nothing(room):
    words = "move  /srv/shop.example.org/web → /srv/shop.example.org/web/app/public, and link-it back"
    lines = cut(words, room)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    assert all(len(line) <= room for line in lines)


@pytest.mark.parametrize("room", range(10, 60))
def test_cutting_counts_the_cells_that_a_terminal_gives_to_wide_letters(room):
    words = "open() /srv/shop.example.org/web/照片/二〇二六年九月-港口/ポスター.jpg failed 権限がありません"
    lines = cut(words, room)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    assert all(cell_len(line) <= room for line in lines)


def test_shortened_ends_between_words():
    assert shortened("the rest waits for you", 18) == "the rest waits…"
    assert shortened("fits", 4) == "fits"
    assert shortened("abcdefghij", 5) == "abcd…"


FACTS = [("", f"fact {n}, one of those that are told before vhosts migrate in a batch") for n in range(9)]
LEFT = [(key, key, f"entry {key}") for key in "lsrfn"]
QUESTIONS = {
    "batch": (
        lambda: ConfirmDialog("Migrate 8 vhosts in a batch?", FACTS, verb="migrate", word="migrate 8",
                              choices=(*CHOICES, CANARY)),
        ["o  foreign", "l  auto", "n  [ ]", "c  no", "Cancel (esc)", "Migrate (y)"],
    ),
    "remove": (
        lambda: ConfirmDialog("Remove vn1.example.net from the fleet?", FACTS, verb="remove",
                              word="vn1.example.net", always_typed=True),
        ["Type  vn1.example.net", "Cancel (esc)", "Remove (y)"],
    ),
    "menu": (lambda: MenuDialog("A batch has something left to do", LEFT, facts=[fact for _s, fact in FACTS]),
             [text for _key, _id, text in LEFT]),
    "key": (lambda: HostKeyDialog("vn1.example.net", "ssh-ed25519", "SHA256:" + "x" * 43),
            ["Type  yes", "Do not connect (esc)"]),
    "password": (lambda: PasswordDialog("sudo password of admin on vn1.example.net"), ["Enter sends it"]),
    "form": (VnodeForm, ["Name", "Vsite", "SSH host", "VPATH", "[ ] production", "Cancel (esc)"]),
    "pick": (lambda: PickDialog("Import vnodes", [(f"host{n}", "") for n in range(20)]),
             ["host0", "Cancel (esc)", "Import (y)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_can_be_answered_on_a_very_small_screen(world, open_app, name):
    make, answers = QUESTIONS[name]
    async with open_app(world, size=(40, 12)) as (app, pilot):
        app.push_screen(make())
        await until(pilot, lambda: all(any(one in line for line in picture(app)) for one in answers))
        if name == "batch":
            await pilot.press("n")
            words = ["n  [x]", "Type  migrate 8", "Cancel (esc)"]
            await until(pilot, lambda: all(any(one in line for line in picture(app)) for one in words))


@pytest.mark.parametrize("width", [40, 80, 100, 140])
async def test_the_tab_that_is_shown_is_named_whatever_the_width(world, open_app, width):
    async with open_app(world, size=(width, 30)) as (app, pilot):
        await on(app, pilot, FORUM)
        await pilot.press("enter")
        for name in ("overview", "findings", "plan", "archives", "history"):
            bar = app.screen.query_one("#tabs")
            on_bar = [text.strip() for text, style in bar.pieces if style == "on"]
            assert on_bar == [name.capitalize()], bar.pieces
            assert sum(cell_len(text) for text, _style in bar.pieces) <= bar.size.width + 2
            await pilot.press("]")
