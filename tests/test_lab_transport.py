"""The transport against real nodes: sshd, login shells, sudo and its refusals, links that break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from lab.fleet import SUDO_PASSWORD, Lab
from lab.node import Node

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.domain.ports import HttpRequest
from nsmig_tui.remote.ssh_transport import Limits, SshConnector
from nsmig_tui.remote.sudo import Way

pytestmark = pytest.mark.lab

Connect = Callable[..., SshConnector]


@pytest.fixture
async def connect(lab: Lab) -> AsyncIterator[Connect]:
    """Makes connectors with the lab's configuration; ends them with the test."""
    made: list[SshConnector] = []

    def connect(*passwords: str, **limits: Any) -> SshConnector:
        answers = list(passwords)

        async def ask(_prompt: str) -> str | None:
            return answers.pop(0) if answers else None

        chosen = Limits(**{"open": 15, **limits})
        made.append(SshConnector(lab.ssh_config, ask_password=ask if passwords else None, limits=chosen))
        return made[-1]

    yield connect
    for connector in made:
        await connector.close()


def at(alias: str) -> Vnode:
    """The vnode behind one of the lab's aliases."""
    return Vnode("vn1", ssh_host=alias)


@pytest.mark.parametrize(
    ("alias", "way"), [("vn1", Way.PLAIN), ("vn1-ops", Way.SUDO), ("vn1-opspw", Way.SUDO_PASSWORD)]
)
async def test_every_login_runs_as_root(node: Node, connect: Connect, alias: str, way: Way) -> None:
    shell = await connect(SUDO_PASSWORD).shell(at(alias))
    data = bytes(range(256)) * 1000
    assert await shell.send('id -u; cat; exit "$1"', ["5"], data) == (5, b"0\n" + data)
    assert shell.privilege is not None
    assert shell.privilege.way is way


async def test_wrong_password_is_tried_twice_and_leaves_no_trace(node: Node, connect: Connect) -> None:
    canary = "canary-7d1f-wrong"
    with pytest.raises(ConnectError, match="did not accept the password"):
        await connect(canary, canary).shell(at("vn1-opspw"))
    found = node.sh("grep -rlF canary-7d1f /var/log /tmp /run /root /home 2>/dev/null || true").stdout
    assert found == ""


async def test_password_is_nowhere_on_the_node(node: Node, connect: Connect) -> None:
    shell = await connect(SUDO_PASSWORD).shell(at("vn1-opspw"))
    script = (
        'grep -alF -- "$1" /proc/[0-9]*/environ 2>/dev/null; cat /proc/[0-9]*/cmdline | grep -acF -- "$2"'
    )
    rc, output = await shell.run(script, [SUDO_PASSWORD, "NSMIG-PROMPT"])
    seen = output.decode().split()
    assert rc == 0
    assert len(seen) == 1, "only the prompt marker may show"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("Defaults:opspw requiretty", "requiretty"),
        ("Defaults:opspw passwd_tries=1", "did not accept"),
        ("Defaults:opspw passwd_tries=9", "did not accept"),
    ],
)
async def test_refusals_of_sudo_are_named(node: Node, connect: Connect, rule: str, words: str) -> None:
    node.sh('printf "%s\\n" "$1" >/etc/sudoers.d/zz-test; chmod 440 /etc/sudoers.d/zz-test; visudo -cq', rule)
    with pytest.raises(ConnectError, match=words):
        await connect("wrong", "wrong").shell(at("vn1-opspw"))


@pytest.mark.parametrize(
    "rule", ["Defaults use_pty", "Defaults:opspw passwd_tries=1", "Defaults lecture=always"]
)
async def test_sudo_rules_that_are_no_hindrance(node: Node, connect: Connect, rule: str) -> None:
    node.sh('printf "%s\\n" "$1" >/etc/sudoers.d/zz-test; chmod 440 /etc/sudoers.d/zz-test; visudo -cq', rule)
    shell = await connect(SUDO_PASSWORD).shell(at("vn1-opspw"))
    assert await shell.send("id -u; cat", [], b"payload") == (0, b"0\npayload")


async def test_account_without_any_right_is_named(node: Node, connect: Connect) -> None:
    node.sh("rm /etc/sudoers.d/nsmig-lab")
    with pytest.raises(ConnectError, match="no sudo or doas"):
        await connect(SUDO_PASSWORD).shell(at("vn1-opspw"))


async def test_noisy_login_shell(node: Node, connect: Connect) -> None:
    noise = 'printf "\\033]0;title\\007\\nNSMIG-BEGIN 00\\nfake\\nNSMIG-END 00 0\\n"; seq 100000'
    node.sh('printf "%s\\n" "$1" | tee /root/.bashrc >/home/ops/.bashrc', noise)
    for alias in ("vn1", "vn1-ops"):
        shell = await connect().shell(at(alias))
        assert await shell.run("echo answer") == (0, b"answer\n")


async def test_account_without_a_shell_is_explained(node: Node, connect: Connect) -> None:
    node.sh("usermod -s /usr/sbin/nologin ops")
    with pytest.raises(ConnectError, match="not available"):
        await connect().shell(at("vn1-ops"))


async def test_one_session_and_no_forwarding(node: Node, connect: Connect) -> None:
    lines = "MaxSessions 1\nAllowTcpForwarding no\nAllowStreamLocalForwarding no\n"
    node.sh('printf "%s" "$1" >/etc/ssh/sshd_config.d/test.conf; systemctl restart ssh', lines)
    shell = await connect().shell(at("vn1"))
    assert await shell.run("echo in") == (0, b"in\n")
    answer = await shell.http(HttpRequest("nobody.test", "/"))
    assert answer.status == 200


async def test_cut_link_is_no_answer_and_a_mended_one_serves_again(
    lab: Lab, node: Node, connect: Connect
) -> None:
    link = lab.links["vn1"]
    link.mend()
    shell = await connect(connect=5, open=5, keepalive=1).shell(at("vn1-faulty"))
    link.freeze()
    with pytest.raises(ConnectError):
        await shell.run("echo never", timeout=3)
    link.mend()
    assert await shell.run("echo again") == (0, b"again\n")


async def test_two_nodes_at_once(nodes: list[Node], connect: Connect) -> None:
    connector = connect()
    for node in nodes:
        shell = await connector.shell(Vnode(node.name))
        assert (await shell.run("hostname")) == (0, f"{node.name}\n".encode())
