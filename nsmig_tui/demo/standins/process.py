"""What both daemons need: a title in the process list, a pid file, and leaving the starter behind."""

from __future__ import annotations

import os
import sys
import time


def set_title(title: str) -> None:
    """Show ``title`` as this process's command line, as nginx and php-fpm do with their own.

    It is written over the argument area, whose addresses the kernel tells; what does not fit is cut off.
    """
    with open("/proc/self/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    start, end = int(fields[45]), int(fields[46])
    room = end - start
    text = os.fsencode(title)[: room - 1]
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(text.ljust(room, b"\0"))


def detach() -> int:
    """Become a daemon: own session, no terminal, parent gone. Answers the write end for ``ready``.

    The starter waits until the daemon said how its start went, and exits with that status.
    """
    read_end, write_end = os.pipe()
    if os.fork():
        os.close(write_end)
        verdict = os.read(read_end, 1)
        os._exit(verdict[0] if verdict else 1)
    os.close(read_end)
    os.setsid()
    if os.fork():
        os._exit(0)
    return write_end


def ready(write_end: int, status: int = 0) -> None:
    """Let the starter go with ``status``, and let go of its streams."""
    devnull = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(devnull, stream)
    os.close(devnull)
    os.write(write_end, bytes([status]))
    os.close(write_end)


def write_pid(path: str) -> None:
    """Write the pid file whole: readers see the old one or the new one."""
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="ascii") as out:
        out.write(f"{os.getpid()}\n")
    os.rename(temporary, path)


def read_pid(path: str, title: str) -> int:
    """The pid in the file when that process lives and its title begins with ``title``, else 0."""
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read().strip() or "0")
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return pid if line.read().startswith(os.fsencode(title)) else 0
    except (OSError, ValueError):
        return 0


def log(path: str, line: str) -> None:
    """Append one line to a log; to standard error when there is no log to write to."""
    try:
        with open(path, "a", encoding="utf-8", errors="surrogateescape") as out:
            out.write(line + "\n")
    except OSError:
        print(line, file=sys.stderr)


def stamp() -> str:
    """The time as nginx's error log writes it."""
    return time.strftime("%Y/%m/%d %H:%M:%S")
