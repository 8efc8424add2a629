"""What pruning may take: never the newest verified archive, never what an unsettled run needs."""

from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.retention import ARCHIVE, KINDS, LEGACY, REPLACED, Kept, choose

DAY = 86400.0
NOW = 1000 * DAY


def kept(number, days, kind=ARCHIVE, **more):
    return Kept(kind, f"{kind}-{number}", NOW - days * DAY, number, **{"ok": True, **more})


def pruned(things, days=30, count=2):
    return {choice.kept.name for choice in choose(things, NOW, days, count) if choice.prune}


def test_both_age_and_count_must_allow_it():
    things = [kept(n, 100 - n) for n in range(5)]
    assert pruned(things) == {"archive-0", "archive-1", "archive-2"}
    assert pruned(things, days=1000) == set()
    assert pruned(things, count=9) == set()


def test_the_newest_verified_one_stays_although_newer_ones_are_there():
    things = [kept(0, 400), kept(1, 300), kept(2, 200, ok=None), kept(3, 100, ok=None)]
    assert pruned(things, days=1, count=1) == {"archive-0", "archive-2"}


def test_without_a_verified_one_no_archive_goes():
    assert pruned([kept(n, 500, ok=None) for n in range(4)], days=1, count=1) == set()


def test_a_damaged_one_goes_when_old_and_does_not_count():
    things = [kept(0, 400), kept(1, 300), kept(2, 200, ok=False)]
    assert pruned(things, days=1, count=2) == set()
    assert pruned(things, days=1, count=1) == {"archive-0"}


def test_what_is_needed_stays():
    things = [kept(0, 400, needed=True), kept(1, 300), kept(2, 200)]
    assert pruned(things, days=1, count=1) == {"archive-1"}


def test_order_is_the_journals_not_the_clocks():
    things = [kept(0, 1), kept(1, 400)]
    assert "archive-1" not in pruned(things, days=1, count=1)


def test_trees_that_were_put_aside_follow_the_same_limits_by_themselves():
    things = [kept(n, 100 - n, kind, ok=None) for kind in (LEGACY, REPLACED) for n in range(3)]
    assert pruned(things, count=1) == {"legacy-0", "legacy-1", "replaced-0", "replaced-1"}


things = st.lists(
    st.builds(
        Kept,
        kind=st.sampled_from(KINDS),
        name=st.text(min_size=1, max_size=3),
        at=st.floats(0, NOW),
        order=st.integers(0, 9),
        ok=st.sampled_from([True, False, None]),
        needed=st.booleans(),
    ),
    max_size=12,
)


@given(things, st.integers(1, 400), st.integers(1, 4))
def test_laws(found, days, count):
    choices = choose(found, NOW, days, count)
    assert len(choices) == len(found)
    gone = [choice.kept for choice in choices if choice.prune]
    stays = [choice.kept for choice in choices if not choice.prune]
    assert not any(thing.needed for thing in gone)
    if any(thing.kind == ARCHIVE and thing.ok for thing in found):
        assert any(thing.kind == ARCHIVE and thing.ok for thing in stays)
        newest = max((t.order, t.at, t.name) for t in found if t.kind == ARCHIVE and t.ok)
        assert newest in {(t.order, t.at, t.name) for t in stays}
    else:
        assert not any(thing.kind == ARCHIVE for thing in gone)
    assert all(NOW - thing.at >= days * DAY for thing in gone)
