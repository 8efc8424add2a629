"""From how a batch's vhosts ended to what the batch answers, and to what is left for another time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...domain.batch import BatchItem, BatchSpec, trouble_of
from ...domain.batch_view import BatchView
from ...domain.errors import ExitCode
from ...domain.events import Result
from ...domain.fleet import IN_NEW_LAYOUT, ON_THE_VNODE, TO_ITS_END, RunRecord, Vhost
from ...domain.outcomes import combine
from ...domain.ports import FleetStore
from ...domain.run_state import RunState

UNDO_FAILED = int(ExitCode.UNDO_FAILED)

RUNS = 20
"""Newest runs of a vhost among which one is looked for that brought it to an end."""


def settled(result: Result) -> bool:
    """Whether this vhost has come to an end of its own: well, or by a fault of its own.

    Not settled: what was not begun, what stopped half-way, and what failed because its vnode was in trouble.
    """
    return result.ok or not (result.skipped or trouble_of(result) or result.exit_code == UNDO_FAILED)


def left_over(spec: BatchSpec, results: Mapping[str, Result], *, retry: bool = False) -> list[BatchItem]:
    """What a resume would take up; ``retry``: with what failed by a fault of its own."""
    done = {key for key, result in results.items() if settled(result) and (result.ok or not retry)}
    return [item for item in spec.work if item.key not in done]


def is_overtaken(run: RunState, vhost: Vhost | None, records: Iterable[RunRecord]) -> bool:
    """Whether something else has brought this vhost to an end since the batch last had to do with it.

    ``run``: how the batch left it; ``records``: what is recorded of the vhost.
    """
    if vhost is None or vhost.status in IN_NEW_LAYOUT:
        return True
    since = run.started if run.started is not None else run.queued
    return any(
        one.verb in ON_THE_VNODE and one.outcome in TO_ITS_END and one.run != run.run and one.started > since
        for one in records
    )


def still_left(
    store: FleetStore, view: BatchView, *, retry: bool = False
) -> tuple[list[BatchItem], list[BatchItem]]:
    """What of a batch is still to do as far as the database knows by now, and what was overtaken."""
    still: list[BatchItem] = []
    gone: list[BatchItem] = []
    for item in left_over(view.spec, view.results, retry=retry):
        vhost = store.vhost(item.vnode, item.domain)
        records = store.runs(item.vnode, item.domain, limit=RUNS)
        (gone if is_overtaken(view.runs[item.key], vhost, records) else still).append(item)
    return still, gone


def code_of_all(results: Sequence[Result]) -> int:
    """The batch's exit code. Unlike elsewhere, what was not begun is work that was not done."""
    refused = int(ExitCode.REFUSED)
    return int(combine(int(ExitCode.DONE) if r.ok else r.exit_code or refused for r in results))
