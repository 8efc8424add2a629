"""Reduces the events of one run to a snapshot that a view can draw; pure, so that any view shows the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import ExitCode
from .events import (
    Event,
    FindingMade,
    Found,
    LinkChanged,
    LogLine,
    Planned,
    Result,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepStarted,
    Summary,
    Warned,
)
from .fleet import STEPS

WEIGHTS = {"backup_creation": 50, "verification": 30, "permissions_update": 8}
"""Rough share of a migration's time per step; what is not named counts 3. Only for the bar."""

WAITING, RUNNING, UNDOING = "waiting", "running", "undoing"
OK, FAILED, REFUSED, SKIPPED, CANCELLED, LEFT = "ok", "failed", "refused", "skipped", "cancelled", "left"
LOOK = "look"
"""It stopped half-way, or its undo did: a person must look before anything is tried again."""

CATCH_UP = 3.0
"""Seconds in which a run that is attached to tells what it had done before."""

QUIET = 90.0
"""Seconds without anything counted after which nobody can guess how long it will take."""

ENDED = frozenset({OK, FAILED, REFUSED, SKIPPED, CANCELLED, LEFT, LOOK})
BY_CODE = {int(ExitCode.REFUSED): REFUSED, int(ExitCode.UNDO_FAILED): LOOK, int(ExitCode.INTERRUPTED): LEFT}


@dataclass(frozen=True, slots=True)
class StepState:
    """One step: ``state`` is waiting, running, done, failed or undone; ``done``/``total`` are bytes."""

    name: str
    state: str = WAITING
    done: int = 0
    total: int = 0
    started: float | None = None
    seconds: float = 0.0

    def fraction(self) -> float | None:
        """How much of the step is behind us, 0 to 1; None when nobody can say."""
        if self.state == "done":
            return 1.0
        if self.total > 0:
            return min(1.0, self.done / self.total)
        return 0.0 if self.state == WAITING else None


@dataclass(frozen=True, slots=True)
class RunState:
    """One run on one vhost (or, for discover, one vnode) as of the last event.

    ``phase`` is waiting, running, undoing, ok, failed, refused, skipped, cancelled, left (the operator's
    side stopped looking) or look (a person must). ``size`` is the vhost's bytes, for weighing a batch.
    ``lost``: since when there has been no connection. ``before``: the share that was done when we began to
    look, of a run that was resumed. ``moved``: when the share done grew last. Times: seconds since epoch.
    """

    vnode: str
    vhost: str = ""
    verb: str = "migrate"
    run: str = ""
    phase: str = WAITING
    steps: tuple[StepState, ...] = ()
    size: int = 0
    queued: float = 0.0
    started: float | None = None
    finished: float | None = None
    error: str = ""
    hint: str = ""
    status: str = ""
    archive: str | None = None
    exit_code: int = 0
    met: int = 0
    warnings: tuple[str, ...] = ()
    lost: float | None = None
    before: float = 0.0
    moved: float | None = None

    @property
    def key(self) -> str:
        """The vhost's identity in the fleet: ``vnode/domain``, or the vnode alone."""
        return f"{self.vnode}/{self.vhost}" if self.vhost else self.vnode

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected of this run."""
        return self.phase in ENDED

    def step(self) -> StepState | None:
        """The step that is running or has failed, else the last that ended."""
        for step in self.steps:
            if step.state in (RUNNING, FAILED):
                return step
        done = [step for step in self.steps if step.state == "done"]
        return done[-1] if done else None

    def fraction(self) -> float | None:
        """How much of the whole run is done, 0 to 1; None when the steps ahead are not known."""
        if self.phase == OK:
            return 1.0
        if self.phase == WAITING:
            return 0.0
        if tuple(step.name for step in self.steps) != STEPS:
            return None
        whole = sum(WEIGHTS.get(step.name, 3) for step in self.steps)
        return sum(WEIGHTS.get(step.name, 3) * (step.fraction() or 0.0) for step in self.steps) / whole

    def elapsed(self, now: float) -> float:
        """Seconds since the run began, up to its end."""
        if self.started is None:
            return 0.0
        return max(0.0, (self.finished if self.finished is not None else now) - self.started)

    def quiet(self, now: float) -> float:
        """For how many seconds it has been going on with nothing counted."""
        return max(0.0, now - self.moved) if self.phase == RUNNING and self.moved is not None else 0.0

    def remaining(self, now: float) -> float | None:
        """Seconds that are likely left, or None while nobody can tell: too early, or too long quiet."""
        part = self.fraction()
        if self.phase != RUNNING or self.lost is not None or part is None or part - self.before < 0.03:
            return None
        return _left(self.started, self.moved, now, (1 - part) / (part - self.before))


def _left(started: float | None, moved: float | None, now: float, share: float) -> float | None:
    """Seconds left of what took until ``moved`` for what it has done, and needs ``share`` of that again.

    While nothing is counted the guess runs down: measured up to now, it would grow for as long as that lasts.
    """
    if started is None or moved is None or now - moved > QUIET:
        return None
    if moved - started < 1.0:  # too short to tell a pace from
        return max(0.0, now - started) * share
    return max(1.0, (moved - started) * share - max(0.0, now - moved))


def queued(verb: str, vnode: str, vhost: str = "", *, at: float, size: int = 0, met: int = 0) -> RunState:
    """A run that has been asked for and has not begun."""
    steps = tuple(StepState(name) for name in STEPS) if verb == "migrate" else ()
    return RunState(vnode, vhost, verb, steps=steps, queued=at, size=size, met=met)


def reduce(state: RunState, event: Event | Summary, at: float) -> RunState:
    """The state after ``event``, which was seen at ``at``. Unknown events change nothing."""
    after = _reduced(state, event, at)
    if after.verb == "resume" and after.started is not None and at - after.started <= CATCH_UP:
        after = replace(after, before=after.fraction() or 0.0)
    if after is not state and after.fraction() != state.fraction():
        after = replace(after, moved=at)
    return after


def _reduced(state: RunState, event: Event | Summary, at: float) -> RunState:
    if state.lost is not None:
        state = replace(state, lost=None)  # whatever is heard of it came over a connection
    match event:
        case LinkChanged() if event.lost:
            return replace(state, lost=at)
        case StepProgressed():
            return _with_step(state, event.step, at, done=event.done, total=event.total)
        case StepStarted():
            return _with_step(_begun(state, at), event.step, at, state=RUNNING, started=at)
        case StepFinished():
            return _with_step(state, event.step, at, state="done", seconds=event.seconds)
        case StepFailed():
            return replace(
                _with_step(state, event.step, at, state=FAILED),
                phase=UNDOING,
                error=event.message,
                hint=event.hint,
            )
        case RunStarted():
            return replace(_begun(state, at), run=event.run or state.run)
        case Warned():
            return replace(state, warnings=(*state.warnings, event.message))
        case Found() | FindingMade():
            return replace(state, met=state.met + 1)
        case Result():
            return _ended(state, event, at)
    return state


def fail(state: RunState, message: str, hint: str, at: float, *, phase: str = FAILED) -> RunState:
    """The state after the run ended without a Result, as when the vnode cannot be reached."""
    steps = tuple(_closed(step, phase, at) for step in state.steps)
    return replace(state, phase=phase, steps=steps, error=message, hint=hint, finished=at, lost=None)


def phase_of(code: int) -> str:
    """The phase in which a run with this exit code has ended; not for what went well or was skipped."""
    return BY_CODE.get(code, FAILED)


def log_text(event: Event | Summary) -> str:
    """The line that ``event`` adds to a run's log; empty for ticks."""
    match event:
        case RunStarted():
            return f"{event.verb} begins"
        case StepStarted():
            return f"{event.step} …"
        case StepFinished():
            return f"{event.step} done in {event.seconds:.1f} s"
        case StepFailed():
            return f"{event.step} FAILED: {event.message} {event.hint}".rstrip()
        case Warned():
            return f"warning: {event.message}"
        case LogLine() | LinkChanged():
            return event.message
        case Found():
            return f"found {event.vhost}: {event.layout or '-'} {event.status or '-'} {event.note}".rstrip()
        case FindingMade():
            return f"{event.severity}: {event.category}: {event.message}"
        case Planned():
            return f"plan made: {sum(len(step['changes']) for step in event.steps)} changes"
        case Result():
            words = "; ".join(event.errors) or event.status
            name = "skipped" if event.skipped else "ok" if event.ok else "failed"
            return f"result: {event.vhost or event.vnode} {name} {words}".rstrip()
    return ""


def _begun(state: RunState, at: float) -> RunState:
    if state.started is not None and state.phase != WAITING:
        return state
    return replace(state, phase=RUNNING, started=at)


def _with_step(run: RunState, name: str, at: float, **changes: Any) -> RunState:
    steps = list(run.steps)
    if name in STEPS and not any(step.name in STEPS for step in steps):
        # A migration that is gone on with: what comes before its first step had been done already.
        ahead = STEPS.index(name)
        steps += [StepState(one, "done" if place < ahead else WAITING) for place, one in enumerate(STEPS)]
    names = [step.name for step in steps]
    if name not in names:
        names.append(name)
        steps.append(StepState(name, RUNNING, started=at))
    index = names.index(name)
    steps[index] = replace(steps[index], **changes)
    return replace(run, steps=tuple(steps))


def _ended(state: RunState, event: Result, at: float) -> RunState:
    if state.vhost and event.vhost and event.vhost != state.vhost:
        return state
    if not state.vhost and event.vhost:
        return state
    phase = SKIPPED if event.skipped else OK if event.ok else phase_of(event.exit_code)
    steps = tuple(_closed(step, phase, at) for step in state.steps)
    if phase == FAILED and event.exit_code == 5:
        steps = tuple(replace(step, state="undone") if step.state == "done" else step for step in steps)
    return replace(
        state,
        phase=phase,
        steps=steps,
        finished=at,
        started=state.started if state.started is not None else at,
        status=event.status,
        archive=event.backup_archive,
        exit_code=event.exit_code,
        error="; ".join(event.errors) or ("" if event.ok else state.error),
        hint=event.hint or ("" if event.ok else state.hint),
        warnings=event.warnings or state.warnings,
    )


def _closed(step: StepState, phase: str, at: float) -> StepState:
    """A step after the end of its run; of one that is LEFT nobody here knows how it goes on."""
    if step.state != RUNNING or phase == LEFT:
        return step
    if phase in (REFUSED, SKIPPED, CANCELLED):
        return StepState(step.name)
    seconds = max(0.0, at - step.started) if step.started is not None else 0.0
    return replace(step, state="done" if phase == OK else FAILED, seconds=seconds)


@dataclass(frozen=True, slots=True)
class Totals:
    """What many runs come to; ``remaining`` is in seconds.

    ``fraction`` weighs by size what went well, goes on, waits or is left; what was refused, failed or dropped
    is no part of it. ``size``: the bytes of that part. ``rate``: bytes of finished migrations per second.
    """

    runs: int = 0
    ok: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    skipped: int = 0
    left: int = 0
    fraction: float = 0.0
    size: int = 0
    elapsed: float = 0.0
    remaining: float | None = None
    rate: float = 0.0


def totals(states: Sequence[RunState], now: float) -> Totals:
    """Sum up ``states``; a vhost of unknown size weighs like one of 1 MiB."""
    if not states:
        return Totals()
    floor = 1 << 20
    weight = done = 0.0
    size = moved = 0
    for state in states:
        if state.phase in (FAILED, REFUSED, LOOK, SKIPPED, CANCELLED):
            continue
        weight += max(state.size, floor)
        done += max(state.size, floor) * (state.fraction() or 0.0)
        size += state.size
        if state.phase == OK and state.verb == "migrate":
            moved += state.size
    begun = [state.started for state in states if state.started is not None]
    ends = [state.finished for state in states if state.finished is not None]
    moves = [state.moved for state in states if state.moved is not None]
    over = all(state.ended for state in states)
    elapsed = (max(ends, default=now) if over else now) - min(begun) if begun else 0.0
    part = done / weight if weight else 0.0
    # Of what nobody hears anything, and of what is attached to half-way, nobody knows the pace.
    unknown = any(not one.ended and (one.lost is not None or one.before > 0) for one in states)
    is_guess = not over and not unknown and part > 0.02 and elapsed > 0
    return Totals(
        runs=len(states),
        ok=sum(state.phase == OK for state in states),
        failed=sum(state.phase in (FAILED, REFUSED, LOOK) for state in states),
        running=sum(state.phase in (RUNNING, UNDOING) for state in states),
        waiting=sum(state.phase == WAITING for state in states),
        skipped=sum(state.phase in (SKIPPED, CANCELLED) for state in states),
        left=sum(state.phase == LEFT for state in states),
        fraction=part,
        size=size,
        elapsed=elapsed,
        remaining=_left(min(begun), max(moves, default=None), now, (1 - part) / part) if is_guess else None,
        rate=moved / elapsed if elapsed > 0 else 0.0,
    )
