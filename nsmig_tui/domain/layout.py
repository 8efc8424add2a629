"""Which layout a vhost's tree has, judged from disk, and what a journal says about half-done work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .findings import CRITICAL, ERROR, STRUCTURE, Finding
from .fleet import STEPS, Layout, Status
from .nginx_sites import Site
from .path_map import below
from .readings import Inspection
from .sections import number

SWITCHING = ("restore_switch", "restore_back")
"""Steps of a restore, and of taking it back, in which what is live changes places with what is in staging."""


OURS_IN_WEB = ("app", "log", "run", "tmp", ".well-known", ".nsmig-switched")
"""What stands in ``web`` in the new layout; a link beside it leads to the content."""


def layout_of(flags: Mapping[str, str], *, migrated: bool = False, serves_web: bool = False) -> Layout:
    """The layout from the structural paths that exist (path -> anything; a link says ``link``).

    NS3 has web/app/public, web/log and web/run as folders; NS1 has web but not all three. An NS1 site
    may hold app/public of its own (Laravel), so that alone decides nothing, and all three where nginx
    ``serves_web`` itself and something else (``web/*``) is in it. ``migrated``: a migration is on
    record; then what stands at the old places has come since, from a program that makes its log folder.
    """
    real = {name for name, what in flags.items() if what not in ("link", "other")}
    if "web" not in real:
        return Layout.UNKNOWN
    new = {"web/app/public", "web/log", "web/run"} <= real
    if new and serves_web and not migrated and "web/*" in real:
        return Layout.NS1
    old = bool({"var/log", "var/run", "var"} & real)
    if new and (migrated or not ({"var/log", "var/run"} <= real)):
        return Layout.NS3
    if new and old:
        return Layout.MIXED
    return Layout.NS1


UNDO = "undo"
"""The phase in which an undo that was asked for takes back what was done."""


class Phase(NamedTuple):
    """One step of a run. ``ok`` is None while it goes on, and where it stopped."""

    name: str
    started: float
    seconds: float = 0.0
    ok: bool | None = None

    def row(self) -> dict[str, Any]:
        """As a run's record keeps it."""
        return self._asdict()


@dataclass(frozen=True)
class JournalView:
    """What the vnode's journal says of the newest run.

    ``state``: none, running (no end yet), awaiting, ok, undone, refused, attention. ``steps`` completed,
    ``current`` step. ``migrated``: a migration is committed and not undone. ``archive``: the newest one's
    (name, sha256, bytes, entries). ``undoing``: this run had begun to take back what was done.
    ``unfinished``: something is half-done, by whatever run; ``restoring``: by a restore or its taking back.
    ``phases``: the run's steps with their times, and the undo that it was asked for.
    """

    state: str = "none"
    run: str = ""
    verb: str = ""
    operator: str = ""
    steps: tuple[str, ...] = ()
    current: str = ""
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    migrated: bool = False
    unfinished: bool = False
    restoring: bool = False
    undoing: bool = False
    archive: tuple[str, str, int, int] | None = None
    points: int = 0
    reloads: Mapping[str, int] = field(default_factory=dict)
    started: float = 0.0
    finished: float | None = None
    phases: tuple[Phase, ...] = ()


@dataclass
class JournalReader:
    """Feeds on journal bytes as they come; ``view`` is the state after the last whole line.

    With ``only_run`` that ends with this run: ``after`` is the verb and operator of the one that came next.
    """

    only_run: str = ""
    view: JournalView = field(default_factory=JournalView)
    after: str = ""
    _rest: bytes = b""

    def feed(self, data: bytes) -> list[tuple[str, str, float]]:
        """Take more bytes; answer what is new of the run we follow: kind, detail, epoch s."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        fresh = []
        for line in lines:
            parts = line.decode("utf-8", "replace").split("\t", 4)
            if len(parts) == 5 and parts[3] == "begin" and self.only_run not in ("", parts[2]):
                self.after = self.after or (parts[4] if self.view.run == self.only_run else "")
            if len(parts) == 5 and not self.after:
                at = _seconds(parts[1])
                self._take(at, parts[2], parts[3], parts[4])
                if not self.only_run or parts[2] == self.only_run:
                    fresh.append((parts[3], parts[4], at))
        return fresh

    def _take(self, at: float, run: str, kind: str, detail: str) -> None:
        v = self.view
        if kind == "begin":
            verb, _, operator = detail.partition(" ")
            self.view = JournalView(
                state="running",
                run=run,
                verb=verb,
                operator=operator,
                migrated=v.migrated,
                unfinished=v.unfinished,
                restoring=v.restoring,
                archive=v.archive,
                started=at,
            )
            return
        change = self._change(v, kind, detail)
        if kind in ("end", "committed"):
            change["finished"] = at
        change["phases"] = _phases(v, kind, detail, at)
        self.view = JournalView(**{**vars(v), **change})

    @staticmethod
    def _change(v: JournalView, kind: str, detail: str) -> dict[str, object]:
        match kind:
            case "step":
                restoring = v.restoring or detail in SWITCHING
                unfinished = v.unfinished or restoring or detail == STEPS[1]
                return {"current": detail, "unfinished": unfinished, "restoring": restoring}
            case "step_done":
                return {"steps": (*v.steps, detail) if detail not in v.steps else v.steps}
            case "step_failed":
                return {"errors": (*v.errors, detail.partition(" ")[2])}
            case "warning":
                return {"warnings": (*v.warnings, detail)}
            case "error":
                return {"errors": (*v.errors, detail)}
            case "attention":
                return {"errors": (*v.errors, detail), "state": "attention"}
            case "await":
                return {"state": "awaiting"}
            case "undo_started":
                return {"undoing": True, "unfinished": True}
            case "undone":
                return {"migrated": False, "unfinished": False}
            case "reloaded":
                return {"reloads": {**v.reloads, detail: v.reloads.get(detail, 0) + 1}}
            case "archive":
                name, sha, size, entries = [*detail.split(" "), "", "0", "0"][:4]
                return {"archive": (name, sha, number(size), number(entries))}
            case "committed":
                return {"migrated": True, "unfinished": False, "state": "ok"}
            case "points":
                return {"points": number(detail)}
            case "end":
                # a restore takes a migration back before anything else
                gone = detail == "ok" and (v.verb == "undo" or (v.verb == "restore" and v.undoing))
                done = detail in ("ok", "undone")
                return {
                    "state": detail,
                    "migrated": v.migrated and not gone and detail != "undone",
                    "unfinished": v.unfinished and not done,
                    "restoring": v.restoring and not done,
                }
        return {}


def undo_begins(verb: str, kind: str) -> bool:
    """Whether this line begins the undo that a run of ``verb`` is for; others belong to what failed."""
    return kind == "undo_started" and verb in ("undo", "restore")


def undo_ends(kind: str, detail: str) -> bool:
    """Whether this line ends an undo well."""
    return kind == "undone" or (kind == "end" and detail == "ok")


def _phases(v: JournalView, kind: str, detail: str, at: float) -> tuple[Phase, ...]:
    """The phases after one more line of the journal."""
    if kind == "step" or undo_begins(v.verb, kind):
        name = detail if kind == "step" else UNDO
        return v.phases if name in (p.name for p in v.phases) else (*v.phases, Phase(name, at))
    if kind in ("step_done", "step_failed"):
        ended = {detail.partition(" ")[0]}
    elif undo_ends(kind, detail):  # the end of a way back ends its last step too
        ended = {UNDO} if kind == "undone" else {p.name for p in v.phases}
    else:
        return v.phases
    ok = kind != "step_failed"
    return tuple(
        Phase(p.name, p.started, round(max(at - p.started, 0.0), 2), ok)
        if p.name in ended and p.ok is None
        else p
        for p in v.phases
    )


def _seconds(text: str) -> float:
    """A journal's time, "123.45" or "123"; 0.0 for what is none."""
    whole, _, cents = text.partition(".")
    return number(whole) + number(cents[:2]) / 100


def read_journal(data: bytes) -> JournalView:
    """The view after a whole (or cut) journal."""
    reader = JournalReader()
    reader.feed(data)
    return reader.view


def is_whole_web(document_root: str | None, upath: str) -> bool:
    """Whether nginx serves ``web`` as the old layout has it, and not what the new one has in it."""
    root = document_root or ""
    return below(root, f"{upath}/web") and not below(root, f"{upath}/web/app/public")


def layout_on_disk(
    flags: Mapping[str, str], journal: JournalView, upath: str, document_root: str | None
) -> Layout:
    """The layout by what is there, and unless a run stopped half-way by the journal and what nginx serves."""
    if journal.unfinished:
        return layout_of(flags)
    return layout_of(flags, migrated=journal.migrated, serves_web=is_whole_web(document_root, upath))


def layout_seen(seen: Inspection, site: Site) -> Layout:
    """The layout that an inspection saw."""
    kinds = {name: place.kind for name, place in seen.places.items()}
    if set(seen.entries.get("web", ())) - set(OURS_IN_WEB):
        kinds["web/*"] = "more"
    return layout_on_disk(kinds, read_journal(seen.journal), site.upath, site.document_root)


def layout_findings(seen: Inspection, site: Site) -> Iterator[Finding]:
    """What `validate` says of a tree that is not, or not only, in the old layout."""
    if "web" not in seen.places:
        yield Finding(
            ERROR, STRUCTURE, "there is no web directory", f"{site.upath}/web", "", "Is this a vhost?"
        )
    layout = layout_seen(seen, site)
    if layout is Layout.MIXED:
        yield Finding(
            CRITICAL,
            STRUCTURE,
            "both layouts are there at once: web/app/public, web/log and web/run beside var/log and var/run",
            "one of them",
            "",
            "Rename its log or run if these are the site's own; else end by hand what was begun here.",
        )
    elif layout is Layout.NS3:
        yield Finding(ERROR, STRUCTURE, "it has the new layout", hint="Discover the vnode again.")


def at_work(journal: JournalView, runner: str) -> bool:
    """Whether ``runner``, the run that is alive on the vhost (or nothing), has not told its end yet."""
    return bool(runner) and not (journal.run == runner and journal.state in ("ok", "undone", "refused"))


def status_from_disk(
    layout: Layout, journal: JournalView, was: Status | None, *, recorded: bool = False
) -> Status:
    """The status that disk and journal imply; the database's word (``was``) only breaks ties.

    ``recorded``: a record beside the archives says that a migration was completed.
    """
    if journal.unfinished or journal.state == "attention" or layout is Layout.MIXED:
        return Status.FAILED
    if layout is Layout.NS3:
        return Status.MIGRATED if journal.migrated or recorded else Status.NATIVE
    if was in (Status.VALIDATED, Status.FAILED):
        return was
    # Migrated when we last looked, and taken back since. What no validation of ours has passed waits for one.
    back = journal.verb in ("undo", "restore", "unrestore") and journal.state == "ok"
    if was is Status.MIGRATED and back:
        return Status.VALIDATED
    return Status.DISCOVERED


def migrated_at(journal: JournalView, was: float | None) -> float | None:
    """When the migration that stands was finished (epoch); a later run that was refused does not move it."""
    if not journal.migrated:
        return None
    if journal.verb in ("migrate", "resume") and journal.state == "ok":
        return journal.finished
    return journal.finished if was is None else was
