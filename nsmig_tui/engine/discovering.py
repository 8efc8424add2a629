"""`node check` and `discover`: what a vnode is, and which vhosts stand on it in which layout."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from ..domain.errors import ConnectError, ExitCode, NsmigError, Refused
from ..domain.events import Emit, Found, Result
from ..domain.fleet import ON_THE_VNODE, Layout, Status, Vhost, Vnode
from ..domain.fpm_pools import FpmModel, find_pools
from ..domain.layout import (
    JournalView,
    at_work,
    layout_on_disk,
    migrated_at,
    read_journal,
    status_from_disk,
)
from ..domain.names import is_domain
from ..domain.nginx_model import NginxModel
from ..domain.nginx_sites import find_site
from ..domain.readings import Capabilities, Discovery, FoundVhost
from ..domain.surroundings import fpm_models, nginx_model
from . import reading
from .bookkeeping import Bookkeeper
from .desk import Desk, same_machine

RUNNING = " is running on it"
"""In what is said of a vhost that a run works on just now."""

LOST = "the record of its migration is not on the server any more"
"""Said of a vhost that only the record beside its archives tells to be migrated."""

RECENT = 1000
"""Runs of a vnode among which those are looked for that were recorded while it was asked."""

VPATH_STATES = {"missing": "is not there", "other": "is no directory", "unreadable": "cannot be read"}


async def check(desk: Desk, name: str) -> dict[str, Any]:
    """Connect and probe. Raises ConnectError when there is no way in."""
    vnode = desk.vnode(name)
    shell = await desk.shell(vnode)
    can = await reading.probe(shell, vnode, desk.scripts)
    same_machine(vnode, can)
    # who the web server is takes its configuration to tell, which a probe does not read
    known = {key: vnode.facts[key] for key in ("web_uid", "web_gid") if vnode.facts.get(key) is not None}
    desk.saw(vnode, replace(can, **known))
    vpath_is_there(vnode, can)
    return {
        "ok": True,
        "vnode": name,
        "os": can.os,
        "hostname": can.hostname,
        "machine_id": can.machine_id,
        "manager": vnode.service.get("manager", can.manager),
        "exchange": can.exchange,
        "tar": can.tar,
        "gzip": can.gzip,
        "tools": sorted(can.tools),
        "avail_kb": can.avail_kb,
        "vpath": vnode.vpath,
    }


def vpath_is_there(vnode: Vnode, can: Capabilities) -> None:
    """Refuse to conclude anything from a VPATH that cannot be looked into."""
    if can.vpath == "ok":
        return
    raise Refused(
        f"{vnode.vpath}, the parent of all vhosts of {vnode.name}, "
        f"{VPATH_STATES.get(can.vpath, 'could not be looked into')}",
        hint="Is its disk mounted? Another directory is told with: nsmig node add --vpath DIR.",
        vnode=vnode.name,
    )


async def discover(desk: Desk, name: str, emit: Emit) -> list[Result]:
    """Import what stands below VPATH; a vhost that has gone is marked, never deleted."""
    vnode = desk.vnode(name)
    books = desk.books("discover", name, "", emit)
    try:
        shell = await desk.shell(vnode)
        seen = await reading.discover(shell, vnode, desk.scripts)
        same_machine(vnode, seen.capabilities)
        vpath_is_there(vnode, seen.capabilities)
    except asyncio.CancelledError:
        books.cut_off()
        raise
    except NsmigError as error:
        books.errors.append(error.message)
        books.hint = error.hint
        code = error.exit_code if isinstance(error, ConnectError) else ExitCode.REFUSED
        return [books.end("failed", None, code=code)]
    vnode = desk.saw(vnode, seen.capabilities)
    results = _import(desk, vnode, seen, books)
    results += _mark_vanished(desk, vnode, seen, books)
    books.end("ok", None)
    return results


def _import(desk: Desk, vnode: Vnode, seen: Discovery, books: Bookkeeper) -> list[Result]:
    model, _ = nginx_model(seen.nginx)
    pools = fpm_models(seen.fpm)
    dirs = tuple(v.name for v in seen.vhosts if v.kind == "dir")
    results = []
    meanwhile = _recorded_since(desk, vnode, books.started)
    links: dict[str, list[str]] = {}
    for found in seen.vhosts:
        if found.kind == "link":
            links.setdefault(found.target.rstrip("/").rsplit("/", 1)[-1], []).append(found.name)
    for found in seen.vhosts:
        why = _not_a_vhost(found)
        if why:
            note = Found(vnode.name, found.name, books.run, note=why)
            books.tell(note)
            results.append(Result(vnode.name, found.name, books.run, ok=True, skipped=True, warnings=(why,)))
            continue
        was = desk.store.vhost(vnode.name, found.name)
        runner = seen.runners.get(found.name, "")
        if was and found.name in meanwhile:
            vhost = was  # a run has told more than what was read before it ended
        else:
            served = _served(vnode, found.name, model, pools, dirs, tuple(links.get(found.name, ())))
            vhost = _vhost(vnode, found, seen, was, served)
            desk.store.save_vhost(vhost)
        books.tell(Found(vnode.name, vhost.domain, books.run, str(vhost.status), str(vhost.layout)))
        warning = vhost.last_error if vhost.status is Status.FAILED or vhost.last_error == LOST else ""
        hint = vhost.last_hint if warning else ""
        journal = read_journal(seen.journals.get(found.name, b""))
        if vhost is not was and at_work(journal, runner):
            hint = ""
            warning = "; ".join(_running(vnode, found.name, journal, runner))
        result = Result(
            vnode.name,
            vhost.domain,
            books.run,
            ok=True,
            status=str(vhost.status),
            backup_archive=vhost.backup_archive,
            warnings=(warning,) if warning else (),
            hint=hint,
        )
        books.tell(result)
        results.append(result)
    return results


def _not_a_vhost(found: FoundVhost) -> str:
    if not is_domain(found.name):
        return "not imported: the name is no valid domain"
    if found.kind == "link":
        return f"not imported: a link to {found.target}"
    return ""


def _recorded_since(desk: Desk, vnode: Vnode, start: float) -> set[str]:
    """The vhosts on which a run began or ended since; discovery has read the vnode somewhen in that time."""
    runs = desk.store.runs(vnode.name, limit=RECENT)
    return {r.vhost for r in runs if r.verb in ON_THE_VNODE and (r.finished or r.started) >= start}


def _served(
    vnode: Vnode,
    domain: str,
    model: NginxModel | None,
    pools: list[FpmModel],
    dirs: tuple[str, ...],
    links: tuple[str, ...],
) -> dict[str, Any]:
    """Which site and pool files serve a vhost, as nginx and php-fpm see it."""
    if model is None:
        return {}
    upath = f"{vnode.vpath}/{domain}"
    site = find_site(model, domain, upath, real_dirs=dirs, links=links)
    served = [(m, s) for m, s in find_pools(pools, upath, site.sockets, links=site.links) if s.pools]
    return {
        "document_root": site.document_root or "",
        "site_files": list(site.files),
        "names": list(site.names),
        "tls": any(listen.tls for listen in site.listens),
        "pool_files": [p.file for _, s in served for p in s.pools],
        "pools": [p.name for _, s in served for p in s.pools],
        "php": next((m.main for m, _ in served), ""),
    }


def _vhost(
    vnode: Vnode, found: FoundVhost, seen: Discovery, was: Vhost | None, served: dict[str, Any]
) -> Vhost:
    domain = found.name
    journal = read_journal(seen.journals.get(domain, b""))
    runner = seen.runners.get(domain, "")
    busy = at_work(journal, runner)
    recorded = None if journal.migrated else seen.recorded.get(domain)
    layout = layout_on_disk(found.flags, journal, f"{vnode.vpath}/{domain}", served.get("document_root"))
    status = status_from_disk(layout, journal, was.status if was else None, recorded=recorded is not None)
    if busy:  # half-way is where a run is for a while; its end decides
        status, layout = (was.status, was.layout) if was else (Status.FAILED, layout)
    standing = recorded if status is Status.MIGRATED else None
    web = found.flags.get("web", "")
    uid, gid = (int(x) for x in web.split(":")[:2]) if web.count(":") == 2 else (found.uid, found.gid)
    settings = dict(seen.settings.get(domain, {}))
    base = was or Vhost(vnode.name, domain)
    error, hint = half_done(vnode, domain, layout, journal) if status is Status.FAILED else ("", "")
    if busy and status is Status.FAILED:
        error, hint = _running(vnode, domain, journal, runner)
    elif standing:
        error = LOST
        hint = (
            f"Bring /var/lib/nsmig/{domain} back from a backup of {vnode.name}, or see the README, 'By hand'."
        )
    elif was and was.status is status and (busy or not journal.unfinished) and not _passing(was.last_error):
        error, hint = was.last_error, was.last_hint
    archive = (
        journal.archive[0] if journal.archive else (standing and standing.archive) or base.backup_archive
    )
    return_is_possible = (seen.archives.get(domain, 0) > 0 and not standing) or (
        layout is Layout.NS3 and journal.migrated
    )
    if busy:  # what the run has archived so far counts when it has ended
        archive, return_is_possible = base.backup_archive, base.rollback_available
    return replace(
        base,
        status=status,
        layout=layout,
        uuser=seen.accounts.get(uid, ""),
        uid=uid,
        gid=gid,
        vanished=False,
        rollback_available=return_is_possible,
        backup_archive=archive,
        migrated_at=(base.migrated_at or standing.written_at)
        if standing
        else migrated_at(journal, base.migrated_at),
        last_error=error,
        last_hint=hint,
        details={**base.details, "settings": settings, "upath": f"{vnode.vpath}/{domain}", **served},
    )


def _running(vnode: Vnode, domain: str, journal: JournalView, runner: str) -> tuple[str, str]:
    mine = journal.run == runner
    verb = journal.verb if mine and journal.verb else "run"
    who = f" of {journal.operator}" if mine and journal.operator else ""
    return f"a {verb}{who}{RUNNING}", f"attach: nsmig resume {vnode.name} {domain}"


def _passing(error: str) -> bool:
    """Whether an error is of the hour at which it was seen, and not the word of a run or a validation."""
    return RUNNING in error or error == LOST


def half_done(vnode: Vnode, domain: str, layout: Layout, journal: JournalView) -> tuple[str, str]:
    """What is half-done on a vhost, and what to do about it."""
    if journal.state == "attention":
        what = journal.errors[-1] if journal.errors else "an undo stopped"
        return what, f"Try again: nsmig resume {vnode.name} {domain} --undo"
    if journal.restoring:
        return "a restore broke off half-way", f"Take it back: nsmig resume {vnode.name} {domain}"
    if journal.unfinished:
        return (
            f"a {journal.verb or 'migration'} stopped in {journal.current or 'its beginning'}",
            f"Finish it: nsmig resume {vnode.name} {domain}; or go back: the same with --undo",
        )
    if journal.state == "undone":
        why = journal.errors[0] if journal.errors else f"the last {journal.verb} was undone"
        return why, f"All was undone. Mend it, then: nsmig validate {vnode.name} {domain}"
    return f"the layout is {layout} and no record tells why", "Look at the tree; then validate again."


def _mark_vanished(desk: Desk, vnode: Vnode, seen: Discovery, books: Bookkeeper) -> list[Result]:
    here = {found.name for found in seen.vhosts}
    gone = [v for v in desk.store.vhosts(vnode.name) if v.domain not in here and not v.vanished]
    desk.store.save_vhosts([replace(v, vanished=True) for v in gone])
    results = []
    for vhost in gone:
        why = f"vanished: {vnode.vpath}/{vhost.domain} is not there any more"
        books.tell(Found(vnode.name, vhost.domain, books.run, str(vhost.status), note=why))
        result = Result(
            vnode.name,
            vhost.domain,
            books.run,
            ok=True,
            status=str(vhost.status),
            warnings=(why,),
            skipped=True,
        )
        books.tell(result)
        results.append(result)
    return results
