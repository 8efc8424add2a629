"""Resuming by the vnode's record: who is at work is attached to, what ended is taken at its word."""

from dataclasses import dataclass, field

import pytest

from nsmig_tui.domain.fleet import RunRecord, Status, Vhost, Vnode
from nsmig_tui.domain.layout import read_journal
from nsmig_tui.engine import resuming
from nsmig_tui.engine.desk import Desk
from nsmig_tui.engine.reading import Record
from nsmig_tui.engine.runner_link import Ending
from nsmig_tui.store.fleet_store import Store

VNODE, DOMAIN = "vn1", "shop.test"
MIGRATED = ("begin migrate me@here", "step backup_creation", "committed 1", "end ok")


def journal(run, *kinds):
    """``kind detail`` words as the view of a journal."""
    rows = (f"{n}\t100\t{run}\t{k.partition(' ')[0]}\t{k.partition(' ')[2]}\n" for n, k in enumerate(kinds))
    return read_journal("".join(rows).encode())


@dataclass
class Scene:
    """What the vnode says, look by look; ``done`` notes what was started there."""

    desk: Desk
    looks: list = field(default_factory=list)
    look: int = 0
    ends: list = field(default_factory=list)
    done: list = field(default_factory=list)
    died: bool = False

    async def resume(self, *, undo_it=False):
        return await resuming.resume(self.desk, VNODE, DOMAIN, lambda event: None, undo_it=undo_it)

    def outcomes(self):
        return {r.run: r.outcome for r in self.desk.store.runs(VNODE, DOMAIN) if r.verb != "resume"}


class Connector:
    async def shell(self, vnode):
        return None


@pytest.fixture
def scene(tmp_path, monkeypatch):
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(Vnode(VNODE, ssh_host=VNODE))
    store.save_vhost(Vhost(VNODE, DOMAIN, status=Status.VALIDATED))
    store.save_run(RunRecord("r1", "migrate", VNODE, DOMAIN, "me@here", 1.0))
    made = Scene(Desk(store, Connector(), lambda name: name, "me@here"))

    async def record(shell, vnode, domain, scripts):
        made.look += 1
        return made.looks[min(made.look, len(made.looks)) - 1][0]

    async def is_alive(shell, scripts, domain, run):
        return made.looks[min(made.look, len(made.looks)) - 1][1]

    class Link:
        def __init__(self, desk, vnode, domain, run, emit):
            made.done.append(f"attach {run}")

        async def follow(self, verdict=None):
            return Ending(made.ends.pop(0), made.died)

    async def undo(desk, books, vnode, vhost, shell, kept, options):
        made.done.append("undo")
        ending = Ending(journal(books.run, "begin undo me", "end ok"))
        return resuming.after_undo(books, vnode, vhost, ending)

    async def no_sleep(seconds):
        return None

    monkeypatch.setattr(resuming.reading, "record", record)
    monkeypatch.setattr(resuming.reading, "is_alive", is_alive)
    monkeypatch.setattr(Desk, "link", lambda desk, *run: Link(desk, *run))

    async def unrestore(desk, books, vnode, vhost, shell, kept):
        made.done.append("unrestore")
        return resuming.after_restore(books, vnode, vhost, Ending(journal(books.run, "begin x", "end ok")))

    async def tidy(desk, books, vnode, vhost, shell, kept):
        made.done.append("tidy")
        ending = Ending(journal(books.run, "begin tidy me", "end ok"))
        return resuming.after_restore(books, vnode, vhost, ending, committed=kept.committed)

    async def finish(desk, books, vnode, vhost, kept):
        made.done.append("finish")
        return resuming.conclude(desk, books, vnode, vhost, Ending(journal(books.run, *MIGRATED)))

    monkeypatch.setattr(resuming, "_finish", finish)
    monkeypatch.setattr(resuming, "undo", undo)
    monkeypatch.setattr(resuming, "unrestore", unrestore)
    monkeypatch.setattr(resuming, "tidy", tidy)
    monkeypatch.setattr(resuming.asyncio, "sleep", no_sleep)
    yield made
    store.close()


async def test_a_run_at_work_is_attached_to_and_its_row_closed(scene):
    scene.looks = [(Record(exists=True, journal=journal("r1", *MIGRATED[:2])), True)]
    scene.ends = [journal("r1", *MIGRATED)]
    result = await scene.resume()
    assert (result.ok, result.status) == (True, "migrated")
    assert (scene.done, scene.outcomes()) == (["attach r1"], {"r1": "ok"})


@pytest.mark.parametrize(
    "ended, outcome", [("end undone", "undone"), ("", "interrupted"), ("end undo_failed", "failed")]
)
async def test_an_archive_outlives_the_run_that_failed_after_it(scene, ended, outcome):
    """Whoever verifies or prunes the whole fleet comes by it."""
    archived = ("begin migrate me@here", "archive pre-migration-1.tar.gz abc123 10 3", "step_failed x y")
    begun = journal("r1", *archived)
    scene.looks = [(Record(exists=True, journal=begun), True)]
    scene.ends, scene.died = [journal("r1", *archived, *filter(None, [ended]))], not ended
    result = await scene.resume()
    vhost = scene.desk.store.vhost(VNODE, DOMAIN)
    assert (vhost.backup_archive, vhost.rollback_available) == ("pre-migration-1.tar.gz", True)
    run = scene.desk.store.run(result.run)
    assert (run.outcome, run.backup_archive, run.archive_sha256) == (
        outcome,
        "pre-migration-1.tar.gz",
        "abc123",
    )


async def test_undo_of_a_run_at_work_waits_for_its_end_and_undoes_it(scene):
    at_work = Record(exists=True, journal=journal("r1", *MIGRATED[:2]))
    scene.looks = [
        (at_work, True),
        (Record(exists=True, committed=True, journal=journal("r1", *MIGRATED)), False),
    ]
    scene.ends = [journal("r1", *MIGRATED)]
    result = await scene.resume(undo_it=True)
    assert (result.ok, result.status) == (True, "validated")
    assert (scene.done, scene.outcomes()) == (["attach r1", "undo"], {"r1": "ok"})


async def test_undo_of_an_undo_at_work_only_watches_it(scene):
    scene.looks = [(Record(exists=True, journal=journal("r1", "begin undo me")), True)]
    scene.ends = [journal("r1", "begin undo me", "end ok")]
    result = await scene.resume(undo_it=True)
    assert (result.ok, result.status, scene.done) == (True, "validated", ["attach r1"])


@pytest.mark.parametrize("verb", ["restore", "unrestore"])
async def test_who_attaches_to_a_restore_is_not_told_of_a_migration(scene, verb):
    scene.looks = [(Record(restored=True, journal=journal("r1", f"begin {verb} me")), True)]
    scene.ends = [journal("r1", f"begin {verb} me", "end ok")]
    result = await scene.resume()
    assert (result.ok, result.status) == (True, "validated")


async def test_a_runner_that_has_told_its_end_is_not_attached_to(scene):
    over = Record(journal=journal("r1", "begin unrestore me", "end ok"))
    scene.looks = [(over, True), (over, True), (over, False)]
    result = await scene.resume(undo_it=True)
    assert scene.done == []
    assert (result.ok, result.status, scene.outcomes()) == (True, "validated", {"r1": "ok"})


async def test_the_time_of_a_migration_that_ended_unseen_is_the_vnodes(scene):
    scene.looks = [(Record(exists=True, committed=True, journal=journal("r1", *MIGRATED)), False)]
    result = await scene.resume()
    assert (result.ok, result.status) == (True, "migrated")
    assert scene.desk.store.vhost(VNODE, DOMAIN).migrated_at == 100.0


async def test_a_migration_that_ended_unseen_is_recorded_like_any_other(scene):
    """Here one without an archive, that somebody else finished after `discover` had called it failed."""
    store = scene.desk.store
    details = {"upath": f"/srv/{DOMAIN}", "document_root": f"/srv/{DOMAIN}/web"}
    words = {"last_error": "a migrate stopped in backup_creation", "last_hint": "Finish it: nsmig resume"}
    store.save_vhost(Vhost(VNODE, DOMAIN, status=Status.FAILED, details=details, **words))
    scene.looks = [(Record(exists=True, committed=True, journal=journal("r1", *MIGRATED)), False)]
    assert (await scene.resume()).ok
    seen = store.vhost(VNODE, DOMAIN)
    assert (seen.status, seen.layout, seen.backup_archive) == ("migrated", "ns3", None)
    assert seen.rollback_available, "its undo needs no archive"
    assert (seen.last_error, seen.last_hint) == ("", "")
    assert seen.details["document_root"] == f"/srv/{DOMAIN}/web/app/public"
    assert seen.steps_completed == journal("r1", *MIGRATED).steps


async def test_an_undo_that_ended_unseen_leaves_no_word_of_what_was_wrong_before(scene):
    store = scene.desk.store
    store.save_vhost(Vhost(VNODE, DOMAIN, status=Status.FAILED, last_error="an undo stopped", last_hint="x"))
    scene.looks = [(Record(journal=journal("r1", "begin undo me", "end ok")), False)]
    assert (await scene.resume()).ok
    seen = store.vhost(VNODE, DOMAIN)
    assert (seen.status, seen.layout, seen.last_error, seen.last_hint) == ("validated", "ns1", "", "")


@pytest.mark.parametrize("alive", [True, False], ids=["attached to", "ended unseen"])
async def test_a_run_that_nobody_watched_has_its_steps_in_the_history(scene, alive):
    whole = journal("r1", *MIGRATED[:2], "step_done backup_creation", *MIGRATED[2:])
    scene.looks = [(Record(exists=True, committed=not alive, journal=whole), alive)]
    if alive:
        scene.looks = [(Record(exists=True, journal=journal("r1", *MIGRATED[:2])), True)]
    scene.ends = [whole]
    assert (await scene.resume()).ok
    row = next(r for r in scene.desk.store.runs(VNODE, DOMAIN) if r.run == "r1")
    assert [(step["name"], step["ok"]) for step in row.steps] == [("backup_creation", True)]


async def test_a_runner_that_was_killed_has_its_steps_in_the_history(scene):
    """What it did is told even where another run finished the rest."""
    scene.desk.store.save_run(RunRecord("r0", "migrate", VNODE, DOMAIN, "me@here", 0.5))
    scene.looks = [(Record(exists=True, journal=journal("r1", *MIGRATED[:2])), False)]
    assert (await scene.resume(undo_it=True)).ok
    rows = {r.run: [step["name"] for step in r.steps] for r in scene.desk.store.runs(VNODE, DOMAIN)}
    assert (rows["r1"], rows["r0"]) == (["backup_creation"], [])


WHY = "nobody confirmed the HTTP answers"


@pytest.mark.parametrize(
    ("kinds", "code", "status", "outcome"),
    [
        ((*MIGRATED[:2], f"step_failed verification {WHY}", "end undone"), 5, "failed", "undone"),
        (("begin migrate me", f"error {WHY}", "end refused"), 4, "validated", "refused"),
    ],
)
async def test_what_ended_badly_while_nobody_looked_is_no_success(scene, kinds, code, status, outcome):
    scene.looks = [(Record(journal=journal("r1", *kinds)), False)]
    result = await scene.resume()
    assert (result.ok, result.exit_code, result.status) == (False, code, status)
    assert (result.errors, bool(result.hint)) == ((WHY,), True)
    vhost, row = scene.desk.store.vhost(VNODE, DOMAIN), scene.desk.store.run("r1")
    assert (vhost.last_error, vhost.last_hint) == (WHY, result.hint)
    assert (row.outcome, row.errors) == (outcome, (WHY,))


async def test_a_refused_undo_of_a_migrated_vhost_leaves_it_migrated(scene):
    kinds = (*MIGRATED, "begin undo me", "error edited since", "end refused")
    scene.looks = [(Record(exists=True, committed=True, journal=journal("r1", *kinds)), False)]
    result = await scene.resume()
    assert (result.exit_code, result.status, result.errors) == (4, "migrated", ("edited since",))


async def test_a_refused_undo_says_whose_migration_came_later(scene):
    kinds = (*MIGRATED, "begin undo me", "error /etc/x has been changed: undo b.test first", "end refused")
    scene.looks = [(Record(exists=True, committed=True, journal=journal("r1", *kinds)), False)]
    result = await scene.resume()
    assert result.hint == f"nsmig rollback {VNODE} b.test, then ask again"


async def test_a_run_that_never_reached_the_vnode_is_not_asked_about_for_ever(scene):
    scene.looks = [(Record(), False)]
    result = await scene.resume()
    assert (result.exit_code, result.status) == (4, "validated")
    assert "nothing is left half-done" in result.errors[0]
    assert scene.outcomes() == {"r1": "failed"}
    assert scene.desk.store.unfinished() == []


async def test_a_resumed_run_is_not_left_running_in_the_history(scene):
    scene.looks = [(Record(exists=True, journal=journal("r1", *MIGRATED[:2])), False)]
    result = await scene.resume(undo_it=True)
    assert (result.ok, scene.done, scene.outcomes()) == (True, ["undo"], {"r1": "failed"})


CHECKING = ("begin restore me", "step restore_checks")
SWITCHING = (*CHECKING, "step restore_switch")
LATER = ("begin migrate me", "error no", "end refused")


@pytest.mark.parametrize(
    ("kept", "undo_it", "done", "status"),
    [
        (
            Record(restored=True, restoring=True, journal=journal("r1", *SWITCHING)),
            False,
            "unrestore",
            "validated",
        ),
        (
            Record(restored=True, restoring=True, journal=journal("r1", *SWITCHING)),
            True,
            "unrestore",
            "validated",
        ),
        (
            Record(restored=True, restoring=True, journal=journal("r1", *SWITCHING, *LATER)),
            False,
            "unrestore",
            "validated",
        ),
        (Record(restored=True, journal=journal("r1", *SWITCHING)), False, "tidy", "validated"),
        (Record(restored=True, journal=journal("r1", *SWITCHING)), True, "unrestore", "validated"),
        (Record(restored=True, journal=journal("r1", *CHECKING)), True, "tidy", "validated"),
        (Record(exists=True, committed=True, journal=journal("r1", *CHECKING)), True, "tidy", "migrated"),
        (
            Record(exists=True, committed=True, journal=journal("r1", *CHECKING, "undo_started x")),
            False,
            "undo",
            "validated",
        ),
        (Record(restored=True, journal=journal("r1", *SWITCHING, "end ok")), True, "unrestore", "validated"),
    ],
    ids=[
        "between its switches",
        "to be undone",
        "with a refused run since",
        "at its end",
        "at its end, to be undone",
        "at its checks, with an earlier one on record",
        "at its checks, migrated",
        "in the undo before it",
        "finished",
    ],
)
async def test_a_restore_goes_back_only_where_it_changed_something(scene, kept, undo_it, done, status):
    scene.looks = [(kept, False)]
    standing = await resuming.standing(scene.desk, VNODE, DOMAIN, undo_it=undo_it)
    assert (standing.do, standing.journal, scene.done) == (done, kept.journal, [])
    result = await scene.resume(undo_it=undo_it)
    assert (result.ok, result.status, scene.done) == (True, status, [done])


HALF = MIGRATED[:2]
KILLED = ("begin restore me",)
REFUSED = ("begin restore me", "error no", "end refused")
UNDOING = ("begin undo me", "undo_started x")


@pytest.mark.parametrize("undo_it", [False, True])
@pytest.mark.parametrize(
    ("kept", "done"),
    [
        (Record(exists=True, journal=journal("r1", *HALF, *KILLED)), "finish"),
        (Record(exists=True, journal=journal("r1", *HALF, "begin tidy me")), "finish"),
        (Record(exists=True, journal=journal("r1", *HALF, *REFUSED)), "finish"),
        (Record(exists=True, going_back=True, journal=journal("r1", *HALF, *UNDOING, *REFUSED)), "undo"),
        (Record(exists=True, going_back=True, journal=journal("r1", *HALF, *UNDOING, *KILLED)), "undo"),
        (Record(exists=True, committed=True, journal=journal("r1", *MIGRATED, *UNDOING, *KILLED)), "undo"),
        (
            Record(
                exists=True,
                committed=True,
                going_back=True,
                journal=journal("r1", *MIGRATED, *UNDOING, *REFUSED),
            ),
            "undo",
        ),
    ],
    ids=[
        "restore killed",
        "tidying killed",
        "restore refused",
        "restore refused in an undo",
        "restore killed in an undo",
        "restore killed in the undo of a finished one",
        "restore refused in the undo of a finished one",
    ],
)
async def test_half_a_migration_is_finished_or_undone_whatever_was_asked_for_since(
    scene, kept, done, undo_it
):
    """Its staging is where the site is: nothing tidies that up."""
    scene.looks = [(kept, False)]
    result = await scene.resume(undo_it=undo_it)
    assert (result.ok, scene.done) == (True, ["undo" if undo_it else done])


async def test_a_taking_back_that_was_killed_before_its_refusal_undoes_no_migration(scene):
    kinds = (*MIGRATED, "begin unrestore me")
    scene.looks = [(Record(exists=True, committed=True, journal=journal("r1", *kinds)), False)]
    result = await scene.resume()
    assert (result.ok, result.status, scene.done) == (True, "migrated", ["tidy"])


async def test_how_a_run_stands_is_told_without_a_change(scene):
    half = Record(exists=True, journal=journal("r1", *MIGRATED[:2]))
    over = Record(exists=True, committed=True, journal=journal("r1", *MIGRATED))
    for kept, alive, undo_it, do in (
        (half, True, True, "attach"),
        (half, False, False, "finish"),
        (half, False, True, "undo"),
        (over, False, False, ""),
        (over, False, True, "undo"),
        (Record(), False, True, ""),
    ):
        scene.looks, scene.look = [(kept, alive)], 0
        assert (await resuming.standing(scene.desk, VNODE, DOMAIN, undo_it=undo_it)).do == do
    assert (scene.done, scene.outcomes()) == ([], {"r1": "running"})
