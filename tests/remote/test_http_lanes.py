"""Many questions over few connections: kept alive, closed early, slow, or mixed with failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.ports import HttpRequest
from nsmig_tui.remote import http_parse, http_tunnel

from .conftest import Site


class Keeper:
    """A web server that keeps connections; ``says`` gives raw answer and whether the connection goes on."""

    def __init__(self, says: Callable[[str, int], tuple[bytes, bool]]) -> None:
        self.says = says
        self.asked: list[str] = []
        self.connections = self.now = self.most = 0
        self.hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for number in range(1000):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split()[1]
                self.asked.append(path)
                if self.hold:
                    await self.hold.wait()
                raw, goes_on = self.says(path, number)
                writer.write(raw)
                await writer.drain()
                if not goes_on or "Connection: close" in head:
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.now -= 1
            writer.close()


def plain(path: str, _number: int) -> tuple[bytes, bool]:
    body = path.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), True


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    keeper = Keeper(plain)
    server = await asyncio.start_server(keeper.serve, "127.0.0.1", 0)
    keeper.port = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    yield keeper
    server.close()


PATHS = [f"/{number}" for number in range(15)]


async def ask(site: Site, keeper: Any, timeout: float = 10.0) -> list[Any]:
    shell = await site.connector().shell(site.vnode)
    requests = [HttpRequest("a.test", path, "127.0.0.1", keeper.port) for path in PATHS]
    return await shell.http_all(requests, timeout=timeout)


async def test_one_connection_is_enough_for_a_quick_server(
    site: Site, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_tunnel, "LANE_AFTER", 30.0)
    assert [a.body.decode() for a in await ask(site, keeper)] == PATHS
    assert (keeper.connections, keeper.asked) == (1, PATHS)


async def test_a_slow_server_is_asked_over_a_few_connections(
    site: Site, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_tunnel, "LANE_AFTER", 0.0)
    keeper.hold = asyncio.Event()
    asking = asyncio.create_task(ask(site, keeper))
    while keeper.now < http_tunnel.LANES:
        await asyncio.sleep(0.01)
    keeper.hold.set()
    assert [a.body.decode() for a in await asking] == PATHS
    assert keeper.most == http_tunnel.LANES
    assert sorted(keeper.asked) == sorted(PATHS)


CLOSING = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
UNTIL_END = b"HTTP/1.0 200 OK\r\n\r\nall of it"


@pytest.mark.parametrize("raw, status, body", [(CLOSING, 404, b"no"), (UNTIL_END, 200, b"all of it")])
async def test_a_server_that_closes_each_time_is_asked_anew(
    site: Site, keeper: Keeper, raw: bytes, status: int, body: bytes
) -> None:
    keeper.says = lambda _path, _number: (raw, False)
    assert [(a.status, a.body) for a in await ask(site, keeper)] == [(status, body)] * len(PATHS)


async def test_a_failure_belongs_to_its_question_alone(site: Site, keeper: Keeper) -> None:
    """Broken, cut and garbled answers end the connection; the other questions are asked again."""
    bad = {"/3": b"", "/5": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "/6": b"SSH-2.0\r\n\r\n"}

    def says(path: str, number: int) -> tuple[bytes, bool]:
        return (bad[path], False) if path in bad else plain(path, number)

    keeper.says = says
    answers = dict(zip(PATHS, await ask(site, keeper), strict=True))
    assert {path for path, a in answers.items() if a.status == 0} == set(bad)
    assert all(a.body.decode() == path for path, a in answers.items() if path not in bad)
    assert all(answers[path].error for path in bad)


async def test_silence_on_a_kept_connection_is_asked_for_again(site: Site, keeper: Keeper) -> None:
    """A server that answers only the first question on each connection loses us nothing but time."""

    def says(path: str, number: int) -> tuple[bytes, bool]:
        return plain(path, number) if number == 0 else (b"", True)

    keeper.says = says
    assert [a.body.decode() for a in await ask(site, keeper, timeout=0.3)] == PATHS


async def test_without_forwarding_tools_answer_in_order(site: Site, keeper: Keeper) -> None:
    site.habits.forwarding = False
    assert [a.body.decode() for a in await ask(site, keeper)] == PATHS


ANSWER = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\n 2\r\n\r\n"
ANSWER += b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"


@given(st.integers(0, len(ANSWER)), st.binary(max_size=30))
def test_one_answer_ends_where_the_next_begins(cut_at: int, more: bytes) -> None:
    if cut_at < len(ANSWER):
        assert http_parse.cut(ANSWER[:cut_at], ended=False) is None
    found = http_parse.cut(ANSWER + more, ended=False)
    assert found is not None
    assert (found.taken, found.goes_on, found.answer.body) == (len(ANSWER), True, b"abc")
    assert found.answer.headers["x"] == "1 2"


@pytest.mark.parametrize(
    "raw, goes_on",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", False),
    ],
)
def test_whether_a_connection_goes_on(raw: bytes, goes_on: bool) -> None:
    found = http_parse.cut(raw, ended=False)
    assert found is not None
    assert (found.goes_on, found.answer.body) == (goes_on, b"")


@pytest.mark.parametrize("size", [b"-5", b"+5", b"0x5", b"5_0", b"zz"])
def test_a_chunk_size_is_hex_and_nothing_else(size: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n"
    found = http_parse.cut(raw, ended=True)
    assert found is not None
    assert found.answer.status == 0
