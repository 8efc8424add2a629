"""A batch over three real nodes where things go wrong: a poisoned vhost, a dying node, a broken nginx."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.fleet import Lab
from lab.image import LabUnavailable
from lab.node import Node
from lab.product import Product
from lab.seed import Vhost, seed_vhost, serve, wrong_answers

from nsmig_tui import wiring
from nsmig_tui.batchproc import process
from nsmig_tui.domain.batch import Limits
from nsmig_tui.domain.events import Result
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine import runner_link
from nsmig_tui.engine.batch.measuring import plan_batch, spec_of
from nsmig_tui.engine.batch.places import BatchDir

pytestmark = pytest.mark.lab

EACH = 20
POISON = "s1.vb1.test"


@pytest.fixture
def fleet() -> Iterator[Lab]:
    """Three nodes of this test's own: one of them dies."""
    try:
        running = Lab(["vb1", "vb2", "vb3"]).__enter__()
    except LabUnavailable as error:
        pytest.fail(str(error), pytrace=False)
    yield running
    running.stop()


def seed(node: Node) -> list[Vhost]:
    """A few vhosts, made known to the services at once."""
    vhosts = [
        seed_vhost(node, f"s{number}.{node.name}.test", php=number < 2, reload=False)
        for number in range(EACH)
    ]
    serve(node, vhosts)
    return vhosts


def poison(node: Node, domain: str) -> str:
    """A front page that works at its old place alone: found out only by trying. Answers what it was."""
    page = node.srv / domain / "web/index.php"
    text = page.read_text()
    bad = f'<?php if (__DIR__ !== "/srv/{domain}/web") {{ http_response_code(500); exit; }} ?>'
    page.write_text(bad + text)
    return text


def ready(product: Product, nodes: list[Node]) -> None:
    """Discover and validate everything, over one connection a node."""

    async def work(app: Any) -> None:
        for node in nodes:
            await app.engine.discover(node.name, product.events.append)
            for vhost in app.store.vhosts(node.name):
                await app.engine.validate(node.name, vhost.domain, product.events.append)

    product.run(work)


async def run_batch(product: Product, misfortunes: dict[str, Any]) -> tuple[str, int]:
    """One batch, conducted here; each misfortune happens after the first success on its node."""
    settings = product.settings()
    limits, options = Limits(per_vnode=1, ahead=0), MigrateOptions()
    app = wiring.build(settings)
    plan = await plan_batch(app.store, app.engine, app.store.vhosts(status="validated"), limits, options)
    spec = spec_of(plan, "20260101-000000-abcdef", "tester", 1.0, limits, options)
    await app.hang_up()
    place = BatchDir(app.batches.top, spec.batch)
    place.create(spec)
    work = asyncio.create_task(process.conduct(settings, place, {}, retry=False))
    while not work.done():
        for key, result in app.batches.view(spec.batch).results.items():
            vnode = key.partition("/")[0]
            if isinstance(result, Result) and result.ok and vnode in misfortunes:
                await asyncio.to_thread(misfortunes.pop(vnode))
        await asyncio.sleep(0.05)
    app.store.close()
    return spec.batch, await work


def nsmig(product: Product, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """One command line; answers its code and its lines."""
    settings = product.settings()
    places = ["--data-dir", settings.data_dir, "--config-dir", settings.config_dir]
    places += ["--ssh-config", settings.ssh_config]
    done = subprocess.run(
        [sys.executable, "-m", "nsmig_tui", *map(str, places), *words, "--json"],
        capture_output=True,
        text=True,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_misfortunes_of_some_touch_nobody_else_and_resume_finishes(
    fleet: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, dying, broken = nodes = list(fleet.nodes.values())
    vhosts = {node.name: seed(node) for node in nodes}
    product = Product(fleet, tmp_path)
    product.add(*nodes)
    ready(product, nodes)
    wholesome = poison(good, POISON)
    monkeypatch.setattr(runner_link, "PATIENCE", 5.0)
    breaks = broken.path("/etc/nginx/conf.d/zz-somebody.conf")
    misfortunes = {
        dying.name: dying.kill,
        broken.name: lambda: breaks.write_text("somebody_forgot_a_semicolon\n"),
    }
    batch, code = asyncio.run(run_batch(product, misfortunes))
    assert misfortunes == {}
    assert code == 7

    view = wiring.build(product.settings()).batches.view(batch)
    mine = {key: result for key, result in view.results.items() if result.vnode == good.name}
    assert {result.vhost for result in mine.values() if not result.ok} == {POISON}, mine
    assert mine[f"{good.name}/{POISON}"].exit_code == 5
    assert not (good.srv / POISON / "web/app").exists(), "the poisoned one is in the old layout again"
    assert [wrong for vhost in vhosts[good.name] for wrong in wrong_answers(good, vhost)] == []
    assert set(view.aside) == {dying.name, broken.name}, [r.errors for r in view.results.values()]
    assert "nginx" in view.aside[broken.name]
    for node in (dying, broken):
        results = [result for result in view.results.values() if result.vnode == node.name]
        assert len(results) == EACH and any(result.ok for result in results)
        assert any(result.skipped and node.name in result.errors[0] for result in results)

    dying.start()
    breaks.unlink()
    code, lines = nsmig(product, "resume", "--yes")
    results = [line for line in lines if line["type"] == "result"]
    assert (code, len(results)) == (7, 3 * EACH), results
    not_ok = {line["vhost"]: (line["errors"], line["exit_code"]) for line in results if not line["ok"]}
    assert set(not_ok) == {POISON}, not_ok

    (good.srv / POISON / "web/index.php").write_text(wholesome)
    code, lines = nsmig(product, "resume", batch, "--retry", "--yes")
    assert (code, lines[-1]) == (0, {"type": "summary", "ok": 3 * EACH, "failed": 0, "skipped": 0})
    assert [w for node in nodes for vhost in vhosts[node.name] for w in wrong_answers(node, vhost)] == []
    assert all(
        (node.srv / vhost.domain / "web/app/public").is_dir() for node in nodes for vhost in vhosts[node.name]
    )


def test_a_vhost_that_does_not_bear_it_is_undone_alone_among_those_that_switch_with_it(
    node: Node, product: Product
) -> None:
    """The others saw its front page before, and see it broken while they wait for their verdicts."""
    vhosts = [seed_vhost(node, f"s{number}.together.test", reload=False) for number in range(4)]
    serve(node, vhosts)
    domains = [vhost.domain for vhost in vhosts]
    poison(node, domains[1])
    product.ready(node, *domains)
    code, lines = nsmig(product, "migrate", "--all-validated", "--per-vnode", "4", "--yes")
    results = {line["vhost"]: (line["ok"], line["errors"]) for line in lines if line["type"] == "result"}
    assert {domain for domain, (ok, _) in results.items() if not ok} == {domains[1]}, results
    assert code == 7
    assert [wrong for vhost in vhosts for wrong in wrong_answers(node, vhost)] == []


def test_vhosts_in_one_file_are_all_migrated_and_undone_newest_first(
    lab: Lab, node: Node, product: Product
) -> None:
    pair = ("one.test", "two.test")
    vhosts = [seed_vhost(node, domain, reload=False) for domain in pair]
    for place in ("nginx/sites-available/{}", "php/8.2/fpm/pool.d/{}.conf"):
        one, two = (node.path(f"/etc/{place.format(domain)}") for domain in pair)
        one.write_text(one.read_text() + two.read_text())
        two.unlink()
    node.sh("rm /etc/nginx/sites-enabled/two.test")
    serve(node, vhosts)
    product.ready(node, *pair)
    code, lines = nsmig(product, "migrate", "--all-validated", "--yes")
    assert (code, lines[-1]) == (0, {"type": "summary", "ok": 2, "failed": 0, "skipped": 0}), lines
    results = [line for line in lines if line["type"] == "result"]
    first, second = (line["vhost"] for line in results)
    assert [wrong for vhost in vhosts for wrong in wrong_answers(node, vhost)] == []
    refused = product.rollback(node, first)
    assert (refused.exit_code, refused.status) == (4, "migrated")
    assert refused.hint.startswith(f"nsmig rollback {node.name} {second},"), refused
    for domain in (second, first):
        assert product.rollback(node, domain).ok
    assert [wrong for vhost in vhosts for wrong in wrong_answers(node, vhost)] == []
