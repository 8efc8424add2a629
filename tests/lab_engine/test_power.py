"""The power fails in the middle of a run: what it relies on has reached the disk before it acts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab
from lab.node import wait_for
from lab.product import Product
from lab.scene import Operator, Scene, set_scene

pytestmark = pytest.mark.lab

THERE = (3, 11, 23, 35, 42)
BACK = (6, 26)
"""Crash points, from the first at which there is an archive to the last before the end."""


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[tuple[Product, Scene]]:
    """The product, and a vhost on a node with a disk that forgets what has not reached it."""
    with Lab(["vn1"], disk_mb=400) as lab:
        product = Product(lab, tmp_path)
        product.add(lab["vn1"])
        yield product, set_scene(lab["vn1"], shape="literal", content="odd")


@pytest.mark.timeout(600)
def test_a_power_cut_leaves_the_way_back(forgetful: tuple[Product, Scene]) -> None:
    """Only what was synced is left: the sites answer after the boot, and the undo brings every byte back."""
    product, scene = forgetful
    node = scene.node

    async def cut_at(operator: Operator, verb: str, point: int) -> None:
        """Kill the run at a point, cut the power, and go back."""
        node.sh("sync")
        result = await getattr(operator, verb)(crash_at=point)
        where = f"{verb} {point} {operator.died_at(result.run)}"
        assert operator.died_at(result.run), result
        node.power_cut()
        wait_for(f"the sites to answer, {where}", lambda: scene.wrong() == [], 20)
        back = await operator.resume(undo=True)
        assert back.ok and back.status == "validated", (where, back)
        scene.is_as_before(where)

    async def work(app: Any) -> None:
        operator = Operator(app, scene)
        await operator.ready()
        for point in THERE:
            await cut_at(operator, "migrate", point)
        for point in BACK:
            assert (await operator.migrate()).ok
            await cut_at(operator, "rollback", point)

    product.run(work)


def test_a_power_cut_after_a_restore_empties_no_file(forgetful: tuple[Product, Scene]) -> None:
    """What was unpacked is on the disk by the time it is live, not in memory alone."""
    product, scene = forgetful
    node = scene.node

    async def work(app: Any) -> None:
        operator = Operator(app, scene)
        await operator.ready()
        went = await operator.migrate()
        assert (await operator.rollback()).ok
        node.sh("sync; echo late >/srv/shop.test/web/late.txt")
        restored = await operator.rollback(archive=went.backup_archive)
        assert restored.ok, restored
        node.power_cut()
        wait_for("the sites to answer", lambda: scene.wrong() == [], 20)
        assert (scene.upath / "web/late.txt").read_text() == "late\n"
        stamps = ("shop.test mtime_ns", "shop.test/var mtime_ns", "shop.test/web mtime_ns", "late.txt")
        changed = [
            row for row in scene.changed() if not any(stamp in row.replace("'", "") for stamp in stamps)
        ]
        assert changed == []

    product.run(work)
