"""On a real pseudo-terminal: signals leave the terminal whole, and no colour is sent where none is wanted."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest
from pty_terminal import Terminal

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
