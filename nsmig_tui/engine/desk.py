"""What every verb works with: the ports, the operator's name, and how to find and name things."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ..domain.errors import (
    ConnectError,
    ExitCode,
    LockHeld,
    NsmigError,
    Refused,
    UsageError,
    VnodeTrouble,
)
from ..domain.events import Emit, Result
from ..domain.fleet import Vhost, Vnode
from ..domain.layout import JournalView
from ..domain.ports import Connector, FleetStore, Shell
from ..domain.readings import Capabilities, Inspection, VnodeReading
from .bookkeeping import Bookkeeper
from .journal_watch import JournalWatch
from .reading import Scripts
from .runner_link import RunnerLink


@dataclass
class Desk:
    """The engine's tools.

    ``services``: per vnode, the service manager given in the settings. ``batch``: the one that all
    runs of this process belong to.
    """

    store: FleetStore
    connector: Connector
    scripts: Scripts
    operator: str
    clock: Callable[[], float] = time.time
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    readings: dict[str, VnodeReading] = field(default_factory=dict)
    batch: str = ""
    _watches: dict[tuple[str, str], JournalWatch] = field(default_factory=dict)

    def vnode(self, name: str) -> Vnode:
        """A vnode by name. Raises UsageError for one that is not known."""
        found = self.store.vnode(name)
        if found is None:
            known = ", ".join(v.name for v in self.store.vnodes()[:8]) or "none yet"
            raise UsageError(
                f"there is no vnode {name!r}", hint=f"Known: {known}. Add it with: nsmig node add {name}"
            )
        service = dict(self.services.get(name, {}))
        return replace(found, service={**found.service, **service})

    def vhost(self, vnode: str, domain: str) -> Vhost:
        """A vhost by name. Raises UsageError for one that was never discovered."""
        found = self.store.vhost(vnode, domain)
        if found is None:
            raise UsageError(
                f"there is no vhost {domain!r} on {vnode}", hint=f"Look first: nsmig discover {vnode}"
            )
        return found

    def pair(self, vnode: str, domain: str) -> tuple[Vnode, Vhost]:
        """Both."""
        return self.vnode(vnode), self.vhost(vnode, domain)

    def books(self, verb: str, vnode: str, vhost: str, emit: Emit) -> Bookkeeper:
        """New books for one run; its name is unique on every machine."""
        run = self.run_name()
        books = Bookkeeper(self.store, verb, vnode, vhost, run, self.operator, emit, self.clock, self.batch)
        books.begin()
        return books

    def run_name(self) -> str:
        """A fresh run id: UTC time and random letters."""
        return f"{self.stamp()}-{secrets.token_hex(3)}"

    def stamp(self) -> str:
        """UTC now, as archives are named."""
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y%m%d-%H%M%S")

    async def shell(self, vnode: Vnode) -> Shell:
        """The vnode's connection; notes in the store whether it could be reached."""
        try:
            shell = await self.connector.shell(vnode)
        except ConnectError as error:
            kept = self.store.vnode(vnode.name)
            if kept is not None:
                self.store.save_vnode(replace(kept, unreachable=error.message))
            raise
        return shell

    def link(self, vnode: Vnode, domain: str, run: str, emit: Emit) -> RunnerLink:
        """A run on one vhost, to start or to follow; all that are followed on a vnode share its watch."""
        there = (vnode.name, vnode.ssh_host)
        watch = self._watches.setdefault(there, JournalWatch(self.connector, vnode, self.scripts))
        return RunnerLink(self.connector, watch, vnode, domain, run, self.scripts, emit)

    def saw(self, vnode: Vnode, capabilities: Capabilities) -> Vnode:
        """Remember what a vnode said of itself, and that it answered."""
        facts = {
            **vnode.facts,
            "os": capabilities.os,
            "kernel": capabilities.kernel,
            "hostname": capabilities.hostname,
            "manager": capabilities.manager,
            "exchange": capabilities.exchange,
            "tar": capabilities.tar,
            "gzip": capabilities.gzip,
            "web_uid": capabilities.web_uid,
            "web_gid": capabilities.web_gid,
            "tools": sorted(capabilities.tools),
            "disk_kb": capabilities.disk_kb,
            "avail_kb": capabilities.avail_kb,
            "inodes_free": capabilities.inodes_free,
        }
        kept = self.store.vnode(vnode.name)
        seen = replace(
            kept or vnode,
            machine_id=vnode.machine_id or capabilities.machine_id,
            facts=facts,
            last_contact=self.clock(),
            unreachable="",
        )
        self.store.save_vnode(seen)
        return replace(seen, service=vnode.service)


def same_machine(vnode: Vnode, capabilities: Capabilities) -> None:
    """Refuse to go on when the name leads to another machine than it did (reliability.md A15)."""
    if vnode.machine_id and capabilities.machine_id and vnode.machine_id != capabilities.machine_id:
        raise Refused(
            f"{vnode.name} is another machine than the one that was discovered",
            hint="If the server was reinstalled, remove the vnode and add it again.",
            vnode=vnode.name,
        )


def still_there(vnode: Vnode, vhost: Vhost, seen: Inspection) -> None:
    """Refuse to go on with a vhost whose directory has gone."""
    if not seen.is_dir("upath"):
        raise Refused(
            f"{vnode.vpath}/{vhost.domain} is not there, or is no directory",
            hint=f"Bring it back if it should be there; nsmig discover {vnode.name} notes what is.",
            vnode=vnode.name,
            vhost=vhost.domain,
        )


def at_work_on(vnode: Vnode, domain: str, journal: JournalView) -> LockHeld:
    """What to say of a vhost that the run of this journal works on right now."""
    return LockHeld(
        f"another run works on {domain}: {journal.verb} by {journal.operator or 'somebody'}",
        hint=f"Attach to it with: nsmig resume {vnode.name} {domain}",
        vnode=vnode.name,
        vhost=domain,
    )


def ended_by(error: NsmigError, books: Bookkeeper, vhost: Vhost) -> Result:
    """The Result for a run that an error ended before or beside the runner's own word."""
    books.errors.append(error.message)
    books.hint = error.hint
    books.vnode_trouble = error.message if isinstance(error, VnodeTrouble) else ""
    outcome = {
        ExitCode.REFUSED: "refused",
        ExitCode.INTERRUPTED: "interrupted",
        ExitCode.LOCKED: "refused",
    }.get(error.exit_code, "failed")
    return books.end(outcome, vhost, code=error.exit_code, skipped=error.exit_code is ExitCode.LOCKED)
