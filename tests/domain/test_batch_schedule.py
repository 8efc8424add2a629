"""The batch's rules: limits, set-aside vnodes, failures, canaries, pause, stop, retry."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nsmig_tui
from nsmig_tui.domain import batch
from nsmig_tui.domain.batch import BatchItem, Limits, trouble_of
from nsmig_tui.domain.batch_schedule import Place, Schedule
from nsmig_tui.domain.events import Result


def items(*vnodes, each=4):
    return [BatchItem(vnode, f"s{number}.test", 10) for vnode in vnodes for number in range(each)]


def good(item):
    return Result(item.vnode, item.domain, ok=True, status="migrated")


def bad(item, code=5, words="it broke"):
    return Result(item.vnode, item.domain, ok=False, exit_code=code, errors=(words,))


def finish(schedule, begun, code=0, words="it broke"):
    for item in begun:
        schedule.ended(item.key, bad(item, code, words) if code else good(item))


def run_out(schedule):
    """Let everything that may begin go well; answers the keys begun."""
    begun = []
    while found := schedule.begin():
        begun += [item.key for item in found]
        finish(schedule, found)
    return begun


def test_limits_on_each_vnode_and_on_vnodes():
    schedule = Schedule(items("a", "b", "c"), Limits(vnodes=2, per_vnode=2, ahead=1))
    first = schedule.begin()
    assert Counter(item.vnode for item in first) == {"a": 2, "b": 2}
    assert schedule.begin() == []
    schedule.backed_up(first[0].key)
    assert [item.vnode for item in schedule.begin()] == ["a"]
    schedule.backed_up(first[2].key)
    assert schedule.begin() == [], "as many are ahead on a as may be"


def test_what_a_vhost_was_refused_for_may_be_its_vnodes_trouble():
    schedule = Schedule(items("a"), Limits(per_vnode=1))
    (first,) = schedule.begin()
    down = "no running php-fpm uses /etc/php-fpm.conf"
    refused = Result("a", first.domain, ok=False, exit_code=4, errors=("odd", down), vnode_trouble=down)
    assert schedule.ended(first.key, refused) == down
    assert len(schedule.aside("a")) == 3 and schedule.over
    assert trouble_of(replace(refused, vnode_trouble="")) == ""


def test_what_was_not_begun_is_no_failure_and_no_canary():
    """Another program held the database, or another run the vhost: tried again when that is asked for."""
    schedule = Schedule(items("a"), Limits(per_vnode=1, max_failures=1, canary=1))
    (first,) = schedule.begin()
    schedule.ended(first.key, Result("a", first.domain, ok=False, exit_code=75, skipped=True))
    assert not schedule.failures and not schedule.stopped and not schedule.wants_consent
    (second,) = schedule.begin()
    schedule.ended(second.key, good(second))
    assert schedule.wants_consent
    assert schedule.retry() == [first]
    assert schedule.go_on() and len(run_out(schedule)) == 3


def test_a_third_vnode_gets_its_turn_when_one_is_through():
    schedule = Schedule(items("a", "b", each=1), Limits(vnodes=1))
    (only,) = schedule.begin()
    schedule.ended(only.key, good(only))
    assert [item.vnode for item in schedule.begin()] == ["b"]


def test_vhosts_in_one_file_follow_each_other_and_hold_up_nobody():
    site, pool = ("/etc/nginx/two",), ("/etc/fpm/www.conf",)
    files = {"s0.test": site, "s1.test": site, "s2.test": (*site, *pool), "s3.test": pool}
    lane = [replace(item, files=files[item.domain]) for item in items("a")]
    other = [replace(item, files=site) for item in items("b", each=1)]
    schedule = Schedule([*lane, *other], Limits(vnodes=2, per_vnode=4, ahead=0))
    first = schedule.begin()
    assert {item.key for item in first} == {"a/s0.test", "a/s3.test", "b/s0.test"}
    assert schedule.to_follow("a") == 0
    schedule.ended("a/s0.test", bad(lane[0]))
    assert schedule.to_follow("a") == 1
    assert [item.key for item in schedule.begin()] == ["a/s1.test"]
    schedule.ended("a/s3.test", good(lane[3]))
    assert schedule.begin() == []
    schedule.ended("a/s1.test", good(lane[1]))
    assert [item.key for item in schedule.begin()] == ["a/s2.test"]


def test_one_failure_touches_nobody_else():
    schedule = Schedule(items("a", "b"), Limits())
    begun = schedule.begin()
    assert schedule.ended(begun[0].key, bad(begun[0])) == ""
    finish(schedule, begun[1:])
    run_out(schedule)
    assert Counter(schedule.places.values()) == {Place.OK: 7, Place.FAILED: 1}
    assert schedule.over


@pytest.mark.parametrize("sign", [*batch.BEFORE_WE_BEGAN, batch.LOCK_STAYED])
def test_a_sign_of_trouble_is_something_that_is_really_said(sign):
    ours = Path(nsmig_tui.__file__).parent
    files = [*ours.rglob("*.sh"), *ours.rglob("*.py")]
    assert [file.name for file in files if file.name != "batch.py" and sign in file.read_text()]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "no route to host"),
        (130, "the connection to a stays lost"),
        (4, "before we begin: nginx -t: [emerg] unknown directive"),
        (4, "php-fpm is not running"),
        (4, "nginx's configuration cannot be read: /etc/nginx/x.conf:2: unexpected end of file"),
        (5, "the vnode's configuration lock stayed taken for 300 s"),
        (6, "undo stopped: nginx -t after the undo: [emerg] unknown directive"),
        (6, "the runner stopped in structural_migration"),
    ],
)
def test_trouble_sets_the_vnode_aside(code, words):
    schedule = Schedule(items("a", "b"), Limits())
    begun = schedule.begin()
    mine = next(item for item in begun if item.vnode == "a")
    assert words in schedule.ended(mine.key, bad(mine, code, words))
    assert [item.domain for item in schedule.aside("a")] == ["s2.test", "s3.test"]
    finish(schedule, [item for item in begun if item is not mine])
    run_out(schedule)
    assert {item.vnode for item in schedule.items.values() if schedule.places[item.key] is Place.ASIDE} == {
        "a"
    }
    assert all(schedule.places[item.key] is Place.OK for item in items("b"))
    assert schedule.over


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (6, "undo stopped: cannot exchange web back"),
        (4, "not enough space: 5 KiB needed"),
        (4, "php-fpm does not accept on the old socket"),
        (5, "nginx -t: [emerg] in this site"),
        (75, "another run works"),
    ],
)
def test_a_fault_of_the_vhost_is_no_trouble_of_the_vnode(code, words):
    assert trouble_of(bad(BatchItem("a", "x"), code, words)) == ""


def test_too_many_failures_stop_the_batch():
    schedule = Schedule(items("a", each=9), Limits(per_vnode=2, max_failures=2))
    finish(schedule, schedule.begin(), 5)
    assert "2 vhost(s) failed" in schedule.stopped
    assert schedule.begin() == [] and schedule.over
    assert len(schedule.not_begun()) == 7


def test_canaries_come_from_many_vnodes_and_wait_for_consent():
    schedule = Schedule(items("a", "b"), Limits(canary=2))
    begun = schedule.begin()
    assert [item.vnode for item in begun] == ["a", "b"]
    assert not schedule.wants_consent
    finish(schedule, begun)
    assert schedule.wants_consent and not schedule.over and schedule.begin() == []
    assert schedule.go_on()
    assert len(run_out(schedule)) == 6 and schedule.over


def test_pause_holds_back_and_going_on_is_no_consent_for_canaries_under_way():
    schedule = Schedule(items("a"), Limits(canary=1))
    begun = schedule.begin()
    assert schedule.pause() and not schedule.pause()
    assert schedule.go_on() and not schedule.gate_open
    finish(schedule, begun)
    assert schedule.begin() == []


@pytest.mark.parametrize("code", [5, 130])
def test_a_canary_that_failed_is_tried_again_as_a_canary(code):
    schedule = Schedule(items("a"), Limits(canary=2))
    first, second = begun = schedule.begin()
    finish(schedule, [first], code)
    finish(schedule, [second])
    assert schedule.begin() == [] and begun == [first, second]
    assert schedule.retry(first.key) == [first] and not schedule.wants_consent
    assert schedule.begin() == [first], "and nothing else goes before consent"
    finish(schedule, [first])
    assert schedule.wants_consent and schedule.begin() == []
    assert schedule.go_on() and len(run_out(schedule)) == 2


def test_all_canaries_that_failed_are_tried_again_in_their_order():
    schedule = Schedule(items("a"), Limits(canary=2))
    begun = schedule.begin()
    finish(schedule, begun, 5)
    schedule.retry()
    assert schedule.begin() == begun


def test_consent_before_the_canaries_are_through_is_remembered():
    schedule = Schedule(items("a"), Limits(canary=1))
    begun = schedule.begin()
    assert schedule.go_on() and not schedule.go_on()
    assert schedule.begin() == [], "they go first all the same"
    finish(schedule, begun)
    assert len(run_out(schedule)) == 3 and schedule.over


def test_consent_given_beforehand_is_not_for_canaries_that_fail():
    schedule = Schedule(items("a"), Limits(canary=1))
    begun = schedule.begin()
    assert schedule.go_on()
    finish(schedule, begun, 5)
    assert schedule.begin() == [] and schedule.wants_consent
    assert schedule.go_on() and len(run_out(schedule)) == 3


def test_cancel_lets_what_is_under_way_end():
    schedule = Schedule(items("a"), Limits())
    begun = schedule.begin()
    assert schedule.stop("cancelled") and not schedule.stop("again")
    assert not schedule.over
    finish(schedule, begun)
    assert schedule.over and schedule.stopped == "cancelled"


def test_a_name_with_nginx_in_it_is_no_trouble_with_nginx():
    item = BatchItem("a", "nginx.example")
    assert trouble_of(bad(item, 6, "undo stopped: cannot exchange /srv/nginx.example/web back")) == ""
    assert trouble_of(bad(item, 6, "undo stopped: nginx did not reload for nginx.example")) != ""


def test_retry_takes_up_failed_and_set_aside_ones():
    schedule = Schedule(items("a", each=3), Limits(per_vnode=1))
    (one,) = schedule.begin()
    schedule.ended(one.key, bad(one, 3, "gone"))
    assert schedule.over
    again = schedule.retry()
    assert sorted(item.key for item in again) == sorted(schedule.items)
    assert schedule.troubled == {}
    run_out(schedule)
    assert set(schedule.places.values()) == {Place.OK}


def test_retry_of_one_leaves_the_other_failures_alone():
    schedule = Schedule(items("a", each=2), Limits())
    finish(schedule, schedule.begin(), 5)
    assert [item.key for item in schedule.retry("a/s1.test")] == ["a/s1.test"]
    assert run_out(schedule) == ["a/s1.test"]
    assert schedule.retry("a/s1.test") == [], "it is done"


def test_settled_ones_are_not_begun_again():
    schedule = Schedule(items("a", each=3), Limits())
    schedule.settle("a/s0.test", Place.OK)
    schedule.settle("a/s1.test", Place.FAILED)
    assert run_out(schedule) == ["a/s2.test"]
    assert schedule.failures == 1


def test_left_out_items_are_never_begun():
    schedule = Schedule([BatchItem("a", "x.test", skip="no room"), BatchItem("a", "y.test")], Limits())
    assert run_out(schedule) == ["a/y.test"]
    assert schedule.places["a/x.test"] is Place.SKIPPED


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=30, unique=True),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 0, 0, 3, 4, 5, 6, 130])), max_size=120),
    st.builds(
        Limits,
        vnodes=st.integers(1, 3),
        per_vnode=st.integers(1, 3),
        ahead=st.integers(0, 3),
        max_failures=st.none() | st.integers(1, 4),
    ),
)
def test_whatever_happens_limits_hold_and_nothing_is_begun_twice(names, happenings, limits):
    work = [BatchItem(vnode, f"s{number}.test") for vnode, number in names]
    schedule = Schedule(work, limits)
    begun: list[str] = []
    active: list[BatchItem] = []
    for which, code in [*happenings, *[(0, 0)] * (2 * len(work))]:
        fresh = schedule.begin()
        begun += [item.key for item in fresh]
        active += fresh
        backups = Counter(i.vnode for i in active if schedule.places[i.key] is Place.BACKUP)
        assert all(count <= limits.per_vnode for count in backups.values())
        assert len({item.vnode for item in active}) <= limits.vnodes
        if not active:
            continue
        item = active[which % len(active)]
        if which == 5:
            schedule.backed_up(item.key)
        else:
            active.remove(item)
            finish(schedule, [item], code)
    assert len(begun) == len(set(begun))
    assert schedule.over and not active
    assert all(schedule.places[key] not in (Place.BACKUP, Place.SWITCH) for key in schedule.places)
