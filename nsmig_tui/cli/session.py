"""What one command works with: settings, parts, output, and the loop over vhosts that all work shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from ..domain.batch_view import BatchView
from ..domain.errors import ExitCode, Interrupted, NsmigError, UsageError
from ..domain.events import Emit, Event, Planned, Result, RunStarted, StepFinished
from ..domain.fleet import STEPS, Vhost, Vnode
from ..settings import Settings
from . import outcome
from .output import Output
from .printer import Printer

Work = Callable[[str, str, Emit], Awaitable[Result | Planned]]
"""(vnode, domain, emit) -> how it ended, or a dry run's plan."""


@dataclass
class Session:
    """One command's surroundings. ``reported``: the contract's last line was printed already.

    ``last`` False: more work of this command follows, so ``report`` only keeps its results in ``told``.
    """

    settings: Settings
    app: Any
    out: Output
    printer: Printer
    reported: bool = field(default=False)
    last: bool = True
    told: list[Result] = field(default_factory=list)

    def vnode(self, name: str) -> Vnode:
        """The vnode called ``name``. Raises UsageError with the nearest name."""
        found = self.app.store.vnode(name)
        if found is None:
            raise UsageError(
                f"There is no vnode {name!r}.",
                hint=_nearest(name, [vnode.name for vnode in self.app.store.vnodes()])
                or "Add it with `nsmig node add`.",
                vnode=name,
            )
        return found

    def vhost(self, vnode: str, domain: str) -> Vhost:
        """The vhost. Raises UsageError with the nearest name."""
        self.vnode(vnode)
        found = self.app.store.vhost(vnode, domain)
        if found is None:
            raise UsageError(
                f"There is no vhost {domain!r} on {vnode}, as far as we know.",
                hint=_nearest(domain, [vhost.domain for vhost in self.app.store.vhosts(vnode)])
                or f"Ask the vnode with `nsmig discover {vnode}`.",
                vnode=vnode,
                vhost=domain,
            )
        return found

    def batches(self) -> Iterator[BatchView]:
        """Every batch as of now, newest first; one whose file is damaged is named and passed over."""
        for name in self.app.batches.names():
            try:
                yield self.app.batches.view(name)
            except UsageError as error:
                self.out.tell(f"nsmig: {error}")

    async def work(self, verb: str, targets: Sequence[tuple[str, str]], one: Work) -> int:
        """Do ``one`` for each target, in turn; print each result and the summary; answer the exit code.

        One vhost's failure ends nothing but itself; a vnode that cannot be reached is not dialled again for
        each of its vhosts. An interruption is told with the way to go on.
        """
        results: list[Result] = []
        unreachable: dict[str, Result] = {}
        for number, (vnode, domain) in enumerate(targets):
            heard = _Heard(self.printer.event)
            try:
                if vnode in unreachable:
                    ended = self._skipped(unreachable[vnode], domain)
                else:
                    ended = await self._attempt(vnode, domain, one, heard)
            except (asyncio.CancelledError, KeyboardInterrupt) as stop:
                error = interrupted(verb, vnode, domain)
                so_far = outcome.result_of(error, vnode, domain, self.status(vnode, domain))
                results.append(replace(so_far, run=heard.run, steps_completed=tuple(heard.steps)))
                self.printer.result(results[-1])
                left = [Result(*target, skipped=True) for target in targets[number + 1 :]]
                self.report([*results, *left])
                raise error from stop
            if isinstance(ended, Planned):
                self.printer.plan(ended)
                results.append(Result(vnode, domain, ok=True))
            else:
                self.printer.result(ended)
                results.append(ended)
                if self._found_no_way(ended):
                    unreachable[vnode] = ended
        self.report(results)
        return outcome.combine(outcome.code_of(result) for result in results)

    def report(self, results: Sequence[Result]) -> None:
        """Print the summary, the last line of any work."""
        if not self.last:
            self.told += results
            return
        self.reported = True
        self.printer.summary(outcome.summarize(results))

    def refuse(self, error: NsmigError, targets: Sequence[tuple[str, str]]) -> NsmigError:
        """Print a result line for each vhost that ``error`` keeps from being touched; answers the error."""
        results = [
            outcome.result_of(error, vnode, domain, self.status(vnode, domain)) for vnode, domain in targets
        ]
        if self.settings.json:
            for result in results:
                self.printer.result(result)
            self.report(results)
        return error

    async def _attempt(self, vnode: str, domain: str, one: Work, emit: Emit) -> Result | Planned:
        try:
            return await one(vnode, domain, emit)
        except UsageError:
            raise
        except NsmigError as error:
            return outcome.result_of(error, vnode, domain, self.status(vnode, domain))

    def _found_no_way(self, result: Result) -> bool:
        """Whether the vnode itself could not be reached; one question without an answer is another matter."""
        known = self.app.store.vnode(result.vnode)
        found = result.exit_code == ExitCode.CONNECT and not result.skipped
        return found and known is not None and bool(known.unreachable) and known.unreachable in result.errors

    def _skipped(self, before: Result, domain: str) -> Result:
        return Result(
            before.vnode,
            domain,
            ok=False,
            status=self.status(before.vnode, domain),
            errors=(f"skipped: {before.vnode} is not reachable",),
            hint=before.hint,
            exit_code=before.exit_code,
            skipped=True,
        )

    def status(self, vnode: str, domain: str) -> str:
        """What we last knew of a vhost."""
        known = self.app.store.vhost(vnode, domain)
        return str(known.status) if known else ""


class _Heard:
    """What has been told of one vhost: all that is known of a run that goes on without us."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        self.run = ""
        self.steps: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.run = event.run
        elif isinstance(event, StepFinished) and event.step in STEPS:
            self.steps.append(event.step)
        self.emit(event)


def interrupted(verb: str, vnode: str, domain: str) -> Interrupted:
    """What Ctrl-C means for what was going on, and how to go on from there."""
    if verb not in ("migrate", "rollback", "resume"):
        return Interrupted(f"Interrupted while working on {domain or vnode}; nothing was changed there.")
    return Interrupted(
        f"Interrupted. What has begun on {vnode} goes on there by itself; a migration that nobody looks "
        "after waits at its end for a while (confirm_wait), then it is undone.",
        hint=f"`nsmig resume {vnode} {domain}` attaches to it; with --undo it is undone.",
        vnode=vnode,
        vhost=domain,
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"Did you mean {near[0]!r}?" if near else ""
