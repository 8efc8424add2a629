"""What may be called a domain, and the strict grammar of a vhost's settings file."""

from __future__ import annotations

import re

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
MAX_DOMAIN = 253
MAX_SOCKET_PATH = 107
"""Longest path of a Unix socket in bytes; php-fpm cuts longer ones silently (reliability.md F17)."""

ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
VALUE = re.compile(r"""(?:'([^']*)'|"([^"]*)"|([^ \t]*))(?:[ \t]+#.*|[ \t]*)""", re.DOTALL)
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

    A value is one plain word, or in one pair of quotes, and a comment may follow. One that holds ``$``,
    a backquote or a stray quote is left out, because only a shell could say what it means.
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        match = ASSIGNMENT.fullmatch(line.strip())
        value = VALUE.fullmatch(match[2]) if match and match[1] in KEPT else None
        if not match or not value:
            continue
        plain = next(part for part in value.groups() if part is not None)
        if not re.search(r"[$`'\"\\\x00-\x1f;|&<>]", plain):
            found[match[1]] = plain
    return found
