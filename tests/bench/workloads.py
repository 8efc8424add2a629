"""What is migrated in a benchmark: nodes full of vhosts, put back as they were before every run."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.fleet import Lab
from lab.node import Node
from lab.seed import Vhost, seed_vhost, serve

STATE = "bench"


@dataclass(frozen=True)
class Workload:
    """``files`` of ``size`` bytes in each of ``vhosts`` on each of ``nodes``; half of each compresses."""

    name: str
    nodes: int
    vhosts: int
    files: int
    size: int

    @property
    def count(self) -> int:
        """Vhosts in all."""
        return self.nodes * self.vhosts

    def __str__(self) -> str:
        return f"{self.name}: {self.nodes} x {self.vhosts} vhosts x {self.files} files x {self.size} bytes"


WORKLOADS = {
    work.name: work
    for work in (
        Workload("W0", 2, 3, 20, 4096),
        Workload("W1", 4, 25, 60, 8192),
        Workload("W2", 2, 4, 2000, 65536),
        Workload("W3", 1, 1, 50_000, 1024),
        Workload("W20", 3, 20, 60, 8192),
    )
}


def seed(lab: Lab, work: Workload) -> dict[str, list[Vhost]]:
    """Fill the nodes and keep their state; answers node name -> its vhosts."""
    with ThreadPoolExecutor(work.nodes) as pool:
        return dict(zip(lab.nodes, pool.map(lambda n: _fill(n, work), lab.nodes.values()), strict=True))


def _fill(node: Node, work: Workload) -> list[Vhost]:
    vhosts = []
    noise = random.Random(node.name)
    for number in range(work.vhosts):
        vhost = seed_vhost(node, f"s{number:03d}.{node.name}.test", reload=False)
        _write_files(node.srv / vhost.domain / "web/data", vhost.uid, work, noise)
        vhosts.append(vhost)
    serve(node, vhosts)
    node.keep(STATE)
    return vhosts


def _write_files(top: os.PathLike[str], uid: int, work: Workload, noise: random.Random) -> None:
    half = work.size // 2
    text = (b"the same words again and again, as in most files of a site\n" * (half // 50 + 1))[:half]
    os.makedirs(top)
    os.chown(top, uid, uid)
    for number in range(work.files):
        folder = os.path.join(top, f"{number // 500:03d}")
        if number % 500 == 0:
            os.makedirs(folder)
            os.chown(folder, uid, uid)
        path = os.path.join(folder, f"{number:06d}.bin")
        with open(path, "wb") as file:
            file.write(text + noise.randbytes(work.size - half))
        os.chown(path, uid, uid)


def put_back(lab: Lab) -> None:
    """Every node as it was after seeding, with nothing of the last run in memory or on its way to disk.

    What the run left is only moved away: for a minute or more ext4 gives no inode again that was just freed,
    and looks past every one of them for each new file, which is no matter of those who are compared.
    """
    with ThreadPoolExecutor(len(lab.nodes)) as pool:
        list(pool.map(_put_back, lab.nodes.values()))
    os.sync()


def clear(lab: Lab) -> None:
    """Delete what was moved away, which may take minutes; nothing is measured any more."""
    for node in lab.nodes.values():
        shutil.rmtree(_aside(node), ignore_errors=True)


def _aside(node: Node) -> Path:
    return node.kept.parent / "aside"


def _put_back(node: Node) -> None:
    aside = _aside(node)
    aside.mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=aside))
    for entry in node.srv.iterdir():
        entry.rename(place / entry.name)
    node.sh('[ ! -e /var/lib/nsmig ] || mv /var/lib/nsmig "/var/lib/aside.$1"', place.name)
    node.reset(STATE)
