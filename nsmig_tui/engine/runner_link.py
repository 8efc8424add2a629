"""Starts the detached runner on a vnode and follows its journal, through lost connections as well."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ..domain.errors import ConnectError, Interrupted, LockHeld
from ..domain.events import (
    Emit,
    LinkChanged,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepStarted,
    Warned,
)
from ..domain.fleet import Vnode
from ..domain.layout import UNDO, JournalReader, JournalView, undo_begins, undo_ends
from ..domain.ports import Connector, Shell
from ..domain.sections import number
from .journal_watch import JournalWatch, News
from .reading import Scripts

PATIENCE = 90.0
"""Seconds of lost connection after which the operator's side gives up looking; the run goes on there."""

UNBORN = 30
"""Polls in a row without any sign of the runner, after which it is taken for dead at birth."""

UNSAID = "the answer to the run cannot be written on the server (is /var full?); it is tried again"
"""What is said when the vnode has no room for the operator's word."""

Verdict = Callable[[Shell], Awaitable[str]]
"""Looks at the result; answers why it is bad, or nothing."""


@dataclass(frozen=True)
class Ending:
    """How a followed run stopped. ``died``: its runner is gone without an end in its journal."""

    view: JournalView
    died: bool = False


def pack(files: Mapping[str, bytes]) -> bytes:
    """The run's files as one tar (ustar), root-only modes. ``tarfile`` takes a millisecond for them."""
    parts: list[bytes] = []
    for name, data in files.items():
        before = b"%-100b%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.encode(), 0o600, 0, 0, len(data), 0)
        before = before.replace(b" ", b"\0")
        after = b"0".ljust(101, b"\0") + b"ustar\00000"
        parts += [before, b"%06o\0 " % (sum(before) + 8 * ord(" ") + sum(after)), after.ljust(356, b"\0")]
        parts += [data, bytes(-len(data) % 512)]
    packed = b"".join(parts) + bytes(1024)
    return packed + bytes(-len(packed) % 10240)


class RunnerLink:
    """One run on one vhost, as seen from here."""

    def __init__(
        self,
        connector: Connector,
        watch: JournalWatch,
        vnode: Vnode,
        domain: str,
        run: str,
        scripts: Scripts,
        emit: Emit,
    ) -> None:
        self.connector, self.watch = connector, watch
        self.vnode, self.domain, self.run = vnode, domain, run
        self.scripts, self.emit = scripts, emit
        self.seen = 0
        self.reader = JournalReader(only_run=run)
        self.step = ""
        self._since = 0.0
        self._going = False

    async def start(self, files: Mapping[str, bytes]) -> None:
        """Hand over the files and start the runner, detached. Safe to call again after a lost answer.

        The runner itself, most of the bytes, goes along only when the vnode has not kept it. Raises
        ConnectError while nothing was sent; from then on Interrupted when the link stays lost, for the run
        may have begun.
        """
        runner = files["runner.sh"]
        args = [self.domain, self.run, hashlib.sha256(runner).hexdigest(), str(len(runner))]
        data = pack({name: content for name, content in files.items() if name != "runner.sh"})
        tried = sent = wanted = False
        lost_since: float | None = None
        loop = asyncio.get_running_loop()
        while True:
            try:
                shell = await self.connector.shell(self.vnode)
                sent = True
                rc, output = await shell.send(self.scripts("launch"), args, data, timeout=60.0)
            except ConnectError as error:
                if not sent:
                    if tried:
                        raise
                    tried = True
                    continue
                lost_since = lost_since or loop.time()
                if loop.time() - lost_since > PATIENCE:
                    raise self._lost("stays lost; the run may have begun there") from error
                await asyncio.sleep(1.0)
                continue
            words = output.decode("utf-8", "replace").split()
            if rc == 0 and words == ["wanted"] and not wanted:
                wanted, data = True, pack(files)
                continue
            if rc == 0 and words[:1] == ["started"]:
                self.seen = int(words[2]) if words[1] != "again" else 0
                return
            if lost_since is not None:  # what was sent before may have been started all the same
                said = " ".join(words)[:200] or "nothing"
                raise self._lost(f"was lost; the run may have begun there. Asked again it says: {said}")
            raise ConnectError(
                f"the runner could not be started on {self.vnode.name}: {' '.join(words)[:200]}",
                hint="Nothing was touched. Is /var/lib writable?",
                vnode=self.vnode.name,
                vhost=self.domain,
            )

    async def follow(self, verdict: Verdict | None = None) -> Ending:
        """Watch until the run has ended. Raises LockHeld, or Interrupted when the link stays lost."""
        lost_since: float | None = None
        unborn = 0
        word = ""
        told = False
        where = (self.vnode.name, self.domain, self.run)
        loop = asyncio.get_running_loop()
        while True:
            try:
                news = await self.watch.news(self.domain, self.run, self.seen, word)
                if not news.unsaid:
                    word = ""
                elif not told:
                    told = True
                    self.emit(Warned(*where, UNSAID))
                ended = self._take(news)
                view = self.reader.view
                awaits = view.state == "awaiting" and view.run == self.run
                if awaits and news.alive == "yes" and verdict is not None:
                    why = await verdict(await self.connector.shell(self.vnode))
                    word, verdict = f"undo {why[:500]}" if why else "commit", None
                if lost_since is not None:
                    self._tell_link(False, f"connected to {self.vnode.name} again")
                lost_since = None
            except ConnectError as error:
                if lost_since is None:
                    lost_since = loop.time()
                    words = f"connection to {self.vnode.name} lost, trying again; the run goes on there"
                    self._tell_link(True, words)
                if loop.time() - lost_since > PATIENCE:
                    raise self._lost("stays lost; the run goes on there") from error
                await asyncio.sleep(1.0)
                continue
            if news.alive == "locked":
                raise LockHeld(
                    f"another run works on {self.domain}",
                    hint=f"Attach to it with: nsmig resume {self.vnode.name} {self.domain}",
                    vnode=self.vnode.name,
                    vhost=self.domain,
                )
            unborn = unborn + 1 if news.alive == "none" else 0
            if ended or news.alive == "no" or unborn >= UNBORN:
                if self.reader.after:
                    since = f"another run has been at work here since: {self.reader.after}"
                    self.emit(Warned(*where, f"{since}; look again with nsmig discover {self.vnode.name}"))
                return Ending(self.reader.view, died=not ended)

    def _lost(self, what: str) -> Interrupted:
        return Interrupted(
            f"the connection to {self.vnode.name} {what}",
            hint=f"Attach again with: nsmig resume {self.vnode.name} {self.domain}",
            vnode=self.vnode.name,
            vhost=self.domain,
        )

    def _tell_link(self, lost: bool, words: str) -> None:
        self.emit(LinkChanged(self.vnode.name, self.domain, self.run, lost, words))

    def _take(self, news: News) -> bool:
        """Tell what is new; answers whether the run has ended."""
        self.seen += len(news.lines)
        ended = False
        for kind, detail, at in self.reader.feed(b"".join(line + b"\n" for line in news.lines)):
            self._tell(kind, detail, at)
            ended = ended or kind == "end"
        if self._going and len(news.progress) >= 4 and news.progress[0] == self.step:
            total = number(news.progress[3])
            done = min(number(news.progress[2]), total)
            self.emit(StepProgressed(self.vnode.name, self.domain, self.run, self.step, done, total))
        return ended

    def _tell(self, kind: str, detail: str, now: float) -> None:
        where = (self.vnode.name, self.domain, self.run)
        if kind == "step" and detail != self.step:
            self.step, self._since, self._going = detail, now, True
            self.emit(StepStarted(*where, detail))
        elif undo_begins(self.reader.view.verb, kind):
            self.step, self._since, self._going = UNDO, now, True
            self.emit(StepStarted(*where, UNDO))
        elif self._going and undo_ends(kind, detail) and (self.step == UNDO or kind == "end"):
            self.emit(StepFinished(*where, self.step, round(max(now - self._since, 0.0), 2)))
            self.step, self._going = "", False
        elif kind == "step_done":
            self._going = False
            self.emit(StepFinished(*where, detail, round(max(now - (self._since or now), 0.0), 2)))
        elif kind == "step_failed":
            step, _, why = detail.partition(" ")
            self._going = False
            self.emit(StepFailed(*where, step, why))
        elif kind == "warning":
            self.emit(Warned(*where, detail))
