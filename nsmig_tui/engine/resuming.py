"""`resume`: attach to what still runs, finish what stopped, or take it back."""

from __future__ import annotations

from ..domain.errors import NsmigError, Refused
from ..domain.events import Emit, Result
from ..domain.fleet import Vhost, Vnode
from ..domain.options import MigrateOptions, RollbackOptions
from ..domain.planning import plan_text
from ..domain.readings import split_sections
from . import reading
from .bookkeeping import Bookkeeper
from .desk import Desk, ended_by
from .migrating import answers_as_before, conclude, run_values
from .reading import Record
from .restoring import unrestore
from .returning import after_undo, undo
from .runner_link import RunnerLink


async def resume(desk: Desk, name: str, domain: str, emit: Emit, *, undo_it: bool) -> Result:
    """Finish or undo what the vnode's record says is half-done."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("resume", name, domain, emit)
    try:
        shell = await desk.shell(vnode)
        kept = await reading.record(shell, vnode, domain, desk.scripts)
        alive = await _alive(desk, vnode, domain, kept)
        if alive:
            return await _attach(desk, books, vnode, vhost, kept)
        if kept.restored and undo_it and not kept.exists:
            return await unrestore(desk, books, vnode, vhost, shell)
        if not kept.exists or (kept.committed and not undo_it and kept.journal.verb != "undo"):
            raise Refused(
                f"nothing is left half-done on {domain}",
                hint=f"What is there now: nsmig discover {name}",
                vnode=name,
                vhost=domain,
            )
        if undo_it or kept.journal.verb == "undo":
            return await undo(desk, books, vnode, vhost, shell, RollbackOptions())
        return await _finish(desk, books, vnode, vhost, kept)
    except NsmigError as error:
        return ended_by(error, books, vhost)


async def _alive(desk: Desk, vnode: Vnode, domain: str, kept: Record) -> bool:
    if not kept.journal.run:
        return False
    shell = await desk.shell(vnode)
    args = [domain, kept.journal.run, "0", "0"]
    _, output = await shell.run(desk.scripts("poll"), args, timeout=30.0)
    return any(row[:1] == ("yes",) for row in split_sections(output).of("", "alive"))


async def _attach(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, kept: Record) -> Result:
    books.warnings.append(f"attached to the run of {kept.journal.operator or 'somebody'}")
    link = RunnerLink(desk.connector, vnode, vhost.domain, kept.journal.run, desk.scripts, books.tell)
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
    link = RunnerLink(desk.connector, vnode, vhost.domain, books.run, desk.scripts, books.tell)
    await link.start({"runner.sh": desk.scripts("runner").encode(), "plan": plan_text(values)})
    ending = await link.follow(answers_as_before(kept.baseline))
    return conclude(desk, books, vnode, vhost, ending)
