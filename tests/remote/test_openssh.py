"""The same promises kept against OpenSSH's own sshd, run by this user on a free port of the loopback."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.domain.ports import HttpRequest
from nsmig_tui.remote.ssh_transport import Limits, SshConnector

from .test_http_tunnel import Web
from .test_login import other_key

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="no sshd binary on this machine (openssh-server)"),
    pytest.mark.xdist_group("sshd"),  # each makes /run/sshd where it is missing, and takes it away
]

Start = Callable[..., Any]


class Sshd:
    """One sshd of our own, and the operator's files to reach it."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.vnode = Vnode("vn1", ssh_host="web1")
        self.connectors: list[SshConnector] = []

    def connector(self, **options: Any) -> SshConnector:
        connector = SshConnector(self.home / "config", **options)
        self.connectors.append(connector)
        return connector


def write_files(home: Path, port: int, options: tuple[str, ...]) -> None:
    """Keys, and the configuration of both sides."""
    for name in ("host", "id"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)]
        subprocess.run(command, check=True, capture_output=True)
    (home / "authorized").write_text((home / "id.pub").read_text())
    (home / "known").write_text(f"[127.0.0.1]:{port} {(home / 'host.pub').read_text()}")
    lines = [*options, f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {home}/host", "UsePAM no"]
    lines += [f"AuthorizedKeysFile {home}/authorized", f"PidFile {home}/pid", "StrictModes no"]
    lines += ["PermitRootLogin prohibit-password", "PermitUserEnvironment no", "AcceptEnv NSMIG_*"]
    if os.getuid():
        lines.append("SetEnv NSMIG_UNPRIVILEGED=1")
    (home / "sshd_config").write_text("\n".join(lines) + "\n")
    client = ["Host web1", "HostName 127.0.0.1", f"Port {port}", f"User {getpass.getuser()}"]
    client += [f"IdentityFile {home}/id", "IdentitiesOnly yes", f"UserKnownHostsFile {home}/known"]
    (home / "config").write_text("\n  ".join([*client, "GlobalKnownHostsFile none"]) + "\n")


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts servers; all are ended with the test."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    running: list[tuple[Sshd, asyncio.subprocess.Process]] = []
    made_run_dir = os.getuid() == 0 and not os.path.isdir("/run/sshd")
    if made_run_dir:
        # sshd as root wants this directory to lock itself into.
        os.mkdir("/run/sshd", 0o755)

    async def start(*options: str) -> Sshd:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        write_files(tmp_path, port, options)
        command = [str(SSHD), "-D", "-e", "-f", str(tmp_path / "sshd_config")]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        sshd = Sshd(tmp_path, port)
        running.append((sshd, process))
        assert process.stderr is not None
        said = b""
        while b"listening on" not in said:
            line = await process.stderr.readline()
            assert line, f"sshd did not start: {said.decode()}"
            said += line
        return sshd

    yield start
    for sshd, process in running:
        for connector in sshd.connectors:
            await connector.close()
        process.terminate()
        await process.communicate()
    if made_run_dir:
        os.rmdir("/run/sshd")


async def test_scripts_and_data_travel(start: Start) -> None:
    sshd = await start()
    shell = await sshd.connector().shell(sshd.vnode)
    odd = ["a b", "$(id)", "-n", "", "x\ny", "it's"]
    assert await shell.run('printf "<%s>" "$@"; exit 7', odd) == (7, "".join(f"<{w}>" for w in odd).encode())
    data = bytes(range(256)) * 4096
    assert await shell.send("cat; exit 4", [], data) == (4, data)
    assert len((await shell.run("head -c 20000000 /dev/zero"))[1]) == 20_000_000


@pytest.mark.parametrize("allowed", [1, 10])
async def test_more_callers_than_sessions(start: Start, allowed: int) -> None:
    sshd = await start(f"MaxSessions {allowed}")
    shell = await sshd.connector().shell(sshd.vnode)
    answers = await asyncio.gather(*(shell.run("echo $1", [str(n)]) for n in range(30)))
    assert answers == [(0, b"%d\n" % n) for n in range(30)]


async def test_busy_server_drops_some_logins_but_serves_all(start: Start) -> None:
    sshd = await start("MaxStartups 3:50:6")
    shells = await asyncio.gather(*(sshd.connector().shell(sshd.vnode) for _ in range(5)))
    answers = await asyncio.gather(*(shell.run("echo in") for shell in shells))
    assert answers == [(0, b"in\n")] * 5


@pytest.mark.parametrize("forwarding", ["yes", "no"])
async def test_http_with_and_without_forwarding(start: Start, forwarding: str) -> None:
    sshd = await start(f"AllowTcpForwarding {forwarding}")
    web = Web()
    server = await web.start()
    shell = await sshd.connector().shell(sshd.vnode)
    answer = await shell.http(web.request())
    assert (answer.status, answer.body) == (200, b"hi")
    assert (await shell.http(HttpRequest("shop.example", "/", "127.0.0.1", 1))).status == 0
    server.close()


async def test_changed_host_key(start: Start) -> None:
    sshd = await start()
    public = other_key().export_public_key("openssh").decode()
    (sshd.home / "known").write_text(f"[127.0.0.1]:{sshd.port} {public}")
    with pytest.raises(ConnectError, match="changed"):
        await sshd.connector().shell(sshd.vnode)


async def test_unknown_host_key_is_written_so_that_ssh_reads_it(start: Start) -> None:
    sshd = await start()
    (sshd.home / "known").unlink()

    async def yes(*_question: str) -> bool:
        return True

    await sshd.connector(ask_host_key=yes).shell(sshd.vnode)
    command = ["ssh", "-F", str(sshd.home / "config"), "-o", "StrictHostKeyChecking=yes", "web1", "echo in"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b"in\n"


async def test_forced_command_is_no_shell(start: Start) -> None:
    sshd = await start('ForceCommand "echo This account is for backups only."')
    with pytest.raises(ConnectError, match="for backups only"):
        await sshd.connector(limits=Limits(open=5)).shell(sshd.vnode)


async def test_server_end_in_the_middle_is_no_answer_and_the_next_call_says_so(start: Start) -> None:
    sshd = await start()
    shell = await sshd.connector().shell(sshd.vnode)
    script = """echo partial; pid=$PPID
while read -r _ comm _ parent _ </proc/$pid/stat; do
    case $comm in "(sshd"*) kill "$pid"; sleep 3; exit ;; esac
    pid=$parent
done"""
    with pytest.raises(ConnectError):
        await shell.run(script, timeout=20)
    assert await shell.run("echo again") == (0, b"again\n")
