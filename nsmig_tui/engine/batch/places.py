"""Where a batch keeps its files, and whether a process works on it.

``DATA_DIR/batches/BATCH/``, for its owner only: ``batch.json`` (what was decided), ``events.jsonl`` (what
happened), ``ticks.json`` (where everything stands right now), ``inbox/`` (what the operator wants),
``process.json`` and ``log`` of the process, and ``lock``, which the process holds as long as it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from ...domain.batch import BatchSpec, spec_from
from ...domain.errors import Refused, UsageError

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


class BatchDir:
    """The directory of one batch."""

    def __init__(self, top: Path, batch: str) -> None:
        if not _NAME.fullmatch(batch):
            raise UsageError(f"{batch!r} is no name of a batch.", hint="See `nsmig attach --list`.")
        self.batch = batch
        self.path = top / batch
        self.events = self.path / "events.jsonl"
        self.ticks = self.path / "ticks.json"
        self.inbox = self.path / "inbox"
        self.log = self.path / "log"

    @property
    def exists(self) -> bool:
        """Whether there is such a batch."""
        return (self.path / "batch.json").is_file()

    def create(self, spec: BatchSpec) -> None:
        """Write a new batch. Raises Refused, with nothing left behind, where the disk does not take it."""
        made = False
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
            made = True
            self.inbox.mkdir(mode=0o700)
            replace_file(self.path / "batch.json", json.dumps(spec.as_json()).encode(), sync=True)
        except OSError as error:
            if made:
                shutil.rmtree(self.path, ignore_errors=True)
            raise Refused(f"The batch could not be written to {self.path}: {error.strerror}.") from error

    def spec(self) -> BatchSpec:
        """What was decided. Raises UsageError when there is no such batch or it cannot be read."""
        try:
            return spec_from(json.loads((self.path / "batch.json").read_bytes()))
        except FileNotFoundError:
            raise UsageError(
                f"There is no batch {self.batch!r}.", hint="See `nsmig attach --list`."
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{self.path}/batch.json cannot be read: {error}.",
                hint=f"Move the batch away (mv '{self.path}' somewhere); what it did is recorded on the "
                "vnodes: nsmig discover.",
            ) from error

    def take_lock(self) -> int | None:
        """The open, locked file; None when a process holds it. It may be handed to a child."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    @property
    def alive(self) -> bool:
        """Whether a process works on this batch now."""
        try:
            handle = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def process(self) -> dict[str, Any]:
        """What the last process said of itself: pid, host."""
        try:
            return dict(json.loads((self.path / "process.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}

    def note_process(self, facts: dict[str, Any]) -> None:
        """Keep what the process says of itself."""
        replace_file(self.path / "process.json", json.dumps(facts).encode())


def batch_names(top: Path) -> list[str]:
    """Every batch below ``top``, newest first: names begin with the time."""
    try:
        found = [entry.name for entry in top.iterdir() if _NAME.fullmatch(entry.name)]
    except OSError:
        return []
    return sorted((name for name in found if (top / name / "batch.json").is_file()), reverse=True)


def replace_file(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Put a whole file in place by one rename, for its owner only. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(data)
        while left:  # a nearly full disk takes a part, and says so only when asked to take the rest
            left = left[os.write(handle, left) :]
        if sync:
            os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    finally:
        os.close(handle)
    os.replace(part, path)
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in ``path`` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
