"""What a batch is: which vhosts, under which limits; as plain values that survive in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .events import Result
from .options import MigrateOptions


@dataclass(frozen=True)
class Limits:
    """How much may go on at once, and when to stop.

    ``vnodes``: vnodes worked on at once. ``per_vnode``: backups in flight on each of them. ``ahead``: vhosts
    a vnode may have past their backup (waiting for their turn to switch) besides those. ``max_failures``:
    the batch stops when so many vhosts have failed; None is never. ``canary``: migrate so many first, then
    wait for consent, or for ``clean_s`` seconds without a failure where that is above 0.
    """

    vnodes: int = 4
    per_vnode: int = 2
    ahead: int = 24
    max_failures: int | None = None
    canary: int = 0
    clean_s: float = 0.0


@dataclass(frozen=True)
class BatchItem:
    """One vhost of a batch. ``size``: allocated bytes. ``skip``: why it is not touched; empty for work.

    ``files``: the configuration files that it stands in, perhaps together with other vhosts.
    """

    vnode: str
    domain: str
    size: int = 0
    skip: str = ""
    hint: str = ""
    exit_code: int = 0
    files: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The vhost's identity, as in RunState."""
        return f"{self.vnode}/{self.domain}"


@dataclass(frozen=True)
class BatchSpec:
    """Everything that is decided before a batch starts. ``expected_s``: from measured throughput."""

    batch: str
    operator: str
    made_at: float
    items: tuple[BatchItem, ...] = ()
    limits: Limits = field(default_factory=Limits)
    options: MigrateOptions = field(default_factory=MigrateOptions)
    expected_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The spec as one JSON object."""
        return asdict(self)

    @property
    def work(self) -> tuple[BatchItem, ...]:
        """The items that are to be migrated, in order."""
        return tuple(item for item in self.items if not item.skip)

    @property
    def skipped(self) -> tuple[BatchItem, ...]:
        """The items that are left alone from the start."""
        return tuple(item for item in self.items if item.skip)


def spec_from(value: Mapping[str, Any]) -> BatchSpec:
    """The spec that ``as_json`` wrote. Raises KeyError or TypeError for something else."""
    return BatchSpec(
        batch=str(value["batch"]),
        operator=str(value["operator"]),
        made_at=float(value["made_at"]),
        items=tuple(BatchItem(**{**item, "files": tuple(item.get("files", ()))}) for item in value["items"]),
        limits=Limits(**value["limits"]),
        # Batches that an earlier version began have a "force" that says nothing.
        options=MigrateOptions(**{k: v for k, v in value["options"].items() if k != "force"}),
        expected_s=float(value.get("expected_s", 0.0)),
    )


BEFORE_WE_BEGAN = ("before we begin: ", "is not running", "'s configuration cannot be read")
"""What a runner says of services that it finds broken before anything was touched."""

SERVICES_SUFFER = ("nginx", "php-fpm", "the runner stopped")
"""What in the words of an undo that failed concerns more than the one vhost."""

LOCK_STAYED = "configuration lock stayed taken"


def trouble_of(result: Result) -> str:
    """Why ``result`` means that the vnode itself is in trouble, or nothing when it is the vhost's own fault.

    In trouble: it cannot be reached, its services were broken before we came or after an undo, or something
    killed a runner there. A vhost that failed and was undone proves the opposite: nginx passed its test.
    """
    if result.ok or result.vnode_trouble:
        return result.vnode_trouble
    first = result.errors[0] if result.errors else ""
    if result.exit_code in (3, 130):
        return first or "it cannot be reached"
    own_name = re.compile(rf"(?<![\w.-]){re.escape(result.vhost)}(?![\w-])")  # may have nginx in it
    for words in result.errors:
        if result.exit_code == 6 and any(sign in own_name.sub("", words) for sign in SERVICES_SUFFER):
            return words
        if LOCK_STAYED in words:
            return words
        if result.exit_code == 4 and any(sign in words for sign in BEFORE_WE_BEGAN):
            return words
    return ""


def set_aside(item: BatchItem, reason: str, hint: str, code: int) -> BatchItem:
    """The item as one that is not touched."""
    return replace(item, skip=reason, hint=hint, exit_code=code)
