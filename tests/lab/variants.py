"""Nodes that lack something or have something else in its place. ``Node.reset`` takes all of it back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.node import Node


def without_perl(node: Node) -> None:
    """No perl on the node: no renameat2 by syscall."""
    node.sh("mv /usr/bin/perl /usr/bin/perl.off; ! command -v perl")


def busybox_first(node: Node) -> None:
    """BusyBox applets come before GNU's tools in the path of every login and of sudo, ``sh`` included."""
    node.sh(
        "for applet in $(busybox --list); do"
        " if [ -e /usr/bin/$applet ] || [ -e /usr/sbin/$applet ]; then"
        " case $applet in su|login|passwd|mount|umount|busybox) ;;"
        ' *) ln -s /bin/busybox "/usr/local/bin/$applet" ;; esac; fi; done'
    )


def replace_tool(node: Node, name: str, script: str) -> None:
    """Put a script before the real tool; ``$REAL`` in it is the real one's path."""
    real = node.sh(f"command -v {name}").stdout.strip()
    target = node.root / "usr/local/bin" / name
    target.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    os.chmod(target, 0o755)
