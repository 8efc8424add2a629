"""The controller: it owns runs, refuses doubles, keeps limits, and survives whoever asked."""

import asyncio
from types import SimpleNamespace

import pytest

from nsmig_tui.domain import events as ev
from nsmig_tui.domain.errors import ConnectError, ExitCode, Interrupted, NsmigError, Refused
from nsmig_tui.engine.controller import RunController, Wish


class Gate:
    """An engine whose runs wait until the test lets them go."""

    def __init__(self):
        self.gates, self.begun, self.raises, self.taken_up = {}, [], {}, []

    async def _run(self, vnode, domain, emit):
        self.begun.append(domain)
        emit(ev.RunStarted(vnode, domain, "r", verb="migrate"))
        await self.gates.setdefault(domain, asyncio.Event()).wait()
        if domain in self.raises:
            raise self.raises[domain]
        result = ev.Result(vnode, domain, ok=True, status="migrated")
        emit(result)
        return result

    async def migrate(self, vnode, domain, options, emit):
        return await self._run(vnode, domain, emit)

    async def take_up(self, vnode, domain, options, emit):
        self.taken_up.append(domain)
        return await self._run(vnode, domain, emit)

    async def discover(self, vnode, emit):
        emit(ev.RunStarted(vnode, verb="discover"))
        return []

    def open(self, domain):
        self.gates.setdefault(domain, asyncio.Event()).set()


async def breathe():
    for _ in range(10):
        await asyncio.sleep(0)


def make(**limits):
    engine = Gate()
    return engine, RunController(SimpleNamespace(engine=engine), clock=lambda: 1.0, **limits)


async def test_two_runs_on_one_vhost_are_refused():
    engine, control = make()
    control.start(Wish("migrate", "vn1", "a"))
    await breathe()
    with pytest.raises(Refused, match="already"):
        control.start(Wish("migrate", "vn1", "a"))
    control.start(Wish("migrate", "vn2", "a"))
    engine.open("a")
    await control.wait()
    assert control.active == 0
    assert control.state("vn1/a").phase == "ok"
    assert control.start(Wish("migrate", "vn1", "a")) == "vn1/a"
    await control.wait()


async def test_limits_per_vnode_hold_and_one_failure_leaves_the_others_alone():
    engine, control = make(per_vnode=1)
    engine.raises["a"] = ConnectError("gone", hint="try again")
    ended = []
    control.ended.append(lambda state: ended.append(state.key))
    keys, refused = control.start_many([Wish("migrate", "vn1", name) for name in "abc"])
    await breathe()
    assert engine.begun == ["a"]
    assert (len(keys), refused) == (3, [])
    for name in "abc":
        engine.open(name)
    await control.wait()
    assert engine.begun == ["a", "b", "c"]
    assert [control.state(key).phase for key in keys] == ["failed", "ok", "ok"]
    assert control.state("vn1/a").hint == "try again"
    assert ended == keys


async def test_pause_holds_back_new_runs_and_cancel_drops_what_has_not_begun():
    engine, control = make(per_vnode=1)
    control.pause()
    control.start_many([Wish("migrate", "vn1", name) for name in "ab"])
    await breathe()
    assert (engine.begun, control.paused) == ([], True)
    assert control.cancel("vn1/b") is True
    await breathe()
    assert control.state("vn1/b").phase == "cancelled"
    control.unpause()
    await breathe()
    assert engine.begun == ["a"]
    assert control.cancel("vn1/a") is False
    engine.open("a"), engine.open("b")
    await control.wait()
    assert control.retry(["vn1/a", "vn1/b"]) == ["vn1/b"]
    await control.wait()
    assert control.state("vn1/b").phase == "ok"


async def test_a_failed_migration_is_taken_up_again_and_its_log_stays():
    engine, control = make()
    engine.raises["a"] = ConnectError("no answer")
    engine.open("a")
    control.start(Wish("migrate", "vn1", "a"))
    await control.wait()
    assert (control.state("vn1/a").phase, engine.taken_up) == ("failed", [])
    before = control.log_lines("vn1/a")
    del engine.raises["a"]
    assert control.retry(["vn1/a"]) == ["vn1/a"]
    await control.wait()
    assert engine.taken_up == ["a"], "it is judged anew, or attached to, before it begins anew"
    assert control.log_lines("vn1/a")[: len(before)] == before
    assert "no answer" in control.log_lines("vn1/a")[len(before)][1]


async def test_a_lost_connection_leaves_a_run_and_a_failed_undo_is_for_a_person():
    engine, control = make()
    half_way = NsmigError("half-way", hint="Look")
    half_way.exit_code = ExitCode.UNDO_FAILED
    engine.raises = {"a": Interrupted("stays lost", hint="Attach"), "b": half_way}
    engine.open("a"), engine.open("b")
    control.start_many([Wish("migrate", "vn1", name) for name in "ab"])
    await control.wait()
    assert [control.state(f"vn1/{name}").phase for name in "ab"] == ["left", "look"]
    assert control.retry(["vn1/b"]) == [], "nobody has looked yet"
    assert control.state("vn1/b").error == "half-way"
    engine.raises.clear()
    assert control.retry(["vn1/a"]) == ["vn1/a"]
    await control.wait()
    assert engine.taken_up == ["a"], "attached to, not begun a second time"


async def test_a_run_cancelled_before_its_first_breath_is_booked_out():
    _engine, control = make()
    control.start(Wish("migrate", "vn1", "a"))
    assert control.cancel("vn1/a") is True
    await control.wait()
    assert control.state("vn1/a").phase == "cancelled"
    control.forget_ended()
    assert control.snapshot() == ()


async def test_leaving_says_that_the_vnode_goes_on():
    _engine, control = make()
    control.start(Wish("migrate", "vn1", "a"))
    await breathe()
    await control.leave()
    state = control.state("vn1/a")
    assert state.phase == "left"
    assert "goes on" in state.error


async def test_read_only_refuses_what_changes_and_a_bug_is_not_a_traceback():
    engine, control = make(read_only=True)
    with pytest.raises(Refused, match="read-only"):
        control.start(Wish("migrate", "vn1", "a"))
    control.start(Wish("discover", "vn1"))
    await control.wait()
    assert control.state("vn1").phase == "ok"
    engine, control = make()
    engine.raises["a"] = KeyError("secret")
    engine.open("a")
    control.start(Wish("migrate", "vn1", "a"))
    await control.wait()
    assert control.state("vn1/a").phase == "failed"
    assert "secret" not in control.state("vn1/a").error
    assert any("begins" in line for _at, line in control.log_lines("vn1/a"))
