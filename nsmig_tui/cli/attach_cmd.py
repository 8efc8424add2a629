"""`nsmig attach` and `nsmig report`: watch a batch, steer it, and keep its report."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path

from ..domain import batch_report
from ..domain.batch_view import BatchView
from ..domain.errors import ExitCode, Refused, UsageError
from .following import follow
from .session import Session
from .tables import print_table

ORDERS = ("pause", "continue", "cancel", "retry")
COLUMNS = ("batch", "phase", "outcome", "ok", "failed", "skipped", "left", "operator")


async def attach(session: Session, arguments: Namespace) -> int:
    """Watch the batch that runs (or a named one) to its end; or list them; or say one word to it."""
    if arguments.list:
        return _list(session)
    orders = [name for name in ORDERS if getattr(arguments, name)]
    if arguments.only and orders not in (["cancel"], ["retry"]):
        raise UsageError("--only goes with --cancel or --retry.")
    batch = chosen(session, arguments.batch, running_first=True)
    if not orders:
        return await follow(session, batch, whole=False)
    if session.settings.read_only:
        raise Refused("Steering a batch changes something, and this is a read-only session.")
    key = "/".join(arguments.only) if arguments.only else ""
    if key and key not in session.app.batches.view(batch).runs:
        raise UsageError(f"{' '.join(arguments.only)} is not part of the batch {batch}.")
    if orders[0] == "retry" and not session.app.batches.is_alive(batch):
        raise Refused(
            f"The batch {batch} has ended.", hint=f"Try its failed ones again: nsmig resume {batch} --retry"
        )
    session.app.batches.send(batch, orders[0], key)
    session.out.talk(f"Told the batch {batch}: {orders[0]}.")
    return ExitCode.DONE


async def report(session: Session, arguments: Namespace) -> int:
    """Print or write the report of the newest batch, or of a named one."""
    batch = chosen(session, arguments.batch)
    told = batch_report.report(session.app.batches.view(batch))
    kind = arguments.format or (Path(arguments.output).suffix.lstrip(".") if arguments.output else "")
    kind = {"": "json" if session.settings.json else "md", "htm": "html", "markdown": "md"}.get(kind, kind)
    if kind not in batch_report.FORMATS:
        raise UsageError(f"A report is json, md or html, not {kind!r}.")
    if kind == "json":
        text = json.dumps(told, indent=2) + "\n"
    else:
        text = batch_report.markdown(told) if kind == "md" else batch_report.html(told)
    if not arguments.output:
        for line in text.rstrip("\n").split("\n"):
            session.out.line(line)
        return ExitCode.DONE
    try:
        # Names of files and sites are in it: for its owner, who may pass it on.
        handle = os.open(arguments.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{arguments.output} cannot be written: {error.strerror}.") from error
    session.out.talk(f"Written: {arguments.output}")
    return ExitCode.DONE


def chosen(session: Session, batch: str | None, *, running_first: bool = False) -> str:
    """The named batch, else one that runs, else the newest. Raises UsageError when there is none."""
    batches = session.app.batches
    names = batches.names()
    if batch:
        if batch not in names:
            raise UsageError(f"There is no batch {batch!r}.", hint="See `nsmig attach --list`.")
        return batch
    running = batches.alive() if running_first else []
    if len(running) > 1:
        raise UsageError(f"Several batches run: {', '.join(running)}.", hint="Name one.")
    newest = running[0] if running else next((view.spec.batch for view in session.batches()), None)
    if newest is None:
        raise UsageError("There is no batch yet.", hint="Start one: nsmig migrate --all-validated")
    return newest


def _list(session: Session) -> int:
    rows = [_row(view) for view in session.batches()]
    if session.settings.json:
        session.out.document(rows)
    else:
        cells = [[row[name] for name in COLUMNS] for row in rows]
        print_table(session.out, COLUMNS, cells, color=session.settings.color)
    return ExitCode.DONE


def _row(view: BatchView) -> dict:
    from ..engine.batch.ending import left_over

    told = batch_report.report(view)
    return {
        "batch": view.spec.batch,
        "phase": view.phase,
        "outcome": view.outcome,
        "exit_code": view.exit_code,
        **{name: told["counts"][name] for name in ("ok", "failed", "skipped")},
        "left": len(left_over(view.spec, view.results)),
        "operator": view.spec.operator,
        "started": told["started"],
        "finished": told["finished"],
    }
