"""Reads the host names out of an OpenSSH configuration, for import. What they mean is left to ssh."""

from __future__ import annotations

import glob
import shlex
from pathlib import Path

from ...domain.errors import UsageError

DEPTH = 16
"""OpenSSH's own limit for nested Include."""


def read_names(path: Path) -> list[str]:
    """The names of all ``Host`` lines, Include followed, patterns left out, in order and once each.

    Raises UsageError when the file itself cannot be read; an included one that cannot is passed over,
    as OpenSSH does.
    """
    try:
        text = path.expanduser().read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    return list(dict.fromkeys(_names(text, path.expanduser(), DEPTH)))


def _names(text: str, path: Path, depth: int) -> list[str]:
    found: list[str] = []
    for line in text.splitlines():
        word, values = _split(line)
        if word == "host":
            found += [name for name in values if not set(name) & set("*?!")]
        elif word == "include" and depth > 0:
            for pattern in values:
                for inner in _matching(pattern, path):
                    try:
                        found += _names(inner.read_text("utf-8", "surrogateescape"), inner, depth - 1)
                    except OSError:
                        continue
    return found


def _split(line: str) -> tuple[str, list[str]]:
    """The keyword in lower case and its values; ``Host=a`` and quotes are valid there."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    if words and "=" in words[0]:
        head, _, tail = words[0].partition("=")
        words = [head, *([tail] if tail else []), *words[1:]]
    elif len(words) > 1 and words[1].startswith("="):
        words = [words[0], *([words[1][1:]] if words[1][1:] else []), *words[2:]]
    return (words[0].lower(), words[1:]) if words else ("", [])


def _matching(pattern: str, path: Path) -> list[Path]:
    """The files that an Include means: relative ones are below ~/.ssh, else beside the file."""
    given = Path(pattern).expanduser()
    bases = [given] if given.is_absolute() else [Path("~/.ssh").expanduser() / given, path.parent / given]
    for base in bases:
        matches = sorted(glob.glob(str(base)))
        if matches:
            return [Path(match) for match in matches]
    return []
