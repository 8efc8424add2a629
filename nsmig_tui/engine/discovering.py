"""`node check` and `discover`: what a vnode is, and which vhosts stand on it in which layout."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from ..domain.errors import ConnectError, ExitCode, NsmigError
from ..domain.events import Emit, Found, Result
from ..domain.fleet import Layout, Status, Vhost, Vnode
from ..domain.fpm_pools import FpmModel, find_pools
from ..domain.layout import JournalView, layout_of, migrated_at, read_journal, status_from_disk
from ..domain.names import is_domain
from ..domain.nginx_model import NginxModel
from ..domain.nginx_sites import find_site
from ..domain.readings import Discovery, FoundVhost
from ..domain.surroundings import fpm_models, nginx_model
from . import reading
from .bookkeeping import Bookkeeper
from .desk import Desk, same_machine


async def check(desk: Desk, name: str) -> dict[str, Any]:
    """Connect and probe. Raises ConnectError when there is no way in."""
    vnode = desk.vnode(name)
    shell = await desk.shell(vnode)
    can = await reading.probe(shell, vnode, desk.scripts)
    same_machine(vnode, can)
    # who the web server is takes its configuration to tell, which a probe does not read
    known = {key: vnode.facts[key] for key in ("web_uid", "web_gid") if vnode.facts.get(key) is not None}
    desk.saw(vnode, replace(can, **known))
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
    }


async def discover(desk: Desk, name: str, emit: Emit) -> list[Result]:
    """Import what stands below VPATH; a vhost that has gone is marked, never deleted."""
    vnode = desk.vnode(name)
    books = desk.books("discover", name, "", emit)
    try:
        shell = await desk.shell(vnode)
        seen = await reading.discover(shell, vnode, desk.scripts)
        same_machine(vnode, seen.capabilities)
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
    _mark_vanished(desk, vnode, seen)
    books.end("ok", None)
    return results


def _import(desk: Desk, vnode: Vnode, seen: Discovery, books: Bookkeeper) -> list[Result]:
    model, _ = nginx_model(seen.nginx)
    pools = fpm_models(seen.fpm)
    dirs = tuple(v.name for v in seen.vhosts if v.kind == "dir")
    results = []
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
        vhost = _vhost(desk, vnode, found, seen, model, pools, dirs, tuple(links.get(found.name, ())))
        desk.store.save_vhost(vhost)
        books.tell(Found(vnode.name, vhost.domain, books.run, str(vhost.status), str(vhost.layout)))
        result = Result(
            vnode.name,
            vhost.domain,
            books.run,
            ok=True,
            status=str(vhost.status),
            backup_archive=vhost.backup_archive,
            warnings=(vhost.last_error,) if vhost.status is Status.FAILED and vhost.last_error else (),
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


def _vhost(
    desk: Desk,
    vnode: Vnode,
    found: FoundVhost,
    seen: Discovery,
    model: NginxModel | None,
    pools: list[FpmModel],
    dirs: tuple[str, ...],
    links: tuple[str, ...],
) -> Vhost:
    domain = found.name
    was = desk.store.vhost(vnode.name, domain)
    journal = read_journal(seen.journals.get(domain, b""))
    layout = layout_of(found.flags)
    status = status_from_disk(layout, journal, was.status if was else None)
    web = found.flags.get("web", "")
    uid, gid = (int(x) for x in web.split(":")[:2]) if web.count(":") == 2 else (found.uid, found.gid)
    upath = f"{vnode.vpath}/{domain}"
    details: dict[str, Any] = {"settings": dict(seen.settings.get(domain, {})), "upath": upath}
    if model is not None:
        site = find_site(model, domain, upath, real_dirs=dirs, links=links)
        served = [(m, s) for m, s in find_pools(pools, upath, site.sockets, links=site.links) if s.pools]
        details |= {
            "document_root": site.document_root or "",
            "site_files": list(site.files),
            "names": list(site.names),
            "tls": any(listen.tls for listen in site.listens),
            "pool_files": [p.file for _, s in served for p in s.pools],
            "pools": [p.name for _, s in served for p in s.pools],
            "php": next((m.main for m, _ in served), ""),
        }
    base = was or Vhost(vnode.name, domain)
    error, hint = _half_done(vnode, domain, layout, journal) if status is Status.FAILED else ("", "")
    if was and was.status is status and not journal.unfinished:
        error, hint = was.last_error, was.last_hint
    return replace(
        base,
        status=status,
        layout=layout,
        uuser=seen.accounts.get(uid, ""),
        uid=uid,
        gid=gid,
        vanished=False,
        rollback_available=seen.archives.get(domain, 0) > 0 or (layout is Layout.NS3 and journal.migrated),
        backup_archive=journal.archive[0] if journal.archive else base.backup_archive,
        migrated_at=migrated_at(journal, base.migrated_at),
        last_error=error,
        last_hint=hint,
        details={**base.details, **details},
    )


def _half_done(vnode: Vnode, domain: str, layout: Layout, journal: JournalView) -> tuple[str, str]:
    if journal.state == "attention":
        what = journal.errors[-1] if journal.errors else "an undo stopped"
        return what, f"Try again: nsmig resume {vnode.name} {domain} --undo"
    if journal.unfinished:
        return (
            f"a {journal.verb or 'migration'} stopped in {journal.current or 'its beginning'}",
            f"Finish it: nsmig resume {vnode.name} {domain}; or go back: the same with --undo",
        )
    return f"the layout is {layout} and no record tells why", "Look at the tree; then validate again."


def _mark_vanished(desk: Desk, vnode: Vnode, seen: Discovery) -> None:
    here = {found.name for found in seen.vhosts}
    gone = [v for v in desk.store.vhosts(vnode.name) if v.domain not in here and not v.vanished]
    desk.store.save_vhosts([replace(v, vanished=True) for v in gone])
