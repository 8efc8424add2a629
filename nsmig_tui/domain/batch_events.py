"""The events that only a batch has, and the way of any event through a file and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from . import events
from .events import Event, Summary


@dataclass(frozen=True)
class BatchStarted(Event):
    """The batch's process took up work; ``resumed`` when an earlier one had begun it."""

    batch: str = ""
    operator: str = ""
    vhosts: int = 0
    skipped: int = 0
    size: int = 0
    expected_s: float = 0.0
    resumed: bool = False
    pid: int = 0
    type = "batch_started"


@dataclass(frozen=True)
class VnodeSetAside(Event):
    """``vnode`` is in trouble; its ``left`` remaining vhosts are not begun. The rest goes on."""

    reason: str = ""
    hint: str = ""
    left: int = 0
    type = "vnode_set_aside"


@dataclass(frozen=True)
class VnodeBack(Event):
    """A vnode that was set aside is tried again."""

    type = "vnode_back"


@dataclass(frozen=True)
class BatchPaused(Event):
    """Nothing new is begun. ``reason``: asked for, or the canaries wait for consent."""

    reason: str = ""
    consent: bool = False
    type = "batch_paused"


@dataclass(frozen=True)
class BatchContinued(Event):
    """New vhosts are begun again."""

    reason: str = ""
    type = "batch_continued"


@dataclass(frozen=True)
class BatchStopped(Event):
    """No further vhost will be begun: cancelled, or too many have failed. What is under way ends."""

    reason: str = ""
    type = "batch_stopped"


@dataclass(frozen=True)
class RetryAsked(Event):
    """A vhost that had failed, or was not begun, is in the queue again."""

    type = "retry"


@dataclass(frozen=True)
class BatchEnded(Event):
    """The batch's process ended. ``outcome``: done, partial, failed, cancelled, interrupted (resume it)."""

    batch: str = ""
    outcome: str = ""
    exit_code: int = 0
    hint: str = ""
    type = "batch_ended"


BATCH_EVENTS = (
    *(BatchStarted, VnodeSetAside, VnodeBack, BatchPaused, BatchContinued, BatchStopped),
    *(RetryAsked, BatchEnded),
)

_KINDS: dict[str, type[Any]] = {
    kind.type: kind
    for kind in (
        *(events.RunStarted, events.StepStarted, events.StepProgressed, events.StepFinished),
        *(events.StepFailed, events.Warned, events.LogLine, events.LinkChanged, events.Planned, events.Found),
        *(events.FindingMade, events.Result, Summary),
        *BATCH_EVENTS,
    )
}


def event_from(line: Mapping[str, Any]) -> Any:
    """The event that ``as_json`` gave; None for a type or shape that this version does not know."""
    kind = _KINDS.get(str(line.get("type")))
    if kind is None:
        return None
    values = {}
    for item in fields(kind):
        if item.name in line:
            value = line[item.name]
            values[item.name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError:
        return None
