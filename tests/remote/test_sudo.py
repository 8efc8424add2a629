"""Becoming root with a stand-in sudo that behaves, prints and counts as the real one does."""

from __future__ import annotations

import asyncio
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.remote import sudo
from nsmig_tui.remote.secret import Secret
from nsmig_tui.remote.ssh_transport import Limits, SshConnector

from .conftest import Site

# The texts are those of sudo 1.9. Passwords are read byte by byte, as sudo does, so that what follows is
# left for the command; every line that was tried as a password is recorded.
SUDO = """#!/bin/sh
log={home}/sudo.log
n= s= k= prompt=Password:
while :; do
    case $1 in
    -n) n=1 ;;
    -k) k=1 ;;
    -S) s=1 ;;
    -p) prompt=$2; shift ;;
    *) break ;;
    esac
    shift
done
mode={mode}
[ "$mode" = tty ] && {{ echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1; }}
[ "$mode" = free ] && {{ FAKE_ROOT=1; export FAKE_ROOT; exec "$@"; }}
if [ -e {home}/fresh ] && [ -z "$k" ]; then FAKE_ROOT=1; export FAKE_ROOT; exec "$@"; fi
[ -n "$n" ] && {{ echo 'sudo: a password is required' >&2; exit 1; }}
[ -n "$s" ] || {{ echo 'sudo: a terminal is required to read the password' >&2; exit 1; }}
[ "$mode" = silent ] && sleep 60
tries=0
while [ $tries -lt {tries} ]; do
    printf '%s' "$prompt" >&2
    IFS= read -r line || {{ echo >&2; echo 'sudo: no password was provided' >&2; exit 1; }}
    printf '%s\\n' "$line" >>$log
    if [ "$line" = 'right one' ]; then
        [ "$mode" = stranger ] && {{ echo 'ops is not in the sudoers file.' >&2; exit 1; }}
        FAKE_ROOT=1; export FAKE_ROOT; exec "$@"
    fi
    tries=$((tries + 1))
    [ $tries -lt {tries} ] && echo 'Sorry, try again.' >&2
done
echo "sudo: $tries incorrect password attempt" >&2
exit 1
"""

ID = """#!/bin/sh
if [ "$FAKE_ROOT" = 1 ]; then echo 0; else echo 1000; fi
"""


class Person:
    """Somebody who knows passwords."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    async def __call__(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return self.answers.pop(0) if self.answers else None


class Server:
    """The test site with a login that is not root."""

    def __init__(self, site: Site, home: Path) -> None:
        self.site = site
        self.home = home
        self.bin = home / "bin"
        self.bin.mkdir()
        self.tool("id", ID)
        site.habits.path = f"{self.bin}:/usr/bin:/bin"
        site.habits.env.clear()

    def tool(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def sudo(self, mode: str, tries: int = 3) -> None:
        self.tool("sudo", SUDO.format(home=self.home, mode=mode, tries=tries))

    @property
    def tried(self) -> list[str]:
        """Every line that sudo took for a password."""
        log = self.home / "sudo.log"
        return log.read_text().splitlines() if log.exists() else []

    def connector(self, person: Person | None = None, **options: Any) -> SshConnector:
        return self.site.connector(ask_password=person, **options)


@pytest.fixture
def server(site: Site, tmp_path: Path) -> Server:
    return Server(site, tmp_path)


async def test_root_needs_nothing(site: Site, server: Server) -> None:
    server.tool("id", "#!/bin/sh\necho 0\n")
    server.sudo("tty")
    shell = await server.connector().shell(site.vnode)
    assert await shell.run("id -u") == (0, b"0\n")
    assert set(site.habits.commands) == {"/bin/sh"}
    assert shell.privilege == sudo.Privilege(sudo.Way.PLAIN, 0)


async def test_demo_login_needs_nothing(site: Site, server: Server) -> None:
    site.habits.env["NSMIG_UNPRIVILEGED"] = "1"
    shell = await server.connector().shell(site.vnode)
    assert shell.privilege == sudo.Privilege(sudo.Way.PLAIN, 1000, unprivileged=True)


@pytest.mark.parametrize(("tool", "way"), [("sudo", sudo.Way.SUDO), ("doas", sudo.Way.DOAS)])
async def test_sudo_or_doas_without_password(site: Site, server: Server, tool: str, way: sudo.Way) -> None:
    server.tool(tool, SUDO.format(home=server.home, mode="free", tries=3))
    person = Person("right one")
    shell = await server.connector(person).shell(site.vnode)
    assert await shell.send("id -u; cat", [], b"payload") == (0, b"0\npayload")
    assert shell.privilege is not None
    assert shell.privilege.way is way
    assert site.habits.commands[-1] == f"{tool} -n /bin/sh"
    assert person.prompts == []


async def test_right_password_is_asked_once_and_used_for_all(site: Site, server: Server) -> None:
    server.sudo("password")
    person = Person("right one")
    shell = await server.connector(person).shell(site.vnode)
    answers = await asyncio.gather(*(shell.send("id -u; cat", [], b"payload") for _ in range(5)))
    assert answers == [(0, b"0\npayload")] * 5
    assert person.prompts == ["sudo password on vn1: "]
    assert server.tried == ["right one"] * 6
    site.habits.live[0].abort()
    assert await shell.run("id -u") == (0, b"0\n")
    assert len(person.prompts) == 1


@pytest.mark.parametrize("tries", [1, 3])
async def test_wrong_password_is_retried_once_and_nothing_else_is_tried(
    site: Site, server: Server, tries: int
) -> None:
    server.sudo("password", tries)
    person = Person("wrong", "wrong too", "right one")
    with pytest.raises(ConnectError, match="did not accept the password") as caught:
        await server.connector(person).shell(site.vnode)
    assert [line for line in server.tried if line] == ["wrong", "wrong too"]
    assert "wrong too" not in repr(caught.value.__dict__)
    assert len(person.prompts) == 2


async def test_a_password_given_elsewhere_a_moment_ago_opens_nothing_for_long(
    site: Site, server: Server
) -> None:
    """sudo's timestamp (`timestamp_type=global`) runs out in the middle of the work."""
    server.sudo("password")
    (server.home / "fresh").touch()
    person = Person("wrong", "right one")
    shell = await server.connector(person).shell(site.vnode)
    assert len(person.prompts) == 2
    (server.home / "fresh").unlink()
    answers = await asyncio.gather(*(shell.run("id -u") for _ in range(3)))
    assert answers == [(0, b"0\n")] * 3
    assert set(server.tried[1:]) == {"right one"}


async def test_second_password_may_be_right(site: Site, server: Server) -> None:
    server.sudo("password")
    person = Person("wrong", "right one")
    shell = await server.connector(person).shell(site.vnode)
    assert await shell.run("id -u") == (0, b"0\n")
    assert person.prompts[1].startswith("Wrong.")


async def test_nobody_to_ask(site: Site, server: Server) -> None:
    server.sudo("password")
    with pytest.raises(ConnectError, match="nobody to ask"):
        await server.connector().shell(site.vnode)
    assert server.tried == []


async def test_requiretty_is_named(site: Site, server: Server) -> None:
    server.sudo("tty")
    person = Person("right one")
    with pytest.raises(ConnectError, match="requiretty"):
        await server.connector(person).shell(site.vnode)
    assert person.prompts == []


async def test_account_that_may_not_use_sudo_is_named(site: Site, server: Server) -> None:
    server.sudo("stranger")
    with pytest.raises(ConnectError, match="no sudo or doas"):
        await server.connector(Person("right one")).shell(site.vnode)


async def test_no_sudo_at_all_is_named(site: Site, server: Server) -> None:
    tools = ["sh", "cat", "wc", "sha256sum", "tr", "cut"]
    for name in tools:
        (server.bin / name).symlink_to(f"/usr/bin/{name}")
    site.habits.path = str(server.bin)
    for tool in ("sudo", "doas"):
        if os.path.exists(f"/usr/bin/{tool}"):
            server.tool(tool, "#!/bin/sh\nexit 127\n")
    with pytest.raises(ConnectError, match="not root"):
        await server.connector().shell(site.vnode)


async def test_sudo_that_asks_for_something_else_gets_no_password(site: Site, server: Server) -> None:
    server.sudo("silent")
    with pytest.raises(ConnectError, match="did not come up"):
        await server.connector(Person("right one"), limits=Limits(open=1)).shell(site.vnode)
    assert server.tried == []


async def test_marker_in_login_noise_gets_no_password(site: Site, server: Server) -> None:
    server.sudo("free")
    site.habits.login_noise = b"[sudo] password for ops: NSMIG-PROMPT-00:\n"
    person = Person("right one")
    shell = await server.connector(person).shell(site.vnode)
    assert await shell.run("cat; echo end") == (0, b"end\n")
    assert person.prompts == []


def test_secret_shows_stars_only() -> None:
    secret = Secret("hunter2")
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>20}",
        repr({"s": [secret]}),
    ):
        assert "hunter2" not in text
        assert "*" in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize("answer", [b"", b"uid=\n", b"uid=root\nsudo=root\n", b"\xff\n"])
def test_unclear_identity_is_no_identity(answer: bytes) -> None:
    with pytest.raises(ConnectError, match="who we are"):
        sudo.choose(answer, "vn1")
