"""Conducts one batch to its end: starts what the schedule says, notes what happens, hears the operator.

What is written, and when: ``result`` stands in the journal before the schedule begins anything because of
it, and ``batch_ended`` is the last word. Whatever dies in between is continued from the journal and from
the vnodes: every vhost without a settled result is then taken up from where its vnode's journal left it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ...domain.batch import BatchItem, BatchSpec, trouble_of
from ...domain.batch_events import (
    BatchContinued,
    BatchEnded,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    RetryAsked,
    VnodeBack,
    VnodeSetAside,
)
from ...domain.batch_plan import Speed
from ...domain.batch_schedule import Place, Schedule
from ...domain.batch_view import BatchView
from ...domain.errors import ExitCode, NsmigError
from ...domain.events import Event, FindingMade, Result, StepFinished, StepStarted, Summary
from ...domain.fleet import STEPS
from ...domain.outcomes import summarize
from ...domain.ports import EngineApi
from ...domain.run_state import RunState
from .ending import code_of_all, left_over, settled
from .journal import Journal
from .mailbox import Command

HEARTBEAT = 0.25
"""Seconds between two looks into the mailbox, and between two writings of ticks."""

SECOND_TRY = 3.0
"""Seconds after which a vnode that did not answer is asked once more, before it is set aside."""

HEAVY = STEPS[: STEPS.index("backup_creation") + 1]


class Conductor:
    """One batch in this process. ``mailbox`` gives new commands; ``measured`` is told each new Speed.

    ``leave``: keys of vhosts that are not touched.
    """

    def __init__(
        self,
        engine: EngineApi,
        spec: BatchSpec,
        journal: Journal,
        *,
        before: BatchView | None = None,
        retry: bool = False,
        leave: Sequence[str] = (),
        mailbox: Callable[[], list[Command]] = list,
        speeds: Mapping[str, Speed] | None = None,
        measured: Callable[[str, Speed], None] = lambda _vnode, _speed: None,
        clock: Callable[[], float] = time.time,
        pid: int = 0,
    ) -> None:
        self.engine, self.spec, self.journal, self.clock = engine, spec, journal, clock
        self.schedule = Schedule(spec.items, spec.limits)
        self.view = before or BatchView(spec)
        self._resumed = before is not None and before.started is not None
        self._retry, self._mailbox, self._pid = retry, mailbox, pid
        self._leave = frozenset(leave)
        self._speeds, self._measured = dict(speeds or {}), measured
        self._backup_s: dict[str, float] = {}
        self._again: set[str] = set()
        self._begun_before = {key for key, run in self.view.runs.items() if went_on(run, self.view.results)}
        self._follow: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Event()
        self._agreed_at: float | None = None
        self._quiet = 0.0

    async def run(self) -> int:
        """All of it; answers the exit code. When cancelled it leaves the vnodes alone and says so.

        Raises for a mistake of ours, as if the process had been killed: the batch can be resumed.
        """
        self._settle_earlier()
        self._tell(
            BatchStarted(
                "",
                batch=self.spec.batch,
                operator=self.spec.operator,
                vhosts=len(self.spec.work),
                skipped=len(self.spec.skipped),
                size=sum(item.size for item in self.spec.work),
                expected_s=self.spec.expected_s,
                resumed=self._resumed,
                pid=self._pid,
            )
        )
        for item in self.spec.skipped:
            if item.key not in self.view.results:
                self._tell(not_begun(item, item.skip, item.hint, item.exit_code))
        for item in self.spec.work:
            if item.key in self._leave and item.key not in self.view.results:
                self._tell(not_begun(item, "left alone: dealt with since", "", int(ExitCode.REFUSED)))
        try:
            await self._conduct()
        except asyncio.CancelledError:
            return await self._interrupted()
        except Exception:
            await self._let_go()
            raise
        return self._ended()

    # -- the loop ------------------------------------------------------------------------------------------

    async def _conduct(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for command in self._mailbox():
                self._obey(command)
            if self.journal.broken:
                # Nothing new without a record of it; what is under way has the vnode's.
                self.journal.flush()
            else:
                self._begin()
            if self.schedule.over and not self._tasks:
                return
            self._watch_gate(loop.time())
            # Not wait_for: Python 3.11's swallows a cancellation that comes together with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._news.wait()
            self._news.clear()
            for task in self._tasks.values():
                if task.done():  # whose run has ended is not among them
                    task.result()
            if loop.time() - self._quiet >= HEARTBEAT:
                self._quiet = loop.time()
                self.journal.flush_ticks()

    def _begin(self) -> None:
        begun = self.schedule.begin()
        for number, item in enumerate(begun, 1):
            self._follow[item.key] = self.schedule.to_follow(item.vnode) + sum(
                later.vnode == item.vnode for later in begun[number:]
            )
            task = asyncio.get_running_loop().create_task(self._drive(item), name=item.key)
            self._tasks[item.key] = task

    def _watch_gate(self, now: float) -> None:
        """Canaries are through: wait for consent, or for a clean while where that was agreed on."""
        if not self.schedule.wants_consent:
            self._agreed_at = None
            return
        failed = self.schedule.failures
        clean = self.spec.limits.clean_s
        if self._agreed_at is None:
            self._agreed_at = now
            words = f"{self.spec.limits.canary} went first, {failed} of them failed"
            if clean > 0 and not failed:
                words += f"; the rest follows after {clean:.0f} s"
            self._tell(BatchPaused("", reason=words, consent=True))
        elif clean > 0 and not failed and now - self._agreed_at >= clean and not self.schedule.paused:
            self._go_on("the time agreed on has passed")

    # -- one vhost -----------------------------------------------------------------------------------------

    async def _drive(self, item: BatchItem) -> None:
        result = await self._attempt(item)
        if doubtful(result) and not self.schedule.troubled.get(item.vnode):
            # One lost handshake, or a service caught in the middle of somebody's reload, is no reason to
            # give a vnode up. Nothing was touched.
            await asyncio.sleep(SECOND_TRY)
            self._again.add(item.key)
            result = await self._attempt(item)
        result = self._as_far_as_known(item, result)
        self._tell(result)
        self._learn(item, result)
        trouble = self.schedule.ended(item.key, result)
        del self._tasks[item.key]
        if trouble:
            left = self.schedule.aside(item.vnode)
            hint = f"Mend it, then: nsmig resume {self.spec.batch}"
            self._tell(VnodeSetAside(item.vnode, reason=trouble, hint=hint, left=len(left)))
        if self.schedule.stopped and self.view.phase != "stopping":
            self._tell(BatchStopped("", reason=self.schedule.stopped))
        self._news.set()

    def _as_far_as_known(self, item: BatchItem, result: Result) -> Result:
        """Of a run that an earlier process began nobody knows how it stands until its vnode is asked."""
        if item.key not in self._begun_before or result.exit_code != ExitCode.CONNECT:
            self._begun_before.discard(item.key)
            return result
        errors = (*result.errors, "its run was begun before; what became of it is not known here")
        hint = result.hint or f"nsmig resume {self.spec.batch}"
        code = int(ExitCode.INTERRUPTED)
        return replace(result, status="", errors=errors, hint=hint, exit_code=code, skipped=False)

    async def _attempt(self, item: BatchItem) -> Result:
        def emit(event: Event) -> None:
            if isinstance(event, Result) or (isinstance(event, FindingMade) and event.severity == "passed"):
                return
            self._tell(event)
            self._follow_steps(item.key, event)

        again = self._resumed or item.key in self._again
        verb = self.engine.take_up if again else self.engine.migrate
        try:
            options = replace(self.spec.options, follow=self._follow.pop(item.key, 0))
            return await verb(item.vnode, item.domain, options, emit)
        except NsmigError as error:
            # by this machine, as where its disk is full, or another program holds its database
            if error.exit_code in (ExitCode.REFUSED, ExitCode.LOCKED):
                return not_begun(item, error.message, error.hint, int(error.exit_code))
            return failed(item, error.message, error.hint, int(error.exit_code))
        except Exception as error:  # a bug in one run must not end the others; the vnode goes on by itself
            words = f"nsmig made a mistake ({type(error).__name__}: {error})"
            hint = f"The journal on the vnode is the truth: nsmig resume {item.vnode} {item.domain}"
            return failed(item, words, hint, int(ExitCode.INTERRUPTED))

    def _follow_steps(self, key: str, event: Event) -> None:
        if isinstance(event, StepStarted) and event.step in STEPS and event.step not in HEAVY:
            self.schedule.backed_up(key)
            self._news.set()
        elif isinstance(event, StepFinished) and event.step == "backup_creation":
            self._backup_s[key] = event.seconds

    def _learn(self, item: BatchItem, result: Result) -> None:
        spent = self._backup_s.pop(item.key, None)
        if result.ok and not result.skipped and spent is not None:
            known = self._speeds.get(item.vnode, Speed())
            speed = self._speeds[item.vnode] = known.with_run(item.size, spent, result.duration_s)
            with contextlib.suppress(NsmigError):
                self._measured(item.vnode, speed)

    # -- the operator's words ------------------------------------------------------------------------------

    def _obey(self, command: Command) -> None:
        who = f" by {command.by}" if command.by else ""
        match command.do:
            case "pause" if self.schedule.pause():
                self._tell(BatchPaused("", reason=f"asked for{who}"))
            case "continue":
                self._go_on(f"asked for{who}")
            case "cancel" if command.key:
                item = self.schedule.drop(command.key)
                if item is not None:
                    self._tell(not_begun(item, f"cancelled{who}", "", int(ExitCode.REFUSED)))
            case "cancel" if self.schedule.stop(f"cancelled{who}"):
                self._tell(BatchStopped("", reason=self.schedule.stopped))
            case "retry":
                self._try_again(command.key)

    def _go_on(self, reason: str) -> None:
        if self.schedule.go_on():
            if self.schedule.agreed:
                reason += "; the rest follows at once when those that went first are through and none failed"
            self._tell(BatchContinued("", reason=reason))

    def _try_again(self, key: str) -> None:
        troubled = self.schedule.troubled
        for item in self.schedule.retry(key):
            self._again.add(item.key)
            self._tell(RetryAsked(item.vnode, item.domain))
        for vnode in troubled.keys() - self.schedule.troubled.keys():
            self._tell(VnodeBack(vnode))

    # -- beginning and end ---------------------------------------------------------------------------------

    def _settle_earlier(self) -> None:
        """Take out of the queue what an earlier process of this batch brought to its end."""
        for key, result in self.view.results.items():
            item = self.schedule.items.get(key)
            if item is None or item.skip or key in self._leave:
                continue
            if settled(result) and (result.ok or not self._retry):
                self.schedule.settle(key, Place.OK if result.ok else Place.FAILED)
            else:
                self._again.add(key)
        for key in self._leave & self.schedule.items.keys():
            self.schedule.settle(key, Place.SKIPPED)
        self.schedule.failures, self.schedule.stopped = 0, ""
        self.schedule.gate_open = self.schedule.gate_open or self.view.consented
        for vnode in list(self.view.aside):
            self._tell(VnodeBack(vnode))

    def _ended(self) -> int:
        for vnode, reason in self.schedule.troubled.items():
            for item in self.schedule.aside(vnode):
                words = f"{vnode} was set aside: {reason}"
                aside = not_begun(item, words, f"nsmig resume {self.spec.batch}", self._aside_code(vnode))
                self._tell(self._as_far_as_known(item, aside))
        for item in self.schedule.not_begun():
            words = f"not begun: {self.schedule.stopped}"
            self._tell(not_begun(item, words, f"nsmig resume {self.spec.batch}", int(ExitCode.REFUSED)))
        results = list(self.view.results.values())
        code = code_of_all(results)
        outcome = {0: "done", 7: "partial"}.get(code, "failed")
        if self.schedule.stopped.startswith("cancelled"):
            outcome = "cancelled"
        left = [i for i in left_over(self.spec, self.view.results) if i.key not in self._leave]
        bad = left_over(self.spec, self.view.results, retry=True)
        bad = [i for i in bad if i not in left and i.key not in self._leave]
        again = f"nsmig resume {self.spec.batch}"
        hints = [f"{len(left)} left to do: {again}"] if left else []
        hints += [f"{len(bad)} failed, to be tried again: {again} --retry"] if bad else []
        self._close(summarize(results), outcome, code, "; ".join(hints))
        return code

    def _aside_code(self, vnode: str) -> int:
        """The code of what was not begun there: that of the trouble."""
        codes = [r.exit_code for r in self.view.results.values() if r.vnode == vnode and trouble_of(r)]
        return int(ExitCode.CONNECT) if not codes or codes[0] in (3, 130) else int(ExitCode.REFUSED)

    async def _let_go(self) -> None:
        """Stop looking at what is under way; it goes on on its vnodes."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _interrupted(self) -> int:
        await self._let_go()
        code = int(ExitCode.INTERRUPTED)
        hint = f"What runs on the vnodes goes on there. Go on with: nsmig resume {self.spec.batch}"
        self._close(summarize(list(self.view.results.values())), "interrupted", code, hint)
        return code

    def _close(self, summary: Summary, outcome: str, code: int, hint: str) -> None:
        self.journal.flush_ticks()
        self._tell(summary)
        self._tell(BatchEnded("", batch=self.spec.batch, outcome=outcome, exit_code=code, hint=hint))

    def _tell(self, event: Event | Summary) -> None:
        self.journal.add(event)
        self.view.take(event, self.clock())


def doubtful(result: Result) -> bool:
    """Whether a vhost was refused, untouched, for something about its vnode that may pass by itself."""
    return result.exit_code in (3, 4) and not result.steps_completed and bool(trouble_of(result))


def went_on(run: RunState, results: Mapping[str, Result]) -> bool:
    """Whether an earlier process began this run and did not see its end."""
    told = results.get(run.key)
    return bool(run.run) and (told is None or told.exit_code == ExitCode.INTERRUPTED)


def not_begun(item: BatchItem, words: str, hint: str, code: int) -> Result:
    """The result of a vhost that this batch did not begin."""
    return Result(item.vnode, item.domain, ok=False, errors=(words,), hint=hint, exit_code=code, skipped=True)


def failed(item: BatchItem, words: str, hint: str, code: int) -> Result:
    """The result of a vhost whose run ended in an exception."""
    return Result(item.vnode, item.domain, ok=False, errors=(words,), hint=hint, exit_code=code)
