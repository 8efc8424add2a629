"""Stages of configuration that nginx or php-fpm refuse: everything is as before, and starts from disk."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab
from lab.node import Node
from lab.product import Product
from lab.scene import DOMAIN, Operator, set_scene
from lab.seed import serve
from lab.variants import replace_tool, without_perl

pytestmark = pytest.mark.lab

POOL = f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf"
STATUS = "pm.status_path = /status\npm.status_listen = 127.0.0.1:9123\n"
SLOWLOG = f"request_slowlog_timeout = 5s\nslowlog = /srv/{DOMAIN}/var/run/slow/slow.log\n"
"""php-fpm -t opens this file; while both sockets are there, web/run has no such folder yet."""


def on(lab: Lab, node: Node, place: Path, pool: str, work: Any) -> None:
    """Run ``work(operator)`` on a vhost whose pool has these lines more."""
    made = Product(lab, place)
    made.add(node)
    scene = set_scene(node, shape="literal")
    node.sh(f"install -d -o {scene.vhost.uid} /srv/{DOMAIN}/var/run/slow")
    with node.path(POOL).open("a") as text:
        text.write(pool)
    serve(node, [scene.vhost])
    scene.remember()

    async def inside(app: Any) -> None:
        operator = Operator(app, scene)
        await operator.ready()
        await work(operator)

    made.run(inside)


async def again(operator: Operator) -> None:
    """From ``failed`` back to ``validated``."""
    result = await operator.app.engine.validate(operator.scene.node.name, DOMAIN, operator.events.append)
    assert result.status == "validated", result


def as_before_and_starts(operator: Operator, where: str) -> None:
    """Tree, configuration and answers as before, also after both services were started from disk."""
    operator.scene.is_as_before(where)
    operator.scene.restart()
    assert operator.scene.wrong() == [], where


@pytest.mark.parametrize("exchange", ["perl", "none"])
def test_a_pool_with_a_status_address_of_its_own(lab: Lab, node: Node, tmp_path: Path, exchange: str) -> None:
    async def work(operator: Operator) -> None:
        went = await operator.migrate()
        assert went.ok, went
        operator.scene.is_migrated()
        operator.scene.restart()
        assert operator.scene.wrong() == []
        assert (await operator.rollback()).ok
        as_before_and_starts(operator, "status address")

    if exchange == "none":
        without_perl(node)
    on(lab, node, tmp_path, STATUS, work)


def test_a_stage_that_php_fpm_refuses(lab: Lab, node: Node, tmp_path: Path) -> None:
    """Undone by the run itself; killed with that text on disk, by ``resume --undo``."""

    async def work(operator: Operator) -> None:
        result = await operator.migrate()
        assert (result.exit_code, result.status) == (5, "failed"), result
        assert "slow.log" in " ".join(result.errors), result
        as_before_and_starts(operator, "refused")
        for point in count(8):
            await again(operator)
            result = await operator.migrate(crash_at=point)
            died = operator.died_at(result.run)
            assert died, result
            result = await operator.resume(undo=True)
            assert result.ok and result.status == "validated", (died, result)
            as_before_and_starts(operator, died)
            if died.startswith("config-fpm-both"):
                break

    on(lab, node, tmp_path, SLOWLOG, work)


def test_a_stage_that_nginx_refuses(lab: Lab, node: Node, tmp_path: Path) -> None:
    """For ever: each stage of the way there is refused once, and none stops the way back."""
    stages = {"bridge": f"/srv/{DOMAIN}/web/app/public", "final": f"/srv/{DOMAIN}/web/run"}

    async def work(operator: Operator) -> None:
        for stage, text in stages.items():
            refuse = f'if [ "$1" = -t ] && grep -qr {text} /etc/nginx; then echo "no luck" >&2; exit 1; fi'
            replace_tool(node, "nginx", f'{refuse}\nexec "$REAL" "$@"')
            result = await operator.migrate()
            node.path("/usr/local/bin/nginx").unlink()
            assert (result.exit_code, result.status) == (5, "failed"), (stage, result)
            assert "no luck" in " ".join(result.errors), result
            as_before_and_starts(operator, stage)
            await again(operator)

    on(lab, node, tmp_path, "", work)
