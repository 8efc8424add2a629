"""Old paths that something still uses, and relative links in the content that lead out of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from .readings import Inspection, Reference

_ACME = re.compile(r"acme|dehydrated|lego|certbot|letsencrypt|\.well-known", re.IGNORECASE)
"""In the name of a file, or in what it names: an ACME client at work."""

TAKEN = frozenset({"app", "log", "run", "tmp"})
"""Names in web that the new layout needs."""


ANY_OF_THEM = ("web", "var", "var/log", "var/tmp", "bin", "etc")


def used_paths(seen: Inspection, upath: str) -> list[str]:
    """Texts that name old paths: lines of files, targets of absolute links, what climbing links mean."""
    texts = [text for _, text in named_paths(seen, upath)]
    return texts + [_meant(link, target) for link, target in seen.climbing if climbs(link, target, upath)]


def named_paths(seen: Inspection, upath: str) -> Iterator[tuple[str, str]]:
    """(where, absolute old path) of all that names one; the top directory alone may mean anything in it."""
    for ref in seen.references:
        where = f"{ref.file} line {ref.line}"
        yield where, ref.text
        if ref.text.rstrip("/") == upath:
            for place in ANY_OF_THEM:
                yield where, f"{upath}/{place}"
    for ref in seen.globs:
        place = meant_by_glob(ref.text, upath)
        if place:
            yield f"{ref.file} line {ref.line}", place
    yield from seen.old_links


def meant_by_glob(pattern: str, upath: str) -> str | None:
    """The old place in which a shell pattern that does not spell it out finds entries, or None."""
    parts = pattern.split("/")
    for name in ("var/log", "var/tmp", "var/run", "web"):
        place = f"{upath}/{name}".split("/")
        found = len(parts) > len(place) and all(map(fnmatchcase, place, parts))
        if found and parts[: len(place)] != place:
            return "/".join(place)
    return None


def names(text: str, place: str) -> bool:
    """Whether ``text`` holds the path ``place`` or one below it, at component boundaries."""
    return re.search(rf"(?<![\w.-]){re.escape(place)}(?![A-Za-z0-9._-])", text) is not None


def names_document_root(text: str, upath: str) -> bool:
    """Whether ``text`` holds the old document root itself, or the folder for tokens in it."""
    root = rf"(?<![\w.-]){re.escape(upath)}/web/*"
    return re.search(root + r"(?:\.well-known(?![\w.-])|(?![/\w.-]))", text) is not None


def token_writers(seen: Inspection, upath: str) -> list[Reference]:
    """What makes tokens for certificates below the old document root, and takes them away again.

    Such a client makes ``.well-known`` when it is not there. A link for it must stand at the old place
    before, also where nothing of that name is in the content today.
    """
    return [
        ref
        for ref in seen.references
        if names_document_root(ref.text, upath)
        and (ref.kind == "certbot" or _ACME.search(f"{ref.file} {ref.text}") is not None)
    ]


def climbs(link: str, target: str, upath: str) -> int:
    """How many levels above web the relative ``target`` of ``link`` leads on its way; 0: it stays inside."""
    level = lowest = posixpath.dirname(link)[len(f"{upath}/web") :].count("/")
    for part in target.split("/"):
        level += {"..": -1, "": 0, ".": 0}.get(part, 1)
        lowest = min(lowest, level)
    return max(-lowest, 0)


def bridges(seen: Inspection, upath: str) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Links outside the document root, so that climbing links lead to the same places from two levels deeper.

    Answers (place below UPATH, target) pairs, and what cannot be helped. From the new place of the content,
    what was a name beside web is looked for in web/app, what was one beside UPATH in web.
    """
    made: dict[str, str] = {}
    problems = []
    for link, target in seen.climbing:
        height = climbs(link, target, upath)
        if not height:
            continue
        base = upath if height == 1 else posixpath.dirname(upath)
        beyond = posixpath.relpath(_meant(link, target), base).split("/")[0]
        taken = {"public"} if height == 1 else TAKEN | set(seen.entries.get("web", ()))
        if height > 2 or beyond in taken | {".", ".."} or re.search(r"[\x00-\x1f\x7f]", beyond):
            problems.append(f"the link {link} -> {target} would lead elsewhere after the migration")
        else:
            made[f"web/app/{beyond}" if height == 1 else f"web/{beyond}"] = f"../../{beyond}"
    return tuple(sorted(made.items())), problems


def _meant(link: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
