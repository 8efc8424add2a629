"""The closed set of events that a run emits; both faces and the journal consume the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """What every event carries. ``type`` is its public name in JSON Lines."""

    vnode: str
    vhost: str = ""
    run: str = ""

    type = "event"

    def as_json(self) -> dict[str, Any]:
        """The event as one JSON object, ``type`` first."""
        # Not asdict: it copies every value, which for the events of a batch is felt. Nobody changes them.
        return {"type": self.type, **vars(self)}


@dataclass(frozen=True)
class RunStarted(Event):
    """Work on one vhost, or of discover on a vnode, began; ``verb`` as in RunRecord."""

    verb: str = ""
    type = "run_started"


@dataclass(frozen=True)
class StepStarted(Event):
    """A step of the run began."""

    step: str = ""
    type = "step_started"


@dataclass(frozen=True)
class StepProgressed(Event):
    """A tick that may be lost: ``done`` of ``total`` bytes in this step (total 0 = unknown)."""

    step: str = ""
    done: int = 0
    total: int = 0
    type = "step_progressed"


@dataclass(frozen=True)
class StepFinished(Event):
    """A step ended well after ``seconds``."""

    step: str = ""
    seconds: float = 0.0
    type = "step_finished"


@dataclass(frozen=True)
class StepFailed(Event):
    """A step did not hold; what was done is being undone."""

    step: str = ""
    message: str = ""
    hint: str = ""
    type = "step_failed"


@dataclass(frozen=True)
class Warned(Event):
    """Something odd that does not stop the run."""

    message: str = ""
    type = "warning"


@dataclass(frozen=True)
class LogLine(Event):
    """One line of talk for the log."""

    message: str = ""
    type = "log"


@dataclass(frozen=True)
class LinkChanged(Event):
    """The connection over which the run is watched was lost, or is there again. The run itself goes on."""

    lost: bool = True
    message: str = ""
    type = "link"


@dataclass(frozen=True)
class Planned(Event):
    """A dry run's answer for one vhost.

    ``steps`` holds the seven names in order, each ``{"name", "changes": [...]}``; a change has ``what``
    and, where it applies, ``from``, ``to``, ``mode``, ``diff``. ``tree_before``/``tree_after`` are lines.
    """

    verb: str = "migrate"
    steps: tuple[dict[str, Any], ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    expected_s: float = 0.0
    tree_before: tuple[str, ...] = ()
    tree_after: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    type = "plan"


@dataclass(frozen=True)
class Found(Event):
    """Discovery met one vhost (or a name that it does not import, with the reason)."""

    status: str = ""
    layout: str = ""
    note: str = ""
    type = "found"


@dataclass(frozen=True)
class FindingMade(Event):
    """Validation judged one thing."""

    severity: str = ""
    category: str = ""
    message: str = ""
    expected: str = ""
    actual: str = ""
    hint: str = ""
    type = "finding"


@dataclass(frozen=True)
class Result(Event):
    """How work on one vhost ended; the contract's ``result`` line.

    ``vnode_trouble``: what it was refused for, where that is no fault of its own.
    """

    ok: bool = False
    status: str = ""
    steps_completed: tuple[str, ...] = ()
    backup_archive: str | None = None
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    duration_s: float = 0.0
    hint: str = ""
    exit_code: int = 0
    skipped: bool = False
    vnode_trouble: str = ""
    type = "result"


@dataclass(frozen=True)
class Summary:
    """The last line of any work."""

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    type = "summary"

    def as_json(self) -> dict[str, Any]:
        """The summary as one JSON object."""
        return {"type": self.type, **asdict(self)}


Emit = Callable[[Event], None]
"""Takes one event. Never blocks, never raises."""


def silent(_event: Event) -> None:
    """Emit to nobody."""
