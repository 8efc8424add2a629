"""`resume`: attach to what still runs, finish what stopped, or take it back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..domain.errors import ExitCode, NsmigError, Refused
from ..domain.events import Emit, Result
from ..domain.fleet import OPEN, Vhost, Vnode
from ..domain.layout import JournalView, migrated_at
from ..domain.options import RollbackOptions, Standing
from ..domain.ports import Shell
from . import reading
from .bookkeeping import Bookkeeper, migrated, returned
from .desk import Desk, ended_by
from .migrating import answers_as_before, conclude
from .reading import Record
from .restoring import after_restore, tidy, unrestore
from .returning import after_undo, files_by_record, undo
from .runner_link import Ending

ENDED = ("none", "ok", "undone", "refused")
GOING_BACK = ("undo", "restore", "unrestore", "tidy")

LEAVING = 50
"""Looks at a runner that has told its end and is about to leave, before the lock has the last word."""


async def resume(desk: Desk, name: str, domain: str, emit: Emit, *, undo_it: bool) -> Result:
    """Finish or undo what the vnode's record says is half-done."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("resume", name, domain, emit)
    try:
        shell = await desk.shell(vnode)
        kept, alive = await _look(desk, shell, vnode, domain)
        if alive:
            ending = await _follow(desk, books, vnode, kept)
            if not undo_it or ending.view.state != "ok" or ending.view.verb in ("undo", "unrestore"):
                _settle(desk, books, ending.view)
                return _attached(desk, books, vnode, vhost, ending)
            kept, _ = await _look(desk, shell, vnode, domain)
        result = await _go_on(desk, books, vnode, vhost, shell, kept, undo_it=undo_it)
    except NsmigError as error:
        return ended_by(error, books, vhost)
    if result.exit_code in (ExitCode.DONE, ExitCode.UNDONE):
        _settle(desk, books, kept.journal)
    return result


async def _look(desk: Desk, shell: Shell, vnode: Vnode, domain: str) -> tuple[Record, bool]:
    """The record, and whether its run is at work. A runner that has told its end is let go first."""
    for _ in range(LEAVING):
        kept = await reading.record(shell, vnode, domain, desk.scripts)
        alive = await reading.is_alive(shell, desk.scripts, domain, kept.journal.run)
        if not alive or kept.journal.state not in ENDED:
            return kept, alive
        await asyncio.sleep(0.2)
    return kept, False


async def standing(desk: Desk, name: str, domain: str, *, undo_it: bool) -> Standing:
    """What ``resume`` would do now. Changes nothing."""
    vnode, _vhost = desk.pair(name, domain)
    kept, alive = await _look(desk, await desk.shell(vnode), vnode, domain)
    return Standing("attach" if alive else way_on(kept, undo_it=undo_it), kept.journal)


def way_on(kept: Record, *, undo_it: bool) -> str:
    """What the record of a run that is not at work any more asks for; see ``Standing.do``."""
    journal = kept.journal
    broken_off = journal.state not in ENDED and (journal.verb in GOING_BACK or journal.undoing)
    if kept.restoring:
        return "unrestore"
    if kept.half_way:  # whatever was asked for since; staging may be where the site is
        undoing = (
            kept.committed or kept.going_back or (broken_off and (journal.undoing or journal.verb == "undo"))
        )
        return "undo" if undo_it or undoing else "finish"
    ended = journal.restoring and kept.restored
    # A restore that changed nothing yet, or had come to its end: there is no half of it to go back from.
    idle = journal.verb in ("restore", "tidy") or (journal.verb == "unrestore" and kept.exists)
    if broken_off and idle and not (undo_it and ended):
        return "tidy"
    if kept.exists and (undo_it or broken_off):
        return "undo"
    if kept.restored and (undo_it or broken_off):
        return "unrestore"
    return ""


async def _go_on(
    desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, shell: Shell, kept: Record, *, undo_it: bool
) -> Result:
    match way_on(kept, undo_it=undo_it):
        case "unrestore":
            return await unrestore(desk, books, vnode, vhost, shell, kept)
        case "tidy":
            return await tidy(desk, books, vnode, vhost, shell, kept)
        case "undo":
            return await undo(desk, books, vnode, vhost, shell, kept, RollbackOptions())
        case "finish":
            return await _finish(desk, books, vnode, vhost, kept)
    return _reconcile(desk, books, vnode, vhost, kept)


def _settle(desk: Desk, books: Bookkeeper, journal: JournalView) -> bool:
    """Close the rows of earlier runs that never learned how they ended; answers whether there were any."""
    open_runs = [
        r for r in desk.store.runs(books.vnode, books.vhost) if r.outcome in OPEN and r.run != books.run
    ]
    for record in open_runs:
        told = record.run == journal.run and journal.state in ENDED
        outcome = journal.state if told else "failed"
        finished = journal.finished if told else desk.clock()
        errors = record.errors or (journal.errors if told else ())
        kept = replace(record, outcome=outcome, finished=finished, errors=errors)
        if record.run == journal.run and len(journal.phases) >= len(record.steps):
            kept = replace(kept, steps=tuple(phase.row() for phase in journal.phases))
        desk.store.save_run(kept)
    return bool(open_runs)


def _reconcile(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, kept: Record) -> Result:
    """Nothing is half-done on the vnode. Where the database still thinks so, the journal's word is taken."""
    journal = kept.journal
    ended = journal.state in ENDED
    if not (ended and _settle(desk, books, journal)) or journal.state == "none":
        raise Refused(
            f"nothing is left half-done on {vhost.domain}",
            hint=f"What is there now: nsmig discover {vnode.name}",
            vnode=vnode.name,
            vhost=vhost.domain,
        )
    books.warnings.append(f"the last run had ended on the vnode already: {journal.verb} {journal.state}")
    name = journal.archive[0] if journal.archive else vhost.backup_archive
    seen = replace(vhost, migrated_at=None)
    if kept.committed:
        at = migrated_at(journal, vhost.migrated_at) or desk.clock()
        steps = journal.steps or vhost.steps_completed
        seen = replace(migrated(vhost), migrated_at=at, steps_completed=steps)
    elif journal.verb in GOING_BACK and journal.state == "ok":
        seen = returned(vhost)
    # a migration that stands goes back by its record, with or without an archive
    back = kept.committed or name is not None
    seen = replace(seen, backup_archive=name, rollback_available=back)
    if journal.state != "ok":
        return _attached(desk, books, vnode, seen, Ending(journal))
    return books.end("ok", seen, steps=journal.steps if kept.committed else (), archive=name)


async def _follow(desk: Desk, books: Bookkeeper, vnode: Vnode, kept: Record) -> Ending:
    """Watch a run that is at work, until it has ended."""
    books.warnings.append(f"attached to the run of {kept.journal.operator or 'somebody'}")
    link = desk.link(vnode, books.vhost, kept.journal.run, books.tell)
    return await link.follow(answers_as_before(desk, vnode, books, kept.baseline))


def _attached(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, ending: Ending) -> Result:
    """The Result of a run that was watched to its end."""
    if ending.view.verb == "undo":
        return after_undo(books, vnode, vhost, ending)
    if ending.view.verb in GOING_BACK:
        return after_restore(books, vnode, vhost, ending)
    return conclude(desk, books, vnode, vhost, ending)


async def _finish(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, kept: Record) -> Result:
    link = desk.link(vnode, vhost.domain, books.run, books.tell)
    await link.start(files_by_record(desk, books, vnode, vhost, kept, "resume", RollbackOptions()))
    ending = await link.follow(answers_as_before(desk, vnode, books, kept.baseline))
    return conclude(desk, books, vnode, vhost, ending)
