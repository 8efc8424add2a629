"""The operator's words to a running batch: small files in its ``inbox``, taken in the order they came."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .places import BatchDir, replace_file

WORDS = ("pause", "continue", "cancel", "retry")
_count = itertools.count()


@dataclass(frozen=True)
class Command:
    """``do``: pause · continue (also the consent that canaries wait for) · cancel (one waiting vhost with
    ``key``, else all that is not begun) · retry (one with ``key``, else all failed and set aside).

    ``by``: who says so, for the journal.
    """

    do: str
    key: str = ""
    by: str = ""


def post(place: BatchDir, command: Command) -> None:
    """Leave one command. Raises OSError where the directory cannot be written."""
    name = f"{time.time_ns():020d}-{os.getpid()}-{next(_count):06d}.json"
    replace_file(place.inbox / name, json.dumps(asdict(command)).encode())


def waiting(place: BatchDir) -> list[str]:
    """The names of commands that nobody has taken yet, oldest first."""
    try:
        return sorted(name for name in os.listdir(place.inbox) if name.endswith(".json"))
    except OSError:
        return []


def drop(place: BatchDir, names: Iterable[str]) -> None:
    """Take these commands away unheard."""
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(place.inbox / name)


def collect(place: BatchDir) -> list[Command]:
    """Take every command that has come, oldest first; what is no command is dropped."""
    found = []
    for name in waiting(place):
        path = place.inbox / name
        try:
            data: Any = json.loads(path.read_bytes())
            os.unlink(path)
        except (OSError, ValueError):
            continue
        if isinstance(data, dict) and data.get("do") in WORDS:
            found.append(Command(str(data["do"]), str(data.get("key", "")), str(data.get("by", ""))))
    return found
