"""Keeps the operator's records of a run: events into the log, the run's row, the vhost's new state."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..domain.errors import ExitCode, NsmigError
from ..domain.events import (
    Emit,
    Event,
    LinkChanged,
    Planned,
    Result,
    RunStarted,
    StepFailed,
    StepFinished,
    StepProgressed,
    StepStarted,
    Warned,
)
from ..domain.fleet import ON_THE_VNODE, Layout, RunRecord, Status, Vhost
from ..domain.layout import JournalView
from ..domain.path_map import below, final_map
from ..domain.ports import FleetStore

Clock = Callable[[], float]


@dataclass
class Bookkeeper:
    """One run's books. ``emit`` is where events go on to, after they were noted."""

    store: FleetStore
    verb: str
    vnode: str
    vhost: str
    run: str
    operator: str
    emit: Emit
    clock: Clock = time.time
    batch: str = ""
    started: float = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    hint: str = ""
    vnode_trouble: str = ""
    unkept: str = ""

    def begin(self) -> None:
        """Open the run's row and say so."""
        self.started = self.clock()
        self.store.save_run(self._record("running", None))
        self.tell(RunStarted(self.vnode, self.vhost, self.run, self.verb))

    def tell(self, event: Event) -> None:
        """Note a transition, then pass the event on; ticks are only passed on."""
        if not isinstance(event, StepProgressed):
            self._note(event)
        self.emit(event)

    def warn(self, message: str) -> None:
        """Say at once what is odd, and keep it for the Result."""
        self.tell(Warned(self.vnode, self.vhost, self.run, message))

    def _note(self, event: Event) -> None:
        line = ""
        match event:
            case StepStarted(step=step):
                self.steps.append({"name": step, "ok": None, "started": self.clock(), "seconds": 0.0})
                line = f"{step} begins"
            case StepFinished(step=step, seconds=seconds):
                for row in self.steps:
                    if row["name"] == step:
                        row.update(ok=True, seconds=seconds)
                line = f"{step} done in {seconds:.2f} s"
            case StepFailed(step=step, message=message):
                for row in self.steps:
                    if row["name"] == step:
                        row.update(ok=False)
                self.errors.append(message)
                line = f"{step} failed: {message}"
            case Warned(message=message):
                self.warnings.append(message)
                line = f"warning: {message}"
            case LinkChanged(message=message):
                line = message
            case RunStarted():
                line = f"{self.verb} by {self.operator}"
            case Result(ok=ok, errors=errors):
                line = "ended well" if ok else f"ended badly: {'; '.join(errors)}"
            case Planned():
                line = "planned"
        if line:
            self._keep(lambda: self.store.log(self.run, self.clock(), line))

    def _keep(self, write: Callable[[], None]) -> None:
        """Write into the database; a run that its vnode's journal tells of goes on without."""
        try:
            write()
        except NsmigError as error:
            if self.verb not in ON_THE_VNODE:
                raise
            self.unkept = error.message

    def end(
        self,
        outcome: str,
        vhost: Vhost | None,
        *,
        code: ExitCode = ExitCode.DONE,
        steps: tuple[str, ...] = (),
        archive: str | None = None,
        sha256: str = "",
        skipped: bool = False,
    ) -> Result:
        """Close the books: the vhost's row, the run's row, the Result."""
        ok = code == ExitCode.DONE
        if outcome in ("ok", "failed"):  # the journal tells the end of a run, not of each step of a way back
            for row in self.steps:
                if row["ok"] is None:
                    row.update(ok=ok, seconds=round(self.clock() - row["started"], 2))
        record = replace(self._record(outcome, self.clock()), backup_archive=archive, archive_sha256=sha256)
        self.unkept = ""  # what could not be written before is written together with this
        self._keep(lambda: self.store.save_run(record, vhost))
        if self.unkept:
            again = f"`nsmig discover {self.vnode}` reads from the vnode what was done"
            self.warnings.append(f"not all of this is recorded here: {self.unkept} {again}")
        result = Result(
            self.vnode,
            self.vhost,
            self.run,
            ok=ok,
            status=str(vhost.status) if vhost else "",
            steps_completed=steps,
            backup_archive=archive,
            warnings=tuple(dict.fromkeys(self.warnings)),
            errors=tuple(dict.fromkeys(self.errors)),
            duration_s=round(self.clock() - self.started, 3),
            hint=self.hint,
            exit_code=int(code),
            skipped=skipped,
            vnode_trouble=self.vnode_trouble,
        )
        self.tell(result)
        return result

    def cut_off(self) -> None:
        """Close the row of a look that its operator broke off: nothing was changed and nothing goes on."""
        self.store.save_run(self._record("interrupted", self.clock()))

    def _record(self, outcome: str, finished: float | None) -> RunRecord:
        return RunRecord(
            self.run,
            self.verb,
            self.vnode,
            self.vhost,
            self.operator,
            self.started,
            finished,
            outcome,
            tuple(dict(step) for step in self.steps),
            tuple(dict.fromkeys(self.warnings)),
            tuple(dict.fromkeys(self.errors)),
            batch=self.batch,
        )


def count_reloads(books: Bookkeeper, view: JournalView) -> None:
    """Say how often a run, forth or back, reloaded php-fpm."""
    count = view.reloads.get("php-fpm", 0)
    if count:
        times = "once" if count == 1 else f"{count} times"
        books.warnings.append(f"php-fpm was reloaded {times}; each may end requests in flight")


def migrated(vhost: Vhost) -> Vhost:
    """The vhost in its new layout; when, and what its archive is, the caller knows."""
    return replace(
        vhost,
        status=Status.MIGRATED,
        layout=Layout.NS3,
        rollback_available=True,
        last_error="",
        last_hint="",
        details=served_from(vhost, Layout.NS3),
    )


def returned(vhost: Vhost) -> Vhost:
    """The vhost in its old layout again, ready to be migrated anew."""
    return replace(
        vhost,
        status=Status.VALIDATED,
        layout=Layout.NS1,
        migrated_at=None,
        last_error="",
        last_hint="",
        steps_completed=(),
        details=served_from(vhost, Layout.NS1),
    )


def served_from(vhost: Vhost, layout: Layout) -> dict[str, Any]:
    """The vhost's details, its document root where ``layout`` has it."""
    root, upath = vhost.details.get("document_root"), vhost.details.get("upath")
    if not root or not upath or below(root, f"{upath}/web/app/public") is (layout is Layout.NS3):
        return vhost.details
    there = final_map(upath)
    return {**vhost.details, "document_root": (there if layout is Layout.NS3 else there.inverse()).path(root)}


def failed(vhost: Vhost, error: str, hint: str) -> Vhost:
    """The vhost after work on it went wrong."""
    return replace(vhost, status=Status.FAILED, last_error=error, last_hint=hint)


def undo_first(vnode: str, errors: Iterable[str]) -> str:
    """What to do where the runner says that another vhost's migration came later; nothing elsewhere."""
    found = next(filter(None, (re.search(r"undo (\S+) first$", error) for error in errors)), None)
    return f"nsmig rollback {vnode} {found[1]}, then ask again" if found else ""
