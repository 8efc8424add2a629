"""Finds and ends what a demo world left: processes by their environment, then its directory.

Run as a program, ``python -I -S -B leftovers.py DIR``, it is the world's guard: it waits until its standard
input ends, which happens however the owner ended, SIGKILL included, and clears up then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

PREFIX = "nsmig-demo-"
OWNER = "owner"
"""In a world's directory: the pid of the process that it belongs to, which holds a lock on this file."""


def processes(world: Path) -> list[int]:
    """Our own processes that were started inside ``world``: for a vnode of it, or on its data directory."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _belongs(pid, world)]


def _belongs(pid: int, world: Path) -> bool:
    """Whether its environment or its options put it in ``world``; the path as a mere argument does not."""
    marks = tuple(f"{name}={world}/".encode() for name in ("NSMIG_ROOT", "NSMIG_DATA_DIR", "--data-dir"))
    try:
        lines = Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
        words = Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return False
    lines += words.replace(b"--data-dir\0", b"--data-dir=").split(b"\0")
    return any(line.startswith(marks) for line in lines)


def end_processes(world: Path, patience: float = 10.0) -> bool:
    """Kill them until a look finds none; there is nothing in a demo world that is worth waiting for."""
    give_up = time.monotonic() + patience
    while pids := processes(world):
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


def clear(world: Path) -> bool:
    """End the processes and take the directory away; whether nothing is left. Takes nothing but a world."""
    if not world.is_absolute() or not world.name.startswith(PREFIX):
        raise ValueError(f"{world} is no demo world")
    ended = end_processes(world)
    for _attempt in range(20):
        _remove(world)
        if not world.exists():
            return ended
        end_processes(world)
        time.sleep(0.05)
    return False


def _remove(world: Path) -> None:
    """Take the tree away, opening directories that their owner may not enter, as a site can hold them."""
    for folder, folders, _files in os.walk(world):
        for name in folders:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(world, ignore_errors=True)


def claim(world: Path) -> int:
    """Say whose world this is, and hold a lock on it; the world is somebody's as long as the answer is open.

    A lock, not a number: it counts in every container that sees this directory, and ends with its owner.
    """
    fresh = world / f"{OWNER}.new"
    handle = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, f"{os.getpid()}\n".encode())
    fresh.rename(world / OWNER)
    return handle


def sweep(folders: list[Path]) -> list[Path]:
    """Clear worlds of this user whose owner is gone; answers which."""
    swept = []
    for folder in folders:
        for world in folder.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if not world.is_symlink() and world.stat().st_uid == os.geteuid() and _swept(world):
                    swept.append(world)
    return swept


def _swept(world: Path) -> bool:
    """Clear one world unless its owner holds it. Raises OSError when it does, or never said who it is."""
    handle = os.open(world / OWNER, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return clear(world)
    finally:
        os.close(handle)


def places() -> list[Path]:
    """Where worlds may be: the usual temporary directory and /tmp."""
    return list(dict.fromkeys([Path(tempfile.gettempdir()), Path("/tmp")]))


def guard(world: Path) -> None:
    """Wait for the owner's end, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 512):
        continue
    if world.exists():
        clear(world)


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
