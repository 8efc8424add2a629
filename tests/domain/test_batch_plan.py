"""Planning a batch: order, room per file system for the whole of it, duration, reasons for leaving out."""

from nsmig_tui.domain.batch import BatchSpec, Limits, spec_from
from nsmig_tui.domain.batch_plan import FileSystem, Measured, Speed, make_batch_plan, speed_from
from nsmig_tui.domain.fleet import Status, Vhost

MB = 1 << 20


def vhost(domain, vnode="a", status=Status.VALIDATED, **more):
    return Vhost(vnode, domain, status, **more)


def measured(sizes, free, inodes=None):
    return Measured(
        {domain: ("8:1", size) for domain, size in sizes.items()},
        {"8:1": FileSystem("8:1", free, inodes)},
    )


def test_the_biggest_begin_first_and_reasons_stand_beside_what_is_left_out():
    plan = make_batch_plan(
        [
            vhost("small.test"),
            vhost("big.test"),
            vhost("gone.test", vanished=True),
            vhost("new.test", status=Status.DISCOVERED),
            vhost("missing.test"),
            vhost("far.test", "b"),
        ],
        {
            "a": measured({"small.test": MB, "big.test": 9 * MB, "gone.test": MB}, 100 * MB),
            "b": Measured(problem="b cannot be reached", hint="look"),
        },
        {},
        Limits(),
    )
    assert [item.domain for item in plan.items if not item.skip] == ["big.test", "small.test"]
    assert {item.domain: (item.skip, item.exit_code) for item in plan.items if item.skip} == {
        "gone.test": ("it has vanished from its vnode", 4),
        "new.test": ("it is discovered, not validated", 4),
        "missing.test": ("its folder is not there or is not a folder", 4),
        "far.test": ("b cannot be reached", 3),
    }


def test_room_is_judged_for_the_whole_batch():
    sizes = {"x.test": 10 * MB, "y.test": 8 * MB, "z.test": 1 * MB}
    hosts = [vhost(domain) for domain in sizes]
    need = (19 + 18) * MB
    fits = make_batch_plan(hosts, {"a": measured(sizes, need)}, {}, Limits(per_vnode=2))
    assert not [item for item in fits.items if item.skip]
    assert fits.vnodes[0].needs == (("8:1", need, need),)
    tight = make_batch_plan(hosts, {"a": measured(sizes, need - 1)}, {}, Limits(per_vnode=2))
    assert [item.domain for item in tight.items if item.skip] == ["x.test"]
    assert "has room for" in tight.items[-1].skip


def test_one_vhost_alone_needs_twice_its_size():
    sizes = {"x.test": 10 * MB}
    assert (
        make_batch_plan([vhost("x.test")], {"a": measured(sizes, 20 * MB)}, {}, Limits()).items[0].skip == ""
    )
    assert make_batch_plan([vhost("x.test")], {"a": measured(sizes, 20 * MB - 1)}, {}, Limits()).items[0].skip


def test_inodes_count_too_and_without_backup_no_room_is_asked_for():
    sizes = {"x.test": MB, "y.test": MB}
    hosts = [vhost(domain) for domain in sizes]
    few = make_batch_plan(hosts, {"a": measured(sizes, 100 * MB, 210)}, {}, Limits())
    assert all(item.skip for item in few.items)
    bare = make_batch_plan(hosts, {"a": measured(sizes, 0)}, {}, Limits(), backup=False)
    assert not any(item.skip for item in bare.items)


def test_expected_duration_follows_what_was_measured():
    speed = Speed().with_run(100 * MB, 10.0, 12.0)
    assert (speed.rate, speed.fixed, speed.measured) == (10 * MB, 2.0, 1)
    slower = speed.with_run(100 * MB, 20.0, 22.0)
    assert 5 * MB < slower.rate < 10 * MB
    tiny = speed.with_run(4096, 0.2, 1.2)
    assert tiny.rate == speed.rate and tiny.fixed < speed.fixed
    sizes = {f"s{n}.test": 100 * MB for n in range(4)}
    hosts = [vhost(d, v) for v in ("a", "b") for d in sizes]
    seen = {v: measured(sizes, 1 << 40) for v in ("a", "b")}
    speeds = {"a": speed, "b": speed}
    side_by_side = make_batch_plan(hosts, seen, speeds, Limits(vnodes=2, per_vnode=2))
    one_by_one = make_batch_plan(hosts, seen, speeds, Limits(vnodes=1, per_vnode=1))
    assert side_by_side.expected_s == 24.0
    assert one_by_one.expected_s == 96.0


def test_kept_speeds_survive_and_rubbish_does_not_matter():
    speed = Speed(5.0, 1.0, 3)
    assert speed_from(vars(speed)) == speed
    assert (
        speed_from(None)
        == speed_from({"rate": "x"})
        == speed_from({"rate": 0, "fixed": 0, "measured": 1})
        == Speed()
    )


def test_a_spec_survives_its_file():
    plan = make_batch_plan([vhost("x.test"), vhost("y.test", vanished=True)], {}, {}, Limits(canary=3))
    spec = BatchSpec("b1", "me@here", 1.0, plan.items, Limits(canary=3), expected_s=plan.expected_s)
    kept = spec.as_json()
    assert spec_from(kept) == spec
    kept["options"]["force"] = False
    assert spec_from(kept) == spec, "as an earlier version wrote it"
    assert [item.domain for item in spec.work] == ["x.test"]
