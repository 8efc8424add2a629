"""`archives verify` and `archives prune`: what a vhost keeps on its vnode, proven whole, and let go of."""

from __future__ import annotations

import time
from dataclasses import replace

from ..domain.errors import ExitCode, LockHeld, NsmigError, Refused
from ..domain.events import Emit, LogLine, Result
from ..domain.fleet import ArchiveRecord
from ..domain.ports import Shell
from ..domain.retention import TRASH, TRASHED, Choice, Kept, choose
from ..domain.sections import as_name, split_sections
from ..domain.text import clean
from . import reading
from .bookkeeping import Bookkeeper
from .desk import Desk, ended_by


async def verify(desk: Desk, name: str, domain: str, emit: Emit) -> Result:
    """Read every archive of a vhost to its end and compare it with its recorded hash."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("verify", name, domain, emit)
    try:
        shell = await desk.shell(vnode)
        points = await reading.points(shell, vnode, domain, desk.scripts, check=True)
    except NsmigError as error:
        return ended_by(error, books, vhost)
    for point in points:
        if point.ok is None:
            books.warn(f"{point.filename} cannot be verified: nothing is recorded of it on the vnode")
        else:
            word = "verified" if point.ok else "DAMAGED"
            books.tell(LogLine(name, domain, books.run, f"{point.filename}: {word}"))
        _remember(
            desk,
            ArchiveRecord(
                name,
                domain,
                point.filename,
                size=point.size,
                created=point.created_at,
                verified=desk.clock(),
                ok=point.ok,
                entries=point.entries,
            ),
        )
    damaged = [point.filename for point in points if point.ok is False]
    if damaged:
        books.errors.append(f"damaged: {', '.join(damaged)}")
        books.hint = "It is never used to restore from. Keep a copy of a good one elsewhere."
    # Older ones may have been pruned from another machine; the one of the migration in force may not.
    if vhost.backup_archive and vhost.backup_archive not in [point.filename for point in points]:
        books.errors.append(f"missing: {vhost.backup_archive}")
        books.hint = (
            books.hint or "Bring it back into .archive from a copy; without it only the undo is left."
        )
    if books.errors:
        return books.end("failed", vhost, code=ExitCode.REFUSED)
    return books.end("ok", vhost)


async def plan_prune(desk: Desk, name: str, domain: str, keep_days: int, keep_count: int) -> list[Choice]:
    """What a prune would let go of and what it would keep, each with the reason. Changes nothing."""
    vnode, _ = desk.pair(name, domain)
    choices, _, _ = await _choices(desk, await desk.shell(vnode), name, domain, keep_days, keep_count)
    return choices


async def prune(desk: Desk, name: str, domain: str, keep_days: int, keep_count: int, emit: Emit) -> Result:
    """Delete what may go: first all names by rename, then the data, under the vhost's lock."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("prune", name, domain, emit)
    try:
        shell = await desk.shell(vnode)
        choices, place, keep = await _choices(desk, shell, name, domain, keep_days, keep_count)
        going = [choice.kept for choice in choices if choice.prune]
        if not going:
            return books.end("ok", vhost)
        upath = f"{vnode.vpath}/{domain}"
        args = ["prune", domain, upath, books.run, desk.operator, place, keep]
        args += [word for thing in going if thing.kind != TRASH for word in (thing.name, thing.inode)]
        rc, output = await shell.run(desk.scripts("prune"), args, timeout=reading.HASH)
        if rc == ExitCode.LOCKED:
            raise LockHeld(f"a run works on {domain}", vnode=name, vhost=domain)
        rows = split_sections(output)
        gone = {as_name(row[0]) for row in rows.of("", "pruned") if row}
        _forget(desk, books, [c for c in choices if c.prune and _name(c.kept) in gone])
        vhost = replace(vhost, backup_archive=_still(vhost.backup_archive, gone))
        left = [thing for thing in going if _name(thing) not in gone]
        if rc != 0 or left:
            why = next((f": {clean(as_name(row[0]), 300)}" for row in rows.of("", "why") if row), "")
            raise Refused(
                f"not everything could be pruned ({len(going) - len(left)} of {len(going)}){why}",
                hint="Prune again: it goes on where it stopped.",
            )
    except NsmigError as error:
        return ended_by(error, books, vhost)
    return books.end("ok", vhost)


def _name(thing: Kept) -> str:
    """How it was called before it was put into the trash."""
    return thing.name.removeprefix(TRASHED)


def _forget(desk: Desk, books: Bookkeeper, gone: list[Choice]) -> None:
    for choice in gone:
        words = f"{_name(choice.kept)}: deleted, {choice.why}"
        books.tell(LogLine(books.vnode, books.vhost, books.run, words))
        desk.store.remove_archive(books.vnode, books.vhost, _name(choice.kept))


def _still(name: str | None, gone: set[str]) -> str | None:
    return None if name in gone else name


async def _choices(
    desk: Desk, shell: Shell, name: str, domain: str, keep_days: int, keep_count: int
) -> tuple[list[Choice], str, str]:
    """The choices, the inode of the archive folder, and the name of the verified archive to keep."""
    vnode = desk.vnode(name)
    args = ["list", domain, f"{vnode.vpath}/{domain}"]
    rows = split_sections(await reading.ask(shell, vnode, desk.scripts("prune"), args, reading.HASH))
    busy = any(True for _ in rows.of("", "busy"))
    place = next((row[0] for row in rows.of("", "place") if row), "")
    things = []
    for row in rows.of("", "kept"):
        kind, coded, size, inode, order, verdict, needed = (*row, *[""] * 7)[:7]
        called = as_name(coded)
        things.append(
            Kept(
                kind,
                called,
                reading.stamp(called) or time.time(),  # what cannot be dated is not pruned by age
                int(order or 0),
                int(size or 0),
                reading.VERDICTS.get(verdict),
                needed == "yes" or busy,
                inode,
            )
        )
    choices = choose(things, desk.clock(), keep_days, keep_count)
    proven = max((t for t in things if t.ok), key=lambda t: t.order, default=None)
    return choices, place, proven.name if proven else "-"


def _remember(desk: Desk, record: ArchiveRecord) -> None:
    known = {found.path: found for found in desk.store.archives(record.vnode, record.vhost)}
    before = known.get(record.path)
    desk.store.save_archive(replace(record, sha256=before.sha256 if before else ""))
