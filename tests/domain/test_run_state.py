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
    assert (state.phase, state.step().name, state.error) == ("undoing", STEPS[1], "no space")
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
    assert round(sum_up.remaining) == 80, "90 s when the first was done, 10 s ago"
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


def migrating(name="a.example", size=100 << 20, verb="migrate", done=0, lost=False):
    """A run since second 0 whose archive is ``done`` % written by second 10."""
    state = fold(
        queued(verb, V, name, at=0.0, size=size),
        (0.0, ev.RunStarted(V, name, "r1", verb=verb)),
        (0.0, ev.StepStarted(V, name, step=STEPS[0])),
        (1.0, ev.StepFinished(V, name, step=STEPS[0], seconds=1.0)),
        (1.0, ev.StepStarted(V, name, step=STEPS[1])),
        (10.0, ev.StepProgressed(V, name, step=STEPS[1], done=done, total=100)),
    )
    return reduce(state, ev.LinkChanged(V, name, "r1", True, "gone"), 10.0) if lost else state


def ended(name="a.example", at=10.0, verb="migrate", size=100 << 20, **result):
    """A run that ended at this second."""
    return reduce(migrating(name, size, verb), ev.Result(V, name, "r1", **result), at)


def test_what_is_left_on_its_vnode_is_neither_skipped_nor_done():
    left = [ended(f"{n}.example", ok=False, exit_code=130) for n in range(10)]
    sums = totals(left, 20.0)
    assert (sums.left, sums.skipped, sums.rate) == (10, 0, 0.0)
    assert 0.0 < sums.fraction < 0.1


def test_what_was_refused_or_failed_is_no_part_of_what_is_done():
    refused, failed = ended(ok=False, exit_code=4), ended("b.example", ok=False, exit_code=5)
    sums = totals([refused, failed], 20.0)
    assert (sums.failed, sums.fraction, sums.rate, sums.remaining) == (2, 0.0, 0.0, None)
    good = ended("c.example", ok=True)
    sums = totals([refused, failed, good], 20.0)
    assert (sums.fraction, sums.size) == (1.0, 100 << 20)
    assert sums.rate == (100 << 20) / 10.0, "one was moved, in ten seconds"


def test_only_a_migration_moves_bytes():
    assert totals([ended(ok=True, verb="validate")], 20.0).rate == 0.0
    assert totals([ended(ok=True, verb="resume")], 20.0).rate == 0.0
    assert totals([migrating(done=90)], 20.0).rate == 0.0


def test_the_time_left_does_not_grow_while_a_step_counts_nothing():
    state = migrating(done=50)
    state = reduce(state, ev.StepFinished(V, state.vhost, step=STEPS[1], seconds=29.0), 30.0)
    state = reduce(state, ev.StepStarted(V, state.vhost, step=STEPS[2]), 30.0)
    for left in (state.remaining, lambda now: totals([state], now).remaining):
        guesses = [left(30.0 + quiet) for quiet in (0, 5, 10, 60)]
        assert guesses == sorted(guesses, reverse=True) and guesses[0] > guesses[1]
        assert left(130.0) is None, "nobody knows"
    assert state.quiet(130.0) == 100.0
    state = reduce(state, ev.StepFinished(V, state.vhost, step=STEPS[2], seconds=100.0), 130.0)
    assert state.quiet(130.0) == 0.0 and state.remaining(130.0) > guesses[0]


def test_nobody_guesses_the_time_of_what_has_no_connection():
    assert totals([migrating(done=50)], 20.0).remaining is not None
    assert totals([migrating(done=50), migrating("b.example", done=50, lost=True)], 20.0).remaining is None


def test_a_step_ends_with_its_run():
    refused = ended(ok=False, exit_code=4)
    assert [step.state for step in refused.steps][:2] == ["done", "waiting"]
    failed = ended(ok=False, exit_code=6)
    assert [step.state for step in failed.steps][:2] == ["done", "failed"]
    assert failed.steps[1].seconds == 9.0
    assert ended(ok=False, exit_code=130).steps[1].state == "running", "it goes on there"
    assert fail(migrating(), "m", "h", 5.0).steps[1].state == "failed"
    assert fail(migrating(), "m", "h", 5.0, phase="refused").steps[1].state == "waiting"


def test_a_migration_that_is_attached_to_shows_how_far_it_is_and_guesses_by_what_it_does_since():
    def attach(step, done):
        return fold(
            queued("resume", V, H, at=100.0),
            (100.0, ev.RunStarted(V, H, "r2", verb="resume")),
            (100.5, ev.StepStarted(V, H, step=step)),
            (101.0, ev.StepProgressed(V, H, step=step, done=done, total=100)),
        )

    state = attach(STEPS[0], 0)
    assert [step.name for step in state.steps] == list(STEPS)
    state = attach(STEPS[1], 60)
    assert [step.name for step in state.steps] == list(STEPS)
    assert [step.state for step in state.steps][:3] == ["done", "running", "waiting"]
    part = state.fraction()
    assert part > 0.3
    assert state.remaining(101.0) is None, "how fast it is nobody here has seen"
    assert totals([state], 101.0).remaining is None
    state = reduce(state, ev.StepProgressed(V, H, step=STEPS[1], done=80, total=100), 111.0)
    moved = state.fraction() - part
    assert round(state.remaining(111.0), 3) == round(11.0 * (1 - state.fraction()) / moved, 3)


def test_steps_of_another_kind_are_not_made_a_migrations():
    state = reduce(queued("resume", V, H, at=0.0), ev.StepStarted(V, H, step="restore_back"), 1.0)
    assert [step.name for step in state.steps] == ["restore_back"]
