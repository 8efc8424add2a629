"""What PHP's and nginx's workers may do in the vhost's folders today and could no longer after a migration.

The migration gives these folders to the account, with modes that let nobody else write. That is no matter
for a pool that runs as the account; any other may lose sessions, logs and uploads by it, and nginx what it
writes by WebDAV.
"""

from __future__ import annotations

from collections.abc import Iterator

from .findings import ERROR, SERVICES, USER, WARNING, Finding
from .fpm_pools import Pool
from .nginx_writes import Writing, writings
from .old_paths import names, used_paths
from .path_map import below
from .readings import Inspection, Place
from .surroundings import Serving

NEW_MODES = {"web": 0o755, "var/log": 0o750, "var/tmp": 0o750}
"""Folders in which PHP may write -> their modes in the new layout."""

ENTER, WRITE = 1, 2


def lost_rights(upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """An error for each pool that would lose a right; a warning where that hangs on groups we cannot see."""
    web = seen.places.get("web")
    if web is None or seen.account is None or seen.capabilities.unprivileged:
        return
    if web.uid == 0:  # an error by itself, until it is known whose vhost it is; and no pool is to run as root
        return
    for pool in serving.pools:
        if not pool.user or pool.user in (seen.account[0], str(web.uid)):
            continue
        sure, perhaps = [], []
        for name, mode in NEW_MODES.items():
            if not seen.is_dir(name) or not _concerns(name, upath, seen, pool):
                continue
            place = seen.places[name]
            now, at_most = _rights(seen, pool, place)
            # the new owner is the account, the new group the web server's
            then, _ = _rights(seen, pool, _after(place, mode, seen))
            words = f"{name} ({place.mode} {place.uid}:{place.gid} -> {mode:o})"
            if now & ~then:
                sure.append(words)
            elif at_most & ~then:
                perhaps.append(words)
        yield from _findings(pool, sure, perhaps, seen)


def _findings(pool: Pool, sure: list[str], perhaps: list[str], seen: Inspection) -> Iterator[Finding]:
    account = seen.account[0] if seen.account else ""
    who = f"the pool [{pool.name}] runs as {pool.user}"
    hint = (
        f"Let it run as {account} (user = {account}) and give it its files; or, where the right is not used, "
        "take it away (chmod) and validate again."
    )
    if sure:
        message = f"{who} and could no longer write to or enter {', '.join(sure)} ({pool.where})"
        yield Finding(ERROR, USER, message, account, pool.user, hint)
    elif seen.tree.get("n_foreign") and _uid(seen, pool) != seen.capabilities.web_uid:
        count = seen.tree["n_foreign"]
        message = f"{who}, and {count} entries in web that may be its own would get the account's ownership"
        yield Finding(ERROR, USER, f"{message} ({pool.where})", account, pool.user, hint)
    elif perhaps:
        message = f"{who} and, if it is in their groups, could no longer write to {', '.join(perhaps)}"
        yield Finding(WARNING, USER, f"{message} ({pool.where})", account, pool.user, hint)


def _concerns(name: str, upath: str, seen: Inspection, pool: Pool) -> bool:
    """Whether PHP of this pool may work there: it serves from ``web``; elsewhere something has to say so."""
    path = f"{upath}/{name}"
    return name == "web" or names(pool.text, path) or any(names(t, path) for t in used_paths(seen, upath))


def _after(place: Place, mode: int, seen: Inspection) -> Place:
    gid = seen.capabilities.web_gid
    return Place("dir", seen.places["web"].uid, -1 if gid is None else gid, f"{mode:o}")


def _rights(seen: Inspection, pool: Pool, place: Place) -> tuple[int, int]:
    """What the pool's workers may do in a folder, of entering and writing: surely, and at most.

    Of an account that is neither the vhost's nor the web server's no number is known: what belongs to a
    stranger is taken for its own.
    """
    return _judge(seen, place, _uid(seen, pool), _gids(seen, pool))


def _judge(seen: Inspection, place: Place, uid: int | None, gids: set[int | None]) -> tuple[int, int]:
    bits = int(place.mode or "0", 8)
    owner, group, other = (bits >> 6) & (ENTER | WRITE), (bits >> 3) & (ENTER | WRITE), bits & (ENTER | WRITE)
    stranger = place.uid not in (0, seen.places["web"].uid, seen.capabilities.web_uid)
    if place.uid == uid or (uid is None and stranger):
        return owner, owner
    if place.gid in gids:
        return group, group
    return other, other if place.gid in (0, seen.capabilities.web_gid) else other | group


def _uid(seen: Inspection, pool: Pool) -> int | None:
    if pool.user == seen.capabilities.web_user:
        return seen.capabilities.web_uid
    return int(pool.user) if pool.user.isdecimal() else None


def _gids(seen: Inspection, pool: Pool) -> set[int | None]:
    """The groups that the pool is known to have; php-fpm takes the account's own where none is set."""
    can, account = seen.capabilities, seen.account
    group = pool.group or (pool.user if pool.user == can.web_user else "")
    if group.isdecimal():
        return {int(group)}
    if group and group == can.web_user:
        return {can.web_gid}
    return {account[2]} if account and group == account[0] else set()


def nginx_loses(upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """The same for nginx itself, in the folders that change their owner and mode."""
    can = seen.capabilities
    if serving.blocks is None or "web" not in seen.places or can.web_uid is None or can.unprivileged:
        return
    told: dict[str, Writing] = {}
    for writing in writings(serving.blocks, serving.site):
        name = _changing(writing.folder, upath, seen)
        if name and seen.is_dir(name):
            told.setdefault(name, writing)
    for name, writing in told.items():
        place = seen.places[name]
        now, at_most = _judge(seen, place, can.web_uid, {can.web_gid})
        then, _ = _judge(seen, _after(place, NEW_MODES[name], seen), can.web_uid, {can.web_gid})
        if not at_most & ~then & WRITE:
            continue
        sure = bool(now & ~then & WRITE)
        perhaps = "" if sure else ", if it is in the folder's group,"
        modes = f"{place.mode} {place.uid}:{place.gid} -> {NEW_MODES[name]:o}"
        message = (
            f"nginx runs as {can.web_user} and{perhaps} could no longer write to {name} ({modes}) "
            f"for {writing.name} ({writing.where})"
        )
        hint = (
            f"Let {writing.name} write to a folder of its own below {name}, which keeps its rights; or, "
            f"where nothing is written, take {writing.name} out, or the right (chmod), and validate again."
        )
        yield Finding(ERROR if sure else WARNING, USER, message, "", writing.folder, hint)


def _changing(folder: str, upath: str, seen: Inspection) -> str:
    """The structural folder in which nginx makes files, or a folder for them; empty where rights stay."""
    for name in NEW_MODES:
        if folder == f"{upath}/{name}":
            return name
    first = folder.removeprefix(f"{upath}/web/").split("/")[0]
    made = folder.startswith(f"{upath}/web/") and first not in seen.entries.get("web", ())
    return "web" if made else ""


def sandboxed(upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """php-fpm may write to places of today in the vhost, and not to those that take their place.

    It would end at the reload, for every site, since it cannot make its socket or open its logs.
    """
    master, top = serving.master, seen.real or upath
    if master is None:
        return
    covering = [(len(at), number, way) for number, (way, at) in enumerate(master.mounts) if below(top, at)]
    if not covering or max(covering)[2] != "ro":
        return
    inside = any(below(socket, upath) for socket in serving.sockets)
    if inside or any(way == "rw" and below(at, top) for way, at in master.mounts):
        unit = master.unit or "php-fpm's unit"
        yield Finding(
            ERROR,
            SERVICES,
            f"{unit} lets php-fpm write to some places in {upath}, not to those that the migration makes",
            f"ReadWritePaths={top}",
            "read-only, as ProtectSystem=strict makes it",
            f"Add ReadWritePaths={top} to the unit (systemctl edit), restart php-fpm, then validate again.",
        )
