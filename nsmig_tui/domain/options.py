"""What the operator may ask of a run, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from .layout import JournalView

IONICE = {"none": "", "best-effort": "ionice -c 2 -n 7", "idle": "ionice -c 3"}
"""Class of disk use -> what is put before a command for it; the lowest best-effort goes last."""


@dataclass(frozen=True)
class MigrateOptions:
    """``owners``: foreign | keep | all; ``compat``: auto | never | always (links for old paths).

    ``confirm_wait``: seconds the vnode waits for the operator's verdict before it undoes by itself.
    ``nice`` (0 to 19) and ``ionice`` (none | best-effort | idle): how far heavy work on the vnode stands
    back behind the live sites, in computing and on its disks.
    ``gather``: share reloads with the other runs on the vnode that are on their way to one (batches).
    ``follow``: how many runs there begin after this one without waiting for any to end (batches).
    ``crash_at``/``fail_at``: journal point at which the runner kills itself or fails; tests only.
    """

    backup: bool = True
    owners: str = "foreign"
    compat: str = "auto"
    confirm_wait: int = 120
    nice: int = 10
    ionice: str = "best-effort"
    gather: bool = False
    follow: int = 0
    crash_at: int = 0
    fail_at: str = ""


@dataclass(frozen=True)
class RollbackOptions:
    """``archive``: file name of a point to restore, or None to undo the migration.

    ``exact``: do not carry over files that are new since the archive. ``with_mail``: restore mail too.
    """

    archive: str | None = None
    exact: bool = False
    with_mail: bool = False
    crash_at: int = 0
    fail_at: str = ""


@dataclass(frozen=True)
class RollbackPoint:
    """One archive that a vhost can be rolled back to. ``ok``: True verified, False damaged, None unknown.

    ``created_at``: seconds since the epoch, UTC. ``size``: bytes. ``entries``: members, or None.
    """

    filename: str
    path: str
    created_at: float
    size: int
    ok: bool | None = None
    entries: int | None = None


@dataclass(frozen=True)
class Standing:
    """How the newest run on a vhost stands by its vnode's journal, and what a resume would ``do`` about it.

    ``do``: attach (it is at work), finish, undo (the migration), unrestore (take a restore back), tidy
    (clear what a restore left, which stands or never began), or "" where nothing is left half-done.
    """

    do: str
    journal: JournalView
