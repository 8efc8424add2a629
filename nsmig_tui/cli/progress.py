"""Progress bars on stderr, one a vhost under way; only ever made for a terminal."""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..domain import events
from ..domain.events import Event, Result
from ..domain.text import clean


class _Name(TextColumn):
    """The name column: what a server called itself is text, never markup."""

    def render(self, task: Any) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class Bars:
    """Takes the events that a bar shows; what it does not take is for a line."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            _Name(""),
            BarColumn(20),
            DownloadColumn(binary_units=True),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream, markup=False, highlight=False, emoji=False),
            transient=True,
            refresh_per_second=8,
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def take(self, event: Event) -> bool:
        """Show ``event`` on its vhost's bar; False when it is nothing for a bar."""
        key = (event.vnode, event.vhost)
        match event:
            case events.RunStarted():
                self._bar(key, event.verb)
            case events.StepStarted():
                self._progress.reset(
                    self._bar(key, event.step), total=None, description=_words(key, event.step)
                )
            case events.StepProgressed():
                bar = self._bar(key, event.step)
                self._progress.update(bar, completed=event.done, total=event.total or None)
            case events.StepFinished():
                bar = self._bar(key, event.step)
                total = self._progress.tasks[self._progress.task_ids.index(bar)].total
                self._progress.update(bar, completed=total or 1, total=total or 1)
            case _:
                # A line is coming: rich would write it through its own console, we write it ourselves.
                self._progress.stop()
                return False
        self._progress.start()
        return True

    def end(self, result: Result) -> None:
        """Take away the bar of a vhost that has ended."""
        self._progress.stop()
        bar = self._tasks.pop((result.vnode, result.vhost), None)
        if bar is not None:
            self._progress.remove_task(bar)

    def stop(self) -> None:
        """Leave the terminal as lines of text."""
        self._progress.stop()

    def _bar(self, key: tuple[str, str], step: str) -> TaskID:
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(_words(key, step), total=None)
        return self._tasks[key]


def _words(key: tuple[str, str], step: str) -> str:
    return clean(f"{key[0]} {key[1]}  {step}", 60)
