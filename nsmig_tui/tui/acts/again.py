"""What went wrong is tried again, and a batch whose first ones are through goes on; both after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...domain.batch_view import WAITING, BatchView
from ...domain.run_state import LEFT, LOOK, RunState
from ...engine.controller import CHANGING
from ..dialogs.confirm import ConfirmDialog
from ..selection import Targets
from ..words import plural
from . import batches, work
from .batches import AGAIN, NAMED
from .offering import judge

if TYPE_CHECKING:
    from ..app import NsmigApp

NONE = "Nothing has failed."


def no_failed(ui: NsmigApp, targets: Targets) -> str:
    """Nothing can be tried again."""
    own, in_batches = _failed(ui)
    if own or in_batches:
        return ""
    look = sum(state.phase == LOOK for state in ui.all_runs.snapshot())
    return f"Somebody must look at {plural(look, 'vhost')} first: see the error there." if look else NONE


async def retry_failed(ui: NsmigApp) -> str:
    """Ask again for all that failed, in this program and in its batches; answers what to say."""
    own, in_batches = _failed(ui)
    states = [*own, *(run for _view, bad in in_batches for run in bad)]
    if in_batches or any(state.verb in CHANGING for state in own):
        risky = work.chosen_before(*(ui.controller.options(one.key) for one in own if one.phase != LEFT),
                              *(view.spec.options for view, _bad_ones in in_batches))  # fmt: skip
        word = states[0].vhost if len(states) == 1 else f"retry {len(states)}"
        facts = [*retry_facts(ui, states, in_batches), *risky]
        dialog = ConfirmDialog(
            "Try again what failed?", facts, verb="retry", word=word, always_typed=bool(risky)
        )
        if await ui.ask(dialog) is None:
            return "Nothing was begun."
    count = len(ui.controller.retry([state.key for state in own]))
    for view, bad in in_batches:
        if view.over:
            needs_look = [run.key for run in view.runs.values() if run.phase == LOOK]
            overtaken = [item.key for item in judge(ui, view).overtaken]
            await batches.go_on(ui, view, retry=True, leave=[*needs_look, *overtaken])
            count += len(bad) or 1
        else:
            for run in bad:
                ui.all_runs.send(view, "retry", run.key)
            count += len(bad)
    return f"{count} asked again."


def _failed(ui: NsmigApp) -> tuple[list[RunState], list[tuple[BatchView, list[RunState]]]]:
    """What another try may mend, of this program and of batches; a batch also where its process is gone."""
    own = [state for state in ui.controller.snapshot() if state.phase in AGAIN]
    in_batches = [(view, _bad(view)) for view in ui.batch_watch.views()]
    return own, [(view, bad) for view, bad in in_batches if bad or (view.over and not view.finished)]


def _bad(view: BatchView) -> list[RunState]:
    """What this batch can try again. What its plan left out was never part of it: m begins that."""
    out = {item.key for item in view.spec.skipped}
    return [run for key, run in view.runs.items() if run.phase in AGAIN and key not in out]


def retry_facts(
    ui: NsmigApp, states: list[RunState], in_batches: list[tuple[BatchView, list[RunState]]]
) -> list[tuple[str, str]]:
    """Which vhosts, why they failed, and what becomes of them."""
    hosts = [host for state in states if (host := ui.model.hosts.get(state.key)) is not None]
    facts = work.production_facts(hosts)
    for state in states[:NAMED]:
        facts.append(("", f"{state.verb} {state.vhost or state.vnode} on {state.vnode}: {state.error}"))
    if len(states) > NAMED:
        facts.append(("", f"and {len(states) - NAMED} more"))
    facts += [
        ("", f"Batch {view.spec.batch} is taken up again.") for view, _bad_ones in in_batches if view.over
    ]
    facts.append(("", "A migration is validated first; what still runs on its vnode is only attached to."))
    look = [state for state in ui.all_runs.snapshot() if state.phase == LOOK]
    facts += [("warn", f"Left alone: {state.vhost} on {state.vnode}, somebody must look.") for state in look]
    return facts


def no_waiting_batch(ui: NsmigApp, targets: Targets) -> str:
    """No batch waits for the operator's word."""
    waits = any(view.phase == WAITING for view in ui.batch_watch.live())
    return "" if waits else "No batch waits for your word."


async def release(ui: NsmigApp, key: str) -> None:
    """Let the rest of one batch go: the one of the run ``key``, or the only one that waits."""
    waiting = [view for view in ui.batch_watch.live() if view.phase == WAITING]
    view = ui.batch_watch.of_run(key)
    if view is None or view not in waiting:
        if len(waiting) != 1:
            words = "Several batches wait: put the cursor on a run of the one that you mean."
            ui.notify(words if waiting else "No batch waits for your word.", severity="warning", markup=False)
            return
        view = waiting[0]
    left = [run for run in view.runs.values() if run.phase == "waiting"]
    hosts = [host for run in left if (host := ui.model.hosts.get(run.key)) is not None]
    facts = work.production_facts(hosts)
    facts.append(("", f"{view.reason}."))
    facts.append(
        ("", f"{plural(len(left), 'vhost')} on {plural(len({run.vnode for run in left}), 'vnode')} begin:")
    )
    facts += [("dim", f"  {run.vhost} on {run.vnode}") for run in left[:NAMED]]
    if len(left) > NAMED:
        facts.append(("dim", f"  and {len(left) - NAMED} more"))
    if (
        await ui.ask(ConfirmDialog(f"Let the rest of batch {view.spec.batch} go?", facts, verb="go on"))
        is None
    ):
        return
    if view.phase == WAITING:
        ui.all_runs.send(view, "continue")
