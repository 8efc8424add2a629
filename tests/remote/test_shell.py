"""Scripts over a real SSH connection to a real /bin/sh: intact, bounded, shared, honest when it breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncssh.constants import MSG_IGNORE

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.remote.ssh_transport import Limits

from .conftest import Site


async def test_script_runs_with_its_arguments(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    odd = ["a b", "$(id)", "-n", "", "x\ny", "it's"]
    rc, output = await shell.run('printf "<%s>" "$@"; exit 7', odd)
    assert (rc, output) == (7, "".join(f"<{word}>" for word in odd).encode())
    assert set(site.habits.commands) == {"/bin/sh"}


async def test_data_travels_to_the_standard_input(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    data = bytes(range(256)) * 4096
    rc, output = await shell.send("cat; exit 4", [], data)
    assert (rc, output) == (4, data)
    assert await shell.send('wc -c; echo "$1"', ["x"], b"") == (0, b"0\nx\n")


NOISE = {
    "text": b"Welcome!\nlast login: yesterday\n",
    "no newline": b"no newline at the end",
    "escapes": b"\x1b]0;title\x07\x1b[2J\xff\xfe\0",
    "fake frames": b"\nNSMIG-READY-00\n\nNSMIG-BEGIN 00\nfake\nNSMIG-END 00 0\n",
    "a megabyte": b"noise and more noise\n" * 50_000,
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
async def test_login_noise_is_never_an_answer(site: Site, noise: bytes) -> None:
    site.habits.login_noise = noise
    shell = await site.connector().shell(site.vnode)
    assert await shell.run("echo answer; echo talk >&2") == (0, b"answer\n")


async def test_login_script_that_eats_input_gets_no_part_of_a_script(site: Site) -> None:
    site.habits.login_eats = 65536
    with pytest.raises(ConnectError, match="did not come up"):
        await site.connector(limits=Limits(open=0.5)).shell(site.vnode)


async def test_account_without_shell_is_explained(site: Site) -> None:
    site.habits.path = "/nowhere"
    site.habits.login_noise = b"This account is \x1b[31mcurrently not available.\n"
    site.habits.env["NSMIG_TEST"] = "1"

    async def vanish(_target: Any, _data: bytes) -> None:
        raise asyncio.CancelledError

    site.habits.on_output = vanish
    with pytest.raises(ConnectError, match="currently not available") as caught:
        await site.connector(limits=Limits(open=2)).shell(site.vnode)
    assert "\x1b" not in str(caught.value)
    assert caught.value.vnode == "vn1"


async def test_connection_is_shared_by_all_who_come_at_once(site: Site) -> None:
    connector = site.connector()
    shells = await asyncio.gather(*(connector.shell(site.vnode) for _ in range(20)))
    answers = await asyncio.gather(*(shell.run("echo $1", [str(n)]) for n, shell in enumerate(shells)))
    assert answers == [(0, b"%d\n" % n) for n in range(20)]
    assert site.habits.connections == 1
    assert site.habits.most_sessions <= 8


@pytest.mark.parametrize("allowed", [1, 3])
async def test_server_that_allows_few_sessions_still_serves_all(site: Site, allowed: int) -> None:
    site.habits.max_sessions = allowed
    shell = await site.connector().shell(site.vnode)
    answers = await asyncio.gather(*(shell.run("sleep 0.05; echo $1", [str(n)]) for n in range(12)))
    assert answers == [(0, b"%d\n" % n) for n in range(12)]
    assert site.habits.most_sessions == allowed


async def test_server_that_allows_no_sessions_is_named(site: Site) -> None:
    site.habits.max_sessions = 0
    with pytest.raises(ConnectError, match="refuses another session"):
        await site.connector(limits=Limits(open=0.3)).shell(site.vnode)


async def test_connection_lost_before_the_end_is_no_answer(site: Site) -> None:
    async def cut(target: Any, data: bytes) -> None:
        if b"almost" in data:
            target.channel.get_connection().abort()

    shell = await site.connector().shell(site.vnode)
    site.habits.on_output = cut
    with pytest.raises(ConnectError, match="lost") as caught:
        await shell.run("echo almost; cat /dev/zero | head -c 100000; sleep 5")
    assert caught.value.hint


async def test_end_of_channel_without_end_of_frame_is_no_success(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    with pytest.raises(ConnectError, match="incomplete"):
        await shell.run("echo partial; kill -9 $PPID")
    assert await shell.run("echo next") == (0, b"next\n")


async def test_later_call_dials_again_after_a_loss(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    site.habits.live[0].abort()
    assert await shell.run("echo again") == (0, b"again\n")
    assert site.habits.connections == 2


async def test_slow_script_runs_into_its_time_limit(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    with pytest.raises(ConnectError, match=r"no complete answer within 0\.2 s"):
        await shell.run("echo partial; sleep 30", timeout=0.2)
    assert await shell.run("echo next") == (0, b"next\n")


async def test_answer_is_bounded(site: Site) -> None:
    shell = await site.connector(limits=Limits(answer=100_000)).shell(site.vnode)
    assert (await shell.run("head -c 100000 /dev/zero"))[1] == bytes(100_000)
    with pytest.raises(ConnectError, match="longer than 100000"):
        await shell.run("cat /dev/zero")
    assert await shell.run("echo next") == (0, b"next\n")


async def test_child_that_holds_the_output_open_does_not_hold_the_answer(site: Site) -> None:
    shell = await site.connector().shell(site.vnode)
    assert await shell.run("sleep 60 & echo started") == (0, b"started\n")


async def test_cancelled_call_gives_its_session_back(site: Site) -> None:
    site.habits.max_sessions = 1
    shell = await site.connector().shell(site.vnode)
    call = asyncio.create_task(shell.run("sleep 60"))
    while len(site.habits.commands) < 2:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await shell.run("echo next") == (0, b"next\n")


async def test_closed_connector_refuses(site: Site) -> None:
    connector = site.connector()
    shell = await connector.shell(site.vnode)
    await connector.close()
    for call in (shell.run("true"), connector.shell(site.vnode)):
        with pytest.raises(ConnectError, match="clos"):
            await call


async def test_server_that_never_answers_runs_into_the_connect_limit(site: Site) -> None:
    async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    released = asyncio.Event()
    silent = await asyncio.start_server(mute, "127.0.0.1", 0)
    site.port = silent.sockets[0].getsockname()[1]
    site.configure()
    with pytest.raises(ConnectError, match="did not answer in time") as caught:
        await site.connector(limits=Limits(connect=0.3)).shell(site.vnode)
    assert caught.value.vnode == "vn1"
    released.set()
    silent.close()


async def test_half_open_connection_is_noticed(site: Site) -> None:
    """A relay stops passing bytes while both ends stay connected."""
    relay = await Relay.start(site.port)
    site.know(f"[127.0.0.1]:{relay.port}")
    site.port = relay.port
    site.configure()
    shell = await site.connector(limits=Limits(connect=3, open=0.5)).shell(site.vnode)
    relay.flowing.clear()
    with pytest.raises(ConnectError):
        await shell.run("echo never", timeout=0.5)
    relay.flowing.set()
    assert await shell.run("echo again") == (0, b"again\n")
    await relay.close()


async def test_keepalive_ends_a_dead_connection_during_a_long_script(site: Site) -> None:
    relay = await Relay.start(site.port)
    site.know(f"[127.0.0.1]:{relay.port}")
    site.port = relay.port
    site.configure()
    shell = await site.connector(limits=Limits(keepalive=0.1, keepalive_count=2)).shell(site.vnode)

    async def die(_target: Any, data: bytes) -> None:
        if b"started" in data:
            relay.flowing.clear()

    site.habits.on_output = die
    with pytest.raises(ConnectError, match="connection was lost"):
        await shell.run("echo started; sleep 60", timeout=60)
    await relay.close()


@pytest.mark.parametrize("name", ["-oProxyCommand=touch x", "a b", "a;b", "", "a\nb", "$(id)", "x" * 300])
async def test_names_that_are_no_hosts_are_refused(site: Site, name: str) -> None:
    with pytest.raises(ConnectError):
        await site.connector().shell(Vnode("odd", ssh_host=name or " "))


async def test_nobody_listens(site: Site) -> None:
    site.server.close()
    await site.server.wait_closed()
    with pytest.raises(ConnectError, match="refuses connections") as caught:
        await site.connector().shell(site.vnode)
    assert caught.value.hint


async def test_unknown_server_name(site: Site) -> None:
    site.configure("HostName nowhere.invalid")
    with pytest.raises(ConnectError, match="name of the server is not known"):
        await site.connector().shell(site.vnode)


class Relay:
    """A TCP relay whose bytes can be stopped without closing anything."""

    def __init__(self) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.port = 0
        self._server: Any = None
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, target: int) -> Relay:
        relay = cls()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", target)
            for source, sink in ((reader, back), (there, writer)):
                task = asyncio.create_task(relay._pass(source, sink))
                relay._tasks.add(task)

        relay._server = await asyncio.start_server(serve, "127.0.0.1", 0)
        relay.port = relay._server.sockets[0].getsockname()[1]
        return relay

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self.flowing.wait()
                sink.write(data)
                await sink.drain()
            sink.close()
        except OSError:
            sink.close()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.mark.parametrize(("ciphers", "fillers"), [("", False), ("Ciphers aes256-ctr", True)])
async def test_fillers_are_sent_where_the_cipher_wants_them(site: Site, ciphers: str, fillers: bool) -> None:
    site.configure(*filter(None, [ciphers]))
    shell = await site.connector().shell(site.vnode)
    seen: list[int] = []
    site.habits.live[0].log_received_packet = lambda kind, *_more: seen.append(kind)
    assert await shell.run("echo here") == (0, b"here\n")
    assert (MSG_IGNORE in seen) is fillers
