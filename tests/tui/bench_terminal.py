"""Measures the application on a real pseudo-terminal: ``python tests/tui/bench_terminal.py [VNODES VHOSTS]``.

Prints first paint, time from a key to the first byte drawn, filter time, memory; then the CPU share and
bytes per second with 200 runs moving at 10 Hz. Not a test: it asserts nothing and depends on the machine.
"""

import os
import resource
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

from pty_terminal import Terminal

from nsmig_tui.domain.fleet import Layout, Status, Vhost, Vnode
from nsmig_tui.store.fleet_store import Store

KEYS = (
    ("down", (b"j", b"j")),
    ("page down", (b"\x1b[6~", b"\x1b[6~")),
    ("mark", (b" ",)),
    ("end, home", (b"G", b"g")),
)
QUERIES = (b"shop07", b"~s07", b"status:failed")
HERE = Path(__file__).parent


def fill(path, vnodes, each):
    """A database with that many vnodes, and so many vhosts on each."""
    store, states = Store(path), list(Status)
    details = {
        "size": 1 << 28,
        "php": "/etc/php/8.2/fpm/php-fpm.conf",
        "names": ["a", "b"],
        "settings": {"A": "b"},
    }
    for number in range(vnodes):
        name = f"vn{number:04d}.example.net"
        store.save_vnode(Vnode(name, f"site{number % 20:02d}", last_contact=time.time()))
        names = [f"shop{at:03d}.customer{number:04d}.example.org" for at in range(each)]
        store.save_vhosts(
            [
                Vhost(name, domain, states[(number + at) % 5], Layout.NS1, "u", 1000, 33, details=details)
                for at, domain in enumerate(names)
            ]
        )
    store.close()


def pressed(terminal, key, quiet=0.15):
    """Milliseconds to the first byte, milliseconds of CPU until it is quiet, bytes."""
    before = terminal.cpu()
    first, count = terminal.key(key, quiet)
    return first, 1000 * (terminal.cpu() - before), count


def show(name, found):
    """One line: median and worst time, CPU, bytes."""
    took = sorted(first for first, _cpu, count in found if count) or [float("nan")]
    work, count = (statistics.median(one[at] for one in found) for at in (1, 2))
    line = f"{statistics.median(took):6.1f} ms (worst {took[-1]:.1f}), {work:5.1f} ms of CPU"
    print(f"{name:<24} {line}, {count:.0f} bytes")


def bench_fleet(vnodes, each):
    """Start, keys and filter on a big fleet."""
    with tempfile.TemporaryDirectory() as place:
        fill(Path(place) / "nsmig.db", vnodes, each)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "NSMIG_DATA_DIR": place,
            "NSMIG_CONFIG_DIR": place,
        }
        program = [sys.executable, "-m", "nsmig_tui"]
        paints, work = [], []
        for _ in range(5):
            terminal = Terminal(program, environment)
            paints.append(terminal.until(b"site00"))
            work.append(terminal.cpu())
            terminal.read(1.0)
            terminal.end()
        print(f"first paint          {statistics.median(paints):.3f} s, best {min(paints):.3f}", end=" ")
        print(f"({statistics.median(work):.2f} s of CPU)")
        terminal = Terminal(program, environment)
        terminal.until(b"site00")
        terminal.until(f"{vnodes * each:,} vhosts".encode())
        print(f"whole fleet counted  {time.perf_counter() - terminal.begun:.3f} s")
        terminal.read(1.0)
        terminal.key(b"O", 1.0)
        for name, keys in KEYS:
            show(f"key {name}", [pressed(terminal, key) for _ in range(8) for key in keys])
        terminal.key(b"/", 0.3)
        for query in QUERIES:
            letters = [(chr(letter), pressed(terminal, bytes([letter]), 0.3)) for letter in query]
            for letter, found in letters:
                show(f"filter {query.decode()}, {letter!r}", [found])
            terminal.key(b"\x15", 0.3)
        print(
            f"memory               {terminal.status('VmRSS'):.0f} MiB (peak {terminal.status('VmHWM'):.0f})"
        )
        terminal.end()


def bench_runs(count=200, seconds=8.0):
    """The runs screen with ``count`` runs, each of which ticks ten times a second."""
    environment = {**os.environ, "TERM": "xterm-256color"}
    terminal = Terminal([sys.executable, str(HERE / "bench_runs_app.py"), str(count)], environment)
    terminal.until(b"running")
    time.sleep(1)
    terminal.read(0.05, 0.5)
    cpu, start, drawn = terminal.cpu(), time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        if select.select([terminal.master], [], [], 0.2)[0]:
            drawn += len(os.read(terminal.master, 1 << 16))
    took = time.perf_counter() - start
    share = 100 * (terminal.cpu() - cpu) / took
    print(f"{count} runs at 10 Hz     {share:.1f} % of a core, {drawn / took / 1000:.1f} kB/s")
    terminal.process.kill()
    terminal.process.wait()


if __name__ == "__main__":
    wanted = [int(word) for word in sys.argv[1:3]] or [1000, 100]
    bench_fleet(*wanted)
    bench_runs()
    print(f"(this harness used {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB)")
