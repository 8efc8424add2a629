"""Old paths that something still uses, and relative links in the content that lead out of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from .nginx_sites import Use
from .php_paths import lowest, php_climbs, wanted
from .readings import Inspection, Reference

_ACME = re.compile(r"acme|dehydrated|lego|certbot|letsencrypt|\.well-known", re.IGNORECASE)
"""In the name of a file, or in what it names: an ACME client at work."""

TAKEN = frozenset({"app", "log", "run", "tmp"})
"""Names in web that the new layout needs."""


ANY_OF_THEM = ("web", "var", "var/log", "var/tmp", "bin", "etc")

LEGACY = (".ssh", "bin", "etc")
"""What leaves the live tree at the end, unless something names it."""

_VARYING = re.compile(r"\$\(.*?\)|\$\{.*?\}|\$\w+|%\{\w+\}|%\w|\{\w*\}")
"""What a shell, systemd or a template puts a name in for."""


def kept_legacy(texts: Sequence[str], upath: str) -> tuple[str, ...]:
    """What of the old layout stays, because one of ``texts`` names it."""
    return tuple(name for name in LEGACY if any(names(text, f"{upath}/{name}") for text in texts))


def without_leaving(seen: Inspection, upath: str, configured: Sequence[str], *, stays: bool) -> Inspection:
    """The same without what files in ``bin``, ``etc`` and ``.ssh`` name, where these leave the live tree.

    ``configured``: texts of the configuration; ``stays``: nothing leaves.
    """
    if stays:
        return seen
    kept: set[str] = set()
    while True:
        kinds = {f"vhost/{name}" for name in LEGACY} - {f"vhost/{name}" for name in kept}
        left = replace(
            seen,
            references=tuple(ref for ref in seen.references if ref.kind not in kinds),
            globs=tuple(ref for ref in seen.globs if ref.kind not in kinds),
            more_references={kind: n for kind, n in seen.more_references.items() if kind not in kinds},
        )
        found = {*kept_legacy([*configured, *(text for _, text in named_paths(left, upath))], upath)}
        if found <= kept:
            return left
        kept |= found


def used_paths(seen: Inspection, upath: str, document_root: str | None = None) -> list[str]:
    """Texts that name old paths: lines of files, absolute links, what climbing links and PHP mean."""
    texts = [text for _, text in named_paths(seen, upath)]
    texts += [_meant(link, target) for link, target in seen.climbing if climbs(link, target, upath)]
    for climb in php_climbs(seen, upath, document_root):
        if climb.name:
            texts.append(climb.meant)
        else:
            texts += [f"{upath}/{name}" for name in wanted(climb, seen)]
            texts += [f"{upath}/{name}" for name in ("var/log", "var/tmp") if climb.height == 1]
    return texts


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
    for name, home in seen.homes:
        yield f"the home of {name}", home
    for file in seen.unread:
        yield from ((file, f"{upath}/{place}") for place in ANY_OF_THEM)


def meant_by_glob(pattern: str, upath: str) -> str | None:
    """The old place in which a shell pattern that does not spell it out finds entries, or None."""
    parts = _VARYING.sub("*", pattern).split("/")
    for name in ("var/log", "var/tmp", "var/run", "web", "bin", "etc"):
        place = f"{upath}/{name}".split("/")
        found = len(parts) >= len(place) and all(map(fnmatchcase, place, parts))
        if found and parts[: len(place)] != place:
            return "/".join(place)
    return None


def names(text: str, place: str) -> bool:
    """Whether ``text`` holds the path ``place`` or one below it, at component boundaries."""
    if place not in text:  # compiling the pattern is dear
        return False
    return re.search(rf"(?<![\w.-]){re.escape(place)}(?![A-Za-z0-9._-])", text) is not None


def names_document_root(text: str, upath: str) -> bool:
    """Whether ``text`` holds the old document root itself, or the folder for tokens in it."""
    root = rf"(?<![\w.-]){re.escape(upath)}/web/*"
    return re.search(root + r"(?:\.well-known(?![\w.-])|(?![/\w.-]))", text) is not None


MOVING = ("web", "var/log", "var/run", "var/tmp")

_SERVING = re.compile(r"/(?:nginx|php[^/]*fpm[^/]*)(?:@[^/]*)?\.service(?:\.d/|$)")
"""A unit of nginx or php-fpm, or what is added to one."""


def needed(seen: Inspection, upath: str, uses: Sequence[Use]) -> list[Use]:
    """The uses of moving places without which nginx or PHP would not start or serve: no link, no service.

    What php.ini names is for every site: one that is to be loaded before all others, for one.
    """
    found = [use for use in uses if use.must]
    for ref in seen.references:
        if ref.kind == "php.ini" and any(names(ref.text, f"{upath}/{place}") for place in MOVING):
            found.append(Use(f"{ref.file}:{ref.line}", ref.text, must=True))
    return found


def units_in_need(seen: Inspection, upath: str) -> list[Use]:
    """Where the units of nginx and php-fpm name moving places: started without them, systemd gives up.

    For a moment they may be away, as nothing of a unit is looked at while its service runs.
    """
    return [
        Use(f"{ref.file}:{ref.line}", ref.text, must=True)
        for ref in seen.references
        if ref.kind == "systemd" and _SERVING.search(ref.file)
        if any(names(ref.text, f"{upath}/{place}") for place in (*MOVING, "var"))
    ]


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
    level = posixpath.dirname(link)[len(f"{upath}/web") :].count("/")
    return -lowest(level, target)


def bridges(
    seen: Inspection, upath: str, document_root: str | None
) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Links outside the document root, so that climbing links lead to the same places from two levels deeper.

    The same for PHP that climbs, as far as what it asks for is there.

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
        if height > 2 or not _bridge(made, seen, height, beyond):
            problems.append(f"the link {link} -> {target} would lead elsewhere after the migration")
    for climb in php_climbs(seen, upath, document_root):
        for name in wanted(climb, seen) if climb.height <= 2 else ():
            if not _bridge(made, seen, climb.height, name) and climb.name:
                problems.append(
                    f"{climb.ref.file} line {climb.ref.line} leads to {climb.meant}, "
                    "and would lead elsewhere after the migration"
                )
    return tuple(sorted(made.items())), problems


def _bridge(made: dict[str, str], seen: Inspection, height: int, name: str) -> bool:
    """Whether a link can stand where ``name`` will be looked for; then it is noted."""
    taken = {"public"} if height == 1 else TAKEN | set(seen.entries.get("web", ()))
    if name in taken | {".", ".."} or re.search(r"[\x00-\x1f\x7f]", name):
        return False
    made[f"web/app/{name}" if height == 1 else f"web/{name}"] = f"../../{name}"
    return True


def in_the_way(
    seen: Inspection, upath: str, used: Sequence[str], tmp_used: bool, uses: Sequence[Use]
) -> tuple[list[str], list[str]]:
    """Names in web that the site and the new layout both need: what would break, and what may.

    What is spelled out breaks; a path that a program puts together from web may be one of these, too. The
    entries of the site's own app are found by links in the new one, but for its ``public``. ``uses``: those
    that a link must hold for.
    """
    own = set(seen.entries.get("web", ()))
    clashes = [name for name in ("log", "run", *(("tmp",) if tmp_used else ())) if name in own]
    inner = seen.places.get("web/app/public")
    if "app" in own and inner is not None:
        clashes.append("app/public")
    app = seen.places.get("web/app")
    if app is not None and app.kind == "other":
        clashes.append("app")
    broken, doubtful = [], []
    for name in clashes:
        place = f"{upath}/web/{name}"
        where = [w for w, text in named_paths(seen, upath) if names(text, place) and not _IN_A_LOG.search(w)]
        where += [use.where for use in uses if names(use.text, place)]
        if name == "app/public":
            where += [
                w
                for w, text in named_paths(seen, upath)
                if text.rstrip("/") == f"{upath}/web/app" and not _IN_A_LOG.search(w)
            ]
        if where:
            broken.append(f"{where[0]} names {place}, where the new layout has a place of its own")
        elif any(names(text, f"{upath}/web") for text in used):
            doubtful.append(f"{place} is not the site's own any more when an absolute path leads there")
    return broken, doubtful


_IN_A_LOG = re.compile(r"(\.log(\.\d+)?|error_log)( line \d+)?$")


def links_in_app(seen: Inspection, compat_web: bool) -> bool:
    """Whether the new app needs links for the entries of the site's own."""
    place = seen.places.get("web/app")
    return compat_web and "app" in seen.entries.get("web", ()) and (place is None or place.kind != "other")


def _meant(link: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
