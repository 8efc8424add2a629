"""Owns the asyncio tasks of all runs of this program, so that no screen's life or death touches them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..domain.errors import NsmigError, Refused
from ..domain.events import Emit, Event
from ..domain.options import MigrateOptions, RollbackOptions
from ..domain.ports import EngineApi
from ..domain.run_state import (
    CANCELLED,
    FAILED,
    LEFT,
    OK,
    REFUSED,
    WAITING,
    RunState,
    fail,
    log_text,
    phase_of,
    queued,
)
from ..domain.run_state import reduce as reduce_event

CHANGING = frozenset({"migrate", "rollback", "resume"})
"""Verbs that change something on the vnode; refused in a read-only program."""

LOG_LINES = 2000


@dataclass(frozen=True)
class Wish:
    """One run that the operator asks for. ``domain`` is empty for discover, which asks a whole vnode.

    ``options``: MigrateOptions, RollbackOptions, or for resume ``{"undo": bool}``. ``size``: bytes.
    ``again``: a migration that was tried before is taken up where its vnode's journal left it, and judged
    anew before it begins anew.
    """

    verb: str
    vnode: str
    domain: str = ""
    options: Any = None
    size: int = 0
    again: bool = False

    @property
    def key(self) -> str:
        """The same identity as its RunState's ``key``."""
        return f"{self.vnode}/{self.domain}" if self.domain else self.vnode


class HasEngine(Protocol):
    """Whoever makes the engine, which may be costly, when it is first asked for."""

    @property
    def engine(self) -> EngineApi:
        """The engine."""
        ...


class RunController:
    """Starts runs within limits, keeps one RunState per vhost, and outlives every screen.

    The work itself goes on detached on the vnode: cancelling here only stops looking. All methods are
    for the event loop's thread. ``version`` grows with every change, so that a view can skip a redraw.
    ``ready`` is awaited before a run begins.
    """

    def __init__(
        self,
        parts: HasEngine,
        *,
        clock: Callable[[], float] = time.time,
        per_vnode: int = 2,
        in_all: int = 16,
        read_only: bool = False,
        ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.parts = parts
        self._ready = ready
        self.clock = clock
        self.read_only = read_only
        self.version = 0
        self.ended: list[Callable[[RunState], None]] = []
        self._per_vnode = per_vnode
        self._in_all = asyncio.Semaphore(in_all)
        self._vnodes: dict[str, asyncio.Semaphore] = {}
        self._states: dict[str, RunState] = {}
        self._logs: dict[str, deque[tuple[float, str]]] = {}
        self._wishes: dict[str, Wish] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._go = asyncio.Event()
        self._go.set()

    # -- asking for work -------------------------------------------------------------------------

    def start(self, wish: Wish) -> str:
        """Begin one run as soon as the limits allow; answers its key. Raises Refused with the reason."""
        if self.read_only and wish.verb in CHANGING:
            raise Refused(f"{wish.verb} is switched off: this is a read-only session.", vnode=wish.vnode)
        if self.is_busy(wish.vnode, wish.domain):
            raise Refused(
                f"A run on {wish.domain or wish.vnode} is already going on.",
                hint="Open the runs view to watch it.",
                vnode=wish.vnode,
                vhost=wish.domain,
            )
        key = wish.key
        self._wishes[key] = wish
        self._states.pop(key, None)
        self._states[key] = queued(wish.verb, wish.vnode, wish.domain, at=self.clock(), size=wish.size)
        kept = self._logs.get(key, ()) if wish.again else ()
        self._logs[key] = deque(kept, maxlen=LOG_LINES)
        self._touch()
        task = asyncio.get_running_loop().create_task(self._drive(wish), name=f"run {key}")
        self._tasks[key] = task
        task.add_done_callback(lambda _task: self._done(key))
        return key

    def start_many(self, wishes: Iterable[Wish]) -> tuple[list[str], list[str]]:
        """Begin all that can begin; answers the keys, and the reasons of those that were refused."""
        keys, reasons = [], []
        for wish in wishes:
            try:
                keys.append(self.start(wish))
            except Refused as error:
                reasons.append(error.message)
        return keys, reasons

    def retry(self, keys: Iterable[str]) -> list[str]:
        """Ask again for these runs, which failed, were refused, cancelled or left; answers what begins.

        One whose undo failed is not among them: a person must look first. The log of the earlier try stays.
        """
        wishes = []
        for key in keys:
            state = self._states.get(key)
            if state is None or state.phase not in (FAILED, REFUSED, CANCELLED, LEFT):
                continue
            wish = replace(self._wishes[key], again=True)
            if state.phase == LEFT and wish.verb == "rollback":
                # It goes on there: a second one must not begin, the first is attached to.
                wish = replace(wish, verb="resume", options={"undo": False})
            self._logs[key].append(
                (self.clock(), f"tried again, after: {state.phase} {state.error}".rstrip())
            )
            wishes.append(wish)
        return self.start_many(wishes)[0]

    def pause(self) -> None:
        """Begin no further run; those that are under way go on."""
        self._go.clear()
        self._touch()

    def unpause(self) -> None:
        """Begin waiting runs again."""
        self._go.set()
        self._touch()

    @property
    def paused(self) -> bool:
        """Whether new runs are held back."""
        return not self._go.is_set()

    def cancel(self, key: str) -> bool:
        """Drop a run that has not begun. Answers False when it has: then the vnode finishes it."""
        state = self._states.get(key)
        if state is None or state.phase != WAITING or key not in self._tasks:
            return False
        self._tasks[key].cancel()
        return True

    def cancel_waiting(self) -> int:
        """Drop every run that has not begun; answers how many."""
        return sum(self.cancel(key) for key in list(self._states))

    def forget_ended(self) -> None:
        """Clear ended runs out of the view; the store keeps their records."""
        for key in [key for key, state in self._states.items() if state.ended]:
            del self._states[key], self._logs[key], self._wishes[key]
        self._touch()

    # -- looking ---------------------------------------------------------------------------------

    def is_busy(self, vnode: str, domain: str = "") -> bool:
        """Whether a run on this vhost waits or goes on."""
        return (f"{vnode}/{domain}" if domain else vnode) in self._tasks

    def snapshot(self) -> tuple[RunState, ...]:
        """Every run of this session, in the order asked for; cheap, for a UI timer."""
        return tuple(self._states.values())

    def state(self, key: str) -> RunState | None:
        """The run with this key, if there was one in this session."""
        return self._states.get(key)

    def options(self, key: str) -> Any:
        """What the run with this key was asked for with; None where there is none."""
        wish = self._wishes.get(key)
        return wish.options if wish is not None else None

    def log_lines(self, key: str) -> list[tuple[float, str]]:
        """The last lines of a run's log, as (time, text)."""
        return list(self._logs.get(key, ()))

    @property
    def active(self) -> int:
        """How many runs wait or go on."""
        return len(self._tasks)

    # -- ending ----------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Return when no run waits or goes on."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def leave(self) -> None:
        """Stop looking at all runs. What has begun goes on by itself on its vnode."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- inside ----------------------------------------------------------------------------------

    async def _drive(self, wish: Wish) -> None:
        key = wish.key
        slot = self._vnodes.setdefault(wish.vnode, asyncio.Semaphore(self._per_vnode))
        begun = False
        try:
            async with slot, self._in_all:
                await self._go.wait()
                if self._ready is not None:
                    await self._ready()
                begun = True
                await self._call(wish, self._emitter(key))
            if not self._states[key].ended:
                self._put(replace(self._states[key], phase=OK, finished=self.clock()))
        except asyncio.CancelledError:
            phase = LEFT if begun else CANCELLED
            words = (
                "This program stopped looking; the vnode goes on." if begun else "Cancelled before it began."
            )
            self._put(fail(self._states[key], words, "", self.clock(), phase=phase))
        except NsmigError as error:
            phase = phase_of(error.exit_code)
            self._put(fail(self._states[key], error.message, error.hint, self.clock(), phase=phase))
        except Exception as error:  # a bug in one run must not end the others or the program
            words = f"nsmig made a mistake ({type(error).__name__}); the journal on the vnode is the truth."
            self._put(fail(self._states[key], words, "Resume or undo this vhost.", self.clock()))

    def _done(self, key: str) -> None:
        """Book a task out; one that was cancelled before its first breath never ran any of its own code."""
        del self._tasks[key]
        state = self._states[key]
        if not state.ended:
            self._put(fail(state, "Cancelled before it began.", "", self.clock(), phase=CANCELLED))
        self._touch()
        for listener in self.ended:
            listener(self._states[key])

    def _call(self, wish: Wish, emit: Emit) -> Awaitable[Any]:
        if wish.verb == "discover":
            return self.parts.engine.discover(wish.vnode, emit)
        if wish.verb == "validate":
            return self.parts.engine.validate(wish.vnode, wish.domain, emit)
        if wish.verb == "migrate" and wish.again:
            options = wish.options or MigrateOptions()
            return self.parts.engine.take_up(wish.vnode, wish.domain, options, emit)
        if wish.verb == "migrate":
            return self.parts.engine.migrate(wish.vnode, wish.domain, wish.options or MigrateOptions(), emit)
        if wish.verb == "rollback":
            return self.parts.engine.rollback(
                wish.vnode, wish.domain, wish.options or RollbackOptions(), emit
            )
        if wish.verb == "resume":
            return self.parts.engine.resume(wish.vnode, wish.domain, emit, **(wish.options or {}))
        raise Refused(f"There is no verb {wish.verb}.")

    def _emitter(self, key: str) -> Emit:
        def emit(event: Event) -> None:
            at = self.clock()
            self._put(reduce_event(self._states[key], event, at))
            line = log_text(event)
            if line:
                self._logs[key].append((at, line))

        return emit

    def _put(self, state: RunState) -> None:
        self._states[state.key] = state
        self._touch()

    def _touch(self) -> None:
        self.version += 1
