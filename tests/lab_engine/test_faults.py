"""Steps that fail, tools that lie, disks that fill, people who edit meanwhile, two operators, a reboot."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab
from lab.node import Node
from lab.product import Product
from lab.scene import Operator, Scene, set_scene
from lab.variants import replace_tool

from nsmig_tui import wiring
from nsmig_tui.domain.events import Result
from nsmig_tui.domain.fleet import Status

pytestmark = pytest.mark.lab

FORMS = {"vn1": {"shape": "literal"}, "vn2": {"shape": "shared", "pool": "include"}}

FAIL_AT = [
    *("backup-manifest", "backup-tar", "backup-published", "tree-staged", "tree-switched"),
    *("nginx-bridge-live", "fpm-both-written", "fpm-both-live", "nginx-final-written", "nginx-final-live"),
    *("fpm-final-live", "run-moved", "legacy-.ssh", "legacy-var", "compat-var", "await", "verdict"),
]


def call(number: int) -> str:
    """A shell condition that is true in a replaced tool at one call only; the first has number 0."""
    count = "n=$(cat /run/nsmig-n 2>/dev/null || echo 0); echo $((n + 1)) >/run/nsmig-n"
    return f'{{ {count}; [ "$n" = {number} ]; }}'


def on(lab: Lab, node: Node, place: Path, work: Any, **form: Any) -> Any:
    """Run ``await work(operator)`` on a node with a vhost that is ready to be migrated."""
    product = Product(lab, place / node.name)
    product.add(node)
    scene = set_scene(node, **(form or FORMS[node.name]))

    async def inside(app: Any) -> Any:
        operator = Operator(app, scene)
        await operator.ready()
        return await work(operator)

    return product.run(inside)


def on_both(lab: Lab, nodes: list[Node], place: Path, work: Any) -> None:
    """The same on both nodes at once."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(lambda node: on(lab, node, place, work), nodes))


async def again(operator: Operator) -> None:
    """From ``failed`` back to ``validated``."""
    name, domain = operator.scene.node.name, operator.scene.domain
    result = await operator.app.engine.validate(name, domain, operator.events.append)
    assert result.status == "validated", result


async def there_and_back(operator: Operator) -> None:
    """Whatever happened before: now it works."""
    await again(operator)
    went = await operator.migrate()
    assert went.ok, went
    operator.scene.is_migrated()
    assert (await operator.rollback()).ok
    operator.scene.is_as_before("there and back")


def undone(operator: Operator, result: Result, *words: str, where: str = "") -> None:
    """The run failed, said why, and took everything back."""
    assert (result.ok, result.exit_code, result.status) == (False, 5, "failed"), (where, result)
    said = " ".join([*result.errors, result.hint])
    assert all(word in said for word in words) and result.hint, (where, said)
    operator.scene.is_as_before(where)


def tool(scene: Scene, name: str, script: str) -> None:
    """Put a script before a tool; whoever it does not concern gets the real one."""
    scene.node.sh("rm -f /run/nsmig-n")
    replace_tool(scene.node, name, script + '\nexec "$REAL" "$@"')


def give_back(scene: Scene, name: str) -> None:
    """The real tool again."""
    scene.node.path(f"/usr/local/bin/{name}").unlink()


@pytest.mark.timeout(1200)
def test_any_step_may_fail(lab: Lab, nodes: list[Node], tmp_path: Path) -> None:
    """Undone, code 5, byte for byte as before, failed with a hint; then it works."""

    async def work(operator: Operator) -> None:
        number = int(operator.scene.node.name[-1])
        for point in FAIL_AT[number % 2 :: 2]:
            result = await operator.migrate(fail_at=point)
            undone(operator, result, point, where=point)
            await again(operator)
        await there_and_back(operator)

    on_both(lab, nodes, tmp_path, work)


TOOLS = {
    "tar-fails": (
        "tar",
        'case "$*" in *--create*) echo "tar: web: Cannot open: Input/output error" >&2; exit 2 ;; esac',
        "Input/output error",
    ),
    "tar-lies": ("tar", 'case "$*" in *--create*) "$REAL" "$@" | head -c 3072; exit 0 ;; esac', "archive"),
    "gzip-lies": ("gzip", 'case "$*" in "-c -1") "$REAL" -c | head -c 900; exit 0 ;; esac', "archive"),
    "nginx-t": (
        "nginx",
        f'if [ "$1" = -t ] && {call(1)}; then echo "nginx: [emerg] no luck" >&2; exit 1; fi',
        "no luck",
    ),
    "nginx-t-later": (
        "nginx",
        f'if [ "$1" = -t ] && {call(2)}; then echo "nginx: [emerg] no luck" >&2; exit 1; fi',
        "no luck",
    ),
    "php-fpm-reload": (
        "systemctl",
        f'if [ "$*" = "reload php8.2-fpm.service" ] && {call(0)}; then exit 1; fi',
        "php-fpm",
    ),
    "nginx-reload-lies": (
        "systemctl",
        f'if [ "$*" = "reload nginx.service" ] && {call(1)}; then exit 0; fi',
        "nginx did not take",
    ),
    "mv-5": ("mv", f'if [ "$1" = -T ] && {call(5)}; then echo "mv: no luck" >&2; exit 1; fi', ""),
    "mv-11": ("mv", f'if [ "$1" = -T ] && {call(11)}; then echo "mv: no luck" >&2; exit 1; fi', ""),
    "mv-17": ("mv", f'if [ "$1" = -T ] && {call(17)}; then echo "mv: no luck" >&2; exit 1; fi', ""),
}


def test_tools_that_fail_or_lie(lab: Lab, nodes: list[Node], tmp_path: Path) -> None:
    """A tool that fails once, or says that all is well when it is not, is noticed and undone."""

    async def work(operator: Operator) -> None:
        for name in list(TOOLS)[int(operator.scene.node.name[-1]) % 2 :: 2]:
            program, script, word = TOOLS[name]
            tool(operator.scene, program, script)
            result = await operator.migrate()
            give_back(operator.scene, program)
            undone(operator, result, word, where=name)
            await again(operator)
        await there_and_back(operator)

    on_both(lab, nodes, tmp_path, work)


def test_an_undo_that_fails_says_where(lab: Lab, node: Node, tmp_path: Path) -> None:
    """Code 6, with the place and the command; when the fault is gone that command mends everything."""

    async def work(operator: Operator) -> None:
        scene = operator.scene
        tool(
            scene,
            "nginx",
            'if [ "$1" = -t ] && [ -e /run/nsmig-broken ]; then echo "no luck" >&2; exit 1; fi',
        )
        assert (await operator.migrate()).ok
        scene.node.sh("touch /run/nsmig-broken")
        result = await operator.rollback()
        assert (result.ok, result.exit_code, result.status) == (False, 6, "failed"), result
        said = " ".join([*result.errors, result.hint])
        assert "no luck" in said and f"/var/lib/nsmig/{scene.domain}" in said and "--undo" in said, said
        assert scene.wrong() == []
        scene.node.sh("rm /run/nsmig-broken")
        result = await operator.resume(undo=True)
        assert result.ok and result.status == "validated", result
        give_back(scene, "nginx")
        scene.is_as_before()

    on(lab, node, tmp_path, work)


def test_edits_of_others(lab: Lab, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file edited between plan and run refuses it; edited in mid-run it stops it and is not overwritten."""
    from nsmig_tui.engine import migrating

    launch = migrating.launch
    site = node.path("/etc/nginx/sites-available/shop.test")

    async def edit_then_launch(*args: Any) -> Any:
        site.write_bytes(site.read_bytes() + b"# edited\n")
        return await launch(*args)

    async def work(operator: Operator) -> None:
        scene, kept = operator.scene, site.stat()
        original = site.read_bytes()
        monkeypatch.setattr(migrating, "launch", edit_then_launch)
        result = await operator.migrate()
        monkeypatch.setattr(migrating, "launch", launch)
        assert (result.ok, result.exit_code, result.status) == (False, 4, "validated"), result
        assert "changed since the plan" in " ".join(result.errors), result
        assert site.read_bytes() == original + b"# edited\n" and scene.wrong() == []
        site.write_bytes(original)

        edit = 'echo "# edited" >>/etc/nginx/sites-available/shop.test'
        tool(scene, "nginx", f'if [ "$1" = -t ] && {call(1)}; then {edit}; fi')
        result = await operator.migrate()
        give_back(scene, "nginx")
        assert (result.ok, result.exit_code, result.status) == (False, 6, "failed"), result
        assert "changed by someone else" in " ".join(result.errors), result
        assert site.read_bytes().endswith(b"# edited\n") and scene.wrong() == []
        site.write_bytes(site.read_bytes().removesuffix(b"# edited\n"))
        result = await operator.resume(undo=True)
        assert result.ok and result.status == "validated", result
        assert site.stat().st_mtime_ns != kept.st_mtime_ns or site.read_bytes() == original
        assert [line for line in scene.changed() if "mtime" not in line] == []

    on(lab, node, tmp_path, work)


def test_files_that_change_while_they_are_read(lab: Lab, node: Node, tmp_path: Path) -> None:
    """They are named, archived again, and the migration goes on."""

    async def work(operator: Operator) -> None:
        scene = operator.scene
        busy = scene.upath / "web/busy.log"
        scene.node.sh(f"head -c 40000000 /dev/urandom >{scene.vhost.upath}/web/busy.log")
        loop = "while [ ! -e /run/nsmig-enough ]; do echo more; sleep 0.01; done"
        scene.node.sh(f"setsid sh -c '{loop}' </dev/null >>/srv/{scene.domain}/web/busy.log 2>/dev/null &")
        result = await operator.migrate(owners="keep")
        scene.node.sh("touch /run/nsmig-enough")
        assert result.ok, result
        assert any("busy.log" in warning for warning in result.warnings), result.warnings
        assert not busy.exists()
        archives = {path.name for path in (scene.upath / ".archive").iterdir()}
        assert any(name.endswith(".again.tar.gz") for name in archives), archives
        scene.is_migrated()

    on(lab, node, tmp_path, work)


def test_one_run_at_a_time(lab: Lab, nodes: list[Node], tmp_path: Path) -> None:
    """Two operators at once, ten times: exactly one runs, the other is told so with 75."""

    async def work(operator: Operator) -> None:
        scene = operator.scene
        tool(scene, "tar", 'case "$*" in *--create*) sleep 1.5 ;; esac')
        product = Product(lab, tmp_path / f"{scene.node.name}-second")
        await asyncio.to_thread(product.add, scene.node)

        app = wiring.build(product.settings())
        second = Operator(app, scene)
        await second.ready()
        for _ in range(5):
            results = await asyncio.gather(
                operator.migrate(fail_at="backup-tar"), second.migrate(fail_at="backup-tar")
            )
            assert sorted(result.exit_code for result in results) == [5, 75], results
            for one in (operator, second):
                vhost = one.app.store.vhost(scene.node.name, scene.domain)
                one.app.store.save_vhost(replace(vhost, status=Status.VALIDATED))
        await app.close()
        give_back(scene, "tar")
        scene.is_as_before()

    on_both(lab, nodes, tmp_path, work)


def test_the_server_goes_down(lab: Lab, nodes: list[Node], tmp_path: Path) -> None:
    """A hard reboot in mid-run: the sites come up from disk; one vhost is finished, the other undone."""

    async def work(operator: Operator) -> None:
        scene = operator.scene
        tool(scene, "tar", 'case "$*" in *--create*) touch /run/nsmig-tar; sleep 30 ;; esac')
        running = asyncio.create_task(operator.migrate())
        while (
            not scene.node.path("/run").exists()
            or scene.node.sh("[ -e /run/nsmig-tar ]", check=False).returncode
        ):
            await asyncio.sleep(0.1)
        await asyncio.to_thread(scene.node.reboot)
        result = await running
        assert not result.ok and result.status == "failed", result
        give_back(scene, "tar")
        assert scene.wrong() == []
        result = await operator.resume(undo=True)
        assert result.ok, result
        scene.is_as_before("reboot while tar ran")

        result = await operator.migrate(crash_at=25)
        assert operator.died_at(result.run), result
        await asyncio.to_thread(scene.node.reboot)
        assert scene.wrong() == []
        if scene.node.name == "vn1":
            result = await operator.resume()
            assert result.ok and result.status == "migrated", result
            scene.is_migrated()
            assert (await operator.rollback()).ok
        else:
            result = await operator.resume(undo=True)
            assert result.ok, result
        scene.is_as_before("reboot in mid-switch")

    on_both(lab, nodes, tmp_path, work)


def test_a_damaged_archive(lab: Lab, node: Node, tmp_path: Path) -> None:
    """It is called damaged and never used; the undo needs none."""

    async def work(operator: Operator) -> None:
        scene = operator.scene
        went = await operator.migrate()
        archive = scene.upath / ".archive" / went.backup_archive
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
        points = await operator.app.engine.points(scene.node.name, scene.domain)
        assert [(p.filename, p.ok) for p in points] == [(went.backup_archive, False)]
        result = await operator.rollback(archive=went.backup_archive)
        assert not result.ok and "damaged" in " ".join(result.errors), result
        assert scene.wrong() == []
        back = await (operator.rollback() if result.status == "migrated" else operator.resume(undo=True))
        if result.status != "validated":
            assert back.ok, back
        scene.is_as_before()

    on(lab, node, tmp_path, work)


def test_the_disk_fills_up(tmp_path: Path) -> None:
    """No room while the archive is written: undone, and told; there is a result for every disk state."""
    with Lab(["vn1"], disk_mb=400) as lab:
        node = lab["vn1"]

        async def work(operator: Operator) -> None:
            scene = operator.scene
            scene.node.sh(f"head -c 20000000 /dev/urandom >{scene.vhost.upath}/web/large.bin")
            await again(operator)
            scene.remember()
            fill = "fallocate -l 1T /srv/fill 2>/dev/null || dd if=/dev/zero of=/srv/fill bs=64k 2>/dev/null"
            tool(scene, "tar", f'case "$*" in *--create*) {fill} ;; esac')
            result = await operator.migrate()
            give_back(scene, "tar")
            scene.node.sh("rm /srv/fill")
            undone(operator, result, where="full disk")
            await there_and_back(operator)

        on(lab, node, tmp_path, work, shape="literal")
