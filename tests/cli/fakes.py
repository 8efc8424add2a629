"""An engine that answers from a table, a fleet to work on, and a way to run one command in this process."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nsmig_tui.cli.main import main
from nsmig_tui.domain.batch_plan import FileSystem, Measured
from nsmig_tui.domain.errors import NsmigError
from nsmig_tui.domain.events import (
    FindingMade,
    Found,
    LogLine,
    Planned,
    Result,
    RunStarted,
    StepFinished,
    StepProgressed,
    StepStarted,
    Warned,
)
from nsmig_tui.domain.fleet import STEPS, Layout, RunRecord, Status, Vhost, Vnode
from nsmig_tui.domain.options import RollbackPoint
from nsmig_tui.engine.batch import conductor as conducting
from nsmig_tui.engine.batch.client import Batches
from nsmig_tui.engine.batch.conductor import Conductor
from nsmig_tui.engine.batch.journal import Journal
from nsmig_tui.engine.batch.mailbox import collect
from nsmig_tui.store.fleet_store import Store

ARCHIVE = "/srv/good.example/.archive/pre-migration-20260131-120000.tar.gz"


class FakeEngine:
    """``answers``: (verb, vnode, domain) -> Result, list of them, or an exception; else all goes well.

    ``calls`` keeps what was asked. Emits one of every kind of event, hostile text among them.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, ...], Any] = {}
        self.calls: list[tuple[Any, ...]] = []

    def _answer(self, key: tuple[str, ...], usual: Any) -> Any:
        answer = self.answers.get(key, usual)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def check(self, vnode):
        self.calls.append(("check", vnode))
        return self._answer(("check", vnode), {"ok": True, "os": "Debian 12", "tools": ["tar", "perl"]})

    async def discover(self, vnode, emit):
        self.calls.append(("discover", vnode))
        emit(Found(vnode, "good.example", status="discovered", layout="ns1"))
        usual = [Result(vnode, "good.example", ok=True, status="discovered")]
        return self._answer(("discover", vnode), usual)

    async def validate(self, vnode, domain, emit):
        self.calls.append(("validate", vnode, domain))
        emit(FindingMade(vnode, domain, severity="passed", category="service health", message="nginx runs"))
        emit(
            FindingMade(
                vnode, domain, severity="warning", category="security", message="a \x1b]0;x\x07name [red]"
            )
        )
        result = self._answer(("validate", vnode, domain), Result(vnode, domain, ok=True, status="validated"))
        emit(result)
        return result

    async def plan_migrate(self, vnode, domain, options):
        self.calls.append(("plan_migrate", vnode, domain, options))
        steps = tuple({"name": name, "changes": []} for name in STEPS)
        steps[2]["changes"].append({"what": "rename", "from": "web", "to": "web/app/public", "mode": "0755"})
        steps[4]["changes"].append({"what": "edit", "diff": "-root /a;\n+root /b;"})
        plan = Planned(
            vnode, domain, steps=steps, sizes={"size": 2048}, expected_s=3.0, tree_before=("web/",)
        )
        return self._answer(("plan_migrate", vnode, domain), plan)

    async def nothing_to_migrate(self, vnode, domain):
        self._answer(("nothing_to_migrate", vnode, domain), None)

    async def migrate(self, vnode, domain, options, emit):
        self.calls.append(("migrate", vnode, domain, options))
        emit(RunStarted(vnode, domain, "r1", verb="migrate"))
        emit(StepStarted(vnode, domain, "r1", step="backup_creation"))
        emit(StepProgressed(vnode, domain, "r1", step="backup_creation", done=1, total=2))
        emit(StepFinished(vnode, domain, "r1", step="backup_creation", seconds=0.5))
        emit(Warned(vnode, domain, "r1", message="odd \x1b[2Jname"))
        emit(LogLine(vnode, domain, "r1", message="[bold]talk[/nope]"))
        usual = Result(
            vnode,
            domain,
            "r1",
            ok=True,
            status="migrated",
            steps_completed=STEPS,
            backup_archive=ARCHIVE,
            warnings=("odd name",),
            duration_s=1.5,
        )
        result = self._answer(("migrate", vnode, domain), usual)
        emit(result)
        return result

    async def take_up(self, vnode, domain, options, emit):
        return self._answer(("migrate", vnode, domain), Result(vnode, domain, ok=True, status="migrated"))

    async def measure(self, vnode, domains):
        usual = Measured({d: ("1", 2048) for d in domains}, {"1": FileSystem("1", 1 << 40)})
        return self._answer(("measure", vnode), usual)

    async def points(self, vnode, domain):
        point = RollbackPoint("a.tar.gz", "/srv/x/.archive/a.tar.gz", 1769860800.0, 2048, True, 12)
        return self._answer(("points", vnode, domain), [point])

    async def plan_rollback(self, vnode, domain, options):
        self.calls.append(("plan_rollback", vnode, domain, options))
        return self._answer(("plan_rollback", vnode, domain), Planned(vnode, domain, verb="undo"))

    async def rollback(self, vnode, domain, options, emit):
        self.calls.append(("rollback", vnode, domain, options))
        return self._answer(("rollback", vnode, domain), Result(vnode, domain, ok=True, status="validated"))

    async def resume(self, vnode, domain, emit, *, undo=False):
        self.calls.append(("resume", vnode, domain, undo))
        return self._answer(("resume", vnode, domain), Result(vnode, domain, ok=True, status="migrated"))


class InlineBatches(Batches):
    """Conducts batches in this process, over the fake engine; files and journal are the real ones."""

    def __init__(self, data_dir: Path, engine: FakeEngine) -> None:
        super().__init__(data_dir, operator="op")
        self._engine = engine
        self._tasks: list[asyncio.Task[int]] = []

    def _spawn(self, place, secrets, more):
        lock = place.take_lock()
        assert lock is not None
        before = self.view(place.batch)
        journal = Journal(place, time.time)
        conductor = Conductor(
            self._engine,
            place.spec(),
            journal,
            before=before,
            retry="--retry" in more,
            leave=[key for word, key in itertools.pairwise(more) if word == "--leave"],
            mailbox=lambda: collect(place),
        )

        def gone(_task: asyncio.Task[int]) -> None:
            journal.close()
            os.close(lock)

        task = asyncio.get_running_loop().create_task(conductor.run())
        task.add_done_callback(gone)
        self._tasks.append(task)


class FakeApp:
    """Store and engine without connections."""

    def __init__(self, store: Store, engine: FakeEngine) -> None:
        self.store, self.engine = store, engine
        self.closed = False
        self.batches = InlineBatches(store._path.parent, engine)

    def typed(self) -> dict[str, str]:
        return {}

    async def hang_up(self) -> None:
        return

    async def close(self) -> None:
        self.closed = True
        self.store.close()


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """stdout as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Bench:
    """Runs commands over the fake engine and a real store in ``directory``."""

    directory: Any
    patch: pytest.MonkeyPatch
    engine: FakeEngine = field(default_factory=FakeEngine)
    asked: dict[str, Any] = field(default_factory=dict)

    def store(self) -> Store:
        """The database, to prepare or to look at."""
        (self.directory / "data").mkdir(mode=0o700, exist_ok=True)
        return Store(self.directory / "data" / "nsmig.db")

    def seed(self) -> None:
        """Two vnodes: web1 with a validated and a discovered vhost, web2 with a validated one."""
        store = self.store()
        store.save_vnode(Vnode("web1", "syd", last_contact=1769860800.0))
        store.save_vnode(Vnode("web2", unreachable="no route"))
        store.save_vhosts(
            [
                Vhost("web1", "good.example", Status.VALIDATED, Layout.NS1, details={"php": "8.2"}),
                Vhost("web1", "new.example", Status.DISCOVERED, Layout.NS1),
                Vhost("web2", "other.example", Status.VALIDATED, Layout.NS1),
                Vhost("web2", "done.example", Status.MIGRATED, Layout.NS3, migrated_at=1769860800.0),
            ]
        )
        store.save_run(
            RunRecord("r0", "validate", "web1", "good.example", "op", 1769860800.0, 1769860801.0, "ok")
        )
        store.close()

    def run(self, *words: str, answers: str | None = None) -> Ended:
        """Run one command; ``answers`` makes it a terminal where these lines are typed."""
        kind = io.StringIO if answers is None else Terminal
        out, err = io.StringIO(), kind()
        self.patch.setattr(conducting, "SECOND_TRY", 0.0)
        self.patch.setattr(sys, "stdin", kind(answers or ""))
        self.patch.setattr(sys, "stdout", out)
        self.patch.setattr(sys, "stderr", err)

        def wire(settings: Any, **asks: Any) -> FakeApp:
            self.asked = {"settings": settings, **asks}
            return FakeApp(self.store(), self.engine)

        code = main(list(words), wire=wire)
        return Ended(code, out.getvalue(), err.getvalue())


def result(vnode: str, domain: str, code: int, **values: Any) -> Result:
    """A result that failed with ``code``."""
    return Result(vnode, domain, ok=False, status="failed", errors=("it broke",), exit_code=code, **values)


def error(kind: type[NsmigError], words: str = "it broke") -> NsmigError:
    """An exception with a hint."""
    return kind(words, hint="mend it", vnode="web1")
