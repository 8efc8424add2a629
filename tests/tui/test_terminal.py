"""On a real pseudo-terminal: signals leave the terminal whole, and no colour is sent where none is wanted."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pty_terminal import Terminal

from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.store.fleet_store import Store

PROGRAM = [sys.executable, str(Path(__file__).with_name("try_it.py"))]
LEAVE_ALTERNATE, MOUSE_OFF, SHOW_CURSOR = b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h"


@pytest.fixture
def terminal():
    """The application (or ``program``) on the made-up fleet, drawn; keyword arguments are environment."""
    opened = []

    def open_it(program=PROGRAM, **extra):
        made = Terminal(program, {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **extra})
        opened.append(made)
        made.until(b"vn1.example.net")
        assert b"vn1.example.net" in made.seen
        return made

    yield open_it
    for made in opened:
        if made.process.poll() is None:
            made.process.kill()
        made.process.wait()
        os.close(made.master)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 130)])
def test_a_signal_leaves_the_terminal_whole(terminal, number, code):
    shown = terminal()
    shown.process.send_signal(number)
    _first, rest = shown.read(quiet=2.0)
    assert shown.process.wait(10) == code
    for sequence in (LEAVE_ALTERNATE, MOUSE_OFF, SHOW_CURSOR):
        assert sequence in rest


def test_a_terminal_that_is_gone_without_a_signal_is_noticed(terminal):
    shown = terminal()
    os.close(shown.master)
    shown.master = os.open(os.devnull, os.O_RDWR)
    assert shown.process.wait(10) == 130


def test_no_color_sends_no_colour(terminal):
    shown = terminal(NO_COLOR="1")
    _first, rest = shown.read(quiet=0.5)
    assert not re.search(rb"\x1b\[[0-9;]*(?:38|48);[25];", shown.seen + rest)


@pytest.mark.parametrize("name", ["xterm", "screen", "linux"])
def test_of_sixteen_colours_the_signs_have_their_own(terminal, name):
    """The nearest of them to a pastel green is grey: one status looked like the other."""
    shown = terminal(TERM=name, COLORTERM="")
    _first, rest = shown.read(quiet=0.5)
    drawn = (shown.seen + rest).decode()
    for sign, colour in (("\u2717 1", 31), ("\u25cf 3", 36), ("\u2713 1", 32)):
        # the line that the cursor is on is bold and reversed as well
        assert re.search(rf"\x1b\[(?:[17];)*{colour}(?:;\d+)?m{sign}", drawn), sign
    assert not re.search(r"\x1b\[[0-9;]*(?:38|48);[25];", drawn)


@pytest.fixture
def latin_1(tmp_path):
    """The environment of a terminal that knows Latin-1 and no more."""
    name = "en_US.ISO-8859-1"
    made = ["localedef", "-c", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / name)]
    if shutil.which("localedef") is None or subprocess.run(made, capture_output=True).returncode:
        pytest.skip("no such locale can be made here")
    return {"LOCPATH": str(tmp_path), "LC_ALL": name, "PYTHONUTF8": "0"}


@pytest.mark.parametrize("where", ["C", "Latin-1"])
def test_a_terminal_without_utf_8_gets_no_sign_that_it_lacks(terminal, tmp_path, request, where):
    """What it cannot show would come as \\u256d, six cells for one, and push everything out of its place."""
    chosen = {"LC_ALL": "C"} if where == "C" else request.getfixturevalue("latin_1")
    data = Store(tmp_path / "nsmig.db")
    data.save_vnode(Vnode("vn1.example.net", "S\u00e3o \u6771"))
    data.close()
    places = ["--data-dir", str(tmp_path), "--config-dir", str(tmp_path / "config")]
    shown = terminal([sys.executable, "-m", "nsmig_tui", *places], **chosen)
    os.write(shown.master, b"?")
    shown.until(b"Keys")
    _first, rest = shown.read(quiet=0.5)
    drawn = shown.seen + rest
    assert b"\\u" not in drawn and b"\\x" not in drawn and b"------" in drawn
    assert (b"S?o ??" if where == "C" else b"S\xe3o ??") in drawn
    assert where != "C" or drawn.isascii()


def test_the_window_can_be_narrow_and_keys_are_answered(terminal):
    shown = terminal()
    _milliseconds, count = shown.key(b"?", quiet=1.0)
    assert count > 0
    os.write(shown.master, b"\x1b")
    shown.read(quiet=0.5)
    os.write(shown.master, b"q")
    shown.read(quiet=2.0)
    assert shown.process.wait(10) == 0


CRASH = """
import runpy, sys
from nsmig_tui.tui.screens.fleet import FleetScreen
def zoom(self):
    password = "hunter2-in-a-local"
    raise RuntimeError(password)
FleetScreen.zoom = zoom
sys.argv = [sys.argv[1]]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_crash_leaves_the_terminal_whole_and_tells_no_values(terminal):
    shown = terminal([sys.executable, "-c", CRASH, PROGRAM[-1]])
    os.write(shown.master, b"+")
    _first, rest = shown.read(quiet=2.0)
    assert shown.process.wait(10) == 1
    for sequence in (LEAVE_ALTERNATE, MOUSE_OFF, SHOW_CURSOR):
        assert sequence in rest
    said = rest.partition(LEAVE_ALTERNATE)[2]
    assert b"RuntimeError" in said and b"in zoom" in said
    assert b"hunter2" not in rest
