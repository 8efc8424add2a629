"""The conductor over an engine that answers from a table: journal, orders, troubles, resuming, canaries."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace

import pytest

from nsmig_tui.domain import events as ev
from nsmig_tui.domain.batch import BatchItem, BatchSpec, Limits
from nsmig_tui.domain.batch_events import (
    BatchContinued,
    BatchEnded,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    VnodeSetAside,
)
from nsmig_tui.domain.batch_report import state_words
from nsmig_tui.domain.batch_view import BatchView
from nsmig_tui.domain.errors import ConnectError, LockHeld, Refused
from nsmig_tui.domain.fleet import RunRecord, Status, Vhost
from nsmig_tui.domain.run_state import RunState
from nsmig_tui.engine.batch import conductor as conducting
from nsmig_tui.engine.batch.conductor import Conductor
from nsmig_tui.engine.batch.ending import is_overtaken
from nsmig_tui.engine.batch.journal import Journal, JournalTail
from nsmig_tui.engine.batch.mailbox import Command, collect, post
from nsmig_tui.engine.batch.places import BatchDir


class TableEngine:
    """``codes``: domain -> exit codes of its tries in order; an exception is raised. Else all goes well.

    ``hold``: domains that wait until ``let`` sets their event.
    """

    def __init__(self, **codes):
        self.codes = {name.replace("_", "."): list(tries) for name, tries in codes.items()}
        self.calls, self.hold = [], {}

    async def migrate(self, vnode, domain, options, emit):
        return await self._run("migrate", vnode, domain, emit)

    async def take_up(self, vnode, domain, options, emit):
        return await self._run("take_up", vnode, domain, emit)

    async def _run(self, verb, vnode, domain, emit):
        self.calls.append((verb, domain))
        emit(ev.RunStarted(vnode, domain, "r", verb="migrate"))
        emit(ev.StepStarted(vnode, domain, "r", step="backup_creation"))
        emit(ev.StepProgressed(vnode, domain, "r", step="backup_creation", done=5, total=10))
        emit(ev.StepFinished(vnode, domain, "r", step="backup_creation", seconds=2.0))
        emit(ev.StepStarted(vnode, domain, "r", step="structural_migration"))
        if domain in self.hold:
            await self.hold[domain].wait()
        await asyncio.sleep(0)
        tries = self.codes.get(domain, [])
        code = tries.pop(0) if tries else 0
        if isinstance(code, BaseException):
            raise code
        words = ("before we begin: nginx -t: broken",) if code == 4 else ("it broke",) if code else ()
        status = "failed" if code else "migrated"
        result = ev.Result(
            vnode, domain, "r", ok=not code, status=status, errors=words, exit_code=code, duration_s=3.0
        )
        emit(result)
        return result


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(conducting, "HEARTBEAT", 0.01)
    monkeypatch.setattr(conducting, "SECOND_TRY", 0.0)


def spec_with(*names, limits=None):
    items = [BatchItem(*name.split("/"), size=1 << 21) for name in names]
    return BatchSpec("b1", "me", 1.0, tuple(items), limits or Limits())


class Scene:
    """A batch on disk, and conductors for it one after another."""

    def __init__(self, tmp_path, engine, spec):
        self.engine, self.spec = engine, spec
        self.place = BatchDir(tmp_path / "batches", spec.batch)
        self.place.create(spec)
        self.speeds = {}

    def view(self):
        view = BatchView(self.spec)
        for at, event in JournalTail(self.place).events():
            view.take(event, at)
        return view

    def events(self, kind):
        return [event for _, event in JournalTail(self.place).events() if isinstance(event, kind)]

    def conductor(self, **more):
        journal = Journal(self.place, lambda: 7.0)
        return Conductor(
            self.engine,
            self.spec,
            journal,
            before=self.view(),
            mailbox=lambda: collect(self.place),
            measured=self.speeds.__setitem__,
            **more,
        )

    async def run(self, **more):
        return await self.conductor(**more).run()

    def tell(self, do, key=""):
        post(self.place, Command(do, key, "me"))

    async def until(self, question):
        async with asyncio.timeout(20):
            while not question():
                await asyncio.sleep(0.005)


async def test_a_mistake_of_ours_ends_the_process_and_is_not_waited_for(tmp_path):
    """Its run is never booked out then; the batch can be resumed."""

    def broken(_vnode, _speed):
        raise RuntimeError("a bug")

    scene = Scene(tmp_path, TableEngine(), spec_with("a/x.test", "a/y.test"))
    conductor = scene.conductor()
    conductor._measured = broken
    with pytest.raises(RuntimeError, match="a bug"):
        async with asyncio.timeout(20):
            await conductor.run()
    assert scene.view().outcome == "" and not scene.events(BatchEnded)


async def test_all_goes_well_and_throughput_is_kept(tmp_path):
    scene = Scene(tmp_path, TableEngine(), spec_with("a/x.test", "a/y.test", "b/z.test"))
    assert await scene.run() == 0
    view = scene.view()
    assert (view.outcome, view.exit_code, view.finished) == ("done", 0, True)
    assert {run.phase for run in view.runs.values()} == {"ok"}
    assert scene.events(ev.Summary) == [ev.Summary(3, 0, 0)]
    assert scene.speeds["a"].rate == (1 << 21) / 2.0 and scene.speeds["a"].measured == 2
    assert scene.events(ev.StepProgressed) == [], "ticks are not in the journal"


async def test_one_that_fails_is_told_with_the_rest_done(tmp_path):
    scene = Scene(tmp_path, TableEngine(x_test=[5]), spec_with("a/x.test", "a/y.test"))
    assert await scene.run() == 7
    assert scene.view().finished
    assert scene.view().hint == "1 failed, to be tried again: nsmig resume b1 --retry"
    assert await scene.run() == 7, "a resume leaves settled ones alone"
    assert scene.engine.calls.count(("migrate", "y.test")) == 1
    assert len(scene.engine.calls) == 2
    assert await scene.run(retry=True) == 0
    assert scene.engine.calls[-1] == ("take_up", "x.test")
    assert scene.view().hint == ""


async def test_a_vnode_in_trouble_is_set_aside_and_resumed(tmp_path):
    names = [f"a/{n}.test" for n in "uvwxyz"] + ["b/k.test", "b/l.test"]
    engine = TableEngine(u_test=[ConnectError("no route", hint="look"), ConnectError("no route")])
    scene = Scene(tmp_path, engine, spec_with(*names, limits=Limits(per_vnode=1, ahead=0)))
    assert await scene.run() == 7
    view = scene.view()
    assert view.aside == {"a": "no route"}
    assert [event.left for event in scene.events(VnodeSetAside)] == [5]
    assert {key for key, result in view.results.items() if result.ok} == {"b/k.test", "b/l.test"}
    assert view.results["a/w.test"].skipped and view.results["a/w.test"].exit_code == 3
    assert "6 left to do" in view.hint
    assert await scene.run() == 0
    assert ("take_up", "z.test") in engine.calls
    assert scene.view().aside == {}


async def test_one_lost_handshake_sets_nothing_aside(tmp_path):
    scene = Scene(tmp_path, TableEngine(x_test=[ConnectError("reset by peer")]), spec_with("a/x.test"))
    assert await scene.run() == 0
    assert scene.engine.calls == [("migrate", "x.test"), ("take_up", "x.test")]


async def test_broken_nginx_sets_the_vnode_aside(tmp_path):
    scene = Scene(
        tmp_path,
        TableEngine(x_test=[4, 4]),
        spec_with("a/x.test", "a/y.test", limits=Limits(per_vnode=1, ahead=0)),
    )
    assert await scene.run() == 4
    assert "nginx -t: broken" in scene.view().aside["a"]
    assert scene.engine.calls == [("migrate", "x.test"), ("take_up", "x.test")]


async def test_an_interrupted_batch_says_so_and_the_next_process_takes_up(tmp_path):
    scene = Scene(tmp_path, TableEngine(), spec_with("a/x.test", "a/y.test"))
    scene.engine.hold["y.test"] = asyncio.Event()
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: "a/x.test" in scene.view().results)
    task.cancel()
    assert await task == 130
    view = scene.view()
    assert (view.outcome, view.finished) == ("interrupted", False)
    assert "nsmig resume b1" in view.hint
    scene.engine.hold.clear()
    assert await scene.run() == 0
    assert scene.engine.calls[-1] == ("take_up", "y.test")
    assert [event.resumed for event in scene.events(BatchStarted)] == [False, True]


async def test_a_killed_process_leaves_half_a_line_and_the_next_one_goes_on(tmp_path):
    scene = Scene(tmp_path, TableEngine(), spec_with("a/x.test", "a/y.test"))
    journal = Journal(scene.place, lambda: 7.0)
    journal.add(BatchStarted("", batch="b1"))
    journal.add(ev.RunStarted("a", "x.test", "r", verb="migrate"))
    journal.add(ev.Result("a", "x.test", "r", ok=True, status="migrated"))
    journal.add(ev.RunStarted("a", "y.test", "r", verb="migrate"))
    journal.close()
    with scene.place.events.open("ab") as file:
        file.write(b'{"at": 3, "type": "resu')
    view = scene.view()
    view.died()
    assert (view.phase, view.finished) == ("died", False)
    assert await scene.run() == 0
    assert scene.engine.calls == [("take_up", "y.test")]


async def test_what_this_machine_could_not_begin_is_left_for_another_time(tmp_path):
    full = Refused("nsmig.db cannot be written: database or disk is full.", hint="Make room.")
    scene = Scene(tmp_path, TableEngine(x_test=[full]), spec_with("a/x.test", "a/y.test"))
    assert await scene.run() == 7
    view = scene.view()
    assert (view.results["a/x.test"].skipped, view.results["a/x.test"].exit_code) == (True, 4)
    assert "1 left to do: nsmig resume b1" in view.hint
    assert await scene.run() == 0
    assert scene.engine.calls[-1] == ("take_up", "x.test")


async def test_a_database_that_others_hold_is_no_failure_of_the_vhost(tmp_path):
    """It is left for another time, and does not count for those that may fail."""
    held = LockHeld("nsmig.db is in use by another program.", hint="Try again.")
    spec = spec_with("a/x.test", "a/y.test", "a/z.test", limits=Limits(per_vnode=1, max_failures=1))
    scene = Scene(tmp_path, TableEngine(x_test=[held]), spec)
    assert await scene.run() == 7
    view = scene.view()
    first = view.results["a/x.test"]
    assert (first.skipped, first.exit_code, first.hint) == (True, 75, "Try again.")
    assert [view.results[f"a/{name}.test"].ok for name in "yz"] == [True, True]
    assert scene.events(BatchStopped) == [] and "1 left to do: nsmig resume b1" in view.hint
    assert await scene.run() == 0
    assert scene.engine.calls[-1] == ("take_up", "x.test")


async def test_of_a_run_begun_before_nobody_says_that_it_was_not_begun(tmp_path):
    """The vnode cannot be asked, as where sudo wants a password: what runs there goes on."""
    lost = [ConnectError("nobody to ask", hint="log in")] * 3
    names = ("a/x.test", "a/y.test", "a/z.test")
    limits = Limits(per_vnode=1, ahead=0)
    scene = Scene(tmp_path, TableEngine(x_test=lost), spec_with(*names, limits=limits))
    journal = Journal(scene.place, lambda: 7.0)
    journal.add(BatchStarted("", batch="b1"))
    for name in ("x.test", "y.test"):
        journal.add(ev.RunStarted("a", name, "r", verb="migrate"))
    journal.close()
    assert await scene.run() == 130
    view = scene.view()
    for key, skipped in (("a/x.test", False), ("a/y.test", False), ("a/z.test", True)):
        result = view.results[key]
        assert (result.skipped, result.exit_code, result.status) == (skipped, 3 if skipped else 130, "")
        assert state_words(view, key) == ("not begun" if skipped else "its run goes on on the vnode")
        assert ("was begun before" in " ".join(result.errors)) is not skipped
    assert "3 left to do" in view.hint
    scene.engine.codes.clear()
    assert await scene.run() == 0


async def test_what_is_to_be_left_alone_is_not_touched_and_keeps_its_result(tmp_path):
    scene = Scene(tmp_path, TableEngine(y_test=[6]), spec_with("a/x.test", "a/y.test", "a/z.test"))
    scene.engine.hold["z.test"] = asyncio.Event()
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: len(scene.view().results) == 2)
    task.cancel()
    assert await task == 130
    tried = len(scene.engine.calls)
    await scene.run(retry=True, leave=["a/y.test", "a/z.test"])
    assert scene.engine.calls[tried:] == []
    runs = scene.view().runs
    assert (runs["a/y.test"].phase, runs["a/y.test"].error) == ("look", "it broke")
    assert (runs["a/z.test"].phase, runs["a/z.test"].error) == ("skipped", "left alone: dealt with since")


async def test_a_pause_on_top_of_a_wait_for_consent_is_no_way_round_it(tmp_path):
    view = BatchView(spec_with("a/x.test"))
    view.take(BatchPaused("", reason="1 went first", consent=True), 1.0)
    view.take(BatchPaused("", reason="asked for"), 2.0)
    assert (view.phase, view.reason) == ("waiting", "1 went first")


VALIDATED = Vhost("a", "x.test", Status.VALIDATED)


def record(verb, outcome, started, run="other"):
    return RunRecord(run, verb, "a", "x.test", "me", started, started + 1, outcome)


@pytest.mark.parametrize(
    ("vhost", "records", "over"),
    [
        (VALIDATED, [], False),
        (None, [], True),
        (replace(VALIDATED, status=Status.MIGRATED), [], True),
        (VALIDATED, [record("undo", "ok", 20.0)], True),
        (VALIDATED, [record("migrate", "undone", 20.0)], True),
        (VALIDATED, [record("undo", "ok", 5.0)], False),
        (VALIDATED, [record("validate", "ok", 20.0)], False),
        (VALIDATED, [record("migrate", "refused", 20.0), record("resume", "running", 21.0)], False),
        (VALIDATED, [record("migrate", "undone", 20.0, run="own")], False),
    ],
)
def test_what_others_brought_to_an_end_since_is_no_longer_the_batchs(vhost, records, over):
    run = RunState("a", "x.test", run="own", queued=1.0, started=10.0)
    assert is_overtaken(run, vhost, records) is over


async def test_pause_and_continue(tmp_path):
    names = ("a/x.test", "a/y.test")
    scene = Scene(tmp_path, TableEngine(), spec_with(*names, limits=Limits(per_vnode=1, ahead=0)))
    scene.engine.hold["x.test"] = asyncio.Event()
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.engine.calls)
    scene.tell("pause")
    await scene.until(lambda: scene.view().phase == "paused")
    scene.engine.hold["x.test"].set()
    await scene.until(lambda: "a/x.test" in scene.view().results)
    assert scene.engine.calls == [("migrate", "x.test")]
    assert "by me" in scene.view().reason
    scene.tell("continue")
    assert await task == 0


async def test_cancel_ends_what_runs_and_begins_no_more(tmp_path):
    names = ("a/x.test", "a/y.test")
    scene = Scene(tmp_path, TableEngine(), spec_with(*names, limits=Limits(per_vnode=1, ahead=0)))
    scene.engine.hold["x.test"] = asyncio.Event()
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.engine.calls)
    scene.tell("cancel")
    await scene.until(lambda: scene.view().phase == "stopping")
    scene.engine.hold["x.test"].set()
    assert await task == 7
    view = scene.view()
    assert view.outcome == "cancelled"
    assert view.results["a/x.test"].ok
    assert view.results["a/y.test"].skipped and "cancelled by me" in view.results["a/y.test"].errors[0]


async def test_cancel_and_retry_of_one(tmp_path):
    names = ("a/x.test", "a/y.test", "a/z.test")
    engine = TableEngine(x_test=[5])
    engine.hold["y.test"] = asyncio.Event()
    scene = Scene(tmp_path, engine, spec_with(*names, limits=Limits(per_vnode=1, ahead=0)))
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: ("migrate", "y.test") in engine.calls)
    scene.tell("cancel", "a/z.test")
    scene.tell("retry", "a/x.test")
    await scene.until(lambda: "a/z.test" in scene.view().results)
    engine.hold["y.test"].set()
    assert await task == 7
    assert engine.calls[-1] == ("take_up", "x.test")
    assert scene.view().results["a/x.test"].ok


async def test_canaries_wait_for_consent(tmp_path):
    names = ("a/x.test", "a/y.test")
    scene = Scene(tmp_path, TableEngine(), spec_with(*names, limits=Limits(canary=1)))
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.view().phase == "waiting")
    assert scene.engine.calls == [("migrate", "x.test")]
    scene.tell("continue")
    assert await task == 0
    assert scene.view().consented


async def test_canaries_go_on_after_a_clean_while_but_not_after_a_failure(tmp_path):
    limits = Limits(canary=1, clean_s=0.01)
    scene = Scene(tmp_path, TableEngine(), spec_with("a/x.test", "a/y.test", limits=limits))
    assert await scene.run() == 0
    bad = replace(spec_with("a/x.test", "a/y.test", limits=limits), batch="b2")
    second = Scene(tmp_path, TableEngine(x_test=[5]), bad)
    task = asyncio.create_task(second.run())
    await second.until(lambda: second.view().phase == "waiting")
    assert "1 of them failed" in second.events(BatchPaused)[0].reason
    second.tell("cancel")
    assert await task == 5


async def test_a_failed_canary_is_tried_again_and_asked_about_again(tmp_path):
    names = ("a/x.test", "a/y.test")
    scene = Scene(tmp_path, TableEngine(x_test=[5]), spec_with(*names, limits=Limits(canary=1)))
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.view().phase == "waiting")
    scene.tell("retry")
    await scene.until(lambda: len(scene.events(BatchPaused)) == 2)
    assert scene.engine.calls == [("migrate", "x.test"), ("take_up", "x.test")]
    scene.tell("continue")
    assert await task == 0


async def test_consent_while_a_canary_runs_is_kept(tmp_path):
    names = ("a/x.test", "a/y.test")
    scene = Scene(tmp_path, TableEngine(), spec_with(*names, limits=Limits(canary=1)))
    scene.engine.hold["x.test"] = asyncio.Event()
    task = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.engine.calls)
    scene.tell("continue")
    await scene.until(lambda: scene.events(BatchContinued))
    assert "when those that went first are through" in scene.events(BatchContinued)[0].reason
    assert scene.engine.calls == [("migrate", "x.test")]
    scene.engine.hold["x.test"].set()
    assert await task == 0
    assert scene.events(BatchPaused) == []


async def test_max_failures_stops_the_batch(tmp_path):
    names = [f"a/{n}.test" for n in "vwxyz"]
    limits = Limits(per_vnode=1, ahead=0, max_failures=2)
    scene = Scene(tmp_path, TableEngine(v_test=[5], w_test=[5]), spec_with(*names, limits=limits))
    assert await scene.run() == 5
    assert len(scene.engine.calls) == 2
    assert "as many as are allowed" in scene.view().results["a/z.test"].errors[0]


async def test_a_mistake_of_ours_ends_one_run_only(tmp_path):
    names = ("a/x.test", "b/y.test")
    scene = Scene(tmp_path, TableEngine(x_test=[ValueError("oops")]), spec_with(*names))
    assert await scene.run() == 7
    result = scene.view().results["a/x.test"]
    assert result.exit_code == 130 and "ValueError" in result.errors[0]


async def test_a_full_disk_holds_back_new_vhosts_and_loses_no_line(tmp_path, monkeypatch):
    names = ("a/x.test", "a/y.test")
    scene = Scene(tmp_path, TableEngine(), spec_with(*names, limits=Limits(per_vnode=1, ahead=0)))
    scene.engine.hold["x.test"] = asyncio.Event()
    one = scene.conductor()
    real, full = os.write, True

    def write(handle, data):
        if full and handle == one.journal._file:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    task = asyncio.create_task(one.run())
    await scene.until(lambda: scene.engine.calls)
    monkeypatch.setattr(os, "write", write)
    scene.engine.hold["x.test"].set()
    await scene.until(lambda: one.journal.broken and "a/x.test" in one.view.results)
    assert scene.engine.calls == [("migrate", "x.test")]
    assert "a/x.test" not in scene.view().results
    full = False
    assert await task == 0
    assert set(scene.view().results) == {"a/x.test", "a/y.test"}
    assert scene.events(BatchEnded)[0].outcome == "done"


def test_a_batch_that_finds_no_room_is_not_begun(tmp_path, monkeypatch):
    """A nearly full disk takes the first bytes of a file without a complaint."""
    real, room = os.write, 100

    def write(handle, data):
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(handle, data[:room])
        room -= written
        return written

    place = BatchDir(tmp_path / "batches", "20260101-000000-abcdef")
    monkeypatch.setattr(os, "write", write)
    with pytest.raises(Refused, match="No space left"):
        place.create(spec_with("a/x.test", "a/y.test"))
    assert not place.path.exists()
    room = 1 << 20
    place.create(spec_with("a/x.test", "a/y.test"))
    assert len(place.spec().items) == 2


async def test_left_out_ones_are_told_once(tmp_path):
    items = (BatchItem("a", "x.test"), BatchItem("a", "y.test", skip="no room", exit_code=4))
    scene = Scene(tmp_path, TableEngine(), BatchSpec("b1", "me", 1.0, items))
    assert await scene.run() == 7
    assert await scene.run() == 7
    told = [result for result in scene.events(ev.Result) if result.vhost == "y.test"]
    assert len(told) == 1 and told[0].skipped and told[0].errors == ("no room",)
