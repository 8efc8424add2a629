"""What was left half-way, or can be taken back. The vnode is asked how it stands before the operator is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...domain.layout import JournalView
from ...domain.options import Standing
from ...engine.controller import Wish
from ..asking import STANDS
from ..dialogs.confirm import ConfirmDialog
from ..fleet_model import HostLine
from ..selection import Targets
from ..words import ago
from .work import begin, no_single, production_facts

if TYPE_CHECKING:
    from ..app import NsmigApp

DOES = {
    "finish": "It is finished from there; if a step fails again, it is undone with all before it.",
    "undo": "Undone: tree, owners, modes and configuration go back as they were. "
    "What was written since stays.",
    "unrestore": "The restore is taken back: what it replaced returns by rename. What was written since then "
    "is kept in .archive/replaced-…, not in the live tree.",
    "tidy": "What the restore left beside the vhost is cleared; the vhost itself stays as it is.",
    "": "It has ended there: nothing is done, and how it ended is recorded here.",
}
BACK = ("undo", "unrestore")


def no_half_way(ui: NsmigApp, targets: Targets) -> str:
    """One vhost, whatever is known of it here: only its vnode knows what others have begun or restored."""
    return no_single(ui, targets)


async def resume(ui: NsmigApp, targets: Targets) -> None:
    """Attach to what is at work, or finish what was left half-way."""
    await _go_on(ui, targets.host, undo=False)


async def undo_half(ui: NsmigApp, targets: Targets) -> None:
    """Undo what was left half-way, or take back a migration or a restore."""
    await _go_on(ui, targets.host, undo=True)


async def _go_on(ui: NsmigApp, host: HostLine, *, undo: bool) -> None:
    verb, name, domain = "undo" if undo else "resume", host.node.name, host.domain
    seen: Standing | None = None
    while True:
        now = await ui.busy(
            verb.capitalize(),
            f"Asking {name} how the last run on {domain} stands …",
            ui.engine.standing(name, domain, undo=undo),
            trouble=f"{domain} cannot be looked after now",
        )
        if now is None:
            return
        if not now.do and not _is_open(ui, host):
            words = f"{verb.capitalize()}: nothing is left half-way of {domain} on {name}. d asks anew."
            ui.notify(words, severity="warning", markup=False)
            return
        if seen is not None and (seen.do, seen.journal.run) == (now.do, now.journal.run):
            break
        facts = [*production_facts([host]), *standing_facts(now, ui.clock(), undo=undo)]
        if seen is not None:
            facts.append(("warn", "This has changed while the question stood."))
        began = ui.clock()
        dialog = ConfirmDialog(f"{verb.capitalize()} {domain}?", facts, verb=verb)
        if await ui.ask(dialog, unasked=True) is None:
            return
        if 0 <= ui.clock() - began <= STANDS:
            break
        seen = now
    begin(ui, [Wish("resume", name, domain, {"undo": undo}, host.size)])


def _is_open(ui: NsmigApp, host: HostLine) -> bool:
    """Whether a run began of which nobody here learned how it ended."""
    return any((one.vnode, one.vhost) == (host.node.name, host.domain) for one in ui.store.unfinished())


def standing_facts(now: Standing, at: float, *, undo: bool) -> list[tuple[str, str]]:
    """How the run stands, and what is done about it."""
    journal = now.journal
    facts = [("bold", _how(journal, at, is_alive=now.do == "attach"))] if journal.run else []
    if journal.steps:
        facts.append(("", f"Steps done so far: {', '.join(journal.steps)}."))
    facts += [("fail", error) for error in journal.errors[:3]]
    if now.do != "attach":
        facts.append(("", DOES[now.do]))
    elif undo and journal.verb not in BACK:
        facts.append(("warn", "It is watched to its end; where it ends well, what it did is then undone."))
    else:
        facts.append(("", "It is watched to its end; nothing is begun beside it."))
    if now.do in BACK and not undo:
        facts.append(("warn", "It had begun to go back, and does so to its end: it cannot be finished."))
    return [*facts, ("", "The journal on the vnode decides: what is done is not done twice.")]


def _how(journal: JournalView, at: float, *, is_alive: bool) -> str:
    who = f"{journal.verb} of {journal.operator or 'somebody'}, begun {ago(journal.started, at)}"
    if is_alive:
        return f"{who}, is at work{f' in {journal.current}' if journal.current else ''}."
    where = f" in {journal.current}" if journal.current and journal.finished is None else ""
    return f"{who}: {'stopped' if journal.finished is None else f'ended {journal.state}'}{where}."
