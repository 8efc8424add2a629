"""At the start: batches and runs that an earlier program left. Nothing is taken up without a question."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...domain.batch import BatchItem
from ...domain.batch_view import BatchView
from ...domain.errors import NsmigError
from ...domain.fleet import RunRecord
from ...engine.controller import Wish
from ..dialogs.confirm import ConfirmDialog
from ..dialogs.prompts import MenuDialog
from ..words import plural
from . import batches, work
from .batches import LOOK_BACK, NAMED

if TYPE_CHECKING:
    from ..app import NsmigApp

NOT_AGAIN = "tui-batches-left"


@dataclass(frozen=True)
class Left:
    """A batch that nobody works on: what is still to do of it, and what others brought to an end since."""

    view: BatchView
    open: list[BatchItem]
    overtaken: list[BatchItem]

    @property
    def names(self) -> str:
        """The vhosts still to do, as many as can be read."""
        named = [f"{item.domain} on {item.vnode}" for item in self.open[:NAMED]]
        more = len(self.open) - len(named)
        return ", ".join([*named, *([f"and {more} more"] if more else [])])


async def offer(ui: NsmigApp) -> None:
    """Watch batches that run, and offer batches and single runs that were left."""
    covered = await offer_batches(ui)
    records = [one for one in ui.store.unfinished() if f"{one.vnode}/{one.vhost}" not in covered]
    if records:
        await offer_unfinished(ui, records)


async def offer_batches(ui: NsmigApp) -> set[str]:
    """Watch batches that run, offer those that were left; answers the keys of all their vhosts."""
    found = getattr(ui.parts, "batches", None)
    if found is None:
        return set()
    for name in await batches.find_running(ui):
        ui.notify(f"Batch {name} is running: 2 shows it.", markup=False)
    left = [
        one for one in map(lambda view: judge(ui, view), await asyncio.to_thread(_left, found)) if one.open
    ]
    covered = {key for name in ui.batch_watch.watched for key in _keys(found, name)}
    known = ui.store.get(NOT_AGAIN)
    silent = set(known) if isinstance(known, list) else set()
    for one in left:
        covered.update(one.view.runs)
        if one.view.spec.batch not in silent and not ui.options.read_only:
            await _offer_one(ui, one, silent)
    return covered


def judge(ui: NsmigApp, view: BatchView) -> Left:
    """What is still to do of a batch, as far as the database knows by now."""
    from ...engine.batch.ending import still_left

    return Left(view, *still_left(ui.store, view))


async def _offer_one(ui: NsmigApp, left: Left, silent: set[str]) -> None:
    view = left.view
    entries = [
        ("l", "later", "later: ask again at the next start"),
        ("s", "see", "see how it stands"),
        ("r", "resume", "resume: go on with what is left"),
        ("f", "retry", "resume, and try the failed ones again"),
        ("n", "never", "do not ask again (nsmig resume still can)"),
    ]
    title = "A batch has something left to do"
    chosen = await ui.ask(MenuDialog(title, entries, facts=facts_of(ui, left)), unasked=True)
    try:
        if chosen in ("resume", "retry"):
            await take_up(ui, view, retry=chosen == "retry")
        elif chosen == "see":
            ui.batch_watch.follow(view.spec.batch)
            ui.open_runs()
    except NsmigError as error:
        await ui.show_error("The batch could not be taken up", error)
        return
    if chosen == "never":
        silent.add(view.spec.batch)
        await ui.until_writable()
        ui.store.put(NOT_AGAIN, sorted(silent)[-100:])


def facts_of(ui: NsmigApp, left: Left) -> list[str]:
    """Who made the batch, how it stands by now, and which vhosts are meant."""
    view, sums = left.view, left.view.totals(ui.clock())
    facts = [
        f"{view.spec.batch} by {view.spec.operator}: {sums.ok} of {sums.runs} done, {sums.failed} failed.",
        f"Still to do, {len(left.open)}: {left.names}.",
    ]
    if left.overtaken:
        facts.append(f"{plural(len(left.overtaken), 'vhost')} dealt with since in another way: left alone.")
    return [*facts, "Its process is gone. What runs on a vnode goes on there; nothing is done twice."]


async def take_up(ui: NsmigApp, view: BatchView, *, retry: bool) -> None:
    """Go on with a batch, after a question. Raises Refused when it cannot be."""
    left = judge(ui, view)
    items = left.open
    if retry:
        items = [item for item in view.spec.work if item in left.open or may_be_retried(view, item)]
    nodes = {item.vnode for item in items}
    hosts = [host for item in items if (host := ui.model.hosts.get(item.key)) is not None]
    facts = [
        *work.production_facts(hosts),
        *(("", fact) for fact in facts_of(ui, left)),
        ("", f"{plural(len(items), 'vhost')} on {plural(len(nodes), 'vnode')} migrate, those left half-way "
             "are finished; what is not validated is validated first."),
    ]  # fmt: skip
    risky = work.chosen_before(view.spec.options)
    dialog = ConfirmDialog(f"Go on with batch {view.spec.batch}?", [*facts, *risky], verb="resume",
                           word=f"resume {len(items)}", always_typed=bool(risky))  # fmt: skip
    if await ui.ask(dialog) is not None:
        await batches.go_on(ui, view, retry=retry, leave=[item.key for item in left.overtaken])
        ui.open_runs()


def may_be_retried(view: BatchView, item: BatchItem) -> bool:
    """Whether it failed in a way that another try may mend."""
    return view.runs[item.key].phase in batches.AGAIN


async def offer_unfinished(ui: NsmigApp, records: list[RunRecord]) -> None:
    """Runs that this side saw begin and not end. The vnode's journal says how they stand."""
    known = [one for one in records if f"{one.vnode}/{one.vhost}" in ui.model.hosts]
    if not known or ui.options.read_only:
        return
    names = ", ".join(sorted({f"{one.vhost} on {one.vnode}" for one in known})[:8])
    facts = [f"{plural(len(known), 'run')} had not ended when nsmig last looked: {names}.",
             "Each goes on by itself on its vnode, or waits there; nothing is done twice."]  # fmt: skip
    entries = [
        ("l", "later", "later: r on the vhost"),
        ("r", "resume", "attach to them now, and finish what is left half-way"),
    ]
    if await ui.ask(MenuDialog("Unfinished runs", entries, facts=facts), unasked=True) != "resume":
        return
    hosts = list(dict.fromkeys(ui.model.hosts[f"{one.vnode}/{one.vhost}"] for one in known))
    more = [*work.production_facts(hosts), *(("", fact) for fact in facts),
            ("", "If a step fails, it is undone with all before it.")]  # fmt: skip
    dialog = ConfirmDialog(f"Finish {plural(len(hosts), 'vhost')}?", more, verb="resume")
    if await ui.ask(dialog) is not None:
        work.begin(ui, [Wish("resume", host.node.name, host.domain, {"undo": False}, host.size)
                        for host in hosts])  # fmt: skip


def _left(found: Any) -> list[BatchView]:
    """Batches with something left to do that no process works on and nobody cancelled, newest first."""
    from ...engine.batch.ending import left_over

    views = []
    for name in found.names()[:LOOK_BACK]:
        try:
            view = found.view(name)
        except NsmigError:
            continue
        if view.over and view.outcome != "cancelled" and left_over(view.spec, view.results):
            views.append(view)
    return views


def _keys(found: Any, name: str) -> list[str]:
    try:
        return [item.key for item in found.view(name).spec.items]
    except NsmigError:
        return []
