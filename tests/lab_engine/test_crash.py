"""kill -9 of the runner at every journal point of migrate and undo, and of the operator's program.

At each point: the sites answer, they answer after nginx and php-fpm were started anew from disk, and the
vhost gets out of it both ways: finished, or undone to the byte.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab
from lab.node import Node
from lab.product import Product
from lab.scene import Operator, Scene, set_scene
from lab.variants import without_perl

pytestmark = pytest.mark.lab

FORMS = {
    "vn1": {"shape": "literal", "content": "odd"},
    "vn2": {"shape": "shared"},
}


def in_parallel(lab: Lab, nodes: list[Node], place: Path, work: Any) -> list[Any]:
    """Run ``await work(operator)`` on each node, one thread and one database a node."""

    def one(node: Node) -> Any:
        product = Product(lab, place / node.name)
        product.add(node)
        scene = set_scene(node, **FORMS[node.name])

        async def inside(app: Any) -> Any:
            operator = Operator(app, scene)
            await operator.ready()
            return await work(operator)

        return product.run(inside)

    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(one, nodes))


def stands(scene: Scene, where: str) -> None:
    """The sites answer as things are, and after a start from disk."""
    wrong = scene.wrong()
    assert wrong == [], (where, wrong)
    scene.restart()
    wrong = scene.wrong()
    assert wrong == [], (f"{where}, services started anew", wrong)


async def measure(operator: Operator) -> tuple[int, int]:
    """How many points an uninterrupted migrate and undo have."""
    went = await operator.migrate()
    assert went.ok, went
    operator.scene.is_migrated()
    back = await operator.rollback()
    assert back.ok, back
    operator.scene.is_as_before()
    return operator.points(went.run), operator.points(back.run)


async def crash(operator: Operator, verb: str, point: int, **options: Any) -> str:
    """Let a run kill itself at a point; the sites must stand. Answers the point's name."""
    result = await getattr(operator, verb)(crash_at=point, **options)
    name = operator.died_at(result.run)
    assert name, f"{verb} never came to point {point}: {result}"
    assert not result.ok and result.status == "failed", result
    assert result.hint and result.errors
    stands(operator.scene, f"{verb} killed at {point} ({name})")
    return f"{verb} {point} {name}"


async def every_point(operator: Operator) -> list[str]:
    """All points of migrate; each second one is finished, and an undo of it killed in turn.

    The first node finishes the odd points and undoes the even ones, the second the other way round.
    """
    forward, backward = await measure(operator)
    parity = int(operator.scene.node.name[-1]) % 2
    undo_points = list(range(1, backward + 1))
    seen: list[str] = []
    for point in range(1, forward + 1):
        seen.append(await crash(operator, "migrate", point))
        if point % 2 != parity:
            back = await operator.resume(undo=True)
            assert back.ok and back.status == "validated", (seen[-1], back)
        else:
            went = await operator.resume()
            assert went.ok and went.status == "migrated", (seen[-1], went)
            operator.scene.is_migrated()
            await killed_undo(operator, undo_points, seen)
        operator.scene.is_as_before(" and ".join(seen[-2:]))
    while undo_points:
        assert (await operator.migrate()).ok
        await killed_undo(operator, undo_points, seen)
        operator.scene.is_as_before(seen[-1])
    assert len(seen) == forward + backward
    return seen


async def killed_undo(operator: Operator, points: list[int], seen: list[str]) -> None:
    """Undo, killed at the next point if one is left, and ended by one of the two verbs that can."""
    if points:
        point = points.pop(0)
        seen.append(await crash(operator, "rollback", point))
        back = await (operator.resume() if point % 2 else operator.rollback())
    else:
        back = await operator.rollback()
    assert back.ok and back.status == "validated", (seen[-1], back)


async def to_the_point(operator: Operator, verb: str, point: int, last: str) -> list[str]:
    """Points of a run from one on to a name; after each the run is finished and undone, or undone."""
    seen: list[str] = []
    while not seen or not seen[-1].endswith(last):
        if verb == "rollback":
            assert (await operator.migrate()).ok
        seen.append(await crash(operator, verb, point))
        if verb == "migrate" and point % 2:
            assert (await operator.resume()).ok, seen[-1]
            operator.scene.is_migrated()
        back = await operator.resume(undo=True)
        assert back.ok and back.status == "validated", (seen[-1], back)
        operator.scene.is_as_before(seen[-1])
        point += 1
    return seen


@pytest.mark.timeout(900)
def test_the_switch_without_an_exchange(
    lab: Lab, node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between the two renames ``web`` is missing: even then a start from disk brings all sites."""
    product = Product(lab, tmp_path)
    product.add(node)
    scene = set_scene(node, shape="literal", content="odd")
    without_perl(node)

    async def work(app: Any) -> list[str]:
        operator = Operator(app, scene)
        await operator.ready()
        there = await to_the_point(operator, "migrate", 5, "tree-switched")
        return there + await to_the_point(operator, "rollback", 22, "undo-tree")

    seen = product.run(work)
    with capsys.disabled():
        print(f"\n{node.name} without an exchange: {', '.join(name.split()[-1] for name in seen)}")
    assert any(name.endswith("tree-half") for name in seen) and any("undo-half" in name for name in seen)


@pytest.mark.timeout(1800)
def test_every_point_of_migrate_and_undo(
    lab: Lab, nodes: list[Node], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 at each: the site answers, a restart from disk answers, resume completes, undo restores."""
    reports = in_parallel(lab, nodes, tmp_path, every_point)
    with capsys.disabled():
        for node, seen in zip(nodes, reports, strict=True):
            print(f"\n{node.name} {FORMS[node.name]}")
            for verb in ("migrate", "rollback"):
                names = [line.split()[-1] for line in seen if line.startswith(verb)]
                print(f"  {len(names)} points of {verb}: {', '.join(names)}")
