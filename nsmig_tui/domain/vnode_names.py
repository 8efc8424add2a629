"""What a vnode may be called and where its vhosts may lie; the same for both faces."""

from __future__ import annotations

import re
from dataclasses import replace

from .errors import UsageError
from .fleet import Vnode

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
ALIAS = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9._:%\[\]-]{0,252}")


def checked(vnode: Vnode) -> Vnode:
    """``vnode`` with a tidy vpath. Raises UsageError for names that no server could have."""
    if not NAME.fullmatch(vnode.name):
        raise UsageError(
            f"{vnode.name!r} is no name for a vnode.", hint="Letters, digits, dot, dash, underscore."
        )
    if vnode.ssh_host and (not ALIAS.fullmatch(vnode.ssh_host) or vnode.ssh_host.count(":") == 1):
        raise UsageError(
            f"{vnode.ssh_host!r} is no name of an SSH host.",
            hint="An account or port goes into ~/.ssh/config: Host, User, Port.",
        )
    if not vnode.vsite or not vnode.vsite.isprintable():
        raise UsageError(f"{vnode.vsite!r} is no name for a vsite.")
    parts = [part for part in vnode.vpath.split("/") if part not in ("", ".")]
    if not vnode.vpath.startswith("/") or not parts or ".." in parts or not vnode.vpath.isprintable():
        raise UsageError(
            f"{vnode.vpath!r} cannot be the parent of vhosts.", hint="Give an absolute directory."
        )
    # A path may begin with two slashes and mean another place; we mean the plain one.
    return replace(vnode, vpath="/" + "/".join(parts))
