"""What a printer is, and the JSON one: each event a line, as the contract names them."""

from __future__ import annotations

from typing import Protocol

from ..domain.events import Event, Planned, Result, Summary
from .output import Output


class Printer(Protocol):
    """Shows work as it happens. Nothing here raises because of what an event says."""

    def event(self, event: Event) -> None:
        """Show one event; results come by ``result``, once."""
        ...

    def result(self, result: Result, *, brief: bool = False) -> None:
        """Show how one vhost ended; ``brief`` where many end one after another."""
        ...

    def plan(self, plan: Planned) -> None:
        """Show a dry run's plan."""
        ...

    def summary(self, summary: Summary) -> None:
        """Show the counts; the last line of any work."""
        ...

    def pause(self) -> None:
        """Take moving lines off the terminal, because somebody is to be asked."""
        ...


class JsonPrinter:
    """JSON Lines on stdout."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def event(self, event: Event) -> None:
        """One line, unless it is a result: those are printed once, when the work has returned."""
        if not isinstance(event, Result):
            self._out.json_line(event.as_json())

    def result(self, result: Result, *, brief: bool = False) -> None:
        """One line."""
        self._out.json_line(result.as_json())

    def plan(self, plan: Planned) -> None:
        """One line."""
        self._out.json_line(plan.as_json())

    def summary(self, summary: Summary) -> None:
        """One line."""
        self._out.json_line(summary.as_json())

    def pause(self) -> None:
        """Nothing moves here."""
