"""Takes up one vhost wherever an earlier process, or an earlier try, left it, and brings it to its end."""

from __future__ import annotations

from ...domain.errors import NsmigError
from ...domain.events import Emit, Result
from ...domain.fleet import Status
from ...domain.options import MigrateOptions
from .. import migrating, reading, resuming, validating
from ..desk import Desk, ended_by
from ..runner_link import Ending


async def take_up(desk: Desk, name: str, domain: str, options: MigrateOptions, emit: Emit) -> Result:
    """Attach to what runs, finish what stopped, note what ended meanwhile, else begin (again).

    The vnode's journal decides; the database and the batch's own journal may both be behind it.
    """
    vnode, vhost = desk.pair(name, domain)
    if vhost.status in (Status.MIGRATED, Status.NATIVE):
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
        # A runner that ended before it touched anything leaves nothing to resume: then begin anew.
        if result.ok or result.steps_completed or result.exit_code != 4:
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
