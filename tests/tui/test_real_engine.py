"""Every action by its key on the demo's servers: what it does to the store, the vnode and its disk."""

import json

import pytest
from real_world import (
    agree,
    choose,
    dialog,
    do,
    ended,
    hears,
    mark,
    opened,
    prepare,
    presses,
    status,
    text,
    wait,
)
from textual.widgets import Input

from nsmig_tui.demo.background import running_world
from nsmig_tui.domain.fleet import STEPS
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.tui.acts import work
from nsmig_tui.tui.dialogs.prompts import MenuDialog


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two vnodes with six vhosts that can migrate each, and one of each kind that cannot."""
    with running_world(2, 6) as world:
        yield prepare(world, tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def spare(scene):
    """Answers a vhost that no other test has touched, on this vnode."""
    left = {name: [f"{name}/{domain}" for domain in scene.domains(name)] for name in scene.world.names}
    return lambda vnode="vn1": left[vnode].pop(0)


@pytest.fixture(scope="module")
def quiet(scene):
    """Vhosts on vn2 that are validated and that no test migrates."""
    return [f"vn2/{domain}" for domain in scene.domains("vn2")[-3:]]


@presses("discover", "validate", "check", "next_tab", "prev_tab", "plan")
async def test_from_discovery_to_a_plan(scene):
    chosen = scene.own(fresh=True)
    async with opened(chosen) as (app, pilot):
        await pilot.press("escape")
        for vnode in scene.world.vnodes:
            app.store.save_vnode(vnode)
        app.reload_fleet()
        await choose(app, pilot, "vn2")
        await do(pilot, "check")
        await hears(app, pilot, "vn2: Debian GNU/Linux 12", "all well")
        assert app.store.vnode("vn2").facts["manager"] == "systemd"
        await do(pilot, "discover")
        await hears(app, pilot, "discover vn2", "vhosts")
        found = {vhost.domain: vhost.status.value for vhost in app.store.vhosts("vn2")}
        (native,) = scene.domains("vn2", "native")
        assert found.pop(native) == "native" and set(found) == set(scene.domains("vn2"))
        assert set(found.values()) == {"discovered"}

        key = f"vn2/{scene.domains('vn2')[-1]}"
        before = sorted(path.name for path in scene.path(key).iterdir())
        await choose(app, pilot, key)
        await do(pilot, "validate")
        await ended(app, pilot, key, "validate")
        assert status(app, key) == "validated" and app.store.vhost(*key.split("/")).findings
        await do(pilot, "next_tab")
        assert app.screen.detail.tab == "findings" and "passed" in text(app, "#lines")
        await do(pilot, "prev_tab", "prev_tab")
        assert app.screen.detail.tab == "history" and "validate" in text(app, "#lines")
        await do(pilot, "plan")
        await wait(pilot, lambda: "nothing has been touched" in text(app, "#lines"))
        assert "web/app/public" in text(app, "#lines")
        assert sorted(path.name for path in scene.path(key).iterdir()) == before


@presses("migrate", "rollback", "log", "copy", "fleet", "runs", "back", "follow", "wrap", "next_error")
async def test_there_and_back_by_undo(scene, spare):
    key = spare()
    page = (scene.path(key) / "web/style.css").read_bytes()
    async with opened(scene.own()) as (app, pilot):
        await choose(app, pilot, key)
        await do(pilot, "migrate")
        await agree(app, pilot, "in 7 steps", "Way back")
        state = await ended(app, pilot, key, "migrate")
        assert (state.phase, state.error) == ("ok", "") and [one.name for one in state.steps] == list(STEPS)
        assert (status(app, key), scene.layout(key)) == ("migrated", "ns3")
        assert (scene.path(key) / "web/app/public/style.css").read_bytes() == page
        (archive,) = (scene.path(key) / ".archive").glob("pre-migration-*.tar.gz")

        assert app.screen.id == "runs"
        await do(pilot, "log")
        assert app.screen.WHERE == "log" and "verification done" in text(app, "#lines")
        wrapped = app.screen.is_wrapped
        await do(pilot, "wrap", "follow", "next_error")
        assert app.screen.is_wrapped is not wrapped
        await hears(app, pilot, "No further error")
        await do(pilot, "back", "copy")
        await dialog(app, pilot, MenuDialog)
        await pilot.press("a")
        await wait(pilot, lambda: app.clipboard == archive.name)

        await do(pilot, "fleet", "rollback")
        await wait(pilot, lambda: "verified" in text(app, "#points"))
        await wait(pilot, lambda: "nothing has been touched" in text(app, "#plan"))
        (scene.path(key) / "web/app/public/new.txt").write_text("since")
        await pilot.press("enter")
        await agree(app, pilot, "Everything written since")
        state = await ended(app, pilot, key, "rollback")
        assert (state.phase, state.error) == ("ok", "")
        assert (status(app, key), scene.layout(key)) == ("validated", "ns1")
        assert (scene.path(key) / "web/new.txt").read_text() == "since"
        assert [run.verb for run in app.store.runs(*key.split("/"))][:2] == ["undo", "migrate"]
        await do(pilot, "fleet")
        assert app.screen.id == "fleet"
        await do(pilot, "runs")
        assert app.screen.id == "runs" and key in app.screen.list.rows


@presses("migrate", "rollback")
async def test_back_to_an_archive_exactly(scene, spare):
    key = spare()
    vnode, domain = key.split("/")
    async with opened(scene.own()) as (app, pilot):
        await app.engine.migrate(vnode, domain, MigrateOptions(), lambda _event: None)
        app.reload_fleet()
        public = scene.path(key) / "web/app/public"
        old = (public / "style.css").read_bytes()
        (public / "style.css").write_text("changed")
        (public / "new.txt").write_text("since")
        await choose(app, pilot, key)
        await do(pilot, "migrate")
        await hears(app, pilot, f"{domain} is migrated: nothing to do")
        await do(pilot, "rollback")
        await wait(pilot, lambda: "verified" in text(app, "#points"))
        await pilot.press("j")
        await wait(pilot, lambda: "new.txt" in text(app, "#plan"))
        await pilot.press("enter")
        await wait(pilot, lambda: hasattr(app.screen, "fact_lines") and app.screen.focused is not None)
        await pilot.press("x")
        await wait(pilot, lambda: isinstance(app.screen.focused, Input))
        app.screen.focused.value = domain
        await pilot.press("enter")
        state = await ended(app, pilot, key, "rollback")
        assert (state.phase, state.error) == ("ok", "")
        assert (status(app, key), scene.layout(key)) == ("validated", "ns1")
        assert (scene.path(key) / "web/style.css").read_bytes() == old
        assert not (scene.path(key) / "web/new.txt").exists()
        assert list((scene.path(key) / ".archive").glob("replaced-*/**/new.txt"))
        await do(pilot, "rollback")
        await wait(pilot, lambda: "verified" in text(app, "#points"))
        app.screen.list.move_to(0)
        await pilot.press("enter")
        await hears(app, pilot, f"{domain} is validated: nothing to undo")


async def leave_half_way(app, pilot, key, monkeypatch):
    """A migration by hand, whose runner kills itself in the middle."""
    real = work.options_of
    with monkeypatch.context() as patch:
        patch.setattr(
            work,
            "options_of",
            lambda ui, chosen: MigrateOptions(**{**vars(real(ui, chosen)), "crash_at": 25}),
        )
        await choose(app, pilot, key)
        await do(pilot, "migrate")
        await agree(app, pilot)
        state = await ended(app, pilot, key, "migrate")
    assert state.phase == "look" and "stopped" in state.error
    assert status(app, key) == "failed"


@presses("migrate", "resume")
async def test_what_was_left_half_way_is_offered_and_finished(scene, spare, monkeypatch):
    key, chosen = spare(), scene.own()
    async with opened(chosen) as (app, pilot):
        await leave_half_way(app, pilot, key, monkeypatch)
    async with opened(chosen) as (app, pilot):
        menu = await dialog(app, pilot, MenuDialog)
        assert key.split("/")[1] in " ".join(fact for _style, fact in menu.fact_lines)
        await pilot.press("l")
        await choose(app, pilot, key)
        await do(pilot, "migrate")
        await hears(app, pilot, "is failed: resume (r) or undo (U) first")
        await do(pilot, "resume")
        await agree(
            app, pilot, "Steps done so far: pre_flight_checks, backup_creation", "journal on the vnode"
        )
        state = await ended(app, pilot, key, "resume")
        assert (state.phase, state.error) == ("ok", "")
        assert (status(app, key), scene.layout(key)) == ("migrated", "ns3")


@presses("migrate", "undo")
async def test_what_was_left_half_way_is_undone(scene, spare, monkeypatch):
    key = spare()
    before = (scene.path(key) / "web/style.css").read_bytes()
    async with opened(scene.own()) as (app, pilot):
        await leave_half_way(app, pilot, key, monkeypatch)
        await do(pilot, "undo")
        await agree(app, pilot, "Undone: tree, owners, modes and configuration")
        state = await ended(app, pilot, key, "resume")
        assert (state.phase, state.error) == ("ok", "")
        assert (status(app, key), scene.layout(key)) == ("validated", "ns1")
        assert (scene.path(key) / "web/style.css").read_bytes() == before


@presses("mark", "migrate", "cancel", "release", "retry", "export", "forget")
async def test_a_batch_waits_after_its_canary_and_is_steered(scene, spare, tmp_path):
    keys = [spare("vn2") for _count in range(3)]
    async with opened(scene.own()) as (app, pilot):
        await mark(app, pilot, *keys)
        await do(pilot, "migrate")
        await agree(app, pilot, "3 vhosts on 1 vnode", "process of its own", first=["c"])
        assert app.marks == set()
        await wait(pilot, lambda: any(view.phase == "waiting" for view in app.batch_watch.live()))
        assert sorted(scene.layout(key) for key in keys) == ["ns1", "ns1", "ns3"]
        (view,) = app.batch_watch.views()
        held = [key for key in keys if view.runs[key].phase == "waiting"]
        app.screen.focus_run(held[0])
        await wait(pilot, lambda: app.screen.list.row == held[0])
        await do(pilot, "cancel")
        await wait(pilot, lambda: view.runs[held[0]].ended)
        assert "cancelled" in view.runs[held[0]].error
        await do(pilot, "release")
        await agree(app, pilot, "1 vhost on 1 vnode")
        await wait(pilot, lambda: view.over)
        await do(pilot, "release")
        await hears(app, pilot, "No batch waits for your word")
        assert [scene.layout(key) for key in held] == ["ns1", "ns3"]
        await app.batch_watch.wait()
        await do(pilot, "retry")
        await agree(app, pilot, "cancelled", "validated first")
        await wait(pilot, lambda: all(app.all_runs.state(key).phase == "ok" for key in keys))
        await app.batch_watch.wait()
        assert {(status(app, key), scene.layout(key)) for key in keys} == {("migrated", "ns3")}

        await do(pilot, "export")
        await dialog(app, pilot, MenuDialog)
        await pilot.press("b")
        await wait(pilot, lambda: isinstance(app.screen.focused, Input))
        app.screen.focused.value = str(tmp_path / "batch.json")
        await pilot.press("enter")
        await hears(app, pilot, "Written:")
        told = (tmp_path / "batch.json").read_text()
        assert json.loads(told) and all(key.split("/")[1] in told for key in keys)
        await do(pilot, "forget")
        assert app.all_runs.snapshot() == ()


@presses("pause", "mark", "validate", "cancel", "cancel_all", "retry", "forget", "quit")
async def test_what_has_not_begun_waits_is_dropped_and_asked_for_again(scene, quiet):
    first, *others = quiet
    async with opened(scene.own(demo=False)) as (app, pilot):
        old = {key: app.store.vhost(*key.split("/")).validated_at for key in quiet}
        await do(pilot, "runs", "pause")
        assert app.all_runs.paused
        await do(pilot, "fleet")
        await mark(app, pilot, *quiet)
        await do(pilot, "validate")
        assert app.controller.active == 3
        await do(pilot, "validate")
        await hears(app, pilot, "All of them are busy")
        await do(pilot, "mark_none")
        await choose(app, pilot, first)
        await do(pilot, "validate")
        await hears(app, pilot, "A run on it is going on: 2 shows it")
        await do(pilot, "quit")
        menu = await dialog(app, pilot, MenuDialog)
        assert "not begun: those are dropped" in " ".join(fact for _style, fact in menu.fact_lines)
        await pilot.press("s")
        await do(pilot, "runs")
        app.screen.focus_run(first)
        await do(pilot, "cancel")
        await hears(app, pilot, "dropped; nothing was touched")
        assert app.all_runs.state(first).phase == "cancelled"
        app.screen.focus_run(first)
        await do(pilot, "cancel")
        await hears(app, pilot, "It has ended")
        await do(pilot, "cancel_all")
        await agree(app, pilot, "2 runs not begun")
        await hears(app, pilot, "2 runs dropped")
        assert {app.all_runs.state(key).phase for key in others} == {"cancelled"}
        assert {key: app.store.vhost(*key.split("/")).validated_at for key in quiet} == old
        await do(pilot, "retry")
        await hears(app, pilot, "3 asked again")
        await do(pilot, "pause")
        for key in quiet:
            assert (await ended(app, pilot, key, "validate")).phase == "ok"
            assert app.store.vhost(*key.split("/")).validated_at > old[key]
        await do(pilot, "retry")
        await hears(app, pilot, "Nothing has failed")
        await do(pilot, "forget")
        assert app.all_runs.snapshot() == ()
        await do(pilot, "cancel_all")
        await hears(app, pilot, "Nothing waits")
        await do(pilot, "quit")
        await wait(pilot, lambda: app.return_code == 0)
