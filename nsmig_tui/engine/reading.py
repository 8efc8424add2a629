"""Asks a vnode with the reading scripts and answers with facts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ..domain.errors import ConnectError, Refused
from ..domain.fleet import Vhost, Vnode
from ..domain.http_answers import Baseline, baseline_from
from ..domain.layout import JournalView, read_journal
from ..domain.options import RollbackPoint
from ..domain.ports import Shell
from ..domain.readings import (
    Capabilities,
    Discovery,
    Inspection,
    VnodeReading,
    read_capabilities,
    read_discovery,
    read_inspection,
)
from ..domain.sections import as_name, split_sections, unb64
from ..domain.surroundings import Serving, nginx_model, serving_of, web_account

Scripts = Callable[[str], str]
"""Name of a remote script -> its text."""

LOOK = 120.0
"""Seconds that a reading script may take; trees of many files are walked."""

Readings = MutableMapping[str, VnodeReading]
"""Target of a vnode -> what was read there last."""

SENT_BACK = 90 * 1024
"""Bytes of each text that goes back to a vnode, so that it can tell whether anything has changed."""

HASH = 3600.0
"""Seconds that hashing archives may take."""

VERDICTS = {"verified": True, "damaged": False}
"""What a script says of an archive -> whether it is whole; of what nothing is recorded nobody knows."""


@dataclass(frozen=True)
class Record:
    """What the vnode keeps of a vhost's migration.

    ``going_back``: its undo has begun. ``restoring``: a restore stopped between its switches.
    """

    exists: bool = False
    committed: bool = False
    going_back: bool = False
    restored: bool = False
    restoring: bool = False
    journal: JournalView = field(default_factory=JournalView)
    baseline: tuple[Baseline, ...] = ()

    @property
    def half_way(self) -> bool:
        """Whether a migration is neither finished nor wholly undone."""
        return self.exists and (not self.committed or self.going_back or self.journal.unfinished)


async def ask(shell: Shell, vnode: Vnode, text: str, args: list[str], limit: float = LOOK) -> bytes:
    """Run a reading script. Raises ConnectError when it did not answer properly."""
    rc, output = await shell.run(text, args, timeout=limit)
    if rc != 0:
        raise ConnectError(
            f"a reading script failed on {vnode.name} (status {rc})",
            hint="Is there a POSIX sh with the core utilities?",
            vnode=vnode.name,
        )
    return output


async def probe(shell: Shell, vnode: Vnode, scripts: Scripts) -> Capabilities:
    """What the vnode can do."""
    return read_capabilities(split_sections(await ask(shell, vnode, scripts("probe"), [vnode.vpath])), "")


async def discover(shell: Shell, vnode: Vnode, scripts: Scripts) -> Discovery:
    """Everything about the vnode in one round trip."""
    seen = read_discovery(await ask(shell, vnode, scripts("discover"), [vnode.vpath]))
    return replace(seen, capabilities=web_account(seen.capabilities, nginx_model(seen.nginx)[0]))


async def inspect(
    shell: Shell, vnode: Vnode, vhost: Vhost, scripts: Scripts, readings: Readings, *, test: bool
) -> tuple[Inspection, Serving]:
    """All about one vhost. ``test``: also run nginx -t and php-fpm -t, which open log files.

    What is the same for all vhosts of the vnode is taken from ``readings`` while the vnode itself finds it
    unchanged, and kept there.
    """
    upath = f"{vnode.vpath}/{vhost.domain}"
    web_uid = vnode.facts.get("web_uid")
    args = [
        vhost.domain,
        upath,
        str(vhost.uid if vhost.uid is not None else 0),
        str(web_uid if web_uid is not None else 33),
        "test" if test else "dry",
    ]
    before = None if test else readings.get(vnode.target)
    if before is not None:
        args += before.hangs_on
    seen = read_inspection(await ask(shell, vnode, scripts("inspect"), args), before)
    if seen.vnode is None or any(len(os.fsencode(text)) > SENT_BACK for text in seen.vnode.hangs_on):
        readings.pop(vnode.target, None)
    elif not test:
        readings[vnode.target] = seen.vnode
    serving = serving_of(
        vhost.domain,
        upath,
        seen.nginx,
        seen.fpm,
        seen.capabilities,
        seen.listening,
        seen.siblings,
        seen.entries.get("alias", ()),
        seen.entries.get("var", ()),
        tuple(seen.entries.get("socket", ())),
    )
    return replace(seen, capabilities=web_account(seen.capabilities, serving.nginx)), serving


async def record(shell: Shell, vnode: Vnode, domain: str, scripts: Scripts) -> Record:
    """The record on the vnode: the truth about what was done there."""
    s = split_sections(await ask(shell, vnode, scripts("record"), [domain]))
    flags = {row[0] for row in s.of("", "flag")}
    journal = next((unb64(row[0]) for row in s.of("", "journal") if row), b"")
    kept = next((unb64(row[0]) for row in s.of("", "baseline") if row), b"")
    try:
        baseline = tuple(baseline_from(row) for row in json.loads(kept or b"[]"))
    except (ValueError, TypeError, KeyError):
        baseline = ()
    return Record(
        exists=any(s.of("", "record")),
        committed="committed" in flags,
        going_back="back" in flags,
        restored="restored" in flags,
        restoring="restoring" in flags,
        journal=read_journal(journal),
        baseline=baseline,
    )


async def is_alive(shell: Shell, scripts: Scripts, domain: str, run: str) -> bool:
    """Whether the runner of this run is at work on the vnode right now."""
    if not run:
        return False
    _, output = await shell.run(scripts("poll"), ["0", domain, run, "0", ""], timeout=30.0)
    return any(row == ("0", "yes") for row in split_sections(output).of("", "alive"))


async def points(
    shell: Shell, vnode: Vnode, domain: str, scripts: Scripts, *, check: bool
) -> list[RollbackPoint]:
    """The archives on the vnode, newest first; ``check`` reads each one and compares its hash.

    Raises Refused where they cannot be looked for: that is another thing than none.
    """
    upath = f"{vnode.vpath}/{domain}"
    args = [domain, upath, "hash" if check else "quick"]
    s = split_sections(await ask(shell, vnode, scripts("points"), args, HASH if check else LOOK))
    for row in s.of("", "hidden"):
        raise _hidden(vnode, domain, upath, as_name(row[0]))
    found = []
    for row in s.of("", "point"):
        name, at, size, _sha, _recorded, entries, verdict = (*row, *[""] * 7)[:7]
        filename = as_name(name)
        found.append(
            RollbackPoint(
                filename,
                f"{upath}/.archive/{filename}",
                made_at(filename, float(at or 0))[0],
                int(size or 0),
                VERDICTS.get(verdict),
                int(entries) if entries.isdigit() else None,
            )
        )
    return sorted(found, key=lambda p: made_at(p.filename, p.created_at), reverse=True)


def _hidden(vnode: Vnode, domain: str, upath: str, path: str) -> Refused:
    if path == upath:
        what = f"{path} is not there, or is no directory"
        hint = f"Bring it back if it should be there; nsmig discover {vnode.name} notes what is."
    else:
        what = f"{path} is no real directory"
        hint = "Nothing is read through it. Look at it on the server."
    return Refused(f"{what}; its archives cannot be looked for", hint=hint, vnode=vnode.name, vhost=domain)


def made_at(filename: str, touched: float) -> tuple[float, int]:
    """When an archive was begun (epoch), and which of that second it is: its name says so, in UTC.

    ``touched``, the time of the file, counts where the name has none: copying a tree changes it.
    """
    named = re.fullmatch(r"pre-migration-\d{8}-\d{6}(?:-(\d+))?\.tar\.gz", filename)
    at = stamp(filename) if named else None
    return (touched if at is None else at), int((named and named[1]) or 1)


def stamp(name: str) -> float | None:
    """The UTC time in a name like ``legacy-20260131-120000-2``, in seconds since the epoch, if it has one."""
    found = re.search(r"\d{8}-\d{6}", name)
    try:
        return datetime.strptime(found[0], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp() if found else None
    except ValueError:
        return None
