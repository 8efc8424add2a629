"""Requests that are under way for longer than a change-over takes: answered as if nothing had happened."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from lab import netns
from lab.node import Node
from lab.product import Product
from lab.seed import seed_vhost

pytestmark = pytest.mark.lab

DOMAIN = "slow.test"
LASTS_S = 3.0
RELOADS = 2  # of php-fpm in one migration, or its undo
BODY = b"x" * 4096
UPLOAD = b"POST /echo.php HTTP/1.1\r\nHost: slow.test\r\nConnection: close\r\nContent-Length: 4096\r\n\r\n"
PAGE = b"GET /page.html HTTP/1.1\r\nHost: slow.test\r\nConnection: close\r\n"
KINDS = {"page": (PAGE, b"\r\n"), "upload": (UPLOAD, BODY)}


def statuses(node: Node, work: Callable[[], None]) -> Counter[tuple[str, str]]:
    """Begin slow requests all the time while ``work`` is done; how they were answered."""
    seen: Counter[tuple[str, str]] = Counter()
    threads: list[threading.Thread] = []
    over = threading.Event()

    def one(kind: str) -> None:
        begin, end = KINDS[kind]
        try:
            with netns.connect(node.namespace, 80, timeout_s=30) as line:
                line.sendall(begin)
                time.sleep(LASTS_S)
                line.sendall(end)
                seen[kind, line.recv(12).decode()[9:]] += 1
        except OSError as error:
            seen[kind, repr(error)] += 1

    def all_the_time() -> None:
        while not over.wait(0.1):
            for kind in KINDS:
                threads.append(threading.Thread(target=one, args=(kind,)))
                threads[-1].start()

    begins = threading.Thread(target=all_the_time)
    begins.start()
    try:
        work()
    finally:
        over.set()
        begins.join()
        for thread in threads:
            thread.join()
    return seen


def test_slow_requests_are_answered_there_and_back(node: Node, product: Product) -> None:
    seed_vhost(node, DOMAIN)
    (node.srv / DOMAIN / "web/echo.php").write_text("<?php echo strlen(file_get_contents('php://input'));\n")
    product.ready(node, DOMAIN)
    for verb in (product.migrate, product.rollback):
        results = []
        seen = statuses(node, lambda verb=verb, results=results: results.append(verb(node, DOMAIN)))
        assert results[0].ok, results
        assert not any("nginx still answers" in warning for warning in results[0].warnings)
        # PHP works on an upload for a moment once all of it has come: a reload of php-fpm may meet it there.
        cut_off = seen.pop(("upload", "502"), 0)
        assert {answer for _, answer in seen} == {"200"} and cut_off <= RELOADS, (
            verb.__name__,
            cut_off,
            seen,
        )
