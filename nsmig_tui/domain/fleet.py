"""The fleet's nouns: vsite, vnode, vhost, and the status that a vhost can have."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Status(StrEnum):
    """Where a vhost stands between the two layouts."""

    DISCOVERED = "discovered"
    VALIDATED = "validated"
    MIGRATED = "migrated"
    FAILED = "failed"
    NATIVE = "native"


IN_NEW_LAYOUT = (Status.MIGRATED, Status.NATIVE)
"""Statuses in which there is nothing left to validate or to migrate."""


class Layout(StrEnum):
    """What the directory tree looks like, judged from disk."""

    NS1 = "ns1"
    NS3 = "ns3"
    MIXED = "mixed"
    UNKNOWN = "unknown"


STEPS = (
    "pre_flight_checks",
    "backup_creation",
    "structural_migration",
    "permissions_update",
    "configuration_update",
    "service_reload",
    "verification",
)
"""The seven steps of a migration, under the names that users see and records keep."""


@dataclass(frozen=True)
class Vnode:
    """One server, reached over SSH.

    ``ssh_host`` is the alias handed to OpenSSH's configuration; ``vpath`` the parent of all vhosts;
    ``facts`` what the last discovery said of the system (os, tools, disk), for display.
    ``service`` overrides the service manager: ``{"manager": "command", "nginx": CMD, "php-fpm": CMD}``.
    Times are seconds since the epoch, UTC.
    """

    name: str
    vsite: str = "default"
    ssh_host: str = ""
    vpath: str = "/srv"
    production: bool = False
    machine_id: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    service: dict[str, str] = field(default_factory=dict)
    last_contact: float | None = None
    unreachable: str = ""

    @property
    def target(self) -> str:
        """The name to give to ssh."""
        return self.ssh_host or self.name


@dataclass(frozen=True)
class Vhost:
    """One domain on a vnode, as last seen.

    ``details`` holds what discovery found beyond the columns: php version, document root, site and
    pool files, sizes in bytes (``size``), ``aliases``; ``findings`` the last validation's rows.
    """

    vnode: str
    domain: str
    status: Status = Status.DISCOVERED
    layout: Layout = Layout.UNKNOWN
    uuser: str = ""
    uid: int | None = None
    gid: int | None = None
    vanished: bool = False
    rollback_available: bool = False
    migration_attempts: int = 0
    migrated_at: float | None = None
    validated_at: float | None = None
    backup_archive: str | None = None
    last_error: str = ""
    last_hint: str = ""
    steps_completed: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    findings: tuple[dict[str, Any], ...] = ()


class VhostBrief(NamedTuple):
    """What a list of 100,000 vhosts shows of each; ``php`` is php-fpm's main file, ``size`` in bytes."""

    vnode: str
    domain: str
    status: str
    layout: str
    vanished: bool = False
    size: int = 0
    php: str = ""


class Refusal(NamedTuple):
    """A vhost that its last validation refused, and the gravest reason."""

    vnode: str
    domain: str
    reason: str


ON_THE_VNODE = ("migrate", "undo", "restore", "resume")
"""Verbs of runs that change a vnode: they may leave it half-done, and its journal is their truth."""

OPEN = ("running", "interrupted")
"""Outcomes in the database that say nothing of how a run ended."""

TO_ITS_END = ("ok", "undone")
"""Outcomes that leave nothing half-done, of that run or of one before it on the same vhost."""


@dataclass(frozen=True)
class RunRecord:
    """One kept run: who did what to which vhost, when, and how it ended.

    ``verb`` is one of ON_THE_VNODE, or discover, validate, verify or prune; ``outcome`` is running, ok,
    undone, failed, refused, interrupted. ``steps`` is a list of ``{name, ok, started, seconds}``.
    """

    run: str
    verb: str
    vnode: str
    vhost: str
    operator: str
    started: float
    finished: float | None = None
    outcome: str = "running"
    steps: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    backup_archive: str | None = None
    archive_sha256: str = ""
    batch: str = ""


@dataclass(frozen=True)
class ArchiveRecord:
    """What the operator's side remembers of one archive; the vnode's own record has the last word.

    ``verified``: when it was last checked; ``ok``: True verified, False damaged, None unknown.
    """

    vnode: str
    vhost: str
    path: str
    sha256: str = ""
    size: int = 0
    created: float = 0.0
    verified: float | None = None
    ok: bool | None = None
    entries: int | None = None


@dataclass(frozen=True)
class StatusChange:
    """One step in a vhost's life; ``old`` is None when it was first seen."""

    at: float
    vnode: str
    vhost: str
    old: Status | None
    new: Status
    reason: str = ""
