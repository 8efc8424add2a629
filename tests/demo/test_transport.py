"""The product's own transport reaches the demo world with its ordinary, strict rules."""

from __future__ import annotations

import pytest

from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.ports import HttpRequest
from nsmig_tui.remote.ssh_transport import SshConnector


@pytest.fixture
async def world():
    async with DemoWorld(vnodes=2, vhosts_per_vnode=1) as world:
        yield world


async def test_scripts_and_pages_go_over_one_connection(world):
    connector = SshConnector(ssh_config=world.ssh_config)
    try:
        for vnode in world.vnodes:
            shell = await connector.shell(vnode)
            status, out = await shell.run('printf "%s|%s" "$1" "$NSMIG_ROOT"; exit 3', ["a b'$(id)"])
            assert (status, out.decode()) == (3, f"a b'$(id)|{world.root(vnode.name)}")
            site = next(site for site in world.sites if site.vnode == vnode.name and site.pages)
            answer = await shell.http(HttpRequest(site.domain, "/hello.php"))
            assert answer.status == 200 and b"Hello from" in answer.body
            assert (await shell.http(HttpRequest(site.domain, "/", port=443, tls=True))).status == 0
    finally:
        await connector.close()


async def test_a_changed_host_key_is_refused(world):
    known = world.directory / "ssh/known_hosts"
    first, second = known.read_text().splitlines()
    swapped = [f"{first.split()[0]} {second.split(' ', 1)[1]}", second]
    known.write_text("\n".join(swapped) + "\n")
    connector = SshConnector(ssh_config=world.ssh_config)
    try:
        with pytest.raises(ConnectError):
            await (await connector.shell(world.vnodes[0])).run("true")
        shell = await connector.shell(world.vnodes[1])
        assert (await shell.run("true"))[0] == 0
    finally:
        await connector.close()


async def test_nobody_becomes_the_machines_root(world):
    connector = SshConnector(ssh_config=world.ssh_config)
    try:
        shell = await connector.shell(world.vnodes[0])
        status, out = await shell.run("command -v sudo; sudo -n true; echo $?; command -v doas")
        root = world.root("vn1")
        assert (status, out.decode().split()) == (0, [f"{root}/bin/sudo", "1", f"{root}/bin/doas"])
    finally:
        await connector.close()
