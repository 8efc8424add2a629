"""One watch a vnode: all runs that are followed there are asked after together, in one question."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ..domain.errors import ConnectError
from ..domain.fleet import Vnode
from ..domain.ports import Connector
from .reading import Scripts

POLL = 25
"""Tenths of a second that one question waits on the vnode for news."""

ROUNDS = 1
"""Questions under way at a time; who comes while so many are waits for an answer and joins the next."""

GATHER_S = 0.02
"""Seconds in which those who come together find each other."""


@dataclass(frozen=True)
class News:
    """What one run did. ``alive``: yes | no | none (no sign of it) | locked. ``lines``: of its journal.

    ``progress``: step, phase, bytes done, bytes in all; empty when nothing was said of it.
    ``unsaid``: the operator's word could not be written there.
    """

    alive: str = "none"
    lines: tuple[bytes, ...] = ()
    progress: tuple[str, ...] = ()
    unsaid: bool = False


@dataclass
class _Ask:
    """One run that somebody follows; ``answer`` comes with the round that it takes part in."""

    args: tuple[str, str, str, str]
    answer: asyncio.Future[News] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class JournalWatch:
    """The runs of one vnode, as seen from here."""

    def __init__(self, connector: Connector, vnode: Vnode, scripts: Scripts) -> None:
        self._connector, self._vnode, self._scripts = connector, vnode, scripts
        self._waiting: list[_Ask] = []
        self._rounds: set[asyncio.Task[None]] = set()

    async def news(self, domain: str, run: str, seen: int, word: str = "") -> News:
        """What ``run`` journaled beyond ``seen`` lines, soon after there is some, or after a while.

        ``word``, to a run that awaits one, is ``commit`` or ``undo REASON``. Raises ConnectError.
        """
        ask = _Ask((domain, run, str(seen), " ".join(word.split())))
        self._waiting.append(ask)
        self._begin_round()
        return await ask.answer

    def _begin_round(self) -> None:
        said = any(ask.args[3] for ask in self._waiting)
        if self._waiting and len(self._rounds) < ROUNDS + said:
            task = asyncio.get_running_loop().create_task(self._round())
            self._rounds.add(task)
            task.add_done_callback(self._round_over)

    def _round_over(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        if not task.cancelled():
            self._begin_round()

    async def _round(self) -> None:
        await asyncio.sleep(GATHER_S)
        asks = [ask for ask in self._waiting if not ask.answer.done()]
        self._waiting.clear()
        if not asks:
            return
        try:
            found = await self._ask([ask.args for ask in asks])
        except Exception as error:  # also a mistake of ours: who follows must hear of it
            for ask in asks:
                if not ask.answer.done():
                    ask.answer.set_exception(error)
            return
        except BaseException:
            for ask in asks:
                ask.answer.cancel()
            raise
        for ask, news in zip(asks, found, strict=True):
            if not ask.answer.done():
                ask.answer.set_result(news)

    async def _ask(self, runs: list[tuple[str, str, str, str]]) -> list[News]:
        shell = await self._connector.shell(self._vnode)
        args = [str(POLL), *(word for run in runs for word in run)]
        rc, output = await shell.run(self._scripts("poll"), args, timeout=30.0)
        if rc != 0:
            raise ConnectError("the journals could not be read", vnode=self._vnode.name)
        return read_news(output, len(runs))


def read_news(output: bytes, count: int) -> list[News]:
    """The rows of poll_main.sh as one News a run, in the order asked."""
    alive, progress, unsaid = ["none"] * count, [()] * count, [False] * count
    lines: list[list[bytes]] = [[] for _ in range(count)]
    for row in output.split(b"\n"):
        kind, _, rest = row.partition(b"\t")
        place, _, rest = rest.partition(b"\t")
        if not place.isdigit() or int(place) >= count:
            continue
        number = int(place)
        if kind == b"j":
            lines[number].append(rest)
        elif kind == b"alive":
            alive[number] = rest.decode("ascii", "replace")
        elif kind == b"unsaid":
            unsaid[number] = True
        elif kind == b"progress":
            progress[number] = tuple(rest.decode("utf-8", "replace").split("\t"))
    rows = zip(alive, lines, progress, unsaid, strict=True)
    return [News(a, tuple(found), p, u) for a, found, p, u in rows]
