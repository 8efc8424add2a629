"""PHP that leads above the document root from where it stands: `__DIR__ . '/../private'` and the like.

The site's files get two levels deeper; what was looked for beside web is looked for in web/app then. What is
read are expressions, not programs: where the end of a path cannot be told, all that is beside web counts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .readings import Inspection, Reference

_BASE = re.compile(
    r"""(?P<dirs>(?:dirname[ \t]*\([ \t]*)*)
    (?P<base>__DIR__|__FILE__|ABSPATH|\$_SERVER\[["']?DOCUMENT_ROOT["']?\])
    (?P<closed>(?:[ \t]*(?:,[ \t]*\d+[ \t]*)?\))*)[ \t}]*(?:\.[ \t]*["'])?(?P<rest>/.*)?""",
    re.VERBOSE | re.DOTALL,
)
_STRING = re.compile(r"""["'](?P<rest>/?\.\..*?)(?P<end>["']?)""", re.DOTALL)
_BETWEEN = re.compile(r"""(?:DIRECTORY_SEPARATOR|DS)[ \t]*\.[ \t]*["']\.\.""")

NEVER = frozenset({".archive", ".ssh", "msg", "web", "public"})
"""Names that PHP does not get for an expression that may mean any name."""


@dataclass(frozen=True)
class PhpClimb:
    """One such expression. ``height``: levels above web; ``name``: what it asks for there, "" for anything.

    ``there``: whether that stands there today; ``meant`` is the whole path.
    """

    ref: Reference
    height: int
    name: str
    there: bool
    meant: str


def target_of(text: str) -> tuple[bool, str] | None:
    """(whether from the document root, relative path) of an expression; None where it is no path."""
    if _BETWEEN.fullmatch(text):
        return False, ".."
    string = _STRING.fullmatch(text)
    if string is not None:
        # what cleans up paths names these two by themselves
        return None if string["rest"] in ("..", "../") else (False, _literal(string["rest"]))
    match = _BASE.fullmatch(text)
    if match is None:
        return None
    closed = match["closed"].count(")")
    levels = re.findall(r",[ \t]*(\d+)", match["closed"])
    opened = match["dirs"].count("dirname")
    up = min(opened, closed) + sum(int(n) - 1 for n in levels)
    rest = _literal(match["rest"] or "")
    if opened > closed:
        rest = posixpath.dirname(rest)
    if match["base"] == "__FILE__":
        up -= 1
    return "DOCUMENT_ROOT" in match["base"], ("../" * up if up >= 0 else "file/") + rest


def _literal(rest: str) -> str:
    """A path up to where a variable decides, without its first slash."""
    known = re.split(r"[${*]", rest, maxsplit=1)[0]
    if known != rest:
        known = known[: known.rfind("/") + 1]
    return known.lstrip("/")


def php_climbs(seen: Inspection, upath: str, document_root: str | None = None) -> Iterator[PhpClimb]:
    """The expressions of the site's PHP that lead above web."""
    for ref in seen.php_climbs:
        target = target_of(ref.text)
        if target is None:
            continue
        from_root, path = target
        web = f"{upath}/web"
        start = (document_root or web) if from_root else posixpath.dirname(ref.file)
        height = -lowest(start[len(web) :].count("/"), path)
        if height <= 0 or not (start + "/").startswith(web + "/"):
            continue
        meant = posixpath.normpath(posixpath.join(start, path))
        top = upath if height == 1 else posixpath.dirname(upath)
        name = "" if meant == top else posixpath.relpath(meant, top).split("/")[0]
        beside = seen.entries.get("top", ()) if height == 1 else seen.siblings
        there = name in beside or not name
        # a mere string may be an address, and WordPress looks there by default
        if there or (ref.text[0] not in "\"'" and "ABSPATH" not in ref.text):
            yield PhpClimb(ref, height, name, there, meant)


def lowest(level: int, path: str) -> int:
    """The lowest level that ``path`` reaches on its way, from ``level`` levels below web; at most 0."""
    low = min(level, 0)
    for part in path.split("/"):
        level += {"..": -1, "": 0, ".": 0}.get(part, 1)
        low = min(low, level)
    return low


def wanted(climb: PhpClimb, seen: Inspection) -> list[str]:
    """The names beside web (or beside UPATH) that an expression needs where it will look for them."""
    if climb.name:
        return [climb.name] if climb.there and climb.name != ".archive" else []
    if climb.height != 1:
        return []
    return [n for n in seen.entries.get("top", ()) if n not in NEVER]
