"""What `validate` says of those who use a vhost's old paths, or lead above its document root; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from .findings import SECURITY, USER, WARNING, Finding
from .old_paths import (
    LEGACY,
    kept_legacy,
    meant_by_glob,
    names_document_root,
    used_paths,
    without_leaving,
)
from .path_map import below, final_map
from .php_paths import php_climbs, wanted
from .readings import Inspection, Reference
from .surroundings import Serving

SHOWN = 20
"""Findings of a kind that are shown; the rest is counted."""

NEW_PLACES = {"var/log": "web/log", "var/run": "web/run", "var/tmp": "web/tmp"}
KEPT_VALID = "Links keep the old path valid; change it when there is time."


def old_path_users(upath: str, seen: Inspection) -> Iterator[Finding]:
    """What still uses old paths; links keep them valid."""
    for file in seen.unread:
        message = f"{file} was not searched for old paths: it is too large, or the time was up there"
        hint = f"Links keep all old paths valid. Look for {upath} in it yourself before you take them away."
        yield Finding(WARNING, SECURITY, message, hint=hint)
    for ref in seen.references:
        where = f"line {ref.line} names" if ref.line != "0" else "is a link to"
        yield _named(ref, f"{ref.kind}: {ref.file} {where} an old path", _hint_for(ref, upath))
    for kind, count in sorted(seen.more_references.items()):
        message = f"{kind}: and {count} more line(s) name an old path"
        yield Finding(WARNING, SECURITY, message, hint=KEPT_VALID)
    for ref in seen.globs:
        place = meant_by_glob(ref.text, upath)
        if place:
            there = ref.text.split("/")
            depth = place.count("/")
            new = NEW_PLACES.get(place.removeprefix(f"{upath}/"), "web/app/public")
            instead = "/".join([*there[: upath.count("/") + 1], new, *there[depth + 1 :]])
            hint = f"A link at the old place keeps it matching; write {instead} when all vhosts have moved."
            if place.removeprefix(f"{upath}/") in LEGACY:
                hint = "The directory stays for it; move what it names when there is time."
            yield _named(ref, f"{ref.kind}: {ref.file} line {ref.line} finds this vhost by a pattern", hint)


def moving_homes(upath: str, seen: Inspection) -> Iterator[Finding]:
    """Accounts whose home moves: sshd finds their keys through the links at the old place, or not at all."""
    for name, home, new in _homes(upath, seen):
        hint = (
            "A link at the old place keeps the home and the keys in its .ssh valid (not with "
            "--compat never), but what is made in it later is beside the site: after the migration "
            f"{_change(name, new)}."
        )
        yield Finding(WARNING, USER, f"the home of {name} moves", new, home, hint)


def lost_homes(upath: str, seen: Inspection, compat_web: bool, compat_var: bool) -> list[str]:
    """Words on homes that no link will stand for."""
    return [
        f"{name} loses its home {home}, and logins by the keys in its .ssh stop working: no link is left; "
        f"right after the migration {_change(name, new)}"
        for name, home, new in _homes(upath, seen)
        if not (compat_web if below(home, f"{upath}/web") else compat_var)
    ]


def _homes(upath: str, seen: Inspection) -> Iterator[tuple[str, str, str]]:
    """(account, home, its new place) of those whose home moves."""
    paths = final_map(upath)
    for name, home in seen.homes:
        if paths.path(home) != home:
            yield name, home, paths.path(home)


def _change(name: str, home: str) -> str:
    command = f"usermod -d {shlex.quote(home)} {shlex.quote(name)}"
    return f"run {command} (which is refused while processes of it run, such as php-fpm's: then vipw)"


def climbing_php(upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """PHP that leads above web from where it stands."""
    found = list(php_climbs(seen, upath, serving.site.document_root))
    for climb in found[:SHOWN]:
        names = wanted(climb, seen)
        if climb.height <= 2 and names:
            hint = f"Links in web/app keep it valid: {', '.join(names[:5])}." if climb.height == 1 else ""
            hint = hint or f"A link in web keeps it valid: {names[0]}."
            hint += "" if climb.name else " What it asks for there cannot be told, so this is for every name."
        elif climb.height <= 2 and climb.name != ".archive":
            hint = "Nothing stands there today; it will be looked for two levels deeper. Make it absolute."
        else:
            hint = "It leads elsewhere after the migration. Make it absolute."
        yield _named(
            climb.ref, f"PHP: {climb.ref.file} line {climb.ref.line} leads above the document root", hint
        )
    if len(found) > SHOWN:
        yield Finding(
            WARNING,
            SECURITY,
            f"PHP: and {len(found) - SHOWN} more expression(s) lead above the document root",
        )


def leaving_keys(upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """``.ssh`` leaves, unless something of what stays names it: judged as the plan does."""
    if not seen.is_dir(".ssh"):
        return
    configured = [*serving.configured, *serving.named]
    left = without_leaving(seen, upath, configured, stays=False)
    used = [*used_paths(left, upath, serving.site.document_root), *(use.text for use in serving.uses)]
    if ".ssh" not in kept_legacy(used + configured, upath):
        hint = "Logins by keys kept there will stop working."
        yield Finding(WARNING, SECURITY, ".ssh leaves the live tree", hint=hint)


def _named(ref: Reference, message: str, hint: str) -> Finding:
    return Finding(WARNING, SECURITY, message, "", ref.text[:200], hint)


def _hint_for(ref: Reference, upath: str) -> str:
    if ref.kind == "certbot":
        return "A link keeps it valid; change webroot_path after the migration."
    if ref.kind == "php.ini":
        return "Links keep the old path valid; it is for every site, so set it in this vhost's pool instead."
    if names_document_root(ref.text, upath):
        return "Links keep what is there today valid, not what it makes there later: change the path soon."
    return KEPT_VALID
