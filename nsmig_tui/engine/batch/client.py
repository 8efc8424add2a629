"""What a face does with batches: start one, see them, watch one, steer one. All of it works through files,
so whoever looks may come, go and be killed without the batch noticing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Any

from ...domain.batch import BatchSpec
from ...domain.batch_events import BatchEnded, BatchStarted
from ...domain.batch_view import BatchView
from ...domain.errors import Refused
from ...domain.events import Result, RunStarted
from .ending import settled
from .journal import JournalTail
from .mailbox import Command, drop, post, waiting
from .places import BatchDir, batch_names

LOOK_EVERY = 0.1
"""Seconds between two looks of somebody who watches."""

_children: list[subprocess.Popen[bytes]] = []
"""Processes started here, so that ended ones are reaped when the next one starts."""


class Batches:
    """The batches of one data directory. ``words``: global options that a batch's process must be given."""

    def __init__(self, data_dir: Path, words: Sequence[str] = (), operator: str = "") -> None:
        self.top = data_dir / "batches"
        self._words = list(words)
        self._operator = operator

    # -- starting ----------------------------------------------------------------------------------------

    def start(self, spec: BatchSpec, secrets: Mapping[str, str] | None = None) -> str:
        """Write the batch and start its process, which outlives us. Answers its name.

        ``secrets``: prompt -> answer, given to the process through a pipe and kept in its memory only.
        """
        place = BatchDir(self.top, spec.batch)
        place.create(spec)
        self._spawn(place, secrets or {}, [])
        return spec.batch

    def resume(
        self,
        batch: str,
        secrets: Mapping[str, str] | None = None,
        *,
        retry: bool = False,
        leave: Sequence[str] = (),
    ) -> int:
        """Start a process for what is left of ``batch``; ``retry``: also for what failed.

        ``leave``: keys of vhosts that are not touched, whatever is left to do on them.

        Answers where in the journal the new process begins, for ``attach``.

        Raises UsageError for an unknown batch, Refused when a process works on it.
        """
        place = BatchDir(self.top, batch)
        place.spec()
        since = place.events.stat().st_size if place.events.exists() else 0
        more = [word for key in leave for word in ("--leave", key)]
        self._spawn(place, secrets or {}, [*(["--retry"] if retry else []), *more])
        return since

    def _spawn(self, place: BatchDir, secrets: Mapping[str, str], more: list[str]) -> None:
        # What was said to an earlier process is not meant for the new one. Once the lock is held people may
        # speak to that, and are heard however long it takes to come up: so it is told apart before.
        unheard = waiting(place)
        lock = place.take_lock()
        if lock is None:
            raise Refused(
                f"A process already works on the batch {place.batch}.",
                hint=f"Watch it: nsmig attach {place.batch}",
            )
        drop(place, unheard)
        # -P: nothing is imported from the directory that the process happens to stand in.
        command = [sys.executable, "-P", "-m", "nsmig_tui.batchproc", *self._words, *more]
        command += ["--lock", str(lock), place.batch]
        _children[:] = [child for child in _children if child.poll() is None]
        try:
            log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    pass_fds=[lock],
                )
            finally:
                os.close(log)
        except OSError as error:
            raise Refused(f"The batch's process could not be started: {error}.") from error
        finally:
            os.close(lock)
        _children.append(child)
        assert child.stdin is not None
        try:
            child.stdin.write(dumps({"secrets": dict(secrets)}).encode())
            child.stdin.close()
        except OSError:
            return  # it died at once; whoever looks will see that

    # -- looking -----------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Every batch, newest first."""
        return batch_names(self.top)

    def is_alive(self, batch: str) -> bool:
        """Whether a process works on it now."""
        return BatchDir(self.top, batch).alive

    def alive(self) -> list[str]:
        """The batches that processes work on now, newest first."""
        return [name for name in self.names() if self.is_alive(name)]

    def view(self, batch: str) -> BatchView:
        """The batch as of now. Raises UsageError when there is no such batch."""
        place = BatchDir(self.top, batch)
        # Asked first: who ends between the two looks has written its last word by then.
        alive = place.alive
        view = BatchView(place.spec())
        for at, event in JournalTail(place).events():
            view.take(event, at)
        if not alive:
            view.died()
        return view

    def log_tail(self, batch: str, lines: int = 5) -> list[str]:
        """The last lines of the process's own log: what it said when it could not even begin."""
        try:
            text = BatchDir(self.top, batch).log.read_text(errors="replace")
        except OSError:
            return []
        return text.splitlines()[-lines:]

    async def attach(
        self, batch: str, *, whole: bool = True, since: int | None = None, retry: bool = False
    ) -> AsyncIterator[tuple[float, Any]]:
        """Every event from the beginning with its time, then new ones as they come, until it has ended.

        ``whole`` False: of earlier processes of this batch only the results that stand. After ``resume``
        give its answer as ``since``, and its ``retry``. Ticks come as StepProgressed, with time 0. Ends
        without a BatchEnded when the process is gone without a word.
        """
        place = BatchDir(self.top, batch)
        place.spec()
        tail = JournalTail(place)
        last: Any = None
        if since is not None:
            whole = True
            for at, event in _standing(list(tail.events(since))):
                if event.ok or not retry:
                    yield at, event
        while True:
            alive = place.alive
            found = list(tail.events())
            for at, event in found if whole else _last_process(found):
                last = event
                yield at, event
            whole = True
            if not alive:
                return
            if not isinstance(last, BatchEnded):
                for tick in tail.ticks():
                    yield 0.0, tick
            await asyncio.sleep(LOOK_EVERY)

    # -- steering ----------------------------------------------------------------------------------------

    def send(self, batch: str, do: str, key: str = "") -> None:
        """Tell a running batch: pause, continue, cancel, retry. Raises Refused when nobody is there to hear.

        What becomes of it is seen in the events.
        """
        place = BatchDir(self.top, batch)
        place.spec()
        if not place.alive:
            raise Refused(f"No process works on the batch {batch}.", hint="Go on with it: nsmig resume")
        try:
            post(place, Command(do, key, self._operator))
        except OSError as error:
            raise Refused(f"The batch cannot be told: {error.strerror}.") from error


def _last_process(found: list[tuple[float, Any]]) -> list[tuple[float, Any]]:
    """Only what the last process did, after the results that earlier ones brought to their end."""
    starts = [at for at, (_, event) in enumerate(found) if isinstance(event, BatchStarted)]
    if len(starts) < 2:
        return found
    earlier, mine = found[: starts[-1]], found[starts[-1] :]
    again = {(e.vnode, e.vhost) for _, e in mine if isinstance(e, (Result, RunStarted))}
    return [pair for pair in _standing(earlier) if (pair[1].vnode, pair[1].vhost) not in again] + mine


def _standing(found: list[tuple[float, Any]]) -> list[tuple[float, Any]]:
    """The last result of each vhost that has come to an end of its own."""
    newest = {(e.vnode, e.vhost): (at, e) for at, e in found if isinstance(e, Result)}
    return [pair for pair in newest.values() if settled(pair[1])]
