"""The ProxyCommand of a ``Link``: ``python link_proxy.py NAMESPACE CONTROL_DIRECTORY``.

Carries bytes between its standard streams and the node's sshd as the word in CONTROL_DIRECTORY/mode says.
``open``: carry. ``frozen``: carry nothing, close nothing (a half-open connection). ``cut``: end at once.
``cut-down N`` and ``cut-up N``: end after N bytes from, or to, the node. One line for each connection is
added to CONTROL_DIRECTORY/connections.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import netns

POLL_S = 0.01


def _write_all(target: int, data: bytes) -> None:
    """Write everything."""
    while data:
        data = data[os.write(target, data) :]


def main() -> None:
    """Carry until one side ends or the link is cut."""
    namespace, control = sys.argv[1], Path(sys.argv[2])
    with (control / "connections").open("a") as handle:
        handle.write(f"{os.getpid()}\n")
    mode = (control / "mode").read_text().split()
    if mode[0] == "cut":
        return
    link = netns.connect(namespace, 22)
    link.settimeout(None)
    node = link.fileno()
    target = {0: node, node: 1}
    direction = {0: "cut-up", node: "cut-down"}
    carried = {"cut-up": 0, "cut-down": 0}
    while True:
        mode = (control / "mode").read_text().split() or mode
        if mode[0] == "cut":
            return
        if mode[0] == "frozen":
            select.select([], [], [], POLL_S)
            continue
        for source in select.select([0, node], [], [], POLL_S)[0]:
            data = os.read(source, 65536)
            way = direction[source]
            left = int(mode[1]) - carried[way] if mode[0] == way else len(data)
            _write_all(target[source], data[: max(0, left)])
            carried[way] += len(data)
            if not data or left < len(data):
                return


if __name__ == "__main__":
    main()
