"""php-fpm dies of each reload, as of a fault in an extension, while another run waits for its verdict."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from lab.node import Node
from lab.product import Product
from lab.scene import DOMAIN, set_scene
from lab.seed import seed_vhost, wrong_answers

from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine import migrating

pytestmark = pytest.mark.lab

SECOND = "second.test"
DROP_IN = "/run/systemd/system/php8.2-fpm.service.d"
DIES = f"""
mkdir -p {DROP_IN}
printf '[Service]\\nExecReload=\\nExecReload=kill -9 $MAINPID\\n' >{DROP_IN}/x.conf
systemctl daemon-reload
"""


def test_it_is_started_and_nobody_elses_pool_is_another(
    node: Node, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run whose reload it was ends well, and so does the one that waited; all sites have their PHP."""
    scene = set_scene(node, shape="literal")
    second = seed_vhost(node, SECOND, shape="literal")
    product.ready(node, DOMAIN, SECOND)
    pool = node.path(f"/etc/php/8.2/fpm/pool.d/{DOMAIN}.conf")

    async def work(app: Any) -> None:
        asked = asyncio.Event()

        def never_answers(*_args: Any) -> Any:
            async def answer(*_more: Any) -> Any:
                asked.set()
                await asyncio.sleep(600)

            return answer

        with monkeypatch.context() as patched:
            patched.setattr(migrating, "answers_as_before", never_answers)
            first = asyncio.create_task(app.engine.migrate(node.name, DOMAIN, MigrateOptions(), print))
            await asyncio.wait_for(asked.wait(), 60)
            first.cancel()
            await asyncio.wait([first])
        edited = pool.read_text() + "pm.max_requests = 777 ; ADMIN\n"
        pool.write_text(edited)
        node.sh(DIES)
        went = await app.engine.migrate(node.name, SECOND, MigrateOptions(), print)
        assert went.ok and went.status == "migrated", went
        assert any("php8.2-fpm.service was found down and is started" in w for w in went.warnings), went
        assert pool.read_text() == edited
        assert scene.wrong() + wrong_answers(node, second) == []
        ends = await app.engine.resume(node.name, DOMAIN, print, undo=False)
        assert ends.ok and ends.status == "migrated", ends

    product.run(work)
    scene.restart()
    assert scene.wrong() + wrong_answers(node, second) == []
