"""`migrate`: plan, baseline, hand over to the runner, judge the answers, keep the books.

Order of what is written, and why: the runner's files and journal stand synced on the vnode before
anything moves; the operator's database is written after the journal said so. Whatever dies in
between is found again from the journal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .. import __version__
from ..domain.describing import describe_plan
from ..domain.errors import ExitCode, NsmigError, Refused, VnodeTrouble
from ..domain.events import Emit, Planned, Result, StepStarted
from ..domain.fleet import IN_NEW_LAYOUT, STEPS, Layout, Status, Vhost, Vnode
from ..domain.http_answers import Baseline
from ..domain.http_questions import blind_spots
from ..domain.layout import layout_seen, read_journal
from ..domain.options import MigrateOptions
from ..domain.path_map import final_map
from ..domain.planning import MigrationPlan, make_plan
from ..domain.ports import Shell
from ..domain.readings import Inspection
from ..domain.surroundings import Serving
from ..domain.validation import validate as judge
from . import reading
from .bookkeeping import Bookkeeper, count_reloads, failed, migrated
from .desk import Desk, at_work_on, ended_by, same_machine, still_there
from .http_checks import PAUSE, differences, refuse_live_strays, witness
from .runner_link import Ending, RunnerLink, Verdict

OTHERS_S = 30.0
"""Seconds that the runs of neighbours have to end before what these answer counts."""


@dataclass(frozen=True)
class Prepared:
    """Facts and plan of a migration that may begin."""

    plan: MigrationPlan
    seen: Inspection
    serving: Serving


def gate(vhost: Vhost) -> None:
    """Only a validated vhost is migrated. Raises Refused with what to do instead."""
    where = f"{vhost.vnode} {vhost.domain}"
    if vhost.status is Status.VALIDATED:
        return
    hint = {
        Status.DISCOVERED: f"Validate it first: nsmig validate {where}",
        Status.FAILED: f"nsmig resume {where} [--undo], or nsmig validate {where}",
    }.get(vhost.status, "")
    raise Refused(
        f"{vhost.domain} is {vhost.status}, not validated", hint=hint, vnode=vhost.vnode, vhost=vhost.domain
    )


async def prepare(desk: Desk, vnode: Vnode, vhost: Vhost, shell: Shell, options: MigrateOptions) -> Prepared:
    """Look again and plan. Raises Refused for whatever stands in the way."""
    seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    same_machine(vnode, seen.capabilities)
    await _no_run_is_open(desk, vnode, vhost, shell, seen)
    if layout_seen(seen, serving.site) is not Layout.NS1:
        raise Refused(f"{vhost.domain} does not have the old layout", hint=f"nsmig discover {vnode.name}")
    bad = [f for f in judge(vhost.domain, f"{vnode.vpath}/{vhost.domain}", seen, serving) if f.blocks]
    if bad:
        first = next((f for f in bad if f.of_vnode), bad[0])
        refusal = VnodeTrouble if first.of_vnode else Refused
        raise refusal(first.message, hint=first.hint or f"nsmig validate {vnode.name} {vhost.domain}")
    plan = make_plan(vnode, vhost.domain, seen, serving, options, desk.stamp())
    plan = replace(plan, warnings=(*plan.warnings, *blind_spots(serving)))
    if plan.blocked:
        raise Refused(plan.blocked[0], hint="Nothing was touched.")
    return Prepared(plan, seen, serving)


async def _no_run_is_open(desk: Desk, vnode: Vnode, vhost: Vhost, shell: Shell, seen: Inspection) -> None:
    journal = read_journal(seen.journal)
    if journal.unfinished and await reading.is_alive(shell, desk.scripts, vhost.domain, journal.run):
        raise at_work_on(vnode, vhost.domain, journal)
    if journal.unfinished:
        raise Refused(
            f"a run on {vhost.domain} is unfinished",
            hint=f"Finish or undo it: nsmig resume {vnode.name} {vhost.domain} [--undo]",
        )


async def nothing_to_migrate(desk: Desk, name: str, domain: str) -> None:
    """Ask the vnode whether a vhost that we know as settled is so: another operator may have undone it.

    Raises Refused where it is not.
    """
    vnode, vhost = desk.pair(name, domain)
    shell = await desk.shell(vnode)
    seen, serving = await reading.inspect(shell, vnode, vhost, desk.scripts, desk.readings, test=False)
    same_machine(vnode, seen.capabilities)
    still_there(vnode, vhost, seen)
    await _no_run_is_open(desk, vnode, vhost, shell, seen)
    if layout_seen(seen, serving.site) is not Layout.NS3:
        raise Refused(
            f"{domain} was {vhost.status} when we last looked, and does not have the new layout now",
            hint=f"Somebody else was at work on it; nsmig discover {name} notes what is there.",
            vnode=name,
            vhost=domain,
        )


async def plan_migrate(desk: Desk, name: str, domain: str, options: MigrateOptions) -> Planned:
    """The dry run: the plan that a real run would follow. Writes nothing on the vnode."""
    vnode, vhost = desk.pair(name, domain)
    if vhost.status in IN_NEW_LAYOUT:
        raise Refused(f"{domain} has the new layout already", hint="There is nothing to migrate.")
    gate(vhost)
    shell = await desk.shell(vnode)
    ready = await prepare(desk, vnode, vhost, shell, options)
    return describe_plan(ready.plan, ready.seen, ready.serving)


async def migrate(desk: Desk, name: str, domain: str, options: MigrateOptions, emit: Emit) -> Result:
    """Migrate one vhost. Never raises for what happens to it; the Result says it."""
    vnode, vhost = desk.pair(name, domain)
    books = desk.books("migrate", name, domain, emit)
    try:
        if vhost.status in IN_NEW_LAYOUT:
            await nothing_to_migrate(desk, name, domain)
            books.warnings.append(f"{domain} is {vhost.status} already; nothing was changed")
            return books.end("ok", vhost, skipped=True)
        gate(vhost)
        books.tell(StepStarted(name, domain, books.run, STEPS[0]))
        shell = await desk.shell(vnode)
        ready = await prepare(desk, vnode, vhost, shell, options)
        books.warnings += ready.plan.warnings
        await refuse_live_strays(shell, ready.serving)
        baseline, why_not = await witness(shell, ready.serving, ready.seen.entries.get("web", ()))
        if why_not:
            books.warn(why_not)
        link = await launch(desk, vnode, books, ready.plan, baseline)
        patience = min(OTHERS_S, options.confirm_wait / 2)
        ending = await link.follow(answers_as_before(desk, vnode, books, baseline, patience))
    except NsmigError as error:
        return ended_by(error, books, vhost)
    return conclude(desk, books, vnode, vhost, ending)


async def launch(
    desk: Desk, vnode: Vnode, books: Bookkeeper, plan: MigrationPlan, baseline: Sequence[Baseline]
) -> RunnerLink:
    """Start the runner with this plan."""
    files = plan.run_files(desk.scripts("runner").encode(), run_values(books, "migrate"))
    files["baseline.json"] = json.dumps([b.as_json() for b in baseline]).encode()
    link = desk.link(vnode, books.vhost, books.run, books.tell)
    link.step = STEPS[0]
    await link.start(files)
    return link


def run_values(books: Bookkeeper, verb: str) -> dict[str, str]:
    """The runner's variables that belong to the run, not to the plan."""
    return {"RUN": books.run, "VERB": verb, "OPERATOR": books.operator, "VERSION": __version__}


def answers_as_before(
    desk: Desk, vnode: Vnode, books: Bookkeeper, baseline: Sequence[Baseline], patience: float = OTHERS_S
) -> Verdict:
    """The operator's verdict: why the result is bad, or nothing. A page may show where it lies.

    Where only neighbours differ on which runs are at work, these have ``patience`` seconds to end first: a
    vhost that does not bear its own migration is undone by itself, and alone.
    """
    paths = [final_map(f"{vnode.vpath}/{books.vhost}").inverse()]

    async def verdict(shell: Shell) -> str:
        until = asyncio.get_running_loop().time() + patience
        looked = await differences(shell, baseline, paths=paths)
        while looked.wrong and (others := _neighbours(desk, books, looked.hosts)):
            busy = await _all_at_work(desk, shell, vnode, others)
            if busy:
                await asyncio.sleep(PAUSE)
            looked = await differences(shell, baseline, paths=paths)  # asked after that they may have ended
            if not busy or asyncio.get_running_loop().time() > until:
                break
        for word in looked.remarks[:3]:
            books.warn(word)
        return "; ".join(looked.wrong[:3])

    return verdict


def _neighbours(desk: Desk, books: Bookkeeper, hosts: Iterable[str]) -> list[str]:
    """The other vhosts whose names these are; none when one of the names is no other vhost's."""
    known = {vhost.domain: vhost for vhost in desk.store.vhosts(books.vnode)}
    own = known.pop(books.vhost, None)
    whose = {str(name): domain for domain, vhost in known.items() for name in vhost.details.get("names", ())}
    others = set()
    for host in hosts:
        found = [domain for domain in known if f".{host}".endswith(f".{domain}")]
        domain = whose.get(host) or max(found, key=len, default="")
        if not domain or (own and host in own.details.get("names", ())):
            return []
        others.add(domain)
    return sorted(others)


async def _all_at_work(desk: Desk, shell: Shell, vnode: Vnode, domains: Iterable[str]) -> bool:
    """Whether a run, whoever began it, is at work on each of these vhosts."""
    for domain in domains:
        kept = await reading.record(shell, vnode, domain, desk.scripts)
        if not await reading.is_alive(shell, desk.scripts, domain, kept.journal.run):
            return False
    return True


def conclude(desk: Desk, books: Bookkeeper, vnode: Vnode, vhost: Vhost, ending: Ending) -> Result:
    """The Result of a run whose journal has been read to its end."""
    view = ending.view
    name = view.archive[0] if view.archive else None
    sha = view.archive[1] if view.archive else ""
    for line in view.errors:
        if line not in books.errors:
            books.errors.append(line)
    count_reloads(books, view)
    tried = replace(vhost, migration_attempts=vhost.migration_attempts + 1, steps_completed=view.steps)
    if view.state == "ok":
        done = replace(migrated(tried), migrated_at=desk.clock(), backup_archive=name)
        return books.end("ok", done, steps=view.steps, archive=name, sha256=sha)
    return badly_ended(books, vnode, tried, ending, name, sha)


def badly_ended(
    books: Bookkeeper, vnode: Vnode, vhost: Vhost, ending: Ending, name: str | None, sha: str
) -> Result:
    """Refused, undone, stopped half-way, or in need of a person."""
    view = ending.view
    where = f"{vnode.name} {vhost.domain}"
    error = view.errors[0] if view.errors else f"the runner stopped in {view.current or 'its beginning'}"
    if name and view.state != "refused":  # it outlives its run
        vhost = replace(vhost, backup_archive=name, rollback_available=True)

    def end(outcome: str, why: str, code: ExitCode) -> Result:
        after = failed(vhost, why, books.hint)
        return books.end(outcome, after, code=code, steps=view.steps, archive=name, sha256=sha)

    if ending.died:
        books.hint = f"Finish it: nsmig resume {where}; or go back: nsmig resume {where} --undo"
        books.errors.append(error)
        return end("interrupted", error, ExitCode.UNDO_FAILED)
    if view.state == "refused":
        books.hint = "Nothing was touched. Mend it and validate again."
        refused = replace(vhost, last_error=error, last_hint=books.hint)
        return books.end("refused", refused, code=ExitCode.REFUSED)
    if view.state == "undone":
        books.hint = f"All was undone. Mend it, then: nsmig validate {where}"
        return end("undone", error, ExitCode.UNDONE)
    if error not in books.errors:
        books.errors.append(error)
    books.hint = f"Look at /var/lib/nsmig/{vhost.domain} on {vnode.name}, then: nsmig resume {where} --undo"
    # Whoever must look needs all of it: what failed, and what the undo said.
    return end("failed", "; ".join(dict.fromkeys(books.errors)), ExitCode.UNDO_FAILED)
