"""Work on vhosts: discover, validate, plan, migrate, roll back. What changes things asks first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...domain.errors import NsmigError
from ...domain.events import Planned
from ...domain.options import MigrateOptions, RollbackOptions
from ...engine.controller import CHANGING, Wish
from ..asking import STANDS
from ..dialogs.confirm import Choice, ConfirmDialog
from ..fleet_model import HostLine
from ..selection import Targets
from ..words import plural, size, span
from . import batches
from .look import at_once

if TYPE_CHECKING:
    from ..app import NsmigApp

CHOICES = (
    Choice("owners", "o", "entries of foreign owners", ("foreign", "keep", "all"), why="(see --owners)"),
    Choice("compat", "l", "links for old paths", ("auto", "never", "always"), why="(see --compat)"),
    Choice(
        "no_backup",
        "n",
        "no backup",
        typed=True,
        unsays="Way back:",
        why="NO archive: nothing to restore from later",
    ),
)

# -- why not now -----------------------------------------------------------------------------------


def no_nodes(ui: NsmigApp, targets: Targets) -> str:
    """Nothing to ask."""
    return "" if targets.nodes else "Choose a vnode or a vhost first."


def no_hosts(ui: NsmigApp, targets: Targets) -> str:
    """No vhost is meant, or all of them are busy."""
    if not targets.hosts:
        return "Choose a vhost first (space marks)."
    if all(ui.all_runs.is_busy(host.node.name, host.domain) for host in targets.hosts):
        return "A run on it is going on: 2 shows it." if targets.host else "All of them are busy."
    return ""


def no_single(ui: NsmigApp, targets: Targets) -> str:
    """This is for one vhost at a time."""
    if len(targets.hosts) > 1:
        way = "unmark all (u) and choose one" if targets.marked else "choose one"
        return f"For one vhost at a time: {way}."
    return no_hosts(ui, targets)


def no_migrate(ui: NsmigApp, targets: Targets) -> str:
    """Only validated vhosts migrate."""
    reason = no_hosts(ui, targets)
    if reason or any(host.status == "validated" for host in targets.hosts):
        return reason
    if targets.host:
        word = targets.host.status
        after = {"discovered": "validate it first (v)", "failed": "resume (r) or undo (U) first"}.get(
            word, "nothing to do"
        )
        return f"{targets.host.domain} is {word}: {after}."
    return "None of them is validated: v validates."


def no_rollback(ui: NsmigApp, targets: Targets) -> str:
    """One vhost that has somewhere to go back to."""
    reason = no_single(ui, targets)
    if reason:
        return reason
    host = ui.store.vhost(targets.host.node.name, targets.host.domain)
    if host is None or not (host.rollback_available or host.status.value in ("migrated", "failed")):
        return (
            f"{targets.host.domain} has no way back: as far as is known here (d asks), it was never migrated."
        )
    return ""


# -- the acts --------------------------------------------------------------------------------------


async def discover(ui: NsmigApp, targets: Targets) -> None:
    """Ask the vnodes everything; changes nothing there."""
    begin(ui, [Wish("discover", node.name) for node in targets.nodes])


async def validate(ui: NsmigApp, targets: Targets) -> None:
    """Judge the vhosts; changes nothing on the vnode."""
    begin(ui, [Wish("validate", host.node.name, host.domain, size=host.size) for host in targets.hosts])


async def check(ui: NsmigApp, targets: Targets) -> None:
    """Connect to the vnode and say what is there."""
    node = targets.node
    ui.notify(f"Asking {node.name} …", markup=False)
    try:
        answer = await ui.engine.check(node.name)
    except NsmigError as error:
        await ui.show_error(f"{node.name} cannot be used", error)
    else:
        ui.notify(f"{node.name}: {answer.get('os', '')} {answer.get('manager', '')}, all well.", markup=False)
    ui.reload_vnode(node.name)


async def migrate(ui: NsmigApp, targets: Targets) -> None:
    """Migrate one vhost after its plan, or a batch after its totals."""
    hosts = [host for host in targets.hosts if host.status == "validated"]
    left_out = len(targets.hosts) - len(hosts)
    if len(hosts) > 1:
        await batches.start(ui, hosts, left_out, CHOICES)
        return
    chosen = await _agreed(ui, hosts[0], left_out)
    if chosen is not None:
        ui.unmark(hosts)
        host = hosts[0]
        begin(ui, [Wish("migrate", host.node.name, host.domain, options_of(ui, chosen), host.size)])


async def _agreed(ui: NsmigApp, host: HostLine, left_out: int) -> dict[str, str] | None:
    """What was chosen in a question that told the plan which is then followed; None where it is no.

    Other choices, or time, make another plan: where it differs from what was told, it is asked anew.
    """
    words = f"Asking {host.node.name} what a migration of {host.domain} would change …"
    chosen: dict[str, str] = {}
    told: Planned | None = None
    while True:
        options = options_of(ui, chosen)
        plan = await ui.busy("Planning the migration", words,
                             ui.engine.plan_migrate(host.node.name, host.domain, options),
                             trouble=f"{host.domain} cannot be migrated now")  # fmt: skip
        if plan is None or (told and (told.steps, told.warnings) == (plan.steps, plan.warnings)):
            return None if plan is None else chosen
        ui.clear_notifications()
        facts = migrate_facts(host, left_out, plan)
        if told is not None:
            facts.append(("warn", "This is another plan than the one before: look at it again."))
        title = f"Migrate {host.domain} on {host.node.name}?"
        dialog = ConfirmDialog(title, facts, verb="migrate", choices=CHOICES, word=host.domain)
        dialog.values.update(chosen)
        began = ui.clock()
        answer = await ui.ask(dialog, unasked=True)
        if answer is None:
            return None
        chosen, told, wanted = answer, plan, options_of(ui, answer)
        is_same = (wanted.owners, wanted.compat) == (options.owners, options.compat)
        if is_same and 0 <= ui.clock() - began <= STANDS:
            return chosen


@at_once
async def rollback(ui: NsmigApp, targets: Targets) -> None:
    """Open the list of points to go back to."""
    ui.open_rollback(targets.host)


def begin(ui: NsmigApp, wishes: list[Wish]) -> None:
    """Hand the wishes to the controller, and say what it refused."""
    if not wishes:
        return
    if not ui.all_runs.active:
        ui.all_runs.forget_ended()
    keys, reasons = ui.controller.start_many(wishes)
    for reason in reasons[:3]:
        ui.notify(reason, severity="warning", markup=False)
    if keys:
        verb = wishes[0].verb
        if verb in CHANGING:
            ui.open_runs(keys[0])
        else:
            name = wishes[0].domain or wishes[0].vnode if len(keys) == 1 else f"of {len(keys)}"
            ui.notify(f"{verb} {name} began: 2 shows the runs.", markup=False, timeout=3)


# -- facts -----------------------------------------------------------------------------------------


def production_facts(hosts: list[HostLine]) -> list[tuple[str, str]]:
    """A line that names the production vnodes among those concerned."""
    names = sorted({host.node.name for host in hosts if host.vnode.production})
    return [("prod", f"PRODUCTION: {', '.join(names)}")] if names else []


def chosen_before(*options: Any) -> list[tuple[str, str]]:
    """What was chosen of these and cannot be made good: whoever tries again must know it, and type a word."""
    found = []
    if any(isinstance(one, MigrateOptions) and not one.backup for one in options):
        found.append("NO backup, as was chosen: no archive is written, nothing to restore from later.")
    if any(isinstance(one, RollbackOptions) and one.exact for one in options):
        found.append(
            "As was chosen: files that are new since are NOT carried over, they leave the live tree."
        )
    if any(isinstance(one, RollbackOptions) and one.with_mail for one in options):
        found.append("As was chosen: mail is restored too, what came since leaves the mailboxes.")
    return [("fail", words) for words in found]


def migrate_facts(host: HostLine, left_out: int, plan: Planned) -> list[tuple[str, str]]:
    """What a migration changes, how much, how long, and the way back."""
    facts = production_facts([host])
    changes = [change for step in plan.steps for change in step.get("changes") or ()]
    diffs = sum(1 for change in changes if isinstance(change, dict) and change.get("diff"))
    words = f"{plural(len(changes), 'change')} in {len(plan.steps)} steps"
    facts.append(("", f"Changes: {words}{f', {diffs} of them to configuration files' if diffs else ''}."))
    facts += batches.left_out_facts(left_out)
    whole = plan.sizes.get("bytes") or plan.sizes.get("allocated") or host.size or None
    facts.append(("", f"Size: {size(whole)}.  Time: about {span(plan.expected_s)}."))
    facts.append(("", "The site keeps answering; nginx and php-fpm are reloaded, never stopped."))
    facts.append(("ok", "Way back: an archive is written and verified first; b undoes at any time."))
    facts += [("warn", f"Warning: {warning}") for warning in plan.warnings]
    return [*facts, ("dim", "All changes one by one: p (plan), before this question.")]


def options_of(ui: NsmigApp, chosen: dict[str, str]) -> MigrateOptions:
    """What the settings and the choices of a question give."""
    picked = {name: chosen[name] for name in ("owners", "compat") if name in chosen}
    return replace(ui.options.for_migration(), backup=chosen.get("no_backup") != "yes", **picked)
