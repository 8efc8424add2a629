"""The SSH side: what sshd would do, a real sh does, and nothing but the vnode itself is reached."""

from __future__ import annotations

import asyncio

import asyncssh
import pytest

from nsmig_tui.demo.host import MAX_SESSIONS
from nsmig_tui.demo.leftovers import processes


async def test_streams_are_apart_and_bytes_arrive_as_they_were(visitor):
    blob = bytes(range(256)) * 4096
    status, out, errors = await visitor.run("cat; printf oops >&2; exit 7", blob)
    assert (status, out == blob, errors) == (7, True, b"oops")


async def test_a_command_that_does_not_read_its_input_still_ends(visitor):
    status, out, _errors = await visitor.run("exec <&-; echo done", b"x" * 1_000_000)
    assert (status, out) == (0, b"done\n")


async def test_the_environment_is_clean(visitor, monkeypatch):
    monkeypatch.setenv("NSMIG_LEAK", "yes")
    _status, out, _errors = await visitor.run(
        "env; for c in nginx systemctl php-fpm8.2; do command -v $c; done"
    )
    assert b"NSMIG_LEAK" not in out
    assert f"NSMIG_ROOT={visitor.root}\n".encode() in out
    assert b"NSMIG_UNPRIVILEGED=1\n" in out
    for name in ("nginx", "systemctl", "php-fpm8.2"):
        assert f"{visitor.root}/bin/{name}\n".encode() in out


async def test_a_signal_is_told_as_such(visitor):
    done = await visitor.connection.run("kill -TERM $$")
    assert done.exit_signal is not None and done.exit_signal[0] == "TERM"


async def test_the_channels_end_kills_its_group_but_not_what_called_setsid(visitor):
    before = set(processes(visitor.root.parent))
    process = await visitor.connection.create_process(
        "sleep 600 & setsid sleep 700 </dev/null >/dev/null 2>&1 & echo ready; wait"
    )
    assert await process.stdout.readline() == "ready\n"

    def running() -> set[str]:
        words = set()
        for pid in set(processes(visitor.root.parent)) - before:
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:
                    words.add(line.read().replace("\0", " ").strip())
            except OSError:
                continue
        return words

    await visitor.until(lambda: {"sleep 600", "sleep 700"} <= running(), "both began")
    process.close()
    await process.wait_closed()
    await visitor.until(lambda: running() == {"sleep 700"}, "only the detached one lives")


async def test_sessions_are_bounded_as_sshd_bounds_them(visitor):
    held = [await visitor.connection.create_process("cat") for _ in range(MAX_SESSIONS)]
    with pytest.raises(asyncssh.ChannelOpenError):
        await visitor.connection.run("true")
    for process in held:
        process.stdin.write_eof()
        await process.wait()
    assert (await visitor.run("echo again"))[1] == b"again\n"


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 443), ("127.0.0.1", 22), ("192.0.2.1", 80)])
async def test_other_ports_and_places_are_refused(visitor, host, port):
    with pytest.raises(asyncssh.ChannelOpenError):
        await visitor.connection.open_connection(host, port)


async def test_sockets_outside_of_the_vnode_are_refused(visitor, tmp_path):
    path = tmp_path / "s"
    server = await asyncio.start_unix_server(lambda _r, w: w.close(), path)
    async with server:
        (visitor.root / "run/out").symlink_to(path)
        for name in (path, visitor.root / "run/out"):
            with pytest.raises(asyncssh.ChannelOpenError):
                await visitor.connection.open_unix_connection(str(name))
    fpm = visitor.root / "srv" / visitor.domain("shared") / "var/run/fpm.sock"
    _reader, writer = await visitor.connection.open_unix_connection(str(fpm))
    writer.close()


async def test_a_stranger_is_not_let_in(visitor, tmp_path):
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "other")
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            "vn1",
            config=[str(visitor.world.ssh_config)],
            client_keys=[str(tmp_path / "other")],
            agent_path=None,
        )


async def test_dropped_connections_can_be_made_anew(visitor):
    await visitor.world.hosts["vn1"].drop()
    await visitor.connection.wait_closed()
    async with asyncssh.connect("vn1", config=[str(visitor.world.ssh_config)]) as again:
        assert (await again.run("echo here")).stdout == "here\n"
