"""A directory for what another library must read as files: ours alone, and cleared though we be killed.

Whoever uses one holds a lock on it, which ends with its process however that ends. Who makes the next one
takes away those that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
import weakref
from pathlib import Path

PREFIX = "nsmig-ssh-"
YOUNG = 60.0
"""Seconds in which a directory is left alone: its maker may not hold it yet."""

_NAME = re.compile(r"[0-9a-f]{64}")
"""What a file in it is called. Nothing else is ever deleted there."""


class Scratch:
    """One such directory. It is made when first asked for, and anew where something tidied it away."""

    def __init__(self) -> None:
        self._path = ""
        self._held = -1
        self._end: weakref.finalize[..., Scratch] | None = None

    def file(self, name: str) -> Path:
        """Where a file of this name (see ``_NAME``) may be written. Raises OSError."""
        if self._end is None or not _is_there(self._path, self._held):
            self.close()
            self._make()
        return Path(self._path, name)

    def close(self) -> None:
        """Take it away, if it is there."""
        if self._end is not None:
            self._end()
            self._end = None

    def _make(self) -> None:
        _clear(tempfile.gettempdir())
        self._path = tempfile.mkdtemp(prefix=PREFIX)
        self._held = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self._end = weakref.finalize(self, _remove, self._path, self._held)
        # A file system without locks loses no more than this: nobody else clears the directory there.
        with contextlib.suppress(OSError):
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_there(path: str, held: int) -> bool:
    """Whether it is still ours: what is idle for days is tidied away, its name free for others."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(held))
    except OSError:
        return False


def _remove(path: str, held: int) -> None:
    """Take away what we made, and let go of it."""
    if _is_there(path, held):
        shutil.rmtree(path, ignore_errors=True)
    os.close(held)


def _clear(folder: str) -> None:
    """Take away the directories in ``folder`` that a process of this user left and no process holds."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for one in found:
            if one.name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    _clear_one(one.path)


def _clear_one(path: str) -> None:
    """Take one away. Raises OSError where it is held or holds what we did not write.

    The folder may be everybody's: names are looked up in the directory that was judged, not by its path.
    """
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(held)
        is_ours = found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700
        if not is_ours or abs(time.time() - found.st_mtime) < YOUNG:
            return
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in os.listdir(held):
            if _NAME.fullmatch(name):
                os.unlink(name, dir_fd=held)
        os.rmdir(path)
    finally:
        os.close(held)
