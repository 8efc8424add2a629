"""kill -9 of the operator's program at each step, an undo killed in turn, and nobody there to confirm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab.fleet import Lab
from lab.node import Node, wait_for
from lab.product import Product
from lab.scene import DOMAIN, Operator, Scene, set_scene

from nsmig_tui.domain.fleet import STEPS

pytestmark = pytest.mark.lab

UNATTENDED = """
import asyncio, os, sys
from pathlib import Path
from nsmig_tui import wiring
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.settings import load

def watch(event):
    if getattr(event, "step", "") == "service_reload":
        os.kill(os.getpid(), 9)

place, ssh_config = map(Path, sys.argv[1:3])
flags = {"data_dir": place / "data", "config_dir": place / "config", "ssh_config": ssh_config}
app = wiring.build(load(flags))
asyncio.run(app.engine.migrate("vn1", "shop.test", MigrateOptions(confirm_wait=2), watch))
"""


def killed_at(product: Product, node: Node, step: str) -> None:
    """Run ``nsmig migrate`` and kill it when it says that this step has begun."""
    words = ["migrate", node.name, DOMAIN, "--yes", "--json"]
    words += ["--data-dir", str(product.place / "data"), "--config-dir", str(product.place / "config")]
    words += ["--ssh-config", str(product.lab.ssh_config)]
    with subprocess.Popen(
        [sys.executable, "-m", "nsmig_tui", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            event = json.loads(line)
            if event["type"] == "step_started" and event["step"] == step:
                running.kill()
                return
    pytest.fail(f"{step} never began on {node.name}")


def test_at_each_step(lab: Lab, nodes: list[Node], tmp_path: Path) -> None:
    """The run goes on without it; resume attaches or says that there is nothing to do, and all is well."""

    def work(node: Node) -> None:
        product = Product(lab, tmp_path / node.name)
        product.add(node)
        scene = set_scene(node, shape="literal")
        product.ready(node, DOMAIN)
        for step in STEPS[int(node.name[-1]) % 2 :: 2]:
            killed_at(product, node, step)
            result = product.resume(node, DOMAIN)
            if step == STEPS[0] and not result.ok:  # it died before it had begun anything
                assert result.exit_code == 4, (step, result)
                scene.is_as_before(step)
                continue
            assert result.ok and result.status == "migrated", (step, result)
            scene.is_migrated()
            assert product.rollback(node, DOMAIN).ok
            scene.is_as_before(step)

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(work, nodes))


def test_nobody_confirms(lab: Lab, node: Node, product: Product) -> None:
    """The operator is gone for good: the vnode takes it back by itself, and discover tells the truth."""
    scene = set_scene(node, shape="literal")
    product.ready(node, DOMAIN)
    done = subprocess.run(
        [sys.executable, "-c", UNATTENDED, str(product.place), str(lab.ssh_config)], check=False
    )
    assert done.returncode == -9
    journal = node.path(f"/var/lib/nsmig/{DOMAIN}/journal")
    wait_for("the vnode to undo by itself", lambda: journal.read_text().endswith("end\tundone\n"), 60)
    assert "nobody confirmed" in journal.read_text()
    scene.is_as_before()
    product.discover(node)
    product.ready(node, DOMAIN)
    assert product.migrate(node, DOMAIN).ok


SESSIONS = """
set -eu
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nKillUserProcesses=yes\\n' >/etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-logind
DEBIAN_FRONTEND=noninteractive pam-auth-update --package --enable systemd 2>/dev/null
"""


def test_where_a_logout_ends_what_the_user_began(lab: Lab, node: Node, tmp_path: Path) -> None:
    """KillUserProcesses=yes and a login that needs sudo: the run outlives it, and undoes by itself."""
    node.sh(SESSIONS)
    product = Product(lab, tmp_path)
    product.add(node, ssh_host=f"{node.name}-ops")
    scene = set_scene(node, shape="literal")
    product.ready(node, DOMAIN)
    done = subprocess.run(
        [sys.executable, "-c", UNATTENDED, str(product.place), str(lab.ssh_config)], check=False
    )
    assert done.returncode == -9
    wait_for("the logout", lambda: " ops " not in node.sh("loginctl list-sessions --no-legend").stdout, 30)
    journal = node.path(f"/var/lib/nsmig/{DOMAIN}/journal")
    wait_for("the vnode to undo by itself", lambda: journal.read_text().endswith("end\tundone\n"), 60)
    scene.is_as_before()


@pytest.mark.timeout(1200)
def test_the_undo_of_a_failed_step_is_killed_too(
    lab: Lab, nodes: list[Node], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At each third point of the way back on each node: the sites stand, and resume ends what had begun."""

    def work(node: Node) -> list[str]:
        product = Product(lab, tmp_path / node.name)
        product.add(node)
        form = {"vn1": {"shape": "literal", "content": "odd"}, "vn2": {"shape": "shared"}}[node.name]
        scene = set_scene(node, **form)

        async def inside(app: object) -> list[str]:
            return await kill_undos(Operator(app, scene), scene)

        return product.run(inside)

    with ThreadPoolExecutor(len(nodes)) as pool:
        reports = list(pool.map(work, nodes))
    with capsys.disabled():
        for node, names in zip(nodes, reports, strict=True):
            print(f"\n{node.name}: undo after a failure killed at {', '.join(names)}")


async def kill_undos(operator: Operator, scene: Scene) -> list[str]:
    """Fail late, count, then die at every third point of the undo; answers the points' names."""
    name, domain = scene.node.name, scene.domain
    await operator.ready()
    whole = await operator.migrate(fail_at="await")
    assert whole.exit_code == 5, whole
    scene.is_as_before()
    points = operator.points(whole.run)
    first = await operator.app.engine.validate(name, domain, operator.events.append)
    assert first.ok
    went = await operator.migrate()
    forward = operator.points(went.run)
    assert (await operator.rollback()).ok
    failing = forward - 2  # the points "verdict" and "record" come after "await"
    seen = []
    for point in range(failing + 1 + int(name[-1]) % 3, points + 1, 3):
        result = await operator.migrate(fail_at="await", crash_at=point)
        seen.append(operator.died_at(result.run))
        assert seen[-1], (point, result)
        assert scene.wrong() == [], seen[-1]
        scene.restart()
        assert scene.wrong() == [], seen[-1]
        result = await operator.resume()
        assert result.ok and result.status == "validated", (seen[-1], result)
        scene.is_as_before(seen[-1])
    assert len(seen) >= 8
    return seen
