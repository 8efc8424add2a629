"""`rollback --archive`: bring back what an archive holds, and say before what that would change."""

from __future__ import annotations

from ..domain.errors import ExitCode, Refused
from ..domain.events import Planned, Result
from ..domain.fleet import STEPS, Vhost, Vnode
from ..domain.layout import read_journal
from ..domain.options import MigrateOptions, RollbackOptions, RollbackPoint
from ..domain.path_map import below
from ..domain.planning import plan_text, runner_values
from ..domain.ports import Shell
from ..domain.sections import split_sections
from ..domain.text import clean
from . import reading
from .bookkeeping import Bookkeeper, count_reloads, failed, migrated, returned, undo_first
from .desk import Desk, same_machine
from .migrating import badly_ended, run_values
from .runner_link import Ending
from .way_back import Rows, in_order, undo_rows

LISTED = 20
"""How many paths of a kind a plan names."""


async def chosen_point(desk: Desk, shell: Shell, vnode: Vnode, vhost: Vhost, name: str) -> RollbackPoint:
    """The point of that name or path, read and compared with its record. Raises Refused when it is no use.

    A path to another place is no other way to say a name: another vhost's archive may be called the same.
    """
    found = await reading.points(shell, vnode, vhost.domain, desk.scripts, check=True)
    point = next((p for p in found if name in (p.filename, p.path)), None)
    hint = f"List what there is: nsmig rollback {vnode.name} {vhost.domain} --list"
    if point is None:
        raise Refused(f"{vhost.domain} has no archive {name}", hint=hint)
    wanted = point.filename
    if point.ok is False:
        what = "it, or the second archive beside it, is not what was recorded"
        raise Refused(f"{wanted} is damaged: {what}", hint=hint)
    if point.ok is None and not recorded_sha(desk, vnode, vhost, wanted):
        raise Refused(f"nothing is recorded of {wanted}; it cannot be trusted", hint=hint)
    return point


def recorded_sha(desk: Desk, vnode: Vnode, vhost: Vhost, filename: str) -> str:
    """The archive's hash as this operator's database knows it, or nothing."""
    runs = desk.store.runs(vnode.name, vhost.domain)
    return next((r.archive_sha256 for r in runs if r.backup_archive == filename and r.archive_sha256), "")


async def plan_restore(
    desk: Desk, shell: Shell, vnode: Vnode, vhost: Vhost, options: RollbackOptions, *, migrated: bool
) -> Planned:
    """What the restore would make new, revert or take away. Reads only.

    ``migrated``: the vnode keeps the record of a migration, which the restore takes back before all else.
    """
    point = await chosen_point(desk, shell, vnode, vhost, options.archive or "")
    up = f"{vnode.vpath}/{vhost.domain}"
    asked = [vhost.domain, up, point.filename, "1" if options.with_mail else "0"]
    output = await reading.ask(shell, vnode, desk.scripts("compare"), asked, reading.HASH)
    s = split_sections(output)
    counts = {row[0]: (int(row[1]), int(row[2])) for row in s.of("", "count") if len(row) >= 3}
    words = {
        "new": "is put aside" if options.exact else "is new since and is carried over",
        "changed": "has changed since and reverts; today's stays in .archive/replaced-…",
        "gone": "is gone today and comes back",
    }
    changes = [
        {"what": words[row[0]], "to": clean(row[1])}
        for row in s.of("", "path")
        if len(row) >= 2 and row[0] in words
    ]
    shown = [c for word in words.values() for c in [c for c in changes if c["what"] == word][:LISTED]]
    steps: Rows = {step: [] for step in STEPS}
    if migrated:
        seen, _ = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
        steps = undo_rows(vnode, vhost, seen)
    else:
        steps[STEPS[5]] = [{"what": "nginx, and php-fpm where there is PHP, are reloaded, never stopped"}]
    steps[STEPS[0]] = [{"what": f"{point.filename}: checksum and members are checked"}]
    steps[STEPS[2]] += [
        *(
            {"what": f"{n} file(s), {size} bytes: {words[kind]}"}
            for kind, (n, size) in sorted(counts.items())
        ),
        *shown,
        {"what": "what is replaced moves", "to": f"{up}/.archive/replaced-…"},
    ]
    mail = "mail is restored too" if options.with_mail else "mail stays as it is"
    return Planned(
        vnode.name,
        vhost.domain,
        verb="restore",
        steps=in_order(steps),
        sizes={kind: size for kind, (_, size) in counts.items()} | {"archive": point.size},
        expected_s=round(2.0 + point.size / 40e6, 1),
        warnings=(mail, "databases are not part of an archive"),
    )


async def restore(
    desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, shell: Shell, options: RollbackOptions
) -> Result:
    """Run the restore on the vnode."""
    point = await chosen_point(desk, shell, vnode, vhost, options.archive or "")
    seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    same_machine(vnode, seen.capabilities)
    journal = read_journal(seen.journal)
    if journal.restoring and not await reading.is_alive(shell, desk.scripts, vhost.domain, journal.run):
        raise half_restored(vnode, vhost)
    _nothing_mounted(seen.mounts, f"{vnode.vpath}/{vhost.domain}", vnode, with_mail=options.with_mail)
    base = runner_values(vnode, vhost.domain, seen, serving, MigrateOptions(), desk.stamp())
    values = {
        **base,
        **run_values(books, "restore"),
        "ARCHIVE": point.filename,
        "WANT_SHA": recorded_sha(desk, vnode, vhost, point.filename),
        "EXACT": "1" if options.exact else "0",
        "WITH_MAIL": "1" if options.with_mail else "0",
        "CRASH_AT": str(options.crash_at),
        "FAIL_AT": options.fail_at,
        "HOLD": "app",
    }
    return await _run(desk, books, vnode, vhost, values)


def _nothing_mounted(mounts: tuple[str, ...], upath: str, vnode: Vnode, *, with_mail: bool) -> None:
    """Refuse where a file system is mounted in what would be put aside: it would go with that."""
    stays = (f"{upath}/.archive", *(() if with_mail else (f"{upath}/msg",)))
    for mount in mounts:
        if not any(below(mount, top) for top in stays):
            raise Refused(
                f"{mount} is a mount point; a restore would take it out of the site",
                hint="Unmount it, restore, and mount it again.",
                vnode=vnode.name,
            )


def half_migrated(vnode: Vnode, vhost: Vhost, kept: reading.Record) -> Refused:
    """A migration or its undo stopped on the way: the site may stand in staging, where a restore works."""
    what = "the undo of a migration" if kept.committed or kept.going_back else "a migration"
    return Refused(
        f"{what} of {vhost.domain} is unfinished",
        hint=f"Finish or undo it first: nsmig resume {vnode.name} {vhost.domain} [--undo]",
        vnode=vnode.name,
        vhost=vhost.domain,
    )


def half_restored(vnode: Vnode, vhost: Vhost) -> Refused:
    """A restore stopped between its switches: whatever clears its staging would delete what was live."""
    return Refused(
        f"a restore of {vhost.domain} broke off half-way",
        hint=f"Take it back first: nsmig resume {vnode.name} {vhost.domain}",
        vnode=vnode.name,
        vhost=vhost.domain,
    )


async def tidy(
    desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, shell: Shell, kept: reading.Record
) -> Result:
    """Clear what a restore left that broke off before it changed anything, or after its end."""
    values = await _back_values(desk, books, vnode, vhost, shell, kept, "tidy")
    if kept.journal.restoring:
        books.warnings.append("the restore had come to its end: it stands")
    elif kept.journal.verb == "restore":
        books.warnings.append("the restore had changed nothing in the vhost")
    return await _run(desk, books, vnode, vhost, values, committed=kept.committed)


async def unrestore(
    desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, shell: Shell, kept: reading.Record
) -> Result:
    """Take a finished or broken-off restore back, by rename."""
    values = await _back_values(desk, books, vnode, vhost, shell, kept, "unrestore")
    return await _run(desk, books, vnode, vhost, values)


async def _back_values(
    desk: Desk,
    books: Bookkeeper,
    vnode: Vnode,
    vhost: Vhost,
    shell: Shell,
    kept: reading.Record,
    verb: str,
) -> dict[str, str]:
    seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    same_machine(vnode, seen.capabilities)
    base = runner_values(vnode, vhost.domain, seen, serving, MigrateOptions(), desk.stamp())
    return {**base, **run_values(books, verb), "SEEN_RUN": kept.journal.run, "HOLD": "app"}


async def _run(
    desk: Desk,
    books: Bookkeeper,
    vnode: Vnode,
    vhost: Vhost,
    values: dict[str, str],
    *,
    committed: bool = False,
) -> Result:
    link = desk.link(vnode, vhost.domain, books.run, books.tell)
    await link.start({"runner.sh": desk.scripts("runner").encode(), "plan": plan_text(values)})
    ending = await link.follow()
    return after_restore(books, vnode, vhost, ending, committed=committed)


def after_restore(
    books: Bookkeeper, vnode: Vnode, vhost: Vhost, ending: Ending, *, committed: bool = False
) -> Result:
    """The Result of a restore or of taking one back. ``committed``: a migration stands all the same."""
    view = ending.view
    count_reloads(books, view)
    books.errors += [e for e in view.errors if e not in books.errors]
    where = f"{vnode.name} {vhost.domain}"
    if view.state == "ok" and (committed or (view.verb == "tidy" and view.migrated)):
        return books.end("ok", migrated(vhost), archive=vhost.backup_archive)
    if view.state == "ok":
        return books.end("ok", returned(vhost), archive=vhost.backup_archive)
    if view.state == "refused":
        asked = {"restore": f"Archives: nsmig rollback {where} --list", "tidy": f"Then: nsmig resume {where}"}
        then = asked.get(view.verb, f"Then: nsmig resume {where} --undo")
        books.hint = undo_first(vnode.name, view.errors) or f"Nothing was touched. {then}"
        return books.end("refused", vhost, code=ExitCode.REFUSED)
    error = view.errors[0] if view.errors else f"the runner stopped in {view.current or 'its beginning'}"
    if ending.died:
        books.errors.append(error)
        books.hint = f"Settle it: nsmig resume {where}"
        return books.end("interrupted", failed(vhost, error, books.hint), code=ExitCode.UNDO_FAILED)
    if view.state == "undone" and view.undoing:
        books.hint = (
            "The restore was taken back, but the migration had been undone for it: "
            f"the old layout is live, with today's files. Then: nsmig validate {where}"
        )
        old = failed(returned(vhost), error, books.hint)
        return books.end("undone", old, code=ExitCode.UNDONE, archive=vhost.backup_archive)
    return badly_ended(books, vnode, vhost, ending, vhost.backup_archive, "")
