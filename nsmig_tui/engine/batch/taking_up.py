"""Takes up one vhost wherever an earlier process, or an earlier try, left it, and brings it to its end."""

from __future__ import annotations

from dataclasses import replace

from ...domain.errors import ExitCode, NsmigError
from ...domain.events import Emit, Result
from ...domain.fleet import IN_NEW_LAYOUT, Status
from ...domain.layout import JournalView
from ...domain.options import MigrateOptions
from .. import migrating, reading, resuming, validating
from ..desk import Desk, ended_by
from ..runner_link import Ending


async def take_up(desk: Desk, name: str, domain: str, options: MigrateOptions, emit: Emit) -> Result:
    """Attach to what runs, finish what stopped, note what ended meanwhile, else begin (again).

    The vnode's journal decides; the database and the batch's own journal may both be behind it.
    """
    vnode, vhost = desk.pair(name, domain)
    if vhost.status in IN_NEW_LAYOUT:
        return await migrating.migrate(desk, name, domain, options, emit)
    try:
        shell = await desk.shell(vnode)
        kept = await reading.record(shell, vnode, domain, desk.scripts)
    except NsmigError as error:
        return ended_by(error, desk.books("resume", name, domain, emit), vhost)
    seen = kept.journal
    begun = seen.state in ("running", "awaiting", "attention") or seen.unfinished
    if begun:
        result = await resuming.resume(desk, name, domain, emit, undo_it=False)
        back = result.ok and result.status != Status.MIGRATED
        if back and seen.verb in resuming.GOING_BACK and seen.operator != desk.operator:
            return _rolled_back(result, seen, name, domain)
        # What was taken back to its end, and a runner that ended before it touched anything: begin anew.
        if not back and (result.ok or result.steps_completed or result.exit_code != ExitCode.REFUSED):
            return result
    elif seen.state == "ok" and seen.migrated:
        books = desk.books("resume", name, domain, emit)
        books.warnings.append("it had come to its end while nobody was looking")
        return migrating.conclude(desk, books, vnode, vhost, Ending(seen))
    if desk.vhost(name, domain).status is not Status.VALIDATED:
        judged = await validating.validate(desk, name, domain, emit)
        if not judged.ok:
            return judged
    return await migrating.migrate(desk, name, domain, options, emit)


def _rolled_back(result: Result, seen: JournalView, name: str, domain: str) -> Result:
    """Somebody else's rollback came between: it is not for a batch to go against it unasked."""
    why = f"{seen.operator or 'somebody'} rolled it back ({seen.verb}); it was not migrated again"
    hint = f"If it should be: nsmig migrate {name} {domain}"
    return replace(result, ok=False, errors=(why,), hint=hint, exit_code=int(ExitCode.UNDONE))
