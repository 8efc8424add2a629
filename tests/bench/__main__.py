"""``python tests/bench W1 --rounds 5``: the floor, the yardstick, ours and a serial run, in one go.

Rounds are interleaved; medians and their ratios are printed. Needs root on Debian, as the lab does.
``SIM`` is another matter: many simulated vnodes, for the cost of the operator's program alone; no root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab.fleet import Lab
from lab.node import Node
from lab.product import Product

from bench import simulation
from bench.contenders import SERIAL, Arena, Outcome
from bench.workloads import WORKLOADS, Workload, clear, seed


def main() -> int:
    """Run what is asked for; answers 1 when something went wrong in a run of ours."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__)
    parser.add_argument(
        "workloads",
        nargs="*",
        default=["W1", "W2", "W3"],
        metavar="NAME",
        help=", ".join([*WORKLOADS, "SIM"]),
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-serial", action="store_true", help="leave out the serial run")
    parser.add_argument(
        "--probe", action="store_true", help="one more run of ours, asked every 2 ms meanwhile"
    )
    parser.add_argument(
        "--setup", default="", metavar="SCRIPT", help="sh run on each node first, e.g. a faster gzip"
    )
    parser.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help="Debian package to install on each node; for igzip: --package libisal2 --package isal",
    )
    parser.add_argument("--vnodes", type=int, default=200, metavar="N", help="simulated vnodes, for SIM")
    arguments = parser.parse_args()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # what is installed does not compile itself at every start
    bad = 0
    for name in arguments.workloads:
        if name == "SIM":
            bad += simulation.run(arguments.vnodes)
            continue
        bad += run(WORKLOADS[name], arguments)
    return 1 if bad else 0


def run(work: Workload, arguments: argparse.Namespace) -> int:
    """One workload; answers how many problems there were."""
    print(f"\n{work}", flush=True)
    names = [f"vn{number}" for number in range(1, work.nodes + 1)]
    with Lab(names) as lab, tempfile.TemporaryDirectory(prefix="nsmig-bench-") as place:
        for node in lab.nodes.values():
            install(node, arguments.package)
            if arguments.setup:
                node.sh(arguments.setup)
        arena = Arena(lab, work, seed(lab, work), Product(lab, Path(place)))
        arena.prepare()
        runs: dict[str, Callable[[], Outcome]] = {
            "floor": arena.floor,
            "yardstick": arena.yardstick,
            "ours": arena.ours,
        }
        if not arguments.no_serial:
            runs["serial"] = lambda: arena.ours(SERIAL)
        found: dict[str, list[Outcome]] = {name: [] for name in runs}
        for number in range(1, arguments.rounds + 1):
            for name, begin in runs.items():
                arena.fresh()
                found[name].append(begin())
                print(f"  round {number} {name:<10}{found[name][-1].seconds:8.2f} s", flush=True)
        if arguments.probe:
            arena.fresh()
            found["probed"] = [arena.ours(probe=True)]
        problems = tell(work, found)
        clear(lab)
        return problems


def install(node: Node, packages: list[str]) -> None:
    """Bring packages to a node, which has no way to the outside, from where this machine has its own from."""
    for name in packages:
        with tempfile.TemporaryDirectory(prefix="nsmig-bench-") as place:
            subprocess.run(
                ["apt-get", "download", "-qq", name], cwd=place, check=True, stderr=subprocess.DEVNULL
            )
            (found,) = Path(place).iterdir()
            shutil.copy(found, node.root / "var/cache/package.deb")
        node.sh("dpkg -i /var/cache/package.deb")


def tell(work: Workload, found: dict[str, list[Outcome]]) -> int:
    """Print medians and ratios; answers how many problems there were."""
    middle = {name: median(outcome.seconds for outcome in outcomes) for name, outcomes in found.items()}
    print(f"  {'':<12}{'median s':>9}{'/ floor':>9}{'/ yardst.':>10}{'s / vhost':>10}")
    for name, seconds in middle.items():
        ratios = f"{seconds / middle['floor']:>9.2f}{seconds / middle['yardstick']:>10.2f}"
        print(f"  {name:<12}{seconds:>9.2f}{ratios}{seconds / work.count:>10.3f}")
    ours = found["ours"]
    print(
        f"  ours: {max(o.rss_mb for o in ours):.0f} MB at most, {median(o.cpu_s for o in ours):.2f} s CPU, "
        f"{median(o.connections for o in ours):.0f} connections, "
        f"php-fpm reloads noted per node {ours[-1].reloads}"
    )
    for outcome in found.get("probed", ()):
        for target, (wrong, count) in outcome.wrong.items():
            print(f"  probed {target}: {wrong} wrong of {count}")
    problems = [words for outcomes in found.values() for o in outcomes for words in o.problems]
    for words in problems[:10]:
        print(f"  PROBLEM: {words}")
    return len(problems)


if __name__ == "__main__":
    sys.exit(main())
