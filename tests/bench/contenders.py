"""The four runs that a benchmark compares: the floor, the yardstick, ours, and ours one after another."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.fleet import Lab
from lab.node import Node
from lab.prober import Prober, Target
from lab.product import Product
from lab.seed import Vhost, wrong_answers

from bench import yardstick
from bench.workloads import Workload, put_back
from nsmig_tui import wiring
from nsmig_tui.domain.batch import Limits
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine.batch.measuring import plan_batch, spec_of
from nsmig_tui.engine.batch.places import BatchDir

SERIAL = Limits(vnodes=1, per_vnode=1, ahead=0)


@dataclass
class Outcome:
    """One run. ``rss_mb`` and ``cpu_s`` are of the operator's program; ``connections`` to all nodes."""

    seconds: float
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    connections: int = 0
    reloads: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, tuple[int, int]] = field(default_factory=dict)
    """target -> (wrong answers, requests)"""
    problems: list[str] = field(default_factory=list)


@dataclass
class Arena:
    """The nodes, what is on them, and an operator who has validated everything."""

    lab: Lab
    work: Workload
    vhosts: dict[str, list[Vhost]]
    product: Product

    def prepare(self) -> None:
        """Discover and validate once; every run begins from a copy of this database."""
        self.product.add(*self.lab.nodes.values())

        async def look(app: Any) -> None:
            async def one(name: str) -> None:
                await app.engine.discover(name, _ignore)
                for vhost in self.vhosts[name]:
                    result = await app.engine.validate(name, vhost.domain, _ignore)
                    if not result.ok:
                        raise RuntimeError(f"{vhost.domain}: {result.errors}")

            await asyncio.gather(*(one(name) for name in self.lab.nodes))

        self.product.run(look)
        shutil.copytree(self._data, self._data.with_name("data.kept"))

    @property
    def _data(self) -> Path:
        return self.product.place / "data"

    def fresh(self) -> None:
        """Nodes and database as before the first run."""
        put_back(self.lab)
        shutil.rmtree(self._data)
        shutil.copytree(self._data.with_name("data.kept"), self._data)

    def floor(self) -> Outcome:
        """Bare ``tar czf`` of the same trees, one after another on each node, the nodes side by side."""
        script = 'for d; do tar --exclude=./.archive -C "/srv/$d" -czf "/srv/$d.tar.gz" . || exit 1; done'

        def one(node: Node) -> None:
            node.sh(script, *(vhost.domain for vhost in self.vhosts[node.name]))

        begun = time.monotonic()
        with ThreadPoolExecutor(len(self.lab.nodes)) as pool:
            list(pool.map(one, self.lab.nodes.values()))
        return Outcome(time.monotonic() - begun)

    def yardstick(self) -> Outcome:
        """The plain script."""
        domains = {name: [vhost.domain for vhost in found] for name, found in self.vhosts.items()}
        begun = time.monotonic()
        asyncio.run(yardstick.migrate_all(self.lab.ssh_config, domains))
        return Outcome(time.monotonic() - begun)

    def ours(self, limits: Limits | None = None, *, probe: bool = False) -> Outcome:
        """The batch: plan, process, journal, all checks."""
        before = {name: self._accepted(node) for name, node in self.lab.nodes.items()}
        limits = limits or Limits(vnodes=self.work.nodes)
        targets = self._targets()
        node = next(iter(self.lab.nodes.values()))
        if probe:
            with Prober(node, targets, interval_ms=2) as prober:
                found = asyncio.run(run_batch(self.product.settings(), limits, self.work.count))
            found.wrong = {f"{f.host}{f.path}": (f.wrong_count, f.count) for f in prober.findings}
        else:
            found = asyncio.run(run_batch(self.product.settings(), limits, self.work.count))
        found.connections = sum(self._accepted(n) - before[name] for name, n in self.lab.nodes.items())
        for name, node in self.lab.nodes.items():
            found.reloads[name] = int(
                node.sh("cat /var/lib/nsmig/*/journal | grep -c 'reloaded.php-fpm' || true").stdout
            )
            for vhost in self.vhosts[name][:3]:
                found.problems += wrong_answers(node, vhost)
        return found

    def _targets(self) -> list[Target]:
        first, *_, last = self.vhosts[next(iter(self.lab.nodes))] * 2
        targets = []
        for vhost in {first.domain: first, last.domain: last}.values():
            targets.append(Target(vhost.domain, "/page.html", body=f"page of {vhost.domain}"))
            targets.append(Target(vhost.domain, "/", body=f"home of {vhost.domain}"))
        return targets

    @staticmethod
    def _accepted(node: Node) -> int:
        said = node.sh("journalctl -u ssh -o cat --no-pager 2>/dev/null | grep -c '^Accepted' || true")
        return int(said.stdout.strip() or 0)


def _ignore(_event: Any) -> None:
    return


async def run_batch(settings: Any, limits: Limits, count: int) -> Outcome:
    """Plan and run a batch of all validated vhosts, of which there must be ``count``."""
    app = wiring.build(settings)
    try:
        begun = time.monotonic()
        vhosts = app.store.vhosts(status="validated")
        options = MigrateOptions()
        plan = await plan_batch(app.store, app.engine, vhosts, limits, options)
        spec = spec_of(plan, app.engine.desk.run_name(), "bench", time.time(), limits, options)
        app.batches.start(spec, {})
        try:
            async for _ in app.batches.attach(spec.batch):
                pass
        finally:
            # It outlives whoever started it; a benchmark that is stopped must not leave it behind.
            if app.batches.is_alive(spec.batch):
                os.kill(int(BatchDir(app.batches.top, spec.batch).process()["pid"]), signal.SIGTERM)
        seconds = time.monotonic() - begun
        view = app.batches.view(spec.batch)
        used = BatchDir(app.batches.top, spec.batch).process()
        bad = [f"{key}: {result.errors}" for key, result in view.results.items() if not result.ok]
        if len(view.results) != count:
            bad.append(f"{len(view.results)} results; {app.batches.log_tail(spec.batch)}")
        return Outcome(seconds, used.get("max_rss_kb", 0) / 1024, float(used.get("cpu_s", 0)), problems=bad)
    finally:
        await app.close()
