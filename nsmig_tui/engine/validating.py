"""`validate`: look closely, judge, and say what was found."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..domain.errors import ExitCode, NsmigError
from ..domain.events import Emit, FindingMade, Result
from ..domain.findings import PASSED, WARNING, Finding, vnode_trouble
from ..domain.fleet import IN_NEW_LAYOUT, Layout, Status, Vhost, Vnode
from ..domain.layout import JournalView, layout_seen, read_journal
from ..domain.ports import Shell
from ..domain.readings import Inspection
from ..domain.validation import validate as judge
from . import reading
from .bookkeeping import Bookkeeper, failed
from .desk import Desk, at_work_on, ended_by, same_machine, still_there
from .discovering import half_done


async def validate(desk: Desk, name: str, domain: str, emit: Emit) -> Result:
    """Judge one vhost in seven categories; no critical and no error makes it ``validated``."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("validate", name, domain, emit)
    try:
        shell = await desk.shell(vnode)
        seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=True)
        same_machine(vnode, seen.capabilities)
        if vhost.status in IN_NEW_LAYOUT:
            still_there(vnode, vhost, seen)
    except asyncio.CancelledError:
        books.cut_off()
        raise
    except NsmigError as error:
        return ended_by(error, books, vhost)
    desk.saw(vnode, seen.capabilities)
    layout = layout_seen(seen, serving.site)
    if layout is Layout.NS3 and vhost.status in IN_NEW_LAYOUT:
        books.warnings.append(f"{domain} has the new layout already; there is nothing to validate")
        return books.end("ok", vhost, skipped=True)
    journal = read_journal(seen.journal)
    if journal.unfinished:
        return await _left_alone(desk, books, vnode, vhost, shell, layout, journal)
    findings = judge(domain, f"{vnode.vpath}/{domain}", seen, serving)
    for row in findings:
        books.tell(FindingMade(name, domain, books.run, **row.row()))
    checked = _judged(desk, vnode, vhost, seen, layout, findings)
    bad = [f for f in findings if f.blocks]
    books.warnings += [f.message for f in findings if f.severity == WARNING]
    books.errors += [f.message for f in bad]
    books.hint = next((f.hint for f in bad if f.hint), "")
    books.vnode_trouble = vnode_trouble(findings)
    code = ExitCode.REFUSED if bad else ExitCode.DONE
    return books.end("refused" if bad else "ok", checked, code=code)


async def _left_alone(
    desk: Desk,
    books: Bookkeeper,
    vnode: Vnode,
    vhost: Vhost,
    shell: Shell,
    layout: Layout,
    journal: JournalView,
) -> Result:
    """What is half-way is not judged: either a run is at work on it, or one stopped there."""
    domain = vhost.domain
    try:
        alive = await reading.is_alive(shell, desk.scripts, domain, journal.run)
        # It may have ended since its journal was read: then nothing stopped, and its end is told elsewhere.
        if alive or not (await reading.record(shell, vnode, domain, desk.scripts)).journal.unfinished:
            raise at_work_on(vnode, domain, journal)
    except NsmigError as error:
        vhost = desk.store.vhost(vnode.name, domain) or vhost
        return ended_by(error, books, vhost)
    what, books.hint = half_done(vnode, domain, layout, journal)
    books.errors.append(what)
    return books.end("refused", failed(vhost, what, books.hint), code=ExitCode.REFUSED)


def _judged(
    desk: Desk, vnode: Vnode, vhost: Vhost, seen: Inspection, layout: Layout, findings: list[Finding]
) -> Vhost:
    bad = any(f.blocks for f in findings)
    web = seen.places.get("web")
    details = {
        **vhost.details,
        "size": seen.tree.get("alloc", 0),
        "bytes": seen.tree.get("bytes", 0),
        "entries": seen.tree.get("entries", 0),
        "mail": seen.tree.get("mail", 0),
    }
    return replace(
        vhost,
        status=Status.DISCOVERED if bad else Status.VALIDATED,
        layout=layout,
        uid=web.uid if web else vhost.uid,
        gid=web.gid if web else vhost.gid,
        uuser=seen.account[0] if seen.account else vhost.uuser,
        validated_at=None if bad else desk.clock(),
        findings=tuple(f.row() for f in findings if f.severity != PASSED)
        + tuple(f.row() for f in findings if f.severity == PASSED),
        last_error="" if not bad else next(f.message for f in findings if f.blocks),
        last_hint=next((f.hint for f in findings if f.blocks and f.hint), ""),
        details=details,
    )
