"""What a lab owns on this machine, written down before it is made, and how all of it is taken away again.

A lab has a directory in STATE with two files: ``owner`` (pid and start time of the test process) and
``owned`` (one line for each process, namespace, cgroup and directory). Teardown reads only these lines
and /proc, so a reaper or the next test run can do it when the owner is long dead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from lab import procs

STATE = Path("/run/nsmig-lab")
KINDS = ("process", "netns", "cgroup", "tree")


class Ledger:
    """The list of a living lab's possessions."""

    def __init__(self, lab_id: str) -> None:
        """Open the ledger of ``lab_id`` for this process."""
        self.directory = STATE / lab_id
        self.directory.mkdir(parents=True)
        (self.directory / "owner").write_text(f"{os.getpid()} {procs.start_time(os.getpid())}\n")

    def add(self, kind: str, *words: object) -> None:
        """Note one possession; call it before the thing exists, or for a process at once after."""
        assert kind in KINDS
        with (self.directory / "owned").open("a") as handle:
            handle.write(" ".join([kind, *map(str, words)]) + "\n")

    def add_process(self, pid: int) -> None:
        """Note a process by pid and start time, so that a recycled number is never killed."""
        started = procs.start_time(pid)
        if started is not None:
            self.add("process", pid, started)


def _entries(directory: Path) -> list[list[str]]:
    """Words of each line, newest first."""
    try:
        text = (directory / "owned").read_text()
    except FileNotFoundError:
        return []
    return [line.split(" ") for line in reversed(text.splitlines())]


def kill_container(supervisor: int, started: int) -> None:
    """Kill an nspawn process and its container's init, which can outlive it."""
    init = procs.container_init(supervisor) if procs.is_alive(supervisor, started) else None
    init_started = procs.start_time(init) if init else None
    procs.kill_and_wait(supervisor, started)
    if init and init_started is not None:
        procs.kill_and_wait(init, init_started)


def _kill_members(cgroup: Path) -> None:
    """Kill what a node left in its own cgroup: catches what died before it could be noted."""
    for procs_file in cgroup.glob("**/cgroup.procs"):
        with suppress(OSError):
            for pid in map(int, procs_file.read_text().split()):
                started = procs.start_time(pid)
                if pid and started is not None:
                    procs.kill_and_wait(pid, started)


def _remove_cgroup(path: Path) -> None:
    """Remove an empty cgroup with its descendants; the kernel needs a moment after the last process."""
    deadline = time.monotonic() + 5
    while path.is_dir() and time.monotonic() < deadline:
        for inner, _, _ in os.walk(path, topdown=False):
            with suppress(OSError):
                os.rmdir(inner)
        if path.is_dir():
            time.sleep(0.02)


def _remove_tree(path: str) -> None:
    """Remove a directory, what a test made immutable included."""
    shutil.rmtree(path, ignore_errors=True)
    if os.path.isdir(path):
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", path], capture_output=True)
        shutil.rmtree(path, ignore_errors=True)


def teardown(directory: Path) -> None:
    """Take away everything that the ledger in ``directory`` lists, then the ledger. Safe to repeat."""
    try:
        handle = (directory / "lock").open("w")
    except FileNotFoundError:
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        entries = _entries(directory)
        recorded = [(int(words[1]), int(words[2])) for words in entries if words[0] == "process"]
        for pid, started in recorded:
            kill_container(pid, started)
        for words in entries:
            if words[0] == "cgroup":
                _kill_members(Path(words[1]))
        for words in entries:
            if words[0] == "tree":
                procs.unmount_below(Path(words[1]))
        for words in entries:
            if words[0] == "netns":
                subprocess.run(["ip", "netns", "del", words[1]], capture_output=True)
            elif words[0] == "cgroup":
                _remove_cgroup(Path(words[1]))
            elif words[0] == "tree" and not procs.mounts_below(Path(words[1])):
                _remove_tree(words[1])
        shutil.rmtree(directory, ignore_errors=True)


def sweep() -> list[str]:
    """Tear down the labs whose owner is dead; returns their ids."""
    swept = []
    for directory in sorted(STATE.glob("*")):
        try:
            pid, started = (directory / "owner").read_text().split()
        except (FileNotFoundError, ValueError):
            continue
        if not procs.is_alive(int(pid), int(started)):
            teardown(directory)
            swept.append(directory.name)
    return swept
