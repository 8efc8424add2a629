"""The batch's journal: one JSON line an event, only ever appended to; and reading along while it grows.

Transitions are in the file, and synced, before anything follows from them. Ticks are not in it at all: the
newest of each vhost stands in ``ticks.json``, replaced as a whole a few times a second.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from ...domain.batch_events import event_from
from ...domain.events import Event, Result, RunStarted, StepProgressed, Summary
from .places import BatchDir, replace_file

UNSYNCED = frozenset({"step_started", "step_finished", "warning", "log", "finding", "found"})
"""Lines that a power cut of the operator's machine may take: the vnode's journal has the truth of them."""


class Journal:
    """The writing side. ``broken`` says why the file cannot be written; lines wait in memory until it can."""

    def __init__(self, place: BatchDir, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._place = place
        self._pending: list[tuple[bytes, bool]] = []
        self._ticks: dict[str, StepProgressed] = {}
        self._ticked = False
        self.broken = ""
        self._file = os.open(place.events, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._file).st_size
        # A process that was killed may have left half a line; ours must not be glued to it.
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def add(self, event: Event | Summary) -> None:
        """Note one event. Never raises: see ``broken``."""
        key = f"{getattr(event, 'vnode', '')}/{getattr(event, 'vhost', '')}"
        if isinstance(event, StepProgressed):
            self._ticks[key] = event
            self._ticked = True
            return
        if isinstance(event, (Result, RunStarted)):
            self._ticked = self._ticks.pop(key, None) is not None or self._ticked
        line = json.dumps({"at": round(self._clock(), 3), **event.as_json()}) + "\n"
        self._pending.append((line.encode(), event.type not in UNSYNCED))
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        try:
            while self._pending:
                line, sync = self._pending[0]
                written = os.write(self._file, line)
                if written < len(line):
                    self._pending[0] = (line[written:], sync)
                    continue
                del self._pending[0]
                if sync and not any(more for _, more in self._pending):
                    os.fsync(self._file)
            self.broken = ""
        except OSError as error:
            self.broken = error.strerror or str(error)

    def flush_ticks(self) -> None:
        """Put the newest ticks where readers look; losing them costs nothing."""
        if not self._ticked:
            return
        self._ticked = False
        rows = {key: [tick.run, tick.step, tick.done, tick.total] for key, tick in self._ticks.items()}
        try:
            replace_file(self._place.ticks, json.dumps(rows).encode())
        except OSError:
            return

    def close(self) -> None:
        """Let go of the file."""
        self.flush()
        os.close(self._file)


class JournalTail:
    """The reading side: gives what is new since the last look. Half lines wait for their end."""

    def __init__(self, place: BatchDir) -> None:
        self._place = place
        self._offset = 0
        self._rest = b""
        self._ticks: dict[str, list[Any]] = {}

    def events(self, upto: int | None = None) -> Iterator[tuple[float, Any]]:
        """New events with their times; lines that this version does not understand are passed over.

        ``upto``: read no further than this byte of the file.
        """
        for line in self.lines(upto):
            event = event_from(line)
            if event is not None:
                yield float(line.get("at") or 0.0), event

    def lines(self, upto: int | None = None) -> Iterator[dict[str, Any]]:
        """New lines as they stand in the journal."""
        try:
            with self._place.events.open("rb") as file:
                file.seek(self._offset)
                data = file.read() if upto is None else file.read(max(0, upto - self._offset))
        except OSError:
            return
        self._offset += len(data)
        whole = (self._rest + data).split(b"\n")
        self._rest = whole.pop()
        for text in whole:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line

    def ticks(self) -> Iterator[StepProgressed]:
        """Ticks that changed since the last look."""
        try:
            rows = json.loads(self._place.ticks.read_bytes())
        except (OSError, ValueError):
            return
        for key, row in rows.items() if isinstance(rows, dict) else ():
            if self._ticks.get(key) != row and isinstance(row, list) and len(row) == 4:
                vnode, _, domain = key.partition("/")
                yield StepProgressed(vnode, domain, *row)
        self._ticks = rows
