"""All runs that are followed on a vnode share one question; each hears its own."""

import asyncio

import pytest

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.engine import journal_watch
from nsmig_tui.engine.journal_watch import ROUNDS, JournalWatch, News, read_news


class SlowVnode:
    """Answers a question when its gate opens. ``asked``: the domains of each; ``words``: what was said."""

    def __init__(self):
        self.asked, self.words, self.gates, self.error = [], [], [], None

    async def shell(self, vnode):
        return self

    async def run(self, script, args=(), *, timeout=60.0):
        runs = [args[1:][n : n + 4] for n in range(0, len(args) - 1, 4)]
        self.asked.append([run[0] for run in runs])
        self.words += [run[3] for run in runs if run[3]]
        gate = asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        if self.error:
            raise self.error
        return 0, "".join(f"alive\t{n}\tyes\nj\t{n}\t{run[0]} moved\n" for n, run in enumerate(runs)).encode()

    async def open_question(self, number):
        while len(self.gates) <= number:
            await asyncio.sleep(0)
        return self.gates[number]


@pytest.fixture
def vnode(monkeypatch):
    monkeypatch.setattr(journal_watch, "GATHER_S", 0.0)
    return SlowVnode()


def follow(watch, domain, word=""):
    return asyncio.ensure_future(watch.news(domain, "r1", 0, word))


async def filled(vnode):
    """A watch with as many questions under way as there may be, and those who wait for the answers."""
    watch, others = JournalWatch(vnode, Vnode("vn1"), str), []
    for number in range(ROUNDS):
        others.append(follow(watch, f"s{number}.test"))
        await vnode.open_question(number)
    return watch, others


async def test_those_that_come_together_are_asked_after_together(vnode):
    watch = JournalWatch(vnode, Vnode("vn1"), str)
    three = [follow(watch, name) for name in ("a.test", "b.test", "c.test")]
    (await vnode.open_question(0)).set()
    found = await asyncio.gather(*three)
    assert vnode.asked == [["a.test", "b.test", "c.test"]]
    assert [news.lines for news in found] == [(b"a.test moved",), (b"b.test moved",), (b"c.test moved",)]


async def test_who_comes_later_waits_for_nobody_until_enough_are_under_way(vnode):
    watch, others = await filled(vnode)
    late = [follow(watch, "x.test"), follow(watch, "y.test")]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(vnode.asked) == ROUNDS
    vnode.gates[0].set()
    await others[0]
    (await vnode.open_question(ROUNDS)).set()
    await asyncio.gather(*late)
    assert vnode.asked[-1] == ["x.test", "y.test"]
    for task in others:
        task.cancel()


async def test_a_word_is_never_kept_waiting(vnode):
    watch, others = await filled(vnode)
    said = follow(watch, "a.test", "undo it\tanswered\n500")
    (await vnode.open_question(ROUNDS)).set()
    assert (await said).alive == "yes" and vnode.words == ["undo it answered 500"]
    for task in others:
        task.cancel()


async def test_a_lost_connection_is_told_to_all_and_the_next_question_is_asked(vnode):
    watch = JournalWatch(vnode, Vnode("vn1"), str)
    both = [follow(watch, "a.test"), follow(watch, "b.test")]
    vnode.error = ConnectError("gone")
    (await vnode.open_question(0)).set()
    assert all(isinstance(r, ConnectError) for r in await asyncio.gather(*both, return_exceptions=True))
    vnode.error = None
    again = follow(watch, "a.test")
    (await vnode.open_question(1)).set()
    assert (await again).alive == "yes"


def test_rows_that_make_no_sense_are_nobodys():
    output = b"j\t0\todd \xff\tx\nj\t7\tnobody\nj\tx\tnobody\nalive\t1\tno\nprogress\t0\ts\tgzip\t5\t9\n"
    assert read_news(output, 2) == [News("none", (b"odd \xff\tx",), ("s", "gzip", "5", "9")), News("no")]
