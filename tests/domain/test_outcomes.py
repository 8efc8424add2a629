"""Counts and exit codes of many results, for command line and batch alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.events import Result, Summary
from nsmig_tui.domain.outcomes import code_of, combine, summarize
from nsmig_tui.engine.batch.ending import code_of_all


def result(code=0, skipped=False):
    return Result("v", "a.test", ok=code == 0, exit_code=code, skipped=skipped)


@pytest.mark.parametrize(
    "codes, said",
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 5], 7),
        ([5, 6], 6),
        ([3, 4], 3),
        ([4], 4),
        ([75, 4], 75),
        ([1], 1),
        ([130, 5], 130),
    ],
)
def test_one_code_for_several(codes, said):
    assert combine(codes) == said
    assert code_of_all([result(code) for code in codes]) == said


def test_a_failure_without_a_code_is_a_refusal():
    nameless = Result("v", "a.test", ok=False)
    assert code_of(nameless) == 4 == code_of_all([nameless])


def test_what_was_not_begun_counts_only_in_a_batch():
    nameless = Result("v", "a.test", ok=False, skipped=True)
    assert (code_of(nameless), code_of_all([nameless])) == (0, 4)


@given(st.lists(st.tuples(st.sampled_from([0, 3, 4, 5, 6]), st.booleans())))
def test_every_result_is_counted_once(rows):
    results = [result(*row) for row in rows]
    counts = summarize(results)
    assert counts.ok + counts.failed + counts.skipped == len(rows)
    assert counts.skipped == sum(skipped for _, skipped in rows)
    assert counts == Summary(counts.ok, counts.failed, counts.skipped)
