"""From how a batch's vhosts ended to what the batch answers, and to what is left for another time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...domain.batch import BatchItem, BatchSpec, trouble_of
from ...domain.errors import ExitCode
from ...domain.events import Result, Summary

UNDO_FAILED = int(ExitCode.UNDO_FAILED)

GRAVEST_FIRST = (
    ExitCode.UNDO_FAILED,
    ExitCode.INTERRUPTED,
    ExitCode.UNDONE,
    ExitCode.CONNECT,
    ExitCode.LOCKED,
    ExitCode.REFUSED,
)


def settled(result: Result) -> bool:
    """Whether this vhost has come to an end of its own: well, or by a fault of its own.

    Not settled: what was not begun, what stopped half-way, and what failed because its vnode was in trouble.
    """
    return result.ok or not (result.skipped or trouble_of(result) or result.exit_code == UNDO_FAILED)


def left_over(spec: BatchSpec, results: Mapping[str, Result]) -> list[BatchItem]:
    """What a resume would take up."""
    return [item for item in spec.work if item.key not in results or not settled(results[item.key])]


def code_of_all(results: Sequence[Result]) -> int:
    """The batch's exit code: 0 all well, 7 some well and some not, else the gravest of what went wrong."""
    bad = {result.exit_code or int(ExitCode.REFUSED) for result in results if not result.ok}
    if not bad:
        return int(ExitCode.DONE)
    if any(result.ok for result in results):
        return int(ExitCode.PARTIAL)
    return int(next((code for code in GRAVEST_FIRST if code in bad), max(bad)))


def summary_of(results: Iterable[Result]) -> Summary:
    """The counts; what was skipped is neither ok nor failed."""
    ok = failed = skipped = 0
    for result in results:
        skipped += result.skipped
        ok += result.ok and not result.skipped
        failed += not result.ok and not result.skipped
    return Summary(ok=ok, failed=failed, skipped=skipped)
