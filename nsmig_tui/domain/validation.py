"""The judgements of `validate`: facts in, findings out; pure.

What the migration itself will create is no fault; what is merely odd in a site's content is a warning;
what could not be looked at is an error that says so, never "not there".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .findings import (
    COMPLETENESS,
    CONFIGURATION,
    CRITICAL,
    ERROR,
    PASSED,
    SECURITY,
    SERVICES,
    SETTINGS,
    STRUCTURE,
    USER,
    WARNING,
    Finding,
)
from .layout import layout_findings
from .names import MAX_SOCKET_PATH
from .old_path_findings import climbing_php, leaving_keys, moving_homes, old_path_users
from .old_paths import bridges, in_the_way, needed, used_paths, without_leaving
from .path_map import below
from .planning import moves_tmp
from .pool_rights import lost_rights, nginx_loses, sandboxed
from .readings import Inspection
from .stages import vnode_problems
from .surroundings import Serving, document_root_below, unique

STRUCTURAL = ("web", "msg", "var", "var/log", "var/run", "var/tmp", ".ssh", "bin", "etc", ".archive")
NOT_OURS = "Move it to another name: nsmig keeps its archives there, and an archive does not hold it."
NOT_ARCHIVED = "No archive would hold what is in it. Move it out, or put a plain folder there (cp -a)."
NOT_THERE = "Is its disk mounted? Discover the vnode again to note what is there."
Judge = Callable[[str, str, Inspection, Serving], Iterator[Finding]]


def validate(domain: str, upath: str, seen: Inspection, serving: Serving) -> list[Finding]:
    """All findings on one NS1 vhost, category by category; a silent category gets a ``passed``."""
    judges: tuple[tuple[str, Judge], ...] = (
        (SETTINGS, _settings),
        (USER, _user),
        (STRUCTURE, _structure),
        (CONFIGURATION, _configuration),
        (COMPLETENESS, _completeness),
        (SERVICES, _services),
        (SECURITY, _security),
    )
    configured = serving.configured
    seen = without_leaving(seen, upath, configured, stays=False)
    found: list[Finding] = []
    for category, judge in judges:
        rows = list(judge(domain, upath, seen, serving))
        found += rows or [_silent(category, upath, seen)]
    return found


def _silent(category: str, upath: str, seen: Inspection) -> Finding:
    """What a category says that has no objection: that it passed, or that there was nothing to look at."""
    if category in (USER, SECURITY) and "upath" not in seen.places:
        return Finding(ERROR, category, f"cannot look into {upath}", hint=NOT_THERE)
    return Finding(PASSED, category, "nothing to object to")


def _settings(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    if seen.settings is None:
        return
    s = seen.settings
    web = seen.places.get("web")
    pairs = (
        ("VHOST", domain),
        ("UPATH", upath),
        ("WPATH", f"{upath}/web"),
        ("MPATH", f"{upath}/msg"),
        ("U_UID", str(web.uid) if web else ""),
        ("UUSER", seen.account[0] if seen.account else ""),
    )
    for key, real in pairs:
        said = s.get(key)
        if said and real and said.rstrip("/") != real:
            yield Finding(
                WARNING, SETTINGS, f"{key} does not say what is there", real, said, "Correct it later."
            )


def _user(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    web = seen.places.get("web")
    if web and seen.account is None:
        yield Finding(
            ERROR,
            USER,
            f"web belongs to uid {web.uid}, which no account has",
            "an account",
            str(web.uid),
            "Create the account or correct the owner of web.",
        )
    elif web and web.uid == 0 and not seen.capabilities.unprivileged:
        yield Finding(
            ERROR, USER, "web belongs to root", "the vhost's account", "root", "Give web to its account."
        )
    if seen.capabilities.web_gid is None:
        yield Finding(
            ERROR,
            USER,
            "cannot tell the web server's group: neither nginx's `user` nor www-data or nginx is known",
            actual=seen.capabilities.web_user,
            hint="Is a web server installed? Does the account and group of its `user` exist?",
        )
    upper = seen.places.get("upath")
    if upper and re.fullmatch(r".*[2367]", upper.mode):
        yield Finding(
            ERROR, USER, "everybody may write to the vhost's top directory", "no o+w", upper.mode, "chmod o-w"
        )
    yield from lost_rights(upath, seen, serving)
    yield from nginx_loses(upath, seen, serving)
    yield from moving_homes(upath, seen)


def _apart(seen: Inspection) -> Iterator[Finding]:
    for mount in seen.mounts:
        yield Finding(CRITICAL, STRUCTURE, f"{mount} is a mount point", hint="Unmount it for the migration.")
    for place in sorted(set(seen.apart) - set(seen.mounts)):
        message = f"{place!r} is a file system or a btrfs subvolume of its own"
        yield Finding(CRITICAL, STRUCTURE, message, hint=NOT_ARCHIVED)


def _structure(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    if "upath" not in seen.places:
        yield Finding(CRITICAL, STRUCTURE, f"{upath} is not there", "a directory", "", NOT_THERE)
        return
    if not seen.is_dir("upath"):
        yield Finding(CRITICAL, STRUCTURE, f"{upath} is no real directory", hint="Links are not migrated.")
        return
    for name in STRUCTURAL:
        place = seen.places.get(name)
        if place and place.kind == "link":
            yield Finding(
                CRITICAL,
                STRUCTURE,
                f"{name} is a link",
                "a real directory",
                f"-> {place.target}",
                "A root-run command must not follow it. Put a real directory in its place.",
            )
        elif place and place.kind == "other":
            yield Finding(CRITICAL, STRUCTURE, f"{name} is no directory", hint="Remove or rename it.")
        elif place and place.device != seen.places["upath"].device:
            yield Finding(CRITICAL, STRUCTURE, f"{name} is on another file system", hint="Unmount it first.")
    if "entries" not in seen.tree:
        yield Finding(
            ERROR, STRUCTURE, f"cannot look through {upath}", hint="Are find, stat and awk there and allowed?"
        )
    yield from layout_findings(seen, serving.site)
    top = seen.places.get("vpath")
    if top and top.device != seen.places["upath"].device:
        yield Finding(CRITICAL, STRUCTURE, f"{upath} is a file system of its own", hint="Not supported.")
    if seen.other_project:
        yield Finding(
            CRITICAL,
            STRUCTURE,
            f"{upath} has a quota project of its own, and nothing can be renamed into it",
            hint="Take the project off it for the migration: chattr -R -P, with xfs_quota project -C.",
        )
    yield from _apart(seen)
    if unclear := seen.entries.get("soh", ()):
        yield Finding(
            ERROR,
            STRUCTURE,
            f"{unclear[0]!r} has the byte \\001 in its name, which our lists use for a newline",
            hint="Rename it.",
        )
    for path in seen.immutable:
        yield Finding(ERROR, STRUCTURE, f"{path} is immutable or append-only", hint="chattr -i -a")
    if seen.tree.get("longest", 0) + len(upath) + len("/app/public") > 4000:
        yield Finding(
            ERROR,
            STRUCTURE,
            "a path in web would become too long for the system",
            hint="Shorten the longest path by a dozen characters.",
        )
    known = {"web", "msg", "var", ".ssh", "bin", "etc", ".archive"}
    for name in sorted(set(seen.entries.get("top", ())) - known):
        yield Finding(WARNING, STRUCTURE, f"{name!r} at the top stays where it is")
    for name in sorted(set(seen.entries.get("var", ())) - {"log", "run", "tmp"}):
        yield Finding(WARNING, STRUCTURE, f"var/{name!r} stays where it is")
    for problem in bridges(seen, upath, serving.site.document_root)[1]:
        yield Finding(ERROR, STRUCTURE, problem, hint="Make it absolute.")
    used = used_paths(seen, upath, serving.site.document_root)
    must = needed(seen, upath, serving.uses)
    broken, doubtful = in_the_way(seen, upath, used, moves_tmp(serving, upath, used), must)
    for problem in broken:
        yield Finding(
            ERROR,
            STRUCTURE,
            problem,
            hint="Write a path relative to the file, give the directory another name, or take the line out.",
        )
    for problem in doubtful:
        yield Finding(
            WARNING,
            STRUCTURE,
            problem,
            hint="Absolute paths into web are in use; look whether a program makes such a one of them.",
        )


def _configuration(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    for problem in unique([*serving.problems, *vnode_problems(upath, seen, serving)]):
        where = f" ({problem.where})" if problem.where else ""
        yield Finding(problem.severity, CONFIGURATION, problem.message + where, hint=problem.hint)
    if serving.nginx is None or not serving.site.servers:
        return
    if serving.site.document_root and not document_root_below(serving.site):
        yield Finding(
            ERROR,
            CONFIGURATION,
            "nginx does not serve this vhost from its web directory",
            f"{upath}/web",
            serving.site.document_root,
            "Nothing here would change for visitors; this shape is not supported.",
        )
    for pool in serving.pools:
        socket = serving.paths.apply(pool.listen, {"pool": pool.name})
        if socket != pool.listen and len(socket.encode("utf-8", "surrogateescape")) > MAX_SOCKET_PATH:
            yield Finding(
                ERROR,
                CONFIGURATION,
                f"the new socket's path of the pool [{pool.name}] is too long",
                f"<= {MAX_SOCKET_PATH}",
                socket,
                "Give the pool a `listen` outside of the vhost, for example in /run/php.",
            )
    for pool in serving.pools if serving.master is not None else ():
        if pool.listen.startswith("/") and pool.listen not in seen.listening and seen.listening:
            yield Finding(
                ERROR,
                CONFIGURATION,
                f"nothing listens on {pool.listen} of the pool [{pool.name}]",
                hint="Reload php-fpm, or correct `listen`.",
            )


def _completeness(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    if seen.settings is None:
        yield Finding(
            WARNING, COMPLETENESS, f"there is no /root/.vhosts/{domain}", hint="Not needed to migrate."
        )
        return
    missing = [k for k in ("VHOST", "UPATH", "UUSER", "U_UID", "U_GID", "WPATH") if not seen.settings.get(k)]
    if missing:
        yield Finding(WARNING, COMPLETENESS, f"settings are missing: {', '.join(missing)}")


def _services(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    if seen.nginx is None:
        hint = "Is nginx installed and running?"
        yield Finding(ERROR, SERVICES, "cannot look at nginx", hint=hint, of_vnode=True)
    elif seen.nginx.test_rc:
        said = seen.nginx.objection()
        yield Finding(ERROR, SERVICES, "nginx -t fails", "", said, "Mend it first.", of_vnode=True)
    if seen.nginx is not None and seen.nginx.running is False:
        yield Finding(ERROR, SERVICES, "nginx is not running", hint="Start nginx.", of_vnode=True)
    yield from _exchange(seen, serving)
    if serving.fpm is not None and serving.master is None:
        says = f"no running php-fpm uses {serving.fpm.main}"
        yield Finding(ERROR, SERVICES, says, hint="Start php-fpm.", of_vnode=True)
    yield from sandboxed(upath, seen, serving)
    for config in seen.fpm:
        if serving.fpm is None or config.main != serving.fpm.main:
            continue
        if not config.binary:
            yield Finding(
                ERROR,
                SERVICES,
                f"cannot test {config.main}",
                "php-fpm in PATH",
                "",
                "Its program was not found.",
            )
        if config.test_rc:
            said = config.objection()
            yield Finding(ERROR, SERVICES, "php-fpm -t fails", "", said, "Mend it first.", of_vnode=True)
    for name, runs in seen.mail.items() if "msg" in seen.places else ():
        if not runs:
            yield Finding(
                WARNING,
                SERVICES,
                f"{name} is installed, but does not run",
                hint="The migration leaves mail alone; start it if this vhost's mail is in use.",
            )
    if seen.capabilities.manager == "none":
        yield Finding(
            ERROR,
            SERVICES,
            "no service manager was found",
            "systemd, OpenRC or sysvinit",
            "",
            "Give the reload commands in the settings.",
        )


def _security(domain: str, upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    archive = seen.places.get(".archive")
    root = seen.capabilities.root_id.split(":")[0]
    if archive and archive.kind == "dir" and str(archive.uid) != root:
        yield Finding(
            CRITICAL, SECURITY, ".archive does not belong to root", "root", str(archive.uid), NOT_OURS
        )
    web = seen.places.get("web")
    for name in ("var", "var/log", "var/run", "var/tmp", "msg"):
        place = seen.places.get(name)
        trusted = {0, web.uid if web else 0, seen.capabilities.web_uid}
        if place and place.uid not in trusted and name != "msg":
            yield Finding(WARNING, SECURITY, f"{name} belongs to a foreign uid {place.uid}")
    yield from _root_logs(upath, seen, serving)
    notes = (
        ("writable", "directories that everybody may write to"),
        ("setuid", "files with setuid or setgid"),
        ("foreign", "entries that belong neither to the account nor to the web server"),
        ("hardlink", "files that have another name, by hard links, outside of web; they keep their owner"),
        ("special", "pipes, sockets or devices"),
        ("oddname", "names with control characters"),
    )
    for kind, what in notes:
        if seen.tree.get(f"n_{kind}"):
            some = ", ".join(repr(p)[1:-1] for p in seen.odd.get(kind, ())[:3])
            yield Finding(WARNING, SECURITY, f"{what}: {seen.tree[f'n_{kind}']}", "", some)
    yield from old_path_users(upath, seen)
    yield from climbing_php(upath, seen, serving)
    yield from leaving_keys(upath, seen, serving)


def _exchange(seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """Two renames in place of one exchange are the longer way: more stages of configuration, more reloads."""
    if serving.without_links and "app" in seen.entries.get("web", ()):
        yield Finding(
            ERROR,
            SERVICES,
            "nginx follows no links here (disable_symlinks), and the site has an entry called app",
            "a way to the content that needs no link",
            "web/app of the site in the place of the new web/app",
            "Set disable_symlinks off for this site until the migration is done, or rename the entry.",
        )
    elif serving.without_links and seen.capabilities.exchange != "none":
        yield Finding(
            WARNING,
            SERVICES,
            "nginx follows no links here (disable_symlinks)",
            "links on the way to the content while it moves",
            "two renames, and an nginx configuration that knows both places meanwhile",
            "A request in the instant of a rename can miss a file; none does with disable_symlinks off.",
        )
    elif seen.capabilities.exchange == "none":
        yield Finding(
            WARNING,
            SERVICES,
            "directories cannot change places in one step here",
            "perl or mv --exchange, and a file system that can",
            "two renames, and an nginx configuration that knows both places meanwhile",
            "Install perl, or coreutils 9.5 or later, for the shorter way.",
        )


def _root_logs(upath: str, seen: Inspection, serving: Serving) -> Iterator[Finding]:
    """nginx's master opens literal log paths as root; a directory that the account writes to is a trap.

    Source: reliability.md E10, the class of CVE-2016-1247.
    """
    log = seen.places.get("var/log")
    if serving.nginx is None or log is None or log.uid == 0:
        return
    for used in serving.nginx.used_below(f"{upath}/var/log"):
        literal = not any("$" in value for value in used.placed.directive.values[:1])
        if literal and used.placed.directive.name in ("access_log", "error_log") and below(used.path, upath):
            yield Finding(
                WARNING,
                SECURITY,
                "root opens log files in a directory that the account can write to",
                "a directory of root's",
                used.path,
                "A link planted there would be followed. Consider $host in the path or logs elsewhere.",
            )
            return
