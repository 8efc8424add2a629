"""The settings screen: what holds, where it came from, and the file in the user's editor."""

import shlex
import sys

import pytest
import tui_world
from waiting import until

from nsmig_tui import settings as settings_module
from nsmig_tui.tui import actions
from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.dialogs.prompts import MessageDialog
from nsmig_tui.tui.options import UiOptions, from_settings, spelled
from nsmig_tui.tui.panes import settings_lines
from nsmig_tui.tui.panes.settings_lines import SETTINGS, template
from nsmig_tui.tui.widgets.virtual_list import VirtualList

WRITE = "import sys; open(sys.argv[2], 'w').write(sys.argv[1])"


@pytest.fixture
def begin(tmp_path, world, monkeypatch):
    """A function that makes the application with settings read from a file with this text."""

    def made(text="", editor_writes="", **flags):
        place = tmp_path / "config"
        if text:
            place.mkdir(mode=0o700)
            (place / "config.toml").write_text(text)
            (place / "config.toml").chmod(0o600)
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, "-c", WRITE, editor_writes]))
        monkeypatch.delenv("VISUAL", raising=False)
        chosen = settings_module.load({"config_dir": place, "data_dir": tmp_path / "data", **flags})
        world.clock = tui_world.Clock()
        return NsmigApp(world, from_settings(chosen), clock=world.clock), place / "config.toml"

    return made


def shown(app):
    """The lines of the screen."""
    view = app.screen.query_one("#lines", VirtualList)
    return ["".join(part for part, _style in view.draw(row, 100)) for row in view.rows]


def said(app):
    """What toasts say."""
    return " | ".join(str(note.message) for note in app._notifications)


async def test_values_and_where_they_came_from(begin):
    app, path = begin(
        'jobs = 7\n[keys]\nvalidate = "f7"\n[notify]\nwebhook = "https://t0ken@x"\n', theme="light"
    )
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("comma")
        await pilot.pause()
        lines = shown(app)
    assert str(path) in lines[0]
    facts = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert facts["jobs"][1:3] == ["7", "file"]
    assert facts["theme"][1:4] == ["light", "command", "line"]
    assert facts["per_vnode"][1:3] == ["2", "default"]
    assert facts["validate"][1] == "F7" and "(re-mapped)" in facts["validate"]
    assert facts["notify"][1] == "webhook" and "t0ken" not in " ".join(lines)


async def test_the_file_is_edited_and_what_can_holds_at_once(begin, monkeypatch):
    app, _path = begin(editor_writes='theme = "light"\nascii = true\njobs = 9\n[keys]\nvalidate = "f7"\n')
    monkeypatch.setattr("nsmig_tui.tui.acts.nodes.run_outside", outside)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("comma")
        await pilot.pause()
        assert any("not there yet" in line for line in shown(app))
        await pilot.press("e")
        await until(pilot, lambda: "From the next start: jobs" in said(app))
        assert "In force now: theme, ascii, keys." in said(app)
        assert (app.theme, app.signs.ascii, app.options.jobs) == ("nsmig-light", True, 4)
        await pilot.press("escape", "j", "enter", "j", "f7")
        await until(pilot, lambda: ("validate", "blog.example.org") in app.parts.engine.calls)


async def outside(ui, command, title):
    """The editor without a terminal to give away."""
    import asyncio

    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def test_a_wrong_file_is_said_and_nothing_changes(begin, monkeypatch):
    app, _path = begin("jobs = 3\n", editor_writes="jbos = 4\n")
    monkeypatch.setattr("nsmig_tui.tui.acts.nodes.run_outside", outside)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("comma", "e")
        await until(pilot, lambda: isinstance(app.screen, MessageDialog))
        words = " ".join(text for _style, text in app.screen.lines)
        assert "jbos" in words and "Did you mean 'jobs'" in words and "still holds" in words


async def test_themes_can_be_tried(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("comma")
        await pilot.pause()
        before = app.theme
        await pilot.press("t")
        await pilot.pause()
        assert app.theme != before and app.theme.startswith("nsmig-")
        await pilot.press("e")
        await pilot.pause()
        assert "without a settings file" in said(app)


async def test_a_read_only_session_does_not_edit(world, open_app):
    async with open_app(world, read_only=True) as (app, pilot):
        await pilot.press("comma", "e")
        await pilot.pause()
        assert "read-only" in said(app)
        assert any(line.split()[:2] == ["read_only", "yes"] for line in shown(app))


def test_the_template_is_a_valid_file_with_and_without_its_hashes(tmp_path):
    path = tmp_path / "config.toml"
    for text in (template(), template().replace("\n#", "\n")):
        path.write_text(text)
        path.chmod(0o600)
        settings_module.load({"config_dir": tmp_path}, {})
    assert {one.name for one in SETTINGS} >= set(vars(UiOptions())) - {
        "color", "charset", "keys", "data_dir", "operator", "demo", "source",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("term", "said", "plain"),
    [
        ("linux", "", True),
        ("linux", "ascii = false\n", False),
        ("xterm", "", False),
        ("xterm", "ascii = true\n", True),
    ],
)
def test_a_console_without_a_font_for_signs_gets_plain_ones_unless_told_otherwise(
    tmp_path, monkeypatch, term, said, plain
):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    (tmp_path / "config.toml").write_text(said)
    (tmp_path / "config.toml").chmod(0o600)
    settings = settings_module.load({"config_dir": tmp_path}, {})
    assert from_settings(settings).ascii is plain


def test_what_a_migration_starts_from_are_the_settings(tmp_path):
    (tmp_path / "config.toml").write_text('owners = "keep"\nnice = 19\nionice = "idle"\nconfirm_wait = 60\n')
    read = settings_module.load({"config_dir": tmp_path, "data_dir": tmp_path}, {})
    options = from_settings(read).for_migration()
    assert (options.owners, options.nice, options.ionice, options.confirm_wait) == ("keep", 19, "idle", 60)


async def test_its_lines_fit_the_screen_from_the_first_picture_on(begin, monkeypatch):
    widths = []
    lines = settings_lines.lines
    monkeypatch.setattr(settings_lines, "lines", lambda *args: widths.append(args[-1]) or lines(*args))
    app, _path = begin()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("comma")
        await pilot.pause()
        assert set(widths) == {77}


@pytest.mark.parametrize(("keys", "words"), [("f6", "F6"), ("f12,ctrl+r", "F12 ctrl+r"), ("f", "f")])
def test_keys_are_named_as_they_stand_on_the_keyboard(keys, words):
    assert actions.shown_key(keys) == words


def test_a_key_of_two_actions_on_one_screen_is_named():
    words = actions.clashes({"migrate": "v"})
    assert len(words) == 1
    assert "v is the key of migrate and of validate on the fleet screen" in words[0]
    assert actions.clashes({}) == []
    assert actions.clashes({"migrate": "v", "validate": "m"}) == [], "swapped"
    assert actions.clashes({"pause": "m"}) == [], "of two screens"
    assert "pause and of cancel on the runs screen" in actions.clashes({"cancel": "f9,p"})[0]
    assert len(actions.clashes({"help": "q"})) == 1, "said once, not for every screen"


def test_a_key_that_lists_need_is_named():
    assert "g cannot be the key of discover" in actions.clashes({"discover": "f9,g"})[0]
    assert actions.clashes({"discover": "f9", "nonsense": "g"}) == []


@pytest.mark.parametrize(
    ("written", "pressed"),
    [("?", "question_mark"), ("F6", "f6"), ("%, f7", "percent_sign"), ("%, f7", "f7"), ("Ctrl+R", "ctrl+r")],
)
async def test_keys_are_taken_as_the_help_writes_them(begin, written, pressed):
    app, _path = begin(f'[keys]\nsettings = "{written}"\nhelp = "f12"\n')
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press(pressed)
        await until(pilot, lambda: getattr(app.screen, "WHERE", "") == "settings")


@pytest.mark.parametrize(
    ("written", "known"),
    [(",", "comma"), ("M", "M"), ("esc", "escape"), ("f5,,", "f5"), ("", ""), ("#", "number_sign")],
)
def test_names_of_keys_are_textuals(written, known):
    assert spelled(written) == known


async def test_a_clash_of_keys_is_said_at_the_start(begin):
    app, _path = begin('[keys]\nmigrate = "v"\n')
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: "v is the key of migrate and of validate" in said(app))
