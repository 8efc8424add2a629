"""Small facts about processes and mounts of this machine, read from /proc."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

WAIT_S = 20.0


def start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks, None when it is gone or a zombie; unique with the pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """True while the very process that had this start time runs."""
    return start_time(pid) == started


def children(pid: int) -> list[int]:
    """Direct children of a process, found by their parent field."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if int(text.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry))
    return found


def container_init(supervisor: int) -> int | None:
    """The child of an nspawn process that is process 1 of an inner pid namespace, None before it exists."""
    for pid in children(supervisor):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        found = re.search(r"^NSpid:\s+\d+\s+1$", status, re.M)
        if found:
            return pid
    return None


def namespace_members(init: int) -> list[int]:
    """Every process in the pid namespace of ``init``, by the host's numbers."""
    try:
        wanted = os.readlink(f"/proc/{init}/ns/pid")
    except OSError:
        return []
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") == wanted:
                    members.append(int(entry))
            except OSError:
                continue
    return members


def kill_and_wait(pid: int, started: int) -> None:
    """SIGKILL one exact process and wait until it is gone; nothing happens when it already is.

    Raises TimeoutError after WAIT_S.
    """
    deadline = time.monotonic() + WAIT_S
    while is_alive(pid, started):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not die")
        time.sleep(0.01)


def mounts_below(path: Path) -> list[str]:
    """Mount points at or below ``path``, deepest and newest first."""
    prefix = str(path)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split(" ")[4])
        if target == prefix or target.startswith(prefix + "/"):
            found.append(target)
    return list(reversed(found))


def unmount_below(path: Path) -> None:
    """Unmount everything at or below ``path``; what stays busy for two seconds is detached lazily."""
    deadline = time.monotonic() + 2
    while targets := mounts_below(path):
        lazy = ["--lazy"] if time.monotonic() > deadline else []
        for target in targets:
            subprocess.run(["umount", *lazy, "--", target], capture_output=True)
        if mounts_below(path):
            time.sleep(0.05)
