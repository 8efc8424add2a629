"""PHP settings that hold paths: mapped as php-fpm's pools and nginx's ``fastcgi_param`` give them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .path_map import PathMap

_BASEDIR = re.compile(r"""(open_basedir\s*=\s*)([^\n;"'\\]*)""")
_BODY = re.compile(r"""(.*?)([\s"']*)$""", re.DOTALL)


def map_value(paths: PathMap, key: str, raw: str, values: Mapping[str, str]) -> str:
    """One value of a pool, mapped."""
    if "[open_basedir]" in key:
        return map_basedir(paths, raw, values)
    return paths.respell(raw, values)


def map_param(paths: PathMap, raw: str, values: Mapping[str, str]) -> str:
    """The text of ``PHP_VALUE`` or ``PHP_ADMIN_VALUE``, ``key=value`` lines, mapped."""
    out, last = [], 0
    for match in _BASEDIR.finditer(raw):
        out.append(paths.respell(raw[last : match.start(2)], values))
        out.append(map_basedir(paths, match[2], values))
        last = match.end(2)
    return "".join(out) + paths.respell(raw[last:], values)


def map_basedir(paths: PathMap, raw: str, values: Mapping[str, str]) -> str:
    """A list of directories that PHP may open, mapped.

    The top of ``web`` stays: it covers the new places too. What lay in ``var`` may be opened where it goes.
    """
    parts = [paths.straightened(part, values) for part in raw.split(":")]
    places = [paths.place(part, values) for part in parts]
    all_covered = "" in places or "web" in places
    new = []
    for part, place in zip(parts, places, strict=True):
        body, tail = _body(part)
        if place == "web":
            mapped = paths.apply(body, values)
            elsewhere = not (paths.target("web") or "web/").startswith("web/")
            new.append(f"{mapped}:{part}" if elsewhere else part)
        elif place == "var" and not all_covered:
            more = [
                paths.apply(f"{body.rstrip('/')}/{old[4:]}{'/' * body.endswith('/')}", values)
                for old, _ in paths.rules
                if old.startswith("var/")
            ]
            added = [p for p in (one[_start(one) :] for one in more) if p not in raw]
            new.append(":".join([body, *added]) + tail)
        else:
            new.append(paths.respell(part, values))
    return ":".join(new)


def _body(part: str) -> tuple[str, str]:
    """A part, and the quotes and blanks at its end."""
    match = _BODY.match(part)
    return (match[1], match[2]) if match else (part, "")


def _start(part: str) -> int:
    """Where the path begins after quotes and blanks."""
    return len(part) - len(part.lstrip(" \t\"'"))
