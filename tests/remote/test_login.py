"""Getting in: host keys, keys with passphrases, passwords, jump hosts, configuration files."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess
from typing import Any

import asyncssh
import pytest

from nsmig_tui.domain.errors import ConnectError, ExitCode
from nsmig_tui.remote.ssh_transport import Limits

from .conftest import QUICK, Site


class Person:
    """Somebody who answers questions, and remembers them."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    async def __call__(self, *question: str) -> Any:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else None


def other_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519").convert_to_public()


async def test_unknown_key_is_refused_when_nobody_is_there(site: Site) -> None:
    site.known_hosts.unlink()
    with pytest.raises(ConnectError, match="unknown and was refused") as caught:
        await site.connector().shell(site.vnode)
    assert site.host_key.get_fingerprint() in caught.value.message
    assert f"ssh -F {site.config} web1" in caught.value.hint
    assert caught.value.exit_code is ExitCode.CONNECT
    assert not site.known_hosts.exists()


async def test_unknown_key_is_asked_about_once_and_remembered(site: Site) -> None:
    site.known_hosts.unlink()
    person = Person(True)
    connector = site.connector(ask_host_key=person)
    await asyncio.gather(*(connector.shell(site.vnode) for _ in range(3)))
    assert person.asked == [(f"[127.0.0.1]:{site.port}", "ssh-ed25519", site.host_key.get_fingerprint())]
    assert stat.S_IMODE(site.known_hosts.stat().st_mode) == 0o600
    assert await (await site.connector().shell(site.vnode)).run("echo known") == (0, b"known\n")


async def test_unknown_key_refused_by_the_person_is_not_written(site: Site) -> None:
    site.known_hosts.unlink()
    with pytest.raises(ConnectError, match="refused"):
        await site.connector(ask_host_key=Person(False)).shell(site.vnode)
    assert not site.known_hosts.exists()


async def test_remembering_creates_the_directory_and_keeps_other_lines(site: Site) -> None:
    fresh = site.home / "new" / "known"
    site.configure(f"UserKnownHostsFile {fresh} {site.known_hosts}")
    site.known_hosts.write_text("# no newline at the end")
    await site.connector(ask_host_key=Person(True)).shell(site.vnode)
    assert stat.S_IMODE(fresh.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o600
    fresh.write_text("# no newline at the end")
    await site.connector(ask_host_key=Person(True)).shell(site.vnode)
    assert fresh.read_text().splitlines()[0] == "# no newline at the end"
    assert len(fresh.read_text().splitlines()) == 2


async def test_key_file_that_keeps_nothing_still_serves_this_process(site: Site) -> None:
    site.configure("UserKnownHostsFile /dev/null")
    person = Person(True)
    connector = site.connector(ask_host_key=person)
    shell = await connector.shell(site.vnode)
    site.habits.live[0].abort()
    assert await shell.run("echo again") == (0, b"again\n")
    assert len(person.asked) == 1


@pytest.mark.parametrize("hashed", [False, True])
async def test_changed_key_is_always_refused(site: Site, hashed: bool) -> None:
    site.known_hosts.write_text("# first line\n\nnot a readable line\n")
    site.know(key=other_key())
    if hashed:
        hash_names(site)
    person = Person(True)
    before = site.known_hosts.read_text()
    with pytest.raises(ConnectError, match="changed") as caught:
        await site.connector(ask_host_key=person).shell(site.vnode)
    assert f"{site.known_hosts}:4" in str(caught.value)
    assert person.asked == []
    assert site.known_hosts.read_text() == before


async def test_changed_key_in_the_second_file_is_refused(site: Site) -> None:
    second = site.home / "second"
    site.configure(f"UserKnownHostsFile {site.home}/none {second}")
    site.know(key=other_key())
    second.write_text(site.known_hosts.read_text().splitlines()[1] + "\n")
    with pytest.raises(ConnectError, match="changed") as caught:
        await site.connector(ask_host_key=Person(True)).shell(site.vnode)
    assert f"{second}:1" in str(caught.value)


async def test_global_file_counts(site: Site) -> None:
    everyone = site.home / "everyone"
    site.known_hosts.rename(everyone)
    text = site.config.read_text().replace("GlobalKnownHostsFile none", f"GlobalKnownHostsFile {everyone}")
    site.config.write_text(text)
    assert await (await site.connector().shell(site.vnode)).run("echo in") == (0, b"in\n")


def hash_names(site: Site) -> None:
    """Let ssh-keygen hash the names of the known hosts file, as HashKnownHosts does."""
    import subprocess

    subprocess.run(["ssh-keygen", "-H", "-f", str(site.known_hosts)], check=False, capture_output=True)
    if "|1|" not in site.known_hosts.read_text():
        text = site.known_hosts.read_text()
        site.known_hosts.write_text(
            "\n".join(line if line[:1] != "[" else hashed(line) for line in text.splitlines()) + "\n"
        )


def hashed(line: str) -> str:
    """One line with its name hashed."""
    import base64
    import hashlib
    import hmac

    name, _, rest = line.partition(" ")
    salt = b"0123456789abcdef0123"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {rest}"


@pytest.mark.parametrize("form", ["hashed", "pattern", "alias", "plain name"])
async def test_known_key_is_found_in_every_form(site: Site, form: str) -> None:
    if form == "hashed":
        hash_names(site)
        assert "127.0.0.1" not in site.known_hosts.read_text()
    elif form == "pattern":
        site.known_hosts.unlink()
        site.know("other.example,[127.0.*]:*")
    elif form == "alias":
        site.known_hosts.unlink()
        site.know("production-web")
        site.configure("HostKeyAlias production-web")
    else:
        site.known_hosts.unlink()
        site.know("127.0.0.1")
    assert await (await site.connector().shell(site.vnode)).run("echo in") == (0, b"in\n")


async def test_other_port_of_a_known_address_is_unknown_not_changed(site: Site) -> None:
    site.known_hosts.unlink()
    site.know("127.0.0.1", other_key())
    person = Person(True)
    await site.connector(ask_host_key=person).shell(site.vnode)
    assert len(person.asked) == 1


async def test_revoked_key_is_refused(site: Site) -> None:
    site.know(f"@revoked [127.0.0.1]:{site.port}")
    with pytest.raises(ConnectError, match=r"revoked|not trusted"):
        await site.connector(ask_host_key=Person(True)).shell(site.vnode)


async def test_known_hosts_none_does_not_switch_checking_off(site: Site) -> None:
    site.configure("UserKnownHostsFile none")
    with pytest.raises(ConnectError, match="unknown"):
        await site.connector().shell(site.vnode)


async def test_key_with_passphrase(site: Site) -> None:
    site.client_key.write_private_key(site.home / "id", passphrase="open sesame")
    person = Person("wrong", "open sesame")
    connector = site.connector(ask_password=person)
    shell = await connector.shell(site.vnode)
    assert [("Wrong" in question[0]) for question in person.asked] == [False, True]
    site.habits.live[0].abort()
    assert await shell.run("echo again") == (0, b"again\n")
    assert len(person.asked) == 2


async def test_key_with_passphrase_and_nobody_to_ask(site: Site) -> None:
    site.client_key.write_private_key(site.home / "id", passphrase="open sesame")
    with pytest.raises(ConnectError, match="login was refused"):
        await site.connector().shell(site.vnode)


async def test_login_with_password(site: Site) -> None:
    site.habits.keys.clear()
    site.habits.password = "geheim"
    person = Person("falsch", "geheim")
    connector = site.connector(ask_password=person)
    shell = await connector.shell(site.vnode)
    assert await shell.run("echo in") == (0, b"in\n")
    assert len(person.asked) == 2
    site.habits.live[0].abort()
    assert await shell.run("echo again") == (0, b"again\n")
    assert len(person.asked) == 2


async def test_wrong_passwords_are_tried_twice_and_not_kept(site: Site) -> None:
    site.habits.keys.clear()
    site.habits.password = "geheim"
    person = Person("a", "b", "geheim")
    connector = site.connector(ask_password=person)
    with pytest.raises(ConnectError, match="login was refused") as caught:
        await connector.shell(site.vnode)
    assert len(person.asked) == 2
    assert "geheim" not in str(caught.value)
    await connector.shell(site.vnode)


async def test_person_who_thinks_long_does_not_run_into_the_connect_limit(site: Site) -> None:
    site.habits.keys.clear()
    site.habits.password = "geheim"

    async def slow(_prompt: str) -> str:
        await asyncio.sleep(1.0)
        return "geheim"

    connector = site.connector(ask_password=slow, limits=Limits(connect=0.8, open=10))
    assert await (await connector.shell(site.vnode)).run("echo in") == (0, b"in\n")


async def test_included_files_and_matches(site: Site) -> None:
    site.configure()
    (site.home / "part.conf").write_text(
        site.config.read_text().replace("Host web1", "Match originalhost web1")
    )
    site.config.write_text(f"Include {site.home}/*.conf\nHost *\n  User nobody\n")
    assert await (await site.connector().shell(site.vnode)).run("echo in") == (0, b"in\n")


async def test_file_that_only_ssh_understands(site: Site) -> None:
    if not shutil.which("ssh"):
        pytest.fail("the OpenSSH client is needed on every operator's machine")
    site.config.write_text("Match command nothing\n  User nobody\n" + site.config.read_text())
    try:
        shell = await site.connector().shell(site.vnode)
    except ConnectError as error:
        assert "cannot be understood" in error.message
        return
    assert await shell.run("echo in") == (0, b"in\n")


async def test_file_that_nobody_understands(site: Site) -> None:
    site.config.write_text("Host web1\n  Port many\n")
    with pytest.raises(ConnectError, match="cannot be understood") as caught:
        await site.connector().shell(site.vnode)
    assert caught.value.hint


async def test_missing_file_and_missing_key(site: Site) -> None:
    site.configure(f"IdentityFile {site.home}/missing")
    await site.connector().shell(site.vnode)
    site.config.unlink()
    with pytest.raises(ConnectError, match="cannot be read"):
        await site.connector().shell(site.vnode)


async def test_jump_host(site: Site) -> None:
    text = site.config.read_text()
    jump = text.replace("Host web1", "Host jump")
    site.config.write_text(text.replace("Host web1", "Host web1\n  ProxyJump jump") + jump)
    shell = await site.connector().shell(site.vnode)
    assert await shell.run("echo through") == (0, b"through\n")
    assert site.habits.connections == 2


async def test_unknown_key_of_a_jump_host_is_asked_about_too(site: Site) -> None:
    text = site.config.read_text()
    jump = text.replace("Host web1", "Host jump\n  HostKeyAlias the-jump")
    site.config.write_text(text.replace("Host web1", "Host web1\n  ProxyJump jump") + jump)
    person = Person(True)
    await site.connector(ask_host_key=person).shell(site.vnode)
    assert [question[0] for question in person.asked] == ["the-jump"]


async def test_jump_hosts_in_a_circle(site: Site) -> None:
    text = site.config.read_text()
    ring = text.replace("Host web1", "Host b\n  ProxyJump web1")
    site.config.write_text(text.replace("Host web1", "Host web1\n  ProxyJump b") + ring)
    with pytest.raises(ConnectError, match="circle"):
        await site.connector().shell(site.vnode)


@pytest.mark.parametrize("talk", ["2>/dev/null", ""])
async def test_proxy_command_runs_by_a_shell(site: Site, talk: str) -> None:
    proxy = site.home / "proxy.py"
    proxy.write_text(
        "import socket, sys, threading, os\n"
        "print('hello from the proxy', file=sys.stderr, flush=True)\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): s.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := s.recv(65536): os.write(1, data)\n"
    )
    site.configure(f"ProxyCommand python3 {proxy} %h %p {talk}")
    shell = await site.connector(limits=QUICK).shell(site.vnode)
    assert await shell.run("echo through") == (0, b"through\n")


async def test_proxy_command_that_fails(site: Site) -> None:
    site.configure("ProxyCommand false")
    with pytest.raises(ConnectError):
        await site.connector(limits=Limits(connect=3)).shell(site.vnode)


async def test_a_key_file_that_is_not_there_leaves_the_agents_keys(
    site: Site, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration copied from elsewhere, with agent forwarding: OpenSSH gets in, and so do we."""
    text = site.config.read_text().replace("  IdentitiesOnly yes\n", "")
    site.config.write_text(text.replace(f"{site.home}/id", f"{tmp_path}/nokey"))
    with pytest.raises(ConnectError, match=r"log in|[Pp]ermission"):
        await site.connector().shell(site.vnode)
    agent = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(tmp_path / "agent")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "agent").exists():
            assert agent.poll() is None
            await asyncio.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        (site.home / "id").chmod(0o600)
        subprocess.run(["ssh-add", "-q", str(site.home / "id")], check=True, stderr=subprocess.DEVNULL)
        shell = await site.connector().shell(site.vnode)
        assert await shell.run("echo in") == (0, b"in\n")
    finally:
        agent.terminate()
        agent.wait()
