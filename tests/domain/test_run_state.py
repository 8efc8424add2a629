"""The reducer that turns events into what the run view draws."""

from nsmig_tui.domain import events as ev
from nsmig_tui.domain.fleet import STEPS
from nsmig_tui.domain.run_state import fail, log_text, queued, reduce, totals

V, H = "vn1", "shop.example.org"


def fold(state, *timed):
    for at, event in timed:
        state = reduce(state, event, at)
    return state


def test_a_migration_starts_with_all_seven_steps_waiting():
    state = queued("migrate", V, H, at=5.0)
    assert [step.name for step in state.steps] == list(STEPS)
    assert {step.state for step in state.steps} == {"waiting"}
    assert state.fraction() == 0.0
    assert state.key == "vn1/shop.example.org"


def test_progress_moves_the_step_and_the_whole():
    state = fold(
        queued("migrate", V, H, at=0.0),
        (1.0, ev.RunStarted(V, H, "r1", verb="migrate")),
        (1.0, ev.StepStarted(V, H, step=STEPS[0])),
        (2.0, ev.StepFinished(V, H, step=STEPS[0], seconds=1.0)),
        (2.0, ev.StepStarted(V, H, step=STEPS[1])),
        (6.0, ev.StepProgressed(V, H, step=STEPS[1], done=50, total=100)),
    )
    assert state.phase == "running"
    assert state.run == "r1"
    assert state.step().name == STEPS[1]
    assert state.step().fraction() == 0.5
    before = state.fraction()
    after = reduce(state, ev.StepProgressed(V, H, step=STEPS[1], done=80, total=100), 7.0)
    assert after.fraction() > before
    assert after.elapsed(11.0) == 10.0
    assert after.remaining(11.0) > 0


def test_unknown_total_has_no_percentage():
    state = reduce(queued("migrate", V, H, at=0.0), ev.StepStarted(V, H, step=STEPS[1]), 1.0)
    assert state.steps[1].fraction() is None


def test_a_failed_step_is_undone_and_said():
    state = fold(
        queued("migrate", V, H, at=0.0),
        (1.0, ev.StepStarted(V, H, step=STEPS[0])),
        (2.0, ev.StepFinished(V, H, step=STEPS[0], seconds=1)),
        (3.0, ev.StepStarted(V, H, step=STEPS[1])),
        (4.0, ev.StepFailed(V, H, step=STEPS[1], message="no space", hint="free some")),
    )
    assert (state.phase, state.failed_step, state.error) == ("undoing", STEPS[1], "no space")
    state = reduce(state, ev.Result(V, H, ok=False, status="failed", errors=("no space",), exit_code=5), 9.0)
    assert state.phase == "failed"
    assert state.steps[0].state == "undone"
    assert state.steps[1].state == "failed"
    assert state.elapsed(99.0) == 8.0
    assert state.hint == "free some"


def test_a_result_of_a_vhost_does_not_end_a_discovery():
    state = queued("discover", V, at=0.0)
    state = fold(
        state,
        (1.0, ev.RunStarted(V, verb="discover")),
        (2.0, ev.Found(V, H, status="discovered", layout="ns1")),
        (2.0, ev.Result(V, H, ok=True, status="discovered")),
    )
    assert state.phase == "running"
    assert state.met == 1
    assert state.key == V


def test_refused_and_skipped_are_told_apart_from_failed():
    start = queued("migrate", V, H, at=0.0)
    assert reduce(start, ev.Result(V, H, ok=False, exit_code=4), 1.0).phase == "refused"
    assert reduce(start, ev.Result(V, H, ok=True, skipped=True), 1.0).phase == "skipped"
    assert fail(start, "m", "h", 1.0).phase == "failed"


def test_steps_that_are_not_the_seven_appear_as_they_come_and_give_no_percentage():
    state = reduce(queued("rollback", V, H, at=0.0), ev.StepStarted(V, H, step="unpack"), 1.0)
    assert [step.name for step in state.steps] == ["unpack"]
    assert state.fraction() is None


def test_totals_weigh_by_size():
    small = reduce(
        queued("migrate", V, "a.example", at=0.0, size=1 << 20), ev.RunStarted(V, "a.example"), 0.0
    )
    small = reduce(small, ev.Result(V, "a.example", ok=True, status="migrated"), 10.0)
    big = reduce(queued("migrate", V, "b.example", at=0.0, size=9 << 20), ev.RunStarted(V, "b.example"), 0.0)
    sum_up = totals((small, big), 20.0)
    assert (sum_up.runs, sum_up.ok, sum_up.running) == (2, 1, 1)
    assert abs(sum_up.fraction - 0.1) < 1e-9
    assert round(sum_up.remaining) == 180
    assert totals((), 1.0).runs == 0


def test_log_text_has_a_line_for_what_matters_and_none_for_ticks():
    assert log_text(ev.StepProgressed(V, H, step="x", done=1, total=2)) == ""
    assert "no space" in log_text(ev.StepFailed(V, H, step="x", message="no space"))
    assert log_text(ev.LogLine(V, H, message="hello")) == "hello"
    assert "warning" in log_text(ev.Warned(V, H, message="odd"))
    assert "skipped" in log_text(ev.Result(V, H, skipped=True))


def half_way(**ending):
    result = ev.Result(
        V, H, "r1", ok=False, status="failed", errors=("it broke", "undo: it broke too"), **ending
    )
    begun = [(1.0, ev.RunStarted(V, H, "r1", verb="migrate")), (2.0, ev.StepStarted(V, H, step=STEPS[1]))]
    return fold(queued("migrate", V, H, at=0.0), *begun, (9.0, result))


def test_how_it_ended_is_one_word_each():
    assert half_way(exit_code=5).phase == "failed"
    assert half_way(exit_code=4).phase == "refused"
    assert half_way(exit_code=130).phase == "left", "it goes on there"
    look = half_way(exit_code=6, hint="Look at /var/lib/nsmig")
    assert (look.phase, look.ended) == ("look", True)
    assert (look.error, look.hint) == ("it broke; undo: it broke too", "Look at /var/lib/nsmig")
    assert totals((look,), 10.0).failed == 1


def test_without_a_connection_nobody_knows_how_long_it_will_take():
    state = fold(
        queued("migrate", V, H, at=0.0),
        (1.0, ev.RunStarted(V, H, "r1", verb="migrate")),
        (1.0, ev.StepStarted(V, H, step=STEPS[1])),
        (6.0, ev.StepProgressed(V, H, step=STEPS[1], done=50, total=100)),
    )
    assert state.remaining(7.0) is not None
    lost = reduce(state, ev.LinkChanged(V, H, "r1", True, "connection lost"), 8.0)
    assert (lost.lost, lost.remaining(60.0), lost.phase) == (8.0, None, "running")
    assert reduce(lost, ev.LinkChanged(V, H, "r1", False, "again"), 9.0).lost is None
    assert reduce(lost, ev.StepProgressed(V, H, step=STEPS[1], done=60, total=100), 9.0).lost is None
    assert log_text(ev.LinkChanged(V, H, "r1", True, "connection lost")) == "connection lost"
