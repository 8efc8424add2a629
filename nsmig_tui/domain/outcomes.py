"""From how vhosts ended to counts and to the exit code of all; pure."""

from __future__ import annotations

from collections.abc import Iterable

from .errors import ExitCode
from .events import Result, Summary

GRAVEST_FIRST = (
    ExitCode.UNDO_FAILED,
    ExitCode.INTERRUPTED,
    ExitCode.UNDONE,
    ExitCode.CONNECT,
    ExitCode.LOCKED,
    ExitCode.REFUSED,
)


def code_of(result: Result) -> int:
    """The exit code of one result. One that failed without naming a code was refused."""
    if result.ok:
        return ExitCode.DONE
    if result.skipped:
        return result.exit_code
    return result.exit_code or ExitCode.REFUSED


def combine(codes: Iterable[int]) -> int:
    """One code for several: 0 when all are, 7 when some are, else the gravest of what went wrong."""
    found = set(codes)
    bad = found - {int(ExitCode.DONE)}
    if not bad:
        return ExitCode.DONE
    if len(bad) < len(found):
        return ExitCode.PARTIAL
    return next((code for code in GRAVEST_FIRST if code in bad), max(bad))


def summarize(results: Iterable[Result]) -> Summary:
    """Count results; what was skipped is neither ok nor failed."""
    ok = failed = skipped = 0
    for result in results:
        skipped += result.skipped
        ok += result.ok and not result.skipped
        failed += not result.ok and not result.skipped
    return Summary(ok=ok, failed=failed, skipped=skipped)
