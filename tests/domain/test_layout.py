"""Layout and status follow from the disk and the vnode's journal; the database only breaks ties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.fleet import STEPS, Layout, Status
from nsmig_tui.domain.layout import (
    JournalReader,
    JournalView,
    at_work,
    is_whole_web,
    layout_of,
    migrated_at,
    read_journal,
    status_from_disk,
)

OLD = ("web", "var", "var/log", "var/run", "var/tmp", "bin", "etc", "msg")
NEW = ("web", "web/app", "web/app/public", "web/log", "web/run", "msg", ".archive")


def flags(*names, **special):
    return dict.fromkeys(names, "1:1:755") | {k.replace("_", "/"): v for k, v in special.items()}


@pytest.mark.parametrize(
    "found, layout",
    [
        (flags(), Layout.UNKNOWN),
        (flags("msg", "var"), Layout.UNKNOWN),
        (flags(web="link"), Layout.UNKNOWN),
        (flags(web="other"), Layout.UNKNOWN),
        (flags("web"), Layout.NS1),
        (flags(*OLD), Layout.NS1),
        (flags(*OLD, "web/app", "web/app/public"), Layout.NS1),
        (flags(*OLD, "web/log"), Layout.NS1),
        (flags("web", "web/app", "web/app/public", "web/log"), Layout.NS1),
        (flags(*NEW), Layout.NS3),
        (flags(*NEW, "var", var_log="link", var_run="link"), Layout.NS3),
        (flags(*NEW, "var", "var/run", var_log="link"), Layout.NS3),
        (flags(*NEW, *OLD), Layout.MIXED),
        (flags("web", "web/app/public", "web/run", web_log="link"), Layout.NS1),
    ],
)
def test_layout(found, layout):
    assert layout_of(found) is layout


def test_what_nginx_serves_tells_content_from_the_new_layout():
    """Entries of a site may be called as ours are, all of them at once."""
    full = flags(*NEW, *OLD)
    assert layout_of({**full, "web/*": "more"}, serves_web=True) is Layout.NS1
    assert layout_of({**flags(*NEW), "web/*": "more"}, serves_web=True) is Layout.NS1
    assert layout_of(full, serves_web=True) is Layout.MIXED, "moved, but served from the old place"
    assert layout_of({**full, "web/*": "more"}) is Layout.MIXED
    assert layout_of({**full, "web/*": "more"}, serves_web=True, migrated=True) is Layout.NS3


@pytest.mark.parametrize(
    "root, whole",
    [
        ("/srv/a.test/web", True),
        ("/srv/a.test/web/public/", True),
        ("/srv/a.test/web/app", True),
        ("/srv/a.test/web/app/public", False),
        ("/srv/a.test/web/app/public/x", False),
        *((other, False) for other in ("/srv/b.test/web", "/var/www", None, "")),
    ],
)
def test_the_root_of_the_old_layout(root, whole):
    assert is_whole_web(root, "/srv/a.test") is whole


def journal(*kinds: str, run="r1") -> bytes:
    """``kind detail`` words as journal lines."""
    lines = []
    for number, text in enumerate(kinds, 1):
        kind, _, detail = text.partition(" ")
        lines.append(f"{number}\t{1000 + number}\t{run}\t{kind}\t{detail}\n")
    return "".join(lines).encode()


BEGIN = ("begin migrate me@host", f"step {STEPS[0]}")
HALF = (*BEGIN, f"step_done {STEPS[0]}", f"step {STEPS[1]}", "archive a.tar.gz abc 10 3")
DONE = (*HALF, *(f"step_done {name}" for name in STEPS[1:]), "committed a.tar.gz", "points 9", "end ok")

RESTORE = ("begin restore x", "step restore_checks")
HALF_RESTORED = (*DONE, *RESTORE, "undo_started for it", "undone for it", "step restore_switch")

MOVED = {"state": "ok", "migrated": True, "unfinished": False}
BACK = {"state": "ok", "migrated": False, "unfinished": False}


@pytest.mark.parametrize(
    "lines, expected",
    [
        ((), {"state": "none", "migrated": False, "unfinished": False}),
        (BEGIN, {"state": "running", "unfinished": False, "operator": "me@host"}),
        ((*BEGIN, "error no", "end refused"), {"state": "refused", "unfinished": False, "errors": ("no",)}),
        (HALF, {"state": "running", "unfinished": True, "current": STEPS[1], "steps": STEPS[:1]}),
        (HALF, {"archive": ("a.tar.gz", "abc", 10, 3)}),
        ((*HALF, "await 120"), {"state": "awaiting", "unfinished": True}),
        (
            (*HALF, f"step_failed {STEPS[1]} disk is full", "undo_started x", "end undone"),
            {"state": "undone", "unfinished": False, "migrated": False},
        ),
        ((*HALF, "undo_started x"), {"unfinished": True, "undoing": True}),
        ((*HALF, "attention look", "end attention"), {"state": "attention", "unfinished": True}),
        (DONE, {**MOVED, "points": 9, "steps": STEPS, "finished": 1000 + len(DONE)}),
        (DONE[:-1], MOVED),
        ((*DONE, *BEGIN, "end refused"), {"state": "refused", "migrated": True, "unfinished": False}),
        ((*HALF, "begin migrate x", "end refused"), {"state": "refused", "unfinished": True}),
        ((*HALF, "begin resume x", f"step {STEPS[1]}", "committed a", "end ok"), MOVED),
        ((*DONE, "begin undo x"), {"state": "running", "migrated": True}),
        ((*DONE, "begin undo x", "end ok"), {**BACK, "verb": "undo", "archive": ("a.tar.gz", "abc", 10, 3)}),
        ((*DONE, "begin undo x", "error edited", "end refused"), {"migrated": True, "unfinished": False}),
        ((*HALF, "begin undo x", "end ok"), BACK),
        ((*DONE, "begin restore x", "undo_started before the restore", "end ok"), BACK),
        (
            (*DONE, "begin restore x", "error no record", "end refused"),
            {"migrated": True, "state": "refused"},
        ),
        ((*DONE, *RESTORE), {"unfinished": False, "restoring": False, "migrated": True}),
        (HALF_RESTORED, {"unfinished": True, "restoring": True, "migrated": False}),
        ((*HALF_RESTORED, "end ok"), {**BACK, "restoring": False}),
        ((*HALF_RESTORED, "end undone"), {"unfinished": False, "restoring": False, "migrated": False}),
        ((*HALF_RESTORED, "attention look", "end attention"), {"unfinished": True, "restoring": True}),
        ((*HALF_RESTORED, *BEGIN, "end refused"), {"unfinished": True, "restoring": True}),
        ((*HALF_RESTORED, "begin unrestore x", "end ok"), {**BACK, "restoring": False}),
        (("begin unrestore x", "step restore_back"), {"unfinished": True, "restoring": True}),
        ((*DONE, "begin undo x", "undo_started x"), {"unfinished": True, "restoring": False}),
        ((*DONE, *RESTORE, "error no", "end refused"), {"unfinished": False, "migrated": True}),
        ((*HALF, "warning w1", "warning w2"), {"warnings": ("w1", "w2")}),
        ((*HALF, "reloaded nginx", "reloaded nginx"), {"reloads": {"nginx": 2}}),
        ((*HALF, "archive", "points many", "unknown thing"), {"archive": ("", "", 0, 0), "points": 0}),
    ],
)
def test_journal(lines, expected):
    view = vars(read_journal(journal(*lines)))
    assert {key: view[key] for key in expected} == expected


def test_a_failed_step_carries_its_reason():
    view = read_journal(journal(*HALF, f"step_failed {STEPS[1]} disk is full"))
    assert view.errors == ("disk is full",)


KINDS = st.sampled_from(
    [*DONE, "begin undo x", "undo_started y", "end undone", "end refused", "attention a", "await 1"]
)


@given(st.lists(KINDS, max_size=25), st.data())
def test_pieces_and_whole_say_the_same(lines, data):
    whole = journal(*lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    reader = JournalReader(only_run="r1")
    heard = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        heard += reader.feed(whole[start:end])
    assert reader.view == read_journal(whole)
    assert [f"{kind} {detail}".strip() for kind, detail, _at in heard] == lines


@given(st.lists(KINDS, max_size=25), st.integers(0, 30))
def test_a_cut_last_line_counts_for_nothing(lines, lost):
    whole = journal(*lines)
    cut = whole[: max(len(whole) - lost, 0)]
    assert read_journal(cut) == read_journal(cut[: cut.rfind(b"\n") + 1])


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(["0", "9", "²", "\t", "\n", "end", "begin", "é"])).map("".join)
)
def test_no_journal_raises(raw):
    data = raw if isinstance(raw, bytes) else raw.encode()
    assert read_journal(data + b"\n1\t\xc2\xb2\tr\tbegin\tmigrate me\n").started == 0.0


def test_lines_of_other_runs_are_read_but_not_told():
    reader = JournalReader(only_run="r2")
    assert reader.feed(journal(*DONE)) == []
    assert reader.view.migrated
    assert [event[:2] for event in reader.feed(journal("begin undo x", run="r2"))] == [("begin", "undo x")]


@pytest.mark.parametrize(
    ("kinds", "phases"),
    [
        (
            ("begin migrate me", "step backup_creation", "step_done backup_creation", "step verification"),
            [("backup_creation", True), ("verification", None)],
        ),
        (
            (
                "begin migrate me",
                "step backup_creation",
                "step_failed backup_creation full",
                "undo_started full",
            ),
            [("backup_creation", False)],
        ),
        (("begin undo me", "undo_started asked for", "reloaded php-fpm", "end ok"), [("undo", True)]),
        (("begin undo me", "undo_started asked for", "attention stuck"), [("undo", None)]),
        (
            (
                "begin restore me",
                "step restore_checks",
                "step_done restore_checks",
                "undo_started first",
                "undone",
                "step restore_switch",
                "end ok",
            ),
            [("restore_checks", True), ("undo", True), ("restore_switch", True)],
        ),
        (("begin migrate me", "step backup_creation", "begin undo you"), []),
    ],
)
def test_the_phases_of_the_last_run(kinds, phases):
    assert [(p.name, p.ok) for p in read_journal(journal(*kinds)).phases] == phases


def test_a_phase_has_its_times():
    raw = b"0\t100\tr1\tbegin\tundo me\n1\t100.50\tr1\tundo_started\tx\n2\t103.75\tr1\tend\tok\n"
    (phase,) = read_journal(raw).phases
    assert phase.row() == {"name": "undo", "started": 100.5, "seconds": 3.25, "ok": True}


def test_times_may_have_hundredths():
    reader = JournalReader()
    told = reader.feed(b"1\t1763870000.25\tr\tbegin\tmigrate me\n2\t1763870001\tr\tstep\tverification\n")
    assert [at for _kind, _detail, at in told] == [1763870000.25, 1763870001.0]
    assert reader.view.started == 1763870000.25


NOTHING = JournalView()
COMMITTED = JournalView(state="ok", verb="migrate", migrated=True)
RESTORED = JournalView(state="ok", verb="restore")
UNDONE = JournalView(state="ok", verb="undo")
ASKS = JournalView(state="attention", unfinished=True)
HALF_DONE = JournalView(state="running", unfinished=True)


@pytest.mark.parametrize(
    "layout, view, was, status",
    [
        (Layout.NS1, NOTHING, None, Status.DISCOVERED),
        (Layout.NS1, NOTHING, Status.DISCOVERED, Status.DISCOVERED),
        (Layout.NS1, NOTHING, Status.VALIDATED, Status.VALIDATED),
        (Layout.NS1, NOTHING, Status.FAILED, Status.FAILED),
        (Layout.NS1, UNDONE, None, Status.DISCOVERED),
        (Layout.NS1, UNDONE, Status.MIGRATED, Status.VALIDATED),
        (Layout.NS1, RESTORED, Status.MIGRATED, Status.VALIDATED),
        (Layout.NS1, RESTORED, None, Status.DISCOVERED),
        (Layout.NS1, UNDONE, Status.DISCOVERED, Status.DISCOVERED),
        (Layout.NS1, HALF_DONE, Status.VALIDATED, Status.FAILED),
        (Layout.NS1, ASKS, None, Status.FAILED),
        (Layout.NS3, NOTHING, None, Status.NATIVE),
        (Layout.NS3, NOTHING, Status.VALIDATED, Status.NATIVE),
        (Layout.NS3, COMMITTED, None, Status.MIGRATED),
        (Layout.NS3, COMMITTED, Status.FAILED, Status.MIGRATED),
        (Layout.NS3, HALF_DONE, Status.MIGRATED, Status.FAILED),
        (Layout.MIXED, NOTHING, None, Status.FAILED),
        (Layout.UNKNOWN, NOTHING, None, Status.DISCOVERED),
        (Layout.UNKNOWN, HALF_DONE, None, Status.FAILED),
    ],
)
def test_status_from_disk(layout, view, was, status):
    assert status_from_disk(layout, view, was) is status


def test_what_comes_to_the_old_places_of_a_migrated_vhost_changes_no_layout():
    tree = flags(*NEW, "var", "var/log", "var/run")
    assert layout_of(tree) is Layout.MIXED
    assert layout_of(tree, migrated=True) is Layout.NS3
    assert layout_of(flags(*OLD), migrated=True) is Layout.NS1


@pytest.mark.parametrize("view", [NOTHING, UNDONE, JournalView(state="refused", verb="undo")])
def test_a_record_beside_the_archives_tells_of_a_migration(view):
    """Where the journal was lost, or began anew after it was."""
    assert status_from_disk(Layout.NS3, view, Status.NATIVE, recorded=True) is Status.MIGRATED
    assert status_from_disk(Layout.NS1, view, Status.VALIDATED, recorded=True) is Status.VALIDATED


@pytest.mark.parametrize(
    "state, run, runner, busy",
    [
        ("running", "r1", "r1", True),
        ("awaiting", "r1", "r1", True),
        ("ok", "r1", "r1", False),
        ("undone", "r1", "r1", False),
        ("ok", "r0", "r1", True),
        ("running", "r1", "", False),
    ],
)
def test_who_has_told_its_end_is_not_at_work(state, run, runner, busy):
    assert at_work(JournalView(state=state, run=run), runner) is busy


REFUSED_LATER = JournalView(state="refused", verb="undo", migrated=True, finished=9.0)


@pytest.mark.parametrize(
    "view, was, at",
    [
        (JournalView(state="ok", verb="migrate", migrated=True, finished=5.0), None, 5.0),
        (JournalView(state="ok", verb="resume", migrated=True, finished=5.0), 2.0, 5.0),
        (REFUSED_LATER, 5.0, 5.0),
        (REFUSED_LATER, None, 9.0),
        (JournalView(state="ok", verb="undo", finished=9.0), 5.0, None),
        (NOTHING, 5.0, None),
    ],
)
def test_when_the_migration_that_stands_was_finished(view, was, at):
    assert migrated_at(view, was) == at
