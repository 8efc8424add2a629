"""Which of a vhost's kept things may be pruned: archives, and the trees that runs put aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ARCHIVE, LEGACY, REPLACED, TRASH = "archive", "legacy", "replaced", "trash"
KINDS = (ARCHIVE, LEGACY, REPLACED)
TRASHED = ".trash-"
"""What a prune puts before the name of what it is about to delete."""


@dataclass(frozen=True)
class Kept:
    """One thing in a vhost's ``.archive``; TRASH is what a prune put away and did not come to delete.

    ``order``: its place in the journal's order, higher is newer (clocks may lie). ``ok``: True verified just
    now, False damaged, None not checked. ``needed``: an unfinished run, or an undo that is still possible,
    needs it; ``inode`` tells it from another of the same name at the moment of deletion.
    """

    kind: str
    name: str
    at: float
    order: int
    size: int = 0
    ok: bool | None = None
    needed: bool = False
    inode: str = ""


@dataclass(frozen=True)
class Choice:
    """What becomes of one thing, and why."""

    kept: Kept
    prune: bool
    why: str


def choose(things: Iterable[Kept], now: float, keep_days: int, keep_count: int) -> list[Choice]:
    """Judge every thing of one vhost, newest first within each kind.

    Both limits hold: something goes only when it is older than ``keep_days`` and ``keep_count`` newer ones
    of its kind stay. The newest verified archive stays whatever the limits; when none is verified, no
    archive goes at all, for then nobody knows which of them would bring the site back. What a prune that
    broke off had chosen before goes by the same rule.
    """
    found: list[Choice] = []
    everything = list(things)
    for kind in KINDS:
        mine = sorted((t for t in everything if t.kind == kind), key=lambda t: (t.order, t.at, t.name))
        found += _judge(list(reversed(mine)), now, keep_days, keep_count)
    proven = any(t.kind == ARCHIVE and t.ok for t in everything)
    return found + [_judge_trash(t, proven=proven) for t in everything if t.kind == TRASH]


def _judge_trash(thing: Kept, *, proven: bool) -> Choice:
    if thing.needed:
        return Choice(thing, False, "a run that is not settled may need it")
    if not proven and thing.name.startswith(f"{TRASHED}pre-migration-"):
        return Choice(thing, False, "no archive of this vhost is verified")
    return Choice(thing, True, "a prune that broke off had put it away")


def _judge(newest_first: Sequence[Kept], now: float, keep_days: int, keep_count: int) -> list[Choice]:
    verified = next((t for t in newest_first if t.ok), None)
    choices = []
    stay = 0
    for thing in newest_first:
        age = (now - thing.at) / 86400
        why = ""
        if thing.needed:
            why = "a run that is not settled needs it"
        elif thing.kind == ARCHIVE and verified is None:
            why = "no archive of this vhost is verified"
        elif thing is verified:
            why = "the newest verified archive"
        elif stay < keep_count:
            why = f"one of the newest {keep_count}"
        elif age < keep_days:
            why = f"{age:.0f} days old, kept for {keep_days}"
        if why:
            choices.append(Choice(thing, False, why))
            # A damaged archive is nothing to go back to: it does not count as one of those kept.
            stay += thing.ok is not False
        else:
            choices.append(Choice(thing, True, f"{age:.0f} days old, {stay} newer ones stay"))
    return choices
