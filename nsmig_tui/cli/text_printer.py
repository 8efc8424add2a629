"""Work told to people: results and plans on stdout, progress and talk on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..domain import events
from ..domain.amounts import size
from ..domain.events import Event, Planned, Result, Summary
from ..domain.text import clean
from .output import Output

if TYPE_CHECKING:
    from .progress import Bars


COUNTS = ("entries", "files", "inodes")
"""What a plan counts; its other sizes are bytes."""


class TextPrinter:
    """Lines for people; with ``bars``, progress is drawn instead of told."""

    def __init__(self, out: Output, bars: Bars | None = None) -> None:
        self._out = out
        self._bars = bars
        self._told: set[tuple[str, str, str]] = set()

    def event(self, event: Event) -> None:
        """Move a bar, or say it in a line."""
        if self._bars is not None and self._bars.take(event):
            return
        name = f"{event.vnode} {event.vhost}".strip()
        if isinstance(event, (events.Warned, events.FindingMade)):
            self._told.add((event.vnode, event.vhost, clean(event.message)))
        match event:
            case events.StepStarted():
                self._out.talk(f"{name}: {event.step} …")
            case events.StepFinished():
                self._out.talk(f"{name}: {event.step} done in {seconds(event.seconds)}")
            case events.StepFailed():
                self._out.tell(f"{name}: {event.step} failed: {event.message} {event.hint}".rstrip())
            case events.Warned():
                self._out.tell(f"{name}: warning: {event.message}")
            case events.LogLine() | events.LinkChanged():
                self._out.talk(f"{name}: {event.message}")
            case events.Found():
                note = f"  ({event.note})" if event.note else ""
                self._out.talk(f"{name}: {event.status or '-'} {event.layout}{note}")
            case events.FindingMade() if event.severity != "passed":
                self._finding(name, event)
            case _:
                pass

    def result(self, result: Result, *, brief: bool = False) -> None:
        """One line, and below it what went wrong and what to do.

        Warnings that no event has told are told before it, except where many results follow (``brief``).
        """
        if self._bars is not None:
            self._bars.end(result)
        if not brief and not result.skipped:
            for words in result.warnings:
                if (result.vnode, result.vhost, clean(words)) not in self._told:
                    self._out.tell(f"{result.vnode} {result.vhost}: warning: {words}")
        word = "skipped" if result.skipped else "ok" if result.ok else "failed"
        line = f"{word:<8}{result.vnode}  {result.vhost or '-'}  {result.status or '-'}"
        if result.duration_s:
            line += f"  {seconds(result.duration_s)}"
        if result.backup_archive:
            line += f"  {result.backup_archive}"
        self._line(line)
        for words in result.errors or (result.warnings if result.skipped else ()):
            self._line(f"        {words}")
        if result.hint:
            self._line(f"        {result.hint}")

    def plan(self, plan: Planned) -> None:
        """The whole plan, as text."""
        for line in plan_lines(plan):
            self._line(line)

    def summary(self, summary: Summary) -> None:
        """The counts."""
        self.pause()
        self._line(f"{summary.ok} ok, {summary.failed} failed, {summary.skipped} skipped")

    def pause(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()

    def _finding(self, name: str, finding: events.FindingMade) -> None:
        self._line(f"{finding.severity:<9}{name}  {finding.category}: {finding.message}")
        if finding.expected or finding.actual:
            self._line(f"         expected {finding.expected or '-'}, found {finding.actual or '-'}")
        if finding.hint:
            self._line(f"         {finding.hint}")

    def _line(self, text: str) -> None:
        self._out.line(clean(text, 8000))


def seconds(value: float) -> str:
    """A duration, short: ``0.4 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plan_lines(plan: Planned) -> Iterator[str]:
    """A plan as lines: the steps with their changes, sizes, the tree before and after."""
    yield f"plan: {plan.verb} {plan.vhost} on {plan.vnode}"
    for number, step in enumerate(plan.steps, 1):
        yield f"{number}. {step.get('name', '')}"
        for change in step.get("changes", ()):
            yield from _change_lines(change)
    for title, tree in (("before:", plan.tree_before), ("after:", plan.tree_after)):
        if tree:
            yield title
            yield from (f"   {line}" for line in tree)
    for name, value in plan.sizes.items():
        yield f"{name}: {value if name in COUNTS else size(value)}"
    if plan.expected_s:
        yield f"expected: about {seconds(plan.expected_s)}"
    for words in plan.warnings:
        yield f"warning: {words}"
    yield "Nothing was changed."


def _change_lines(change: dict[str, Any]) -> Iterator[str]:
    line = f"   - {change.get('what', '')}"
    if change.get("from") or change.get("to"):
        line += f"  {change.get('from', '')} → {change.get('to', '')}"
    if change.get("mode"):
        line += f"  [{change['mode']}]"
    yield line
    for diff in str(change.get("diff") or "").splitlines():
        yield f"       {diff}"
