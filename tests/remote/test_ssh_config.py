"""What the operator's OpenSSH files mean, is what OpenSSH says of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.remote import ssh_config, ssh_tool
from nsmig_tui.remote.ssh_config import HostSettings, SshConfig

NO_SSH = "without ssh"


@pytest.fixture(params=["ssh", NO_SSH])
def by(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the ssh of this machine, and where there is none: every rule holds for both."""
    if request.param == NO_SSH:
        bare = tmp_path / "bin"
        bare.mkdir()
        for tool in ("sh", "grep", "test"):
            (bare / tool).symlink_to(str(shutil.which(tool)))
        monkeypatch.setenv("PATH", str(bare))
    return str(request.param)


async def read(tmp_path: Path, text: str, target: str = "web1", **words: Any) -> HostSettings:
    (tmp_path / "config").write_text(text)
    config = SshConfig(tmp_path / "config")
    try:
        return await config.settings(target, **words)
    finally:
        config.close()


def way(settings: HostSettings) -> tuple[list[str], str]:
    """The jump hosts, and the command without what nsmig puts around it."""
    command = settings.proxy_command[2].partition("; exec ")[2] if settings.proxy_command else ""
    return [hop.host for hop in settings.jumps], command


@pytest.mark.parametrize("turn", range(4))
async def test_included_files_come_by_name_and_hidden_ones_not_at_all(
    by: str, tmp_path: Path, turn: int
) -> None:
    parts = tmp_path / f"parts{turn}"
    parts.mkdir()
    for name in ("zz.conf", ".a.swp", "mm.conf", "aa.conf", "bb.conf"):
        (parts / name).write_text(f"Host web1\n  User from-{name.strip('.').partition('.')[0]}\n")
    found = await read(tmp_path, f"Include {parts}/*\nHost *\n  User nobody\n")
    assert found.user == "from-aa"


@pytest.mark.parametrize(
    "condition",
    [
        'exec "echo %h | grep -q web1"',
        'exec "echo %n | grep -q web1"',
        'originalhost web1 exec "case %n in web1) true;; *) false; esac"',
        'exec "echo %r | grep -q early"',
        '!exec "echo %n | grep -q other"',
    ],
)
async def test_tokens_in_a_condition(by: str, tmp_path: Path, condition: str) -> None:
    text = f"Match user early {condition}\n  HostName right.example\n"
    assert (await read(tmp_path, text, user="early")).host == "right.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Host web1\n  ProxyCommand nc %h %p\nHost *\n  ProxyJump gate\n", ([], "nc web1 22")),
        ("Host web1\n  ProxyJump gate\nHost *\n  ProxyCommand nc %h %p\n", (["gate"], "")),
        ("Host web1\n  ProxyCommand none\nHost *\n  ProxyJump gate\n", ([], "")),
        ("Host web1\n  ProxyJump none\nHost *\n  ProxyJump gate\n", ([], "")),
        ("Host web1\n  ProxyJump u@a:2222,[::1]:22\n", (["a", "::1"], "")),
    ],
)
async def test_the_way_that_is_given_first_is_taken(
    by: str, tmp_path: Path, text: str, expected: tuple[list[str], str]
) -> None:
    assert way(await read(tmp_path, text)) == expected


async def test_jump_hosts_keep_their_users_and_ports(by: str, tmp_path: Path) -> None:
    found = await read(tmp_path, "Host web1\n  ProxyJump u@a:2222,b\n")
    assert [(hop.host, hop.user, hop.port) for hop in found.jumps] == [("a", "u", 2222), ("b", "", 0)]


async def test_what_is_asked_for_counts_more_than_the_files(by: str, tmp_path: Path) -> None:
    text = "Host web1\n  User nobody\n  Port 7\n  HostName 127.0.0.1\n"
    found = await read(tmp_path, text, user="me", port=2222)
    assert (found.host, found.user, found.port) == ("127.0.0.1", "me", 2222)


async def test_names_of_files(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my keys"
    folder.mkdir()
    for name in ("id_me", "id_web1", "100%"):
        (folder / name).touch()
    monkeypatch.setenv("KEYS", str(folder))
    text = f'''Host web1
  User me
  IdentityFile "{folder}/id_%r"
  IdentityFile ${{KEYS}}/id_%n
  IdentityFile "{folder}/100%%"
  IdentityFile {tmp_path}/missing
  UserKnownHostsFile "{folder}/known" {tmp_path}/known2
  GlobalKnownHostsFile none
'''
    found = await read(tmp_path, text.replace("${KEYS}/id_%n", '"${KEYS}/id_%n"'))
    assert found.identities_given
    assert [path.name for path in found.identity_files] == ["id_me", "id_web1", "100%"]
    assert found.user_known_hosts == (folder / "known", tmp_path / "known2")
    assert found.global_known_hosts == ()


async def test_where_nothing_is_said_the_usual_keys_and_files_are_meant(by: str, tmp_path: Path) -> None:
    home = Path("~").expanduser()
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / "id_ecdsa").touch()
    found = await read(tmp_path, "Host other\n  IdentityFile /x\n")
    assert not found.identities_given and not found.ciphers_given
    assert found.identity_files == (home / ".ssh" / "id_ecdsa",)
    assert found.user_known_hosts == (home / ".ssh" / "known_hosts", home / ".ssh" / "known_hosts2")
    assert found.global_known_hosts[0] == Path("/etc/ssh/ssh_known_hosts")
    assert (found.jumps, found.proxy_command, found.port, found.host) == ((), (), 22, "web1")


async def test_no_key_at_all_is_something_else_than_none_given(by: str, tmp_path: Path) -> None:
    found = await read(tmp_path, "Host web1\n  IdentityFile none\n")
    assert found.identities_given and found.identity_files == ()


async def test_a_host_key_alias(by: str, tmp_path: Path) -> None:
    found = await read(tmp_path, "Host web1\n  HostKeyAlias production\n  Port 2222\n")
    assert found.known_as(found.host, found.port) == ("production", 22)


async def test_shell_words_in_a_proxy_command_are_left_to_the_shell(tmp_path: Path) -> None:
    text = "Host web1\n  ProxyCommand sh -c 'test \"${NOWHERE}\" || exec nc %h %p' # %% it's\n"
    assert way(await read(tmp_path, text))[1] == "sh -c 'test \"${NOWHERE}\" || exec nc web1 22' # % it's"


async def test_a_canonical_name_is_what_counts(tmp_path: Path) -> None:
    text = (
        "CanonicalizeHostname yes\nCanonicalizeFallbackLocal yes\nMatch canonical all\n  User canonical\n"
        "Match final all\n  Port 7\n"
    )
    found = await read(tmp_path, text, target="localhost")
    assert (found.user, found.port) == ("canonical", 7)


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("KexAlgorithms +diffie-hellman-group14-sha1", "KexAlgorithms", "diffie-hellman-group14-sha1"),
        ("Ciphers aes256-ctr", "Ciphers", "aes256-ctr"),
        ("HostKeyAlgorithms +ssh-rsa", "HostKeyAlgorithms", "ssh-rsa"),
        ("Compression yes", "Compression", True),
        ("RekeyLimit 1G", "RekeyLimit", ("1073741824", None)),
        ("PKCS11Provider /x", "PKCS11Provider", "/x"),
        ("IdentitiesOnly yes", "IdentitiesOnly", True),
        ('IdentityAgent "/run/my agent/%n"', "IdentityAgent", "/run/my agent/web1"),
        ("IdentityAgent none", "IdentityAgent", None),
        ("IdentityAgent $MY_AGENT", "IdentityAgent", "/run/mine"),
        ("IdentityAgent SSH_AUTH_SOCK", "IdentityAgent", "not there"),
        ('CertificateFile "/a b/%%"', "CertificateFile", ["/a b/%"]),
        ("PreferredAuthentications publickey", "PreferredAuthentications", "publickey"),
        ("PasswordAuthentication no", "PasswordAuthentication", False),
        ("PubkeyAuthentication unbound", "PubkeyAuthentication", "not there"),
        ("AddressFamily inet", "AddressFamily", 2),
        ("Ciphers aes128-gcm@openssh.com", "MACs", "not there"),
    ],
)
async def test_what_asyncssh_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, option: str, value: Any
) -> None:
    monkeypatch.setenv("MY_AGENT", "/run/mine")
    (tmp_path / "config").write_text(f"Host web1\n  {line}\n")
    config = SshConfig(tmp_path / "config")
    found = ssh_config.load((await config.settings("web1")).paths, "web1", "", 0)
    told = found.get(option, "not there")
    config.close()
    assert (value in told.split(",")) if isinstance(value, str) and "lgor" in option else told == value


async def test_what_ssh_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"cannot be understood.*usekeychain") as caught:
        await read(tmp_path, "Host web1\n  UseKeychain yes\n")
    assert f"ssh -F {tmp_path}/config -G web1" in caught.value.hint


async def test_a_token_that_stands_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="cannot be understood"):
        await read(tmp_path, "Host web1\n  IdentityFile /x/${NOT_SET}\n")


async def test_a_condition_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_tool, "LONGEST", 0.5)
    began = time.monotonic()
    with pytest.raises(ConnectError, match="took more than"):
        await read(tmp_path, 'Match exec "sleep 20"\n  User slow\n')
    assert time.monotonic() - began < 10


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ssh that notes each call of it."""
    tool, calls = tmp_path / "bin" / "ssh", tmp_path / "calls"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$*" >>{calls}\nexec {shutil.which("ssh")} "$@"\n')
    tool.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    return calls


async def test_ssh_is_asked_once_by_many_and_anew_when_its_file_changes(
    tmp_path: Path, counted: Path
) -> None:
    (tmp_path / "config").write_text("Host *\n  User one\n")
    config = SshConfig(tmp_path / "config")
    found = await asyncio.gather(*(config.settings("gate") for _ in range(20)))
    assert {one.user for one in found} == {"one"}
    assert len(counted.read_text().splitlines()) == 2  # one of them for ssh's own defaults
    (tmp_path / "config").write_text("Host *\n  User other\n")
    assert (await config.settings("gate")).user == "other"
    config.close()


async def test_a_tidied_temporary_directory_strands_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd-tmpfiles takes away what has been idle in /tmp for ten days; nsmig may run longer."""
    monkeypatch.setattr(ssh_config, "FRESH", -1.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "config").write_text("Host *\n  User one\n")
    config = SshConfig(tmp_path / "config")
    first = await config.settings("gate")
    for found in tmp_path.glob("nsmig-ssh-*"):
        shutil.rmtree(found)
    again = await config.settings("gate")
    assert again.user == "one" and Path(again.paths[0]).parent != Path(first.paths[0]).parent
    config.close()
    assert not list(tmp_path.glob("nsmig-ssh-*"))


LEAVES = """
import asyncio, sys
from pathlib import Path
from nsmig_tui.remote.ssh_config import SshConfig
config = SshConfig(Path(sys.argv[1]))
asyncio.run(config.settings("gate"))
print("written", flush=True)
sys.stdin.read()
"""


def left_in(folder: Path) -> list[Path]:
    """The temporary directories of ssh configurations, made to look an hour old."""
    found = sorted(folder.glob("nsmig-ssh-*"))
    for one in found:
        os.utime(one, (time.time() - 3600,) * 2, follow_symlinks=False)
    return found


async def test_what_a_killed_process_left_is_cleared_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIGKILL leaves no time to tidy up; the next start does, and never what another still uses."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    (tmp_path / "config").write_text("Host *\n  User one\n")
    words = [sys.executable, "-c", LEAVES, str(tmp_path / "config")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    live, dead = (subprocess.Popen(words, env={**os.environ, "TMPDIR": str(shared)}, **pipes) for _ in "12")
    try:
        assert [one.stdout.readline() for one in (live, dead)] == [b"written\n"] * 2
        dead.kill()
        dead.wait()
        private = tmp_path / "private"
        private.mkdir(0o700)
        (shared / "nsmig-ssh-link").symlink_to(private)
        (shared / "nsmig-ssh-open").mkdir(0o755)
        (shared / "nsmig-ssh-kept").mkdir(0o700)
        (shared / "nsmig-ssh-kept" / "of somebody").write_text("")
        before = left_in(shared)
        (shared / "nsmig-ssh-young").mkdir(0o700)
        config = SshConfig(tmp_path / "config")
        await config.settings("gate")
        gone = [one for one in before if not os.path.lexists(one)]
        assert len(before) == 5 and len(gone) == 1 and private.is_dir()
        assert (shared / "nsmig-ssh-young").is_dir() and (shared / "nsmig-ssh-kept" / "of somebody").exists()
        config.close()
        live.communicate()
        assert sorted(one.name[10:] for one in left_in(shared)) == ["kept", "link", "open", "young"]
    finally:
        for one in (live, dead):
            one.kill()
            one.communicate()


async def test_another_home_than_the_user_database_has_is_read_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssh would look into the home of the user database; $HOME is where nsmig and its tests look."""
    (Path("~/.ssh").expanduser()).mkdir(exist_ok=True)
    Path("~/.ssh/config").expanduser().write_text("Host web1\n  User of-home\n")
    assert (await SshConfig().settings("web1")).user == "of-home"
