"""HTTP through the connection, and by tools of the vnode where forwarding is off."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.ports import HttpRequest
from nsmig_tui.remote import http_tunnel
from nsmig_tui.remote.ssh_transport import Limits

from .conftest import Site

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"


class Web:
    """A web server that answers with raw bytes and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nhi"
        self.asked: list[bytes] = []
        self.names: list[str | None] = []
        self.keep_open = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
            if self.keep_open:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def start(self, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Any:
        server = await asyncio.start_server(self.serve, address, 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def request(self, path: str = "/a?b=c", **more: Any) -> HttpRequest:
        return HttpRequest("shop.example", path, "127.0.0.1", self.port, **more)


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    web = Web()
    server = await web.start()
    yield web
    server.close()


async def test_answer_comes_through_the_tunnel(site: Site, web: Web) -> None:
    shell = await site.connector().shell(site.vnode)
    answer = await shell.http(web.request())
    assert (answer.status, answer.body, answer.error) == (200, b"hi", "")
    assert answer.headers["x-a"] == "1, 2"
    head = web.asked[0].decode().split("\r\n")
    assert head[0] == "GET /a?b=c HTTP/1.1"
    assert f"Host: shop.example:{web.port}" in head
    assert "Connection: close" in head
    assert len(site.habits.commands) == 1


async def test_server_that_keeps_the_connection_open_is_not_waited_for(site: Site, web: Web) -> None:
    web.keep_open = True
    shell = await site.connector().shell(site.vnode)
    assert (await shell.http(web.request())).body == b"hi"
    web.answer = CHUNKED
    assert (await shell.http(web.request())).body == b"hello, world"


async def test_body_is_bounded(site: Site, web: Web) -> None:
    shell = await site.connector().shell(site.vnode)
    web.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    assert len((await shell.http(web.request())).body) == http_tunnel.MAX_BODY
    web.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000
    assert len((await shell.http(web.request())).body) == http_tunnel.MAX_BODY


async def test_silence_runs_into_the_time_limit(site: Site, web: Web) -> None:
    web.answer = b""
    web.keep_open = True
    shell = await site.connector().shell(site.vnode)
    answer = await shell.http(web.request(), timeout=0.3)
    assert (answer.status, answer.error) == (0, "no answer within 0.3 s")


async def test_nobody_listens(site: Site, web: Web) -> None:
    shell = await site.connector().shell(site.vnode)
    answer = await shell.http(HttpRequest("shop.example", "/", "127.0.0.1", 1))
    assert answer.status == 0
    assert "cannot connect" in answer.error


@pytest.mark.parametrize("path", ["/a b", "/\r\nX: y", "/\x1b"])
async def test_words_that_break_out_are_refused(site: Site, web: Web, path: str) -> None:
    shell = await site.connector().shell(site.vnode)
    assert (await shell.http(web.request(path))).status == 0
    assert web.asked == []


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for another name."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", str(key), "-out", str(cert), "-days", "1", "-subj", "/CN=other.example"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
async def secure_web(tmp_path: Path) -> AsyncIterator[Web]:
    web = Web()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    context.sni_callback = lambda _sock, name, _context: web.names.append(name)
    server = await web.start(context)
    yield web
    server.close()


async def test_tls_asks_for_the_host_by_name(site: Site, secure_web: Web) -> None:
    secure_web.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * 300_000
    shell = await site.connector().shell(site.vnode)
    answer = await shell.http(secure_web.request(tls=True))
    assert (answer.status, len(answer.body)) == (200, 300_000)
    assert secure_web.names == ["shop.example"]


async def test_tls_to_a_server_that_speaks_none(site: Site, web: Web) -> None:
    web.keep_open = False
    shell = await site.connector().shell(site.vnode)
    assert (await shell.http(web.request(tls=True), timeout=2)).status == 0


TOOLS = {
    "curl": ["curl"],
    "perl": ["perl"],
    "bash": ["bash", "timeout"],
    "busybox": ["busybox"],
    "wget": ["wget", "grep", "mktemp", "rm"],
}
BASE = ["sh", "cat", "wc", "sha256sum", "id", "tr", "cut", "head", "sleep", "sed", "grep"]


def only(folder: Path, *names: str) -> str:
    """A PATH with these tools and no others."""
    folder.mkdir()
    for name in {*names, *BASE}:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def ask_there(
    path: str, web: Web, tls: bool = False, address: str = "127.0.0.1"
) -> subprocess.CompletedProcess[bytes]:
    """Run http_get.sh as the vnode would, with a bare PATH."""
    script = Path(http_tunnel.__file__).parent / "scripts" / "http_get.sh"
    words = [address, str(web.port), "shop.example", "/a?b=c", "1" if tls else "0", "5"]
    return subprocess.run(
        ["/bin/sh", str(script), *words], env={"PATH": path}, capture_output=True, check=False
    )


@pytest.mark.parametrize("tool", [name for name, needs in TOOLS.items() if all(map(shutil.which, needs))])
async def test_each_tool_brings_the_same_answer(web: Web, tmp_path: Path, tool: str) -> None:
    path = only(tmp_path / "bin", *TOOLS[tool])
    web.answer = CHUNKED if tool != "wget" else web.answer
    done = await asyncio.to_thread(ask_there, path, web)
    assert done.stdout.split(b"\n")[0] == b"tool=" + tool.encode()
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert (answer.status, answer.body) == (200, b"hello, world" if tool != "wget" else b"hi")
    assert f"Host: shop.example:{web.port}".encode() in web.asked[0]


@pytest.mark.parametrize("tool", [name for name, needs in TOOLS.items() if all(map(shutil.which, needs))])
async def test_no_tool_follows_a_redirect(web: Web, tmp_path: Path, tool: str) -> None:
    web.answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 4\r\n\r\nmove"
    done = await asyncio.to_thread(ask_there, only(tmp_path / "bin", *TOOLS[tool]), web)
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
    assert len(web.asked) == 1


@pytest.mark.parametrize("tool", [tool for tool in ("curl", "openssl") if shutil.which(tool)])
async def test_tools_ask_for_the_name_in_tls(secure_web: Web, tmp_path: Path, tool: str) -> None:
    done = await asyncio.to_thread(ask_there, only(tmp_path / "bin", tool, "timeout"), secure_web, True)
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert (answer.status, answer.body) == (200, b"hi")
    assert secure_web.names == ["shop.example"]


@pytest.fixture
async def ipv6_web() -> AsyncIterator[Web]:
    web = Web()
    try:
        server = await web.start(address="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    yield web
    server.close()


async def test_ipv6_through_the_tunnel(site: Site, ipv6_web: Web) -> None:
    shell = await site.connector().shell(site.vnode)
    answer = await shell.http(HttpRequest("shop.example", "/", "::1", ipv6_web.port))
    assert (answer.status, answer.body) == (200, b"hi")


@pytest.mark.parametrize("tool", [name for name, needs in TOOLS.items() if all(map(shutil.which, needs))])
async def test_each_tool_asks_over_ipv6(ipv6_web: Web, tmp_path: Path, tool: str) -> None:
    path = only(tmp_path / "bin", *TOOLS[tool])
    done = await asyncio.to_thread(ask_there, path, ipv6_web, False, "::1")
    assert done.stdout.split(b"\n")[0] == b"tool=" + tool.encode()
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert (answer.status, answer.body) == (200, b"hi")


@pytest.mark.parametrize("tool", [name for name in ("curl", "openssl") if shutil.which(name)])
async def test_tools_ask_over_ipv6_in_tls(tmp_path: Path, tool: str) -> None:
    web = Web()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    try:
        server = await web.start(context, "::1")
    except OSError:
        pytest.skip("no IPv6 here")
    path = only(tmp_path / "bin", tool, "timeout")
    done = await asyncio.to_thread(ask_there, path, web, True, "::1")
    assert http_tunnel.from_tool(done.returncode, done.stdout).status == 200
    server.close()


async def test_wget_of_busybox(web: Web, tmp_path: Path) -> None:
    path = only(tmp_path / "bin", *TOOLS["wget"][1:])
    (tmp_path / "bin" / "wget").symlink_to(shutil.which("busybox") or "/bin/busybox")
    done = await asyncio.to_thread(ask_there, path, web)
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert (answer.status, answer.body) == (200, b"hi")
    web.answer = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 4\r\n\r\nmove"
    done = await asyncio.to_thread(ask_there, path, web)
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert (answer.status, answer.headers["location"], answer.body) == (302, "/elsewhere", b"")


async def test_without_forwarding_a_tool_of_the_vnode_asks(site: Site, web: Web) -> None:
    site.habits.forwarding = False
    shell = await site.connector().shell(site.vnode)
    answer = await shell.http(web.request())
    assert (answer.status, answer.body) == (200, b"hi")
    assert len(site.habits.commands) == 2


async def test_without_forwarding_and_tools_nobody_can_look(tmp_path: Path, web: Web) -> None:
    done = await asyncio.to_thread(ask_there, only(tmp_path / "bin"), web)
    answer = http_tunnel.from_tool(done.returncode, done.stdout)
    assert answer.status == 0
    assert "cannot look" in answer.error


async def test_a_connection_closed_here_is_no_answer(site: Site, web: Web) -> None:
    shell = await site.connector().shell(site.vnode)
    await shell.close()
    with pytest.raises(ConnectError):
        await shell.http(web.request())


UNTIL_END = b"HTTP/1.0 200 OK\r\n\r\nhalf of"


@pytest.mark.parametrize("said", [b"", UNTIL_END, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"])
@pytest.mark.parametrize("forwarding", [True, False])
async def test_a_line_lost_on_the_way_is_no_answer_of_the_web_server(
    site: Site, web: Web, forwarding: bool, said: bytes
) -> None:
    site.habits.forwarding, web.answer, web.keep_open = forwarding, said, True
    shell = await site.connector().shell(site.vnode)
    asking = asyncio.create_task(shell.http(web.request()))
    while not web.asked:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    shell._link.line.connection.abort()
    with pytest.raises(ConnectError):
        await asking
    web.answer, web.keep_open = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False
    assert (await shell.http(web.request())).body == b"hi"


async def test_silence_of_a_line_is_no_answer_of_the_web_server(
    site: Site, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes back at all, as of a server that is cut off without a word."""
    web.answer, web.keep_open = b"", True
    shell = await site.connector(limits=Limits(open=0.3)).shell(site.vnode)
    asking = asyncio.create_task(shell.http(web.request(), timeout=0.5))
    while not web.asked:
        await asyncio.sleep(0.01)
    shell._link.line.connection._transport.pause_reading()
    with pytest.raises(ConnectError):
        await asking


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
)
def test_answer_that_ended_early_is_none(raw: bytes) -> None:
    answer = http_tunnel.parse(raw, ended=True)
    assert answer is not None
    assert (answer.status, bool(answer.error)) == (0, True)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answer_without_body(status: bytes) -> None:
    answer = http_tunnel.parse(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n", ended=False)
    assert answer is not None
    assert answer.body == b""


@given(st.integers(0, len(CHUNKED) - 1))
def test_no_cut_of_a_chunked_answer_passes(cut: int) -> None:
    for ended in (False, True):
        answer = http_tunnel.parse(CHUNKED[:cut], ended=ended)
        assert answer is not None or not ended
        assert answer is None or answer.status == 0 or answer.body == b"hello, world"


@given(st.binary(max_size=400))
def test_parser_never_raises(raw: bytes) -> None:
    for text in (
        raw,
        b"HTTP/1.1 200 OK\r\n" + raw,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw,
    ):
        assert http_tunnel.parse(text, ended=True) is not None
