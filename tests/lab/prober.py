"""Watches sites while something happens to them: did every request get the right answer?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.node import Node


@dataclass(frozen=True)
class Target:
    """One question and the only right answer to it."""

    host: str
    path: str
    """``{n}`` becomes a running number of six digits: names never asked for get past open_file_cache."""
    status: int = 200
    body: str | None = None
    """Text that the answer must contain."""
    numbers: int = 1
    """How many numbered files there are; the running number starts again after them."""


@dataclass(frozen=True)
class Findings:
    """What one target's requests brought."""

    host: str
    path: str
    count: int
    codes: dict[str, int]
    """Requests by HTTP status, or by the exception's name where no answer came."""
    wrong_count: int
    wrong: list[dict[str, object]]
    """The first fifty wrong answers: at (seconds since the epoch), path, code, body."""
    max_gap_s: float
    """Longest time between two right answers."""
    max_latency_s: float


class Prober:
    """Asks all targets in a process inside the node's namespace while the ``with`` block runs.

    ``findings`` is there after the block. Entering waits until each target was asked once.
    """

    def __init__(self, node: Node, targets: Sequence[Target], interval_ms: int = 5) -> None:
        """Each target is asked one request after another, ``interval_ms`` apart."""
        self._job = {
            "namespace": node.namespace,
            "interval_s": interval_ms / 1000,
            "targets": [asdict(target) for target in targets],
        }
        self.findings: list[Findings] = []

    def __enter__(self) -> Prober:
        """Start asking."""
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("probe_loop.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._job) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the prober did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop asking and collect."""
        out, _ = self._process.communicate(timeout=60)
        self.findings = [Findings(**report) for report in json.loads(out)]

    @property
    def wrong(self) -> list[dict[str, object]]:
        """All wrong answers kept, of all targets; empty means that nobody noticed anything."""
        return [{"host": found.host, **answer} for found in self.findings for answer in found.wrong]
