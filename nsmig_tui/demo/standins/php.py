"""Runs the few forms of PHP that the demo's pages use: echo, include, and a handful of names."""

from __future__ import annotations

import os
import re

_TAG = re.compile(r"<\?(?:php\b|=)(.*?)(?:\?>\n?|\Z)", re.DOTALL)
_ECHO = re.compile(r"<\?=")
_PART = re.compile(
    r"""\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|\$_SERVER\['(\w+)'\]|ini_get\('([\w.]+)'\)|(__DIR__)"""
    r"""|(PHP_VERSION)|is_dir\((.*?)\))\s*(?:[.,]|\Z)""",
    re.DOTALL,
)


class Fatal(Exception):
    """What PHP calls a fatal error."""


def run(path: str, server: dict[str, str], values: dict[str, str], depth: int = 0) -> str:
    """The output of the script at ``path``. Raises Fatal."""
    if depth > 5:
        raise Fatal("Uncaught Error: Maximum include depth")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Fatal(f"Failed opening required '{path}': {reason}") from error
    out, at = [], 0
    for match in _TAG.finditer(text):
        out.append(text[at : match.start()])
        code = match[1]
        if _ECHO.match(match[0]):
            code = f"echo {code}"
        out.append(_statements(code, path, server, values, depth))
        at = match.end()
    return "".join([*out, text[at:]])


def _statements(code: str, path: str, server: dict[str, str], values: dict[str, str], depth: int) -> str:
    out = []
    for statement in code.split(";"):
        line = "\n".join(
            part for part in statement.split("\n") if not part.lstrip().startswith(("//", "#"))
        ).strip()
        word, _, rest = line.partition(" ")
        if not word:
            continue
        elif word == "echo":
            out.append(_expression(rest, path, server, values))
        elif word in ("include", "require", "require_once", "include_once"):
            target = _expression(rest, path, server, values)
            out.append(run(os.path.join(os.path.dirname(path), target), server, values, depth + 1))
        else:
            raise Fatal(f"Uncaught Error: the demo's PHP does not know {word!r} in {path}")
    return "".join(out)


def _expression(text: str, path: str, server: dict[str, str], values: dict[str, str]) -> str:
    """Strings and a few names, joined by ``.`` or ``,``."""
    out, at, text = [], 0, text.strip()
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise Fatal(f"Parse error: syntax error in {path}")
        double, single, name, setting, here, version, folder = match.groups()
        if double is not None:
            out.append(double.replace("\\n", "\n").replace('\\"', '"'))
        elif single is not None:
            out.append(single)
        elif name:
            out.append(server.get(name, ""))
        elif setting:
            out.append(values.get(setting, ""))
        elif here:
            out.append(os.path.dirname(path))
        elif version:
            out.append("8.2.28")
        else:
            out.append("1" if os.path.isdir(_expression(folder, path, server, values)) else "")
        at = match.end()
    return "".join(out)
