"""The process behind ``Prober``: asks the same questions again and again in a network namespace.

``python probe_loop.py`` reads one line of JSON from standard input, says ``ready`` when every target was
asked once, and at end of input prints its findings as JSON. So it also ends when the tests are gone.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import netns

MAX_WRONG = 50


class Watch:
    """Asks one target until told to stop, and keeps count."""

    def __init__(self, target: dict[str, Any], interval_s: float) -> None:
        """``target``: host, path (``{n}`` becomes a running number), status, body or None, numbers."""
        self.target = target
        self.interval_s = interval_s
        self.codes: Counter[str] = Counter()
        self.wrong: list[dict[str, object]] = []
        self.wrong_count = 0
        self.max_gap_s = 0.0
        self.max_latency_s = 0.0
        self.asked = 0
        self.first_done = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Ask, note, pause, until ``stop``. A gap is the time between two right answers."""
        last_good: float | None = None
        while not stop.is_set():
            begun = time.monotonic()
            good = self._ask_once()
            ended = time.monotonic()
            self.max_latency_s = max(self.max_latency_s, ended - begun)
            if good:
                if last_good is not None:
                    self.max_gap_s = max(self.max_gap_s, ended - last_good)
                last_good = ended
            self.first_done.set()
            stop.wait(self.interval_s)

    def _ask_once(self) -> bool:
        number = self.asked % max(1, self.target["numbers"])
        path = self.target["path"].replace("{n}", f"{number:06d}")
        self.asked += 1
        try:
            answer = netns.plain_request(self.target["host"], path)
            code, text = str(answer.status), answer.text
        except (OSError, HTTPException) as error:
            code, text = type(error).__name__, str(error)
        self.codes[code] += 1
        good = code == str(self.target["status"]) and (self.target["body"] or "") in text
        if not good:
            self.wrong_count += 1
            if len(self.wrong) < MAX_WRONG:
                self.wrong.append({"at": time.time(), "path": path, "code": code, "body": text[:200]})
        return good

    def report(self) -> dict[str, object]:
        """What was seen, ready for JSON."""
        return {
            "host": self.target["host"],
            "path": self.target["path"],
            "count": self.asked,
            "codes": dict(self.codes),
            "wrong_count": self.wrong_count,
            "wrong": self.wrong,
            "max_gap_s": round(self.max_gap_s, 4),
            "max_latency_s": round(self.max_latency_s, 4),
        }


def main() -> None:
    """Enter the namespace, watch all targets until end of input, report."""
    job = json.loads(sys.stdin.readline())
    netns.enter(job["namespace"])
    stop = threading.Event()
    watches = [Watch(target, job["interval_s"]) for target in job["targets"]]
    threads = [threading.Thread(target=watch.run, args=(stop,)) for watch in watches]
    for thread in threads:
        thread.start()
    for watch in watches:
        watch.first_done.wait()
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps([watch.report() for watch in watches]), flush=True)


if __name__ == "__main__":
    main()
