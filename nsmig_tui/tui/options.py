"""What the terminal application takes from the settings, with a default for each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.binding import Binding

from ..domain.options import MigrateOptions
from ..settings import CONFIG_NAME
from .narrow import charset

SHOWN = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"}
"""What people call keys that Textual calls otherwise."""


@dataclass(frozen=True)
class UiOptions:
    """``theme``: a name of theme.NAMES or of Textual's; ``color`` False: none at all.

    ``ascii``: frames and signs without UTF-8; ``charset``: what else the terminal can show.
    ``keys``: action id -> key(s), comma between.
    ``ssh_config``: a file for ``ssh -F``, or None for OpenSSH's own. ``jobs``: vnodes at once,
    ``per_vnode``: vhosts at once on each. ``owners``, ``compat``, ``nice``, ``ionice``: what a
    migration starts from.
    ``demo``: the servers stop with the program. ``source``: the Settings that all this was read off, if any.
    """

    read_only: bool = False
    ascii: bool = False
    charset: str = "utf-8"
    theme: str = ""
    color: bool = True
    mouse: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    ssh_config: Path | None = None
    data_dir: Path = Path(".")
    jobs: int = 4
    per_vnode: int = 2
    max_failures: int | None = None
    operator: str = ""
    confirm_wait: int = 120
    owners: str = "foreign"
    compat: str = "auto"
    nice: int = 10
    ionice: str = "best-effort"
    demo: bool = False
    source: Any = None

    def for_migration(self) -> MigrateOptions:
        """What a migration starts from when nothing else is chosen."""
        return MigrateOptions(
            owners=self.owners,
            compat=self.compat,
            confirm_wait=self.confirm_wait,
            nice=self.nice,
            ionice=self.ionice,
        )

    @property
    def config_file(self) -> Path | None:
        """Where the settings are read from; None where nothing was read."""
        return self.source.config_dir / CONFIG_NAME if self.source is not None else None


def spelled(keys: str) -> str:
    """Keys by Textual's names; also those written as the help shows them: ``?``, ``F6``, ``esc``."""
    if keys.strip() == ",":
        return "comma"
    names = []
    for key in filter(None, (part.strip() for part in keys.split(","))):
        # A letter alone says by its case whether it is with shift.
        key = key.lower() if len(key) > 1 else key
        names.append(next(iter(Binding.make_bindings([Binding(SHOWN.get(key, key), "")]))).key)
    return ",".join(names)


def from_settings(settings: Any) -> UiOptions:
    """Read off ``settings`` what UiOptions knows of it; a terminal that lacks our signs gets ASCII ones."""
    names = vars(UiOptions())
    values = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    values["keys"] = {name: spelled(keys) for name, keys in values.get("keys", {}).items()}
    values["charset"] = charset()
    # The kernel's own console takes UTF-8, but its fonts lack most of our signs: all look alike there.
    bare = os.environ.get("TERM") == "linux" and "ascii" not in getattr(settings, "origins", {})
    if bare or "utf" not in values["charset"]:
        values["ascii"] = True
    return UiOptions(**{**values, "source": settings})
