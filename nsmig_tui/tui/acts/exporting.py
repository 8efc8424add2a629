"""Export: the report of a batch, or all that is known of the chosen vhosts, as a file."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...domain import batch_report, vhost_report
from ...domain.errors import NsmigError, Refused
from ...domain.vhost_report import Known
from ..dialogs.pick import PromptDialog
from ..dialogs.prompts import MenuDialog
from ..selection import Targets
from ..words import plural

if TYPE_CHECKING:
    from ..app import NsmigApp

ENDINGS = {"json": "json", "md": "md", "markdown": "md", "html": "html", "htm": "html"}
RUNS_EACH = 50
"""So many of a vhost's newest runs go into its report."""

MOST = 1000
"""So many vhosts in one report; more would be a database, not something to read."""

Told = dict[str, Any]


def no_export(ui: NsmigApp, targets: Targets) -> str:
    """There must be a vhost, or a batch."""
    if len(targets.hosts) > MOST:
        return f"At most {MOST:,} vhosts at once: narrow the choice, or use `nsmig list --json`."
    batches = getattr(ui.parts, "batches", None)
    if targets.hosts or ui.batch_watch.views() or (batches is not None and batches.names()):
        return ""
    return "Choose a vhost first; no batch has been run yet."


async def export(ui: NsmigApp, targets: Targets) -> None:
    """Ask what and where to, then write it; never over a file that is there."""
    batch = await asyncio.to_thread(batch_meant, ui, targets)
    entries = []
    if targets.hosts:
        words = targets.host.domain if targets.host else f"the {len(targets.hosts)} vhosts chosen"
        entries.append(("v", "vhosts", f"{words}: status, findings, runs, log"))
    if batch:
        entries.append(("b", "batch", f"batch {batch}: how each vhost ended"))
    chosen = entries[0][1] if len(entries) == 1 else await ui.ask(MenuDialog("Export a report", entries))
    if chosen is None:
        return
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(ui.clock()))
    if chosen == "batch":
        name, words, make = f"nsmig-batch-{batch}.md", f"The report of batch {batch}.", batch_of(ui, batch)
    else:
        about = targets.host.domain if targets.host else f"{len(targets.hosts)}-vhosts"
        name, make = f"nsmig-{about}-{stamp}.md", vhosts_of(ui, targets)
        words = f"What is known of {plural(len(targets.hosts), 'vhost')}."
    await write_asked(ui, f"{words} The ending says how: .md, .html or .json.", str(Path.cwd() / name), make)


async def write_asked(ui: NsmigApp, label: str, path: str, make: Callable[[str], str]) -> None:
    """Ask for the file until it is written or the operator gives up."""
    while True:
        answer = await ui.ask(PromptDialog("Export a report", label, path))
        if answer is None:
            return
        path = answer
        try:
            place = await asyncio.to_thread(write, Path(answer).expanduser().absolute(), make)
        except NsmigError as error:
            await ui.show_error("Nothing was written", error)
        else:
            ui.notify(f"Written: {place}", markup=False, timeout=12)
            return


def write(path: Path, make: Callable[[str], str]) -> Path:
    """Write what ``make`` answers for the file's kind. Raises Refused, and leaves what is there alone."""
    kind = ENDINGS.get(path.suffix.lstrip(".").lower())
    if kind is None:
        raise Refused(f"{path.name} has an ending that says nothing.", hint="End it in .md, .html or .json.")
    text = make(kind)
    try:
        # Names of files and sites are in it: for its owner, who may pass it on.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(f"{path} is there already, and stays.", hint="Choose another name.") from None
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.", hint="Choose another place.") from error
    return path


def batch_meant(ui: NsmigApp, targets: Targets) -> str:
    """The batch of the run under the cursor, else the newest that is watched, else the newest on disk."""
    view = ui.all_runs.batch_of(targets.run.key) if targets.run else None
    views = ui.batch_watch.views()
    if view or views:
        return (view or views[-1]).spec.batch
    batches = getattr(ui.parts, "batches", None)
    names = batches.names() if batches is not None else []
    return names[0] if names else ""


def batch_of(ui: NsmigApp, batch: str) -> Callable[[str], str]:
    """Makes the report of a batch, as its journal has it at that moment."""
    return lambda kind: document(batch_report, batch_report.report(ui.parts.batches.view(batch)), kind)


def vhosts_of(ui: NsmigApp, targets: Targets) -> Callable[[str], str]:
    """Makes the report of the chosen vhosts, from what the database holds now."""
    known = [known_of(ui, host.node.name, host.domain) for host in targets.hosts]
    told = vhost_report.report([one for one in known if one], at=ui.clock(), operator=ui.options.operator)
    return lambda kind: document(vhost_report, told, kind)


def known_of(ui: NsmigApp, vnode: str, domain: str) -> Known | None:
    """What the database holds of one vhost."""
    vhost = ui.store.vhost(vnode, domain)
    if vhost is None:
        return None
    runs = ui.store.runs(vnode, domain, limit=RUNS_EACH)
    return Known(vhost, runs, ui.store.log_lines(runs[0].run) if runs else ())


def document(reporter: Any, told: Told, kind: str) -> str:
    """``told`` as the text of a file of this kind."""
    if kind == "json":
        return json.dumps(told, indent=2) + "\n"
    return str(reporter.markdown(told) if kind == "md" else reporter.html(told))
