"""`resume`: attach to what still runs, finish what stopped, or take it back."""

from __future__ import annotations

from dataclasses import replace

from ..domain.errors import NsmigError, Refused
from ..domain.events import Emit, Result
from ..domain.fleet import Layout, Status, Vhost, Vnode
from ..domain.options import MigrateOptions, RollbackOptions
from ..domain.planning import plan_text
from . import reading
from .bookkeeping import Bookkeeper
from .desk import Desk, ended_by
from .migrating import answers_as_before, conclude, run_values
from .reading import Record
from .restoring import unrestore
from .returning import after_undo, undo

ENDED = ("none", "ok", "undone", "refused")
GOING_BACK = ("undo", "restore", "unrestore")
OPEN = ("running", "interrupted")
"""Outcomes in the database that say nothing of how a run ended."""


async def resume(desk: Desk, name: str, domain: str, emit: Emit, *, undo_it: bool) -> Result:
    """Finish or undo what the vnode's record says is half-done."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("resume", name, domain, emit)
    try:
        shell = await desk.shell(vnode)
        kept = await reading.record(shell, vnode, domain, desk.scripts)
        if await reading.is_alive(shell, desk.scripts, domain, kept.journal.run):
            return await _attach(desk, books, vnode, vhost, kept)
        going_back = kept.journal.verb in GOING_BACK or kept.journal.undoing
        broken_off = kept.journal.state not in ENDED and going_back
        if kept.exists and (undo_it or broken_off):
            return await undo(desk, books, vnode, vhost, shell, RollbackOptions())
        if kept.restored and (undo_it or broken_off):
            return await unrestore(desk, books, vnode, vhost, shell)
        if kept.exists and not kept.committed:
            return await _finish(desk, books, vnode, vhost, kept)
        return _reconcile(desk, books, vnode, vhost, kept)
    except NsmigError as error:
        return ended_by(error, books, vhost)


def _reconcile(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, kept: Record) -> Result:
    """Nothing is half-done on the vnode. Where the database still thinks so, the journal's word is taken."""
    journal = kept.journal
    open_runs = [
        r for r in desk.store.runs(vnode.name, vhost.domain) if r.outcome in OPEN and r.run != books.run
    ]
    if not open_runs or journal.state not in ("ok", "undone", "refused"):
        raise Refused(
            f"nothing is left half-done on {vhost.domain}",
            hint=f"What is there now: nsmig discover {vnode.name}",
            vnode=vnode.name,
            vhost=vhost.domain,
        )
    for record in open_runs:
        outcome = journal.state if record.run == journal.run else "failed"
        desk.store.save_run(replace(record, outcome=outcome, finished=journal.finished))
    books.warnings.append(f"the last run had ended on the vnode already: {journal.verb} {journal.state}")
    name = journal.archive[0] if journal.archive else vhost.backup_archive
    if kept.committed:
        status, layout = Status.MIGRATED, Layout.NS3
    elif journal.verb == "undo" and journal.state == "ok":
        status, layout = Status.VALIDATED, Layout.NS1
    else:
        status, layout = (Status.FAILED if journal.state == "undone" else vhost.status), vhost.layout
    seen = replace(
        vhost, status=status, layout=layout, backup_archive=name, rollback_available=name is not None
    )
    return books.end("ok", seen, steps=journal.steps if kept.committed else (), archive=name)


async def _attach(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, kept: Record) -> Result:
    books.warnings.append(f"attached to the run of {kept.journal.operator or 'somebody'}")
    link = desk.link(vnode, vhost.domain, kept.journal.run, books.tell)
    ending = await link.follow(answers_as_before(kept.baseline))
    if ending.view.verb == "undo":
        return after_undo(desk, books, vnode, vhost, ending)
    return conclude(desk, books, vnode, vhost, ending)


async def _finish(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, kept: Record) -> Result:
    options = MigrateOptions()
    values = {
        **run_values(books, "resume"),
        "DOMAIN": vhost.domain,
        "UPATH": f"{vnode.vpath}/{vhost.domain}",
        "CONFIRM_WAIT": str(options.confirm_wait),
        "CRASH_AT": "0",
        "FAIL_AT": "",
    }
    link = desk.link(vnode, vhost.domain, books.run, books.tell)
    await link.start({"runner.sh": desk.scripts("runner").encode(), "plan": plan_text(values)})
    ending = await link.follow(answers_as_before(kept.baseline))
    return conclude(desk, books, vnode, vhost, ending)
