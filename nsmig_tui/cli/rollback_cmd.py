"""`nsmig rollback`: list the points, undo a migration, or restore an archive."""

from __future__ import annotations

import time
from argparse import Namespace

from ..domain.amounts import size
from ..domain.errors import ExitCode, Refused, UsageError
from ..domain.events import Emit, Planned, Result
from ..domain.fleet import Vhost
from ..domain.options import RollbackOptions
from . import consent
from .documents import point_row
from .session import Session
from .tables import print_table
from .text_printer import seconds

CONDITION = {True: "verified", False: "DAMAGED", None: "unknown"}


async def rollback(session: Session, arguments: Namespace) -> int:
    """Undo by default; with --archive restore; with --list or --dry-run only look."""
    vhost = session.vhost(arguments.vnode, arguments.vhost)
    if arguments.list:
        return await _list(session, vhost)
    if (arguments.exact or arguments.with_mail) and not arguments.archive:
        raise UsageError("--exact and --with-mail go with --archive: undoing keeps everything written since.")
    options = RollbackOptions(
        archive=arguments.archive,
        exact=arguments.exact,
        with_mail=arguments.with_mail,
    )
    target = [(vhost.vnode, vhost.domain)]
    engine = session.app.engine
    if arguments.dry_run:

        async def plan(vnode: str, domain: str, emit: Emit) -> Planned:
            return await engine.plan_rollback(vnode, domain, options)

        return await session.work("plan", target, plan)
    try:
        await consent.require(session.out, _facts(vhost, options), yes=arguments.yes)
    except Refused as error:
        raise session.refuse(error, target) from None

    async def run(vnode: str, domain: str, emit: Emit) -> Result:
        return await engine.rollback(vnode, domain, options, emit)

    return await session.work("rollback", target, run)


def _facts(vhost: Vhost, options: RollbackOptions) -> list[str]:
    where = f"{vhost.domain} on {vhost.vnode}"
    if options.archive is None:
        return [
            f"Undo the migration of {where}: back to the old layout; everything written since stays.",
            "The way back: migrate again.",
        ]
    facts = [
        f"Restore {where} from {options.archive}.",
        "The tree of now moves to .archive/replaced-…; "
        + (
            "newer files are NOT carried over."
            if options.exact
            else "files that are new since are carried over."
        ),
        "Mail is restored too." if options.with_mail else "Mail stays as it is.",
        "Databases are not part of it. --dry-run says what would go away or revert.",
        f"The way back: `nsmig resume {vhost.vnode} {vhost.domain} --undo`; the replaced tree is kept.",
    ]
    return facts


async def _list(session: Session, vhost: Vhost) -> int:
    points = await session.app.engine.points(vhost.vnode, vhost.domain)
    if session.settings.json:
        session.out.document([point_row(point) for point in points])
        return ExitCode.DONE
    now = time.time()
    rows = [
        (
            point.filename,
            point_row(point)["created_at"],
            seconds(max(0.0, now - point.created_at)),
            size(point.size),
            point.entries,
            CONDITION[point.ok],
        )
        for point in points
    ]
    columns = ("filename", "created_at", "age", "size", "entries", "condition")
    print_table(session.out, columns, rows, color=session.settings.color)
    return ExitCode.DONE
