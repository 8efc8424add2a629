"""What may be called a domain, and the strict grammar of a vhost's settings file."""

from __future__ import annotations

import re

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
MAX_DOMAIN = 253
MAX_SOCKET_PATH = 107
"""Longest path of a Unix socket in bytes; php-fpm cuts longer ones silently (reliability.md F17)."""

ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
KEPT = frozenset(
    {"VHOST", "VNODE", "UPATH", "WPATH", "MPATH", "UUSER", "U_UID", "U_GID", "U_SHL", "WUGID"}
    | {"C_FPM", "C_WEB", "C_SSL", "V_PHP", "VPATH", "OSTYP", "OSREL", "HPATH", "AHOST", "HDOMN", "HNAME"}
)
"""Settings that are kept; anything else in the file may be a secret and is dropped at the door."""


def is_domain(name: str) -> bool:
    """Whether ``name`` is a host name of at least two labels in its ASCII form."""
    labels = name.split(".")
    return len(name) <= MAX_DOMAIN and len(labels) >= 2 and all(LABEL.fullmatch(part) for part in labels)


def parse_settings(text: str) -> dict[str, str]:
    """The known ``KEY=value`` lines of a ``/root/.vhosts`` file; nothing is expanded or executed.

    A value is plain, or in one pair of quotes; one that holds ``$``, a backquote or a stray quote is
    left out, because only a shell could say what it means.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = ASSIGNMENT.fullmatch(line.strip())
        if not match or match[1] not in KEPT:
            continue
        value = match[2].strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        if not re.search(r"[$`'\"\\\x00-\x1f;|&<>]", value):
            found[match[1]] = value
    return found
