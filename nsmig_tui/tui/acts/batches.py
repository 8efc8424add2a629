"""Batches from the terminal application: plan and start one, find those that run."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...domain.batch import Limits
from ...domain.batch_plan import BatchPlan
from ...domain.batch_view import BatchView
from ...domain.errors import NsmigError, Refused
from ...domain.run_state import CANCELLED, FAILED, LEFT, REFUSED, SKIPPED
from ...engine.controller import CHANGING
from ..dialogs.confirm import Choice, ConfirmDialog
from ..fleet_model import HostLine
from ..selection import Targets
from ..words import plural, sentences, size, span

if TYPE_CHECKING:
    from ..app import NsmigApp

CANARY = Choice("canary", "c", "first some, then wait for you", ("no", "1", "3", "10"), why="(c goes on)")
AGAIN = (FAILED, REFUSED, CANCELLED, SKIPPED, LEFT)
"""Phases of runs that another try may mend; where somebody must look first, nothing is tried."""

LISTED = 50
"""So many vhosts of a vnode are named one by one."""

NAMED = 12
"""So many left-out vhosts are named one by one; the rest are counted."""

LOOK_BACK = 10
"""So many of the newest batches are looked at when the program starts."""


def no_waiting(ui: NsmigApp, targets: Targets) -> str:
    """Nothing waits."""
    waits = any(state.phase == "waiting" for state in ui.all_runs.snapshot())
    return "" if waits else "Nothing waits: what has begun goes on by itself on its vnode."


def no_cancel(ui: NsmigApp, targets: Targets) -> str:
    """The run under the cursor has begun, or has ended."""
    run = targets.run
    if run is None:
        return "There is no run here."
    if run.phase == "waiting":
        return ""
    if run.ended:
        return "It has ended."
    if run.verb not in CHANGING:
        return "It has begun, and ends by itself; it changes nothing."
    return "It goes on by itself on the vnode and cannot be dropped; roll it back when it has ended (b)."


async def start(ui: NsmigApp, hosts: Sequence[HostLine], left_out: int, choices: tuple[Choice, ...]) -> None:
    """Measure, ask with the facts, and start the batch's own process; the runs screen then watches it."""
    from ...engine.batch.measuring import plan_batch, spec_of

    limits = Limits(ui.options.jobs, ui.options.per_vnode, max_failures=ui.options.max_failures)
    vhosts = [one for one in (ui.store.vhost(host.node.name, host.domain) for host in hosts) if one]
    nodes = len({host.node.name for host in hosts})
    words = f"Asking {plural(nodes, 'vnode')} how big {len(hosts)} vhosts are, and what room there is …"
    plan = await ui.busy("Planning the batch", words, plan_batch(
        ui.store, ui.engine, vhosts, limits, ui.options.for_migration()))  # fmt: skip
    if plan is None:
        return
    work = [item for item in plan.items if not item.skip]
    if not work:
        first = plan.items[0]
        await ui.show_error(
            "No vhost can be begun", Refused(sentences(f"{first.domain}: {first.skip}"), hint=first.hint)
        )
        return
    ui.clear_notifications()  # they would cover the answers of a question as high as the screen
    facts = plan_facts(plan, left_out, [host for host in hosts if host.vnode.production], ui.options.demo)
    dialog = ConfirmDialog(f"Migrate {plural(len(work), 'vhost')} in a batch?", facts, verb="migrate",
                           choices=(*choices, CANARY), word=f"migrate {len(work)}")  # fmt: skip
    chosen = await ui.ask(dialog, unasked=True)
    if chosen is None:
        return
    canary = chosen.get("canary", "no")
    limits = Limits(limits.vnodes, limits.per_vnode, max_failures=limits.max_failures,
                    canary=int(canary) if canary.isdigit() else 0)  # fmt: skip
    spec = spec_of(plan, new_name(ui), ui.options.operator, ui.clock(), limits, ui.migrate_options(chosen))
    try:
        await asyncio.to_thread(ui.parts.batches.start, spec, _typed(ui))
    except NsmigError as error:
        await ui.show_error("The batch could not be started", error)
        return
    ui.all_runs.forget_ended()
    ui.unmark(hosts)
    ui.batch_watch.follow(spec.batch, spec)
    ui.open_runs(work[0].key)


def new_name(ui: NsmigApp) -> str:
    """A batch's name: the time, and something that no other program started in that second has."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(ui.clock()))}-{secrets.token_hex(3)}"


def plan_facts(
    plan: BatchPlan, left_out: int, production: Sequence[HostLine], demo: bool = False
) -> list[tuple[str, str]]:
    """What the batch changes, how many, how big, how long, who is left out and why, and the way back."""
    work = [item for item in plan.items if not item.skip]
    skipped = [item for item in plan.items if item.skip]
    facts: list[tuple[str, str]] = []
    if production:
        facts.append(("prod", f"PRODUCTION: {', '.join(sorted({host.node.name for host in production}))}"))
    guess = "" if all(part.measured for part in plan.vnodes) else " (not measured yet)"
    whole = size(sum(item.size for item in work))
    facts.append(("", f"{plural(len(work), 'vhost')} on {plural(len(plan.vnodes), 'vnode')}, {whole}.  "
                      f"Time: about {span(plan.expected_s)}{guess}."))  # fmt: skip
    for part in plan.vnodes:
        room = "; ".join(f"needs {size(need)} of {size(free)} free" for _device, need, free in part.needs)
        words = f"  {part.vnode}: {plural(part.vhosts, 'vhost')}, {size(part.size)}, {span(part.seconds)}"
        facts.append(("dim", f"{words}; {room}" if room else words))
        here = [item for item in work if item.vnode == part.vnode]
        facts += [("dim", f"    {item.domain}, {size(item.size)}") for item in here[:LISTED]]
        if len(here) > LISTED:
            facts.append(("dim", f"    and {len(here) - LISTED} more"))
    facts += [("warn", f"Left out: {item.domain} on {item.vnode}: {sentences(item.skip, item.hint)}")
              for item in skipped[:NAMED]]  # fmt: skip
    if len(skipped) > NAMED:
        facts.append(("warn", f"… and {len(skipped) - NAMED} more left out."))
    facts += left_out_facts(left_out)
    lives = "only the demo's servers stop with this program" if demo else "goes on without this terminal"
    facts.append(("", f"It runs in a process of its own{'; ' if demo else ' and '}{lives}."))
    facts.append(("", "The sites keep answering; nginx and php-fpm are reloaded, never stopped."))
    facts.append(("ok", "Way back: each has an archive, written and verified first; b undoes at any time."))
    return facts


def left_out_facts(count: int) -> list[tuple[str, str]]:
    """A line that says how many of the selection stay as they are, and why."""
    return [("warn", f"Left out: {plural(count, 'other')} of the selection, not validated.")] if count else []


async def go_on(ui: NsmigApp, view: BatchView, *, retry: bool, leave: Sequence[str] = ()) -> None:
    """Start a process for what a batch left, but for ``leave``. Raises Refused with the reason."""
    batch = view.spec.batch
    resume = ui.parts.batches.resume
    since = await asyncio.to_thread(lambda: resume(batch, _typed(ui), retry=retry, leave=leave))
    ui.batch_watch.follow(batch, since=since, retry=retry)


async def cancel_all(ui: NsmigApp, targets: Targets) -> None:
    """Drop all that has not begun, after a question."""
    count = sum(state.phase == "waiting" for state in ui.all_runs.snapshot())
    facts = [("", f"{plural(count, 'run')} not begun: nothing of them is touched."),
             ("", "What has begun goes on to its end."),
             ("dim", "R asks for them again.")]  # fmt: skip
    if await ui.ask(ConfirmDialog("Drop all that has not begun?", facts, verb="drop")) is not None:
        try:
            ui.notify(f"{plural(ui.all_runs.cancel_waiting(), 'run')} dropped.", markup=False)
        except NsmigError as error:
            await ui.show_error("The batch could not be told", error)


# -- at the start ----------------------------------------------------------------------------------


async def find_running(ui: NsmigApp) -> list[str]:
    """Watch every batch that a process works on, whoever started it; answers those that are new to us."""
    batches = getattr(ui.parts, "batches", None)
    if batches is None:
        return []
    try:
        running = await asyncio.to_thread(
            lambda: [n for n in batches.names()[:LOOK_BACK] if batches.is_alive(n)]
        )
    except NsmigError:
        return []
    new = [name for name in running if name not in ui.batch_watch.watched]
    for name in running:
        ui.batch_watch.follow(name)
    return new


def _typed(ui: NsmigApp) -> dict[str, str]:
    typed = getattr(ui.parts, "typed", None)
    return typed() if typed is not None else {}
