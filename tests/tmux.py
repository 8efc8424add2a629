"""A pane of tmux in which a program runs: real keys go in, and what is drawn is read."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

PATIENCE = 60.0
"""Seconds until what must be drawn is drawn, however busy the machine is."""


def need_tmux() -> None:
    """Skip the test where there is no tmux; fail it where everything must be there, as in CI."""
    if shutil.which("tmux") is None:
        give_up = pytest.fail if os.environ.get("NSMIG_REQUIRE_LAB") == "1" else pytest.skip
        give_up("tmux is not installed")


def wait_until(true: Callable[[], object], shown: Callable[[], str] = lambda: "") -> None:
    """Return when ``true()``; fail after a long time, with what is ``shown`` then."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"it does not come true\n{shown()}"
        time.sleep(0.05)


class Pane:
    """A tmux server of its own with one pane that runs ``command``, and says after it how that ended."""

    def __init__(self, folder: Path, command: Sequence[str], columns: int = 80, rows: int = 24) -> None:
        self.socket = folder / "tmux"
        self.ended = folder / "ended"
        words = f"{shlex.join(command)}; echo $? >{shlex.quote(str(self.ended))}; exec cat"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), words)

    def tmux(self, *words: str) -> str:
        """One command to the server; answers what it prints."""
        done = subprocess.run(
            ["tmux", "-S", str(self.socket), *words],
            capture_output=True, text=True, check=True, timeout=30,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        return done.stdout

    @property
    def text(self) -> str:
        """What is drawn now."""
        return self.tmux("capture-pane", "-p")

    def keys(self, *names: str) -> None:
        """Press keys, each by tmux's name for it."""
        self.tmux("send-keys", *names)

    def type(self, text: str) -> None:
        """Type ``text`` as it stands."""
        self.tmux("send-keys", "-l", text)

    def agree(self, title: str) -> None:
        """Wait for the question and answer yes."""
        self.answer(title, "y")

    def answer(self, title: str, key: str) -> None:
        """Wait for the question and press ``key``; again where it was too early to be taken."""
        self.until(title)

        def answered() -> bool:
            self.keys(key)
            end = time.monotonic() + 4
            while time.monotonic() < end:
                if title not in self.text:
                    return True
                time.sleep(0.1)
            return False

        wait_until(answered, lambda: self.text)

    def until(self, *words: str, without: Sequence[str] = ()) -> str:
        """Wait until all ``words`` are drawn and none of ``without``; answers the picture."""
        end = time.monotonic() + PATIENCE
        while True:
            shown = self.text
            if all(word in shown for word in words) and not any(word in shown for word in without):
                return shown
            if time.monotonic() > end or self.ended.exists():
                raise AssertionError(f"{words} without {without} is not in:\n{shown}")
            time.sleep(0.05)

    def exit_code(self) -> int:
        """Wait until the program has ended; answers its exit code."""
        wait_until(lambda: self.ended.exists() and self.ended.read_text().strip(), lambda: self.text)
        return int(self.ended.read_text())

    def hang_up(self) -> None:
        """Close the terminal under the program, as a lost connection does."""
        self.tmux("kill-server")

    def close(self) -> None:
        """End the server and what runs in it."""
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, timeout=30)


def find(pane: Pane, domain: str) -> None:
    """In nsmig's fleet: filter for one vhost and put the cursor on it."""
    pane.keys("/", "C-u")
    pane.until("~fuzzy")
    pane.type(domain)
    pane.until(f"/{domain}", "1 of ")
    pane.keys("Enter", "j", "j")
