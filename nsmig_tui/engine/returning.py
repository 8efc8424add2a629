"""`rollback`: undo a migration by rename, or restore an archive; and the list of points."""

from __future__ import annotations

from dataclasses import replace

from ..domain.errors import ConnectError, ExitCode, NsmigError, Refused
from ..domain.events import Emit, Planned, Result
from ..domain.fleet import STEPS, Layout, Status, Vhost, Vnode
from ..domain.http_questions import neighbour_requests, requests_for
from ..domain.layout import layout_seen
from ..domain.options import RollbackOptions, RollbackPoint
from ..domain.path_map import final_map
from ..domain.planning import plan_text
from ..domain.ports import Shell
from ..domain.readings import Inspection
from . import reading, restoring
from .bookkeeping import Bookkeeper, count_reloads, returned, undo_first
from .desk import Desk, ended_by, same_machine, still_there
from .http_checks import differences, take_baseline
from .migrating import badly_ended, run_values
from .runner_link import Ending
from .way_back import in_order, undo_rows


async def points(desk: Desk, name: str, domain: str) -> list[RollbackPoint]:
    """The archives on the vnode, each read and compared with its recorded hash."""
    vnode, vhost = desk.pair(name, domain)
    shell = await desk.shell(vnode)
    return await reading.points(shell, vnode, vhost.domain, desk.scripts, check=True)


async def plan_rollback(desk: Desk, name: str, domain: str, options: RollbackOptions) -> Planned:
    """What an undo would do. Changes nothing."""
    vnode, vhost = desk.pair(name, domain)
    shell = await desk.shell(vnode)
    same_machine(vnode, await reading.probe(shell, vnode, desk.scripts))
    if options.archive:
        kept = await _may_be_restored(desk, shell, vnode, vhost)
        return await restoring.plan_restore(desk, shell, vnode, vhost, options, migrated=kept.exists)
    kept = await reading.record(shell, vnode, domain, desk.scripts)
    if not kept.exists:
        raise _nothing_to_undo(vnode, vhost, kept)
    seen, _ = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    still_there(vnode, vhost, seen)
    steps = undo_rows(vnode, vhost, seen)
    steps[STEPS[6]] = [{"what": "compare the HTTP answers with those of now"}]
    return Planned(
        name,
        domain,
        verb="undo",
        steps=in_order(steps),
        expected_s=2.0,
        warnings=("everything written since the migration stays",),
    )


async def _may_be_restored(desk: Desk, shell: Shell, vnode: Vnode, vhost: Vhost) -> reading.Record:
    """The vnode's record. Refuses half-way through a migration, and a new tree without a record of how it
    became so.

    A restore brings back files. Configuration, sockets and what else points to the new places goes back by
    the record, and without it the old tree would be served by nobody.
    """
    kept = await reading.record(shell, vnode, vhost.domain, desk.scripts)
    if kept.half_way and not kept.restoring:
        if await reading.is_alive(shell, desk.scripts, vhost.domain, kept.journal.run):
            return kept  # its end decides; the lock keeps others out
        raise restoring.half_migrated(vnode, vhost, kept)
    if kept.exists:
        return kept
    seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    if layout_seen(seen, serving.site) is Layout.NS3:
        raise _record_lost(vnode, vhost)
    return kept


def _record_lost(vnode: Vnode, vhost: Vhost) -> Refused:
    return Refused(
        f"{vhost.domain} has the new layout, and {vnode.name} keeps no record of its migration"
        f" (/var/lib/nsmig/{vhost.domain}): its configuration could not be put back",
        hint="Bring that directory back from a backup of the server; or see the README, 'By hand'.",
        vnode=vnode.name,
        vhost=vhost.domain,
    )


def _nothing_to_undo(vnode: Vnode, vhost: Vhost, kept: reading.Record) -> Refused:
    if vhost.status is Status.MIGRATED and kept.journal.state == "none":
        return _record_lost(vnode, vhost)
    if kept.restored:
        return Refused(
            f"{vhost.domain} was restored from an archive; no migration is left to undo",
            hint=f"Take the restore back with: nsmig resume {vnode.name} {vhost.domain} --undo",
            vnode=vnode.name,
            vhost=vhost.domain,
        )
    what = "was native from birth" if vhost.status is Status.NATIVE else "has no migration on record"
    return Refused(
        f"{vhost.domain} {what}; there is nothing to undo",
        hint=f"Archives, if any: nsmig rollback {vnode.name} {vhost.domain} --list",
        vnode=vnode.name,
        vhost=vhost.domain,
    )


async def rollback(desk: Desk, name: str, domain: str, options: RollbackOptions, emit: Emit) -> Result:
    """Undo the migration, or restore the archive that the options name."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("restore" if options.archive else "undo", name, domain, emit)
    try:
        if vhost.status is Status.NATIVE and not options.archive:
            raise _nothing_to_undo(vnode, vhost, reading.Record())
        shell = await desk.shell(vnode)
        if options.archive:
            await _may_be_restored(desk, shell, vnode, vhost)
            return await restoring.restore(desk, books, vnode, vhost, shell, options)
        kept = await reading.record(shell, vnode, domain, desk.scripts)
        if kept.restoring:
            raise restoring.half_restored(vnode, vhost)
        if not kept.exists:
            raise _nothing_to_undo(vnode, vhost, kept)
        return await undo(desk, books, vnode, vhost, shell, kept, options)
    except NsmigError as error:
        return ended_by(error, books, vhost)


async def undo(
    desk: Desk,
    books: Bookkeeper,
    vnode: Vnode,
    vhost: Vhost,
    shell: Shell,
    kept: reading.Record,
    options: RollbackOptions,
) -> Result:
    """Run the undo on the vnode and compare the answers before and after."""
    seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    same_machine(vnode, seen.capabilities)
    still_there(vnode, vhost, seen)
    # Half-way through a migration the site may be gone, or show what it must not.
    whole = () if kept.committed else kept.baseline
    asked = [*requests_for(serving, _content_names(seen)), *neighbour_requests(serving)]
    now = await take_baseline(shell, [b.request for b in whole] or asked)
    status = {b.request: b.status for b in whole}
    edited = {b.request: b for b in now if status.get(b.request) == b.status}
    link = desk.link(vnode, vhost.domain, books.run, books.tell)
    await link.start(files_by_record(desk, books, vnode, vhost, kept, "undo", options))
    ending = await link.follow()
    if ending.view.state == "ok":
        moved = final_map(f"{vnode.vpath}/{vhost.domain}")
        maps = [moved, moved.inverse()]
        try:
            looked = await differences(await desk.shell(vnode), whole or now, edited, maps)
            found = [*looked.wrong[:5], *looked.remarks[:3]]
        except ConnectError as error:  # what was undone stays undone
            found = [f"the site could not be asked: {error.message}"]
        books.warnings += [f"after the undo: {why}" for why in found]
    return after_undo(books, vnode, vhost, ending)


def _content_names(seen: Inspection) -> tuple[str, ...]:
    return tuple(n for n in seen.entries.get("web", ()) if n not in ("app", "log", "run", "tmp"))


def files_by_record(
    desk: Desk,
    books: Bookkeeper,
    vnode: Vnode,
    vhost: Vhost,
    kept: reading.Record,
    verb: str,
    options: RollbackOptions,
) -> dict[str, bytes]:
    """The files of a run that finishes or undoes: the runner, and a plan that the vnode's record fills up."""
    values = {
        **run_values(books, verb),
        "SEEN_RUN": kept.journal.run,
        "DOMAIN": vhost.domain,
        "UPATH": f"{vnode.vpath}/{vhost.domain}",
        "CRASH_AT": str(options.crash_at),
        "FAIL_AT": options.fail_at,
    }
    return {"runner.sh": desk.scripts("runner").encode(), "plan": plan_text(values)}


def after_undo(books: Bookkeeper, vnode: Vnode, vhost: Vhost, ending: Ending) -> Result:
    """The Result of an undo."""
    view = ending.view
    count_reloads(books, view)
    books.errors += [e for e in view.errors if e not in books.errors]
    if view.state == "ok":
        back = replace(returned(vhost), rollback_available=vhost.backup_archive is not None)
        return books.end("ok", back, archive=vhost.backup_archive)
    if view.state == "refused":
        archives = f"Archives, if any: nsmig rollback {vnode.name} {vhost.domain} --list"
        books.hint = undo_first(vnode.name, view.errors) or archives
        return books.end("refused", vhost, code=ExitCode.REFUSED)
    return badly_ended(books, vnode, vhost, ending, vhost.backup_archive, "")
