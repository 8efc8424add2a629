"""Batches: begun by a question, watched from their journal, steered by their mailbox, taken up again."""

import asyncio
from dataclasses import replace

import tui_world
from waiting import until

from nsmig_tui.domain.batch_events import BatchEnded
from nsmig_tui.domain.batch_plan import FileSystem
from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import RunRecord
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.dialogs.prompts import BusyDialog, MenuDialog, MessageDialog
from nsmig_tui.tui.widgets.virtual_list import VirtualList

SHOP, WIKI, CLOUD = (
    "vn1.example.net/shop.example.org",
    "vn1.example.net/wiki.example.org",
    "vn2.example.net/cloud.example.com",
)


BATCH = (SHOP, WIKI, CLOUD)


def said(app):
    """What toasts say."""
    return " | ".join(str(note.message) for note in app._notifications)


def title(app):
    """The title of the screen."""
    return "".join(part for part, _style in app.screen.title_pieces())


def phase(app, key):
    """How this run stands on the screen."""
    state = app.all_runs.state(key)
    return state.phase if state else ""


async def agree(app, pilot, *words):
    """Wait for the question, look for ``words`` in its facts, and say yes."""
    await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
    facts = " ".join(text for _style, text in app.screen.fact_lines)
    for word in words:
        assert word in facts
    await pilot.press("y")


async def ask_for_three(app, pilot):
    """Mark everything; three of nine are validated."""
    await pilot.press("a", "m")
    await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)


async def test_no_toast_covers_the_answers_of_a_question_that_fills_the_screen(world, open_app):
    async with open_app(world, size=(80, 24)) as (app, pilot):
        app.notify("validate: 3 of 9 went well", timeout=60)
        await until(pilot, lambda: "3 of 9" in said(app))
        await ask_for_three(app, pilot)
        await pilot.pause()
        assert "3 of 9" not in said(app)


async def begin_three(app, pilot):
    """Up to the runs screen with the batch under way."""
    await ask_for_three(app, pilot)
    await pilot.press("y")
    await until(pilot, lambda: app.screen.id == "runs" and phase(app, CLOUD) == "running")


async def test_the_question_has_sizes_room_and_who_is_left_out(world, open_app):
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        for words in ("3 vhosts on 2 vnodes", "6 others", "cloud.example.com", "PRODUCTION", "400 GiB free"):
            assert words in facts
        await pilot.press("enter")
        await pilot.pause()
        assert world.batches.names() == [], "Enter alone never confirms"


async def test_marked_vhosts_migrate_in_a_batch_that_outlives_the_program(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        await until(pilot, lambda: app.all_runs.state(CLOUD).steps[1].done > 0)
        assert "batch" in title(app) and "running" in title(app)
        assert [key for key in (SHOP, WIKI, CLOUD) if key not in app.screen.list.rows] == []
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, MenuDialog))
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "goes on without this terminal: 3 left of 3" in facts
        await pilot.press("l")
        await pilot.pause()
        assert not world.batches.tasks[world.batches.names()[0]].done(), "the batch is not the program's"


async def test_a_batch_whose_last_word_is_still_to_come_is_nothing_to_ask_about(world, open_app, monkeypatch):
    attach, last_word = world.batches.attach, asyncio.Event()

    async def without_the_last_word(*words, **more):
        async for at, event in attach(*words, **more):
            if isinstance(event, BatchEnded):
                await last_word.wait()
            yield at, event

    monkeypatch.setattr(world.batches, "attach", without_the_last_word)
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        for domain in ("shop.example.org", "wiki.example.org", "cloud.example.com"):
            world.engine.release(domain)
        await until(pilot, lambda: all(phase(app, key) == "ok" for key in (SHOP, WIKI, CLOUD)))
        assert len(app.batch_watch.live()) == 1, "its last word has been read"
        await pilot.press("q")
        await until(pilot, lambda: app._exit or isinstance(app.screen, MenuDialog))
        assert app._exit, "it asked"


async def test_quitting_the_demo_says_that_all_ends_with_it(world, open_app):
    world.engine.hold()
    async with open_app(world, demo=True) as (app, pilot):
        await ask_for_three(app, pilot)
        assert any("demo's servers stop" in text for _style, text in app.screen.fact_lines)
        await pilot.press("y")
        await until(pilot, lambda: app.screen.id == "runs" and phase(app, CLOUD) == "running")
        assert "DEMO" in "".join(part for part, _style in app.title_pieces())
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, MenuDialog))
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "3 runs not ended" in facts and "stop with this program" in facts
        assert "goes on" not in facts and "attach" not in facts
        assert "ends with the demo" in app.screen.entries[0][2]
        await pilot.press("s")


async def test_a_running_batch_is_found_at_the_start_and_its_rows_rebuilt(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        name = world.batches.names()[0]
        await app.all_runs.leave()
        app.batch_watch.watched.clear()
        assert app.all_runs.snapshot() == ()
        world.engine.release("cloud.example.com")
        await until(pilot, lambda: world.batches.view(name).runs[CLOUD].phase == "ok")
        await app._offer_what_is_left()
        await until(pilot, lambda: phase(app, CLOUD) == "ok")
        assert f"{name} is running" in said(app)
        assert phase(app, SHOP) == "running"
        assert any("backup_creation" in line for _at, line in app.all_runs.log_lines(SHOP))
        world.engine.release("shop.example.org")
        await until(pilot, lambda: app.model.hosts[SHOP].status == "migrated")


async def test_pause_cancel_one_cancel_all(world, open_app):
    world.engine.hold()
    async with open_app(world, per_vnode=1) as (app, pilot):
        await begin_three(app, pilot)
        await until(pilot, lambda: phase(app, SHOP) == "running")
        assert phase(app, WIKI) == "waiting"
        await pilot.press("p")
        await until(pilot, lambda: app.all_runs.paused)
        assert "paused" in title(app)
        await pilot.press("p")
        await until(pilot, lambda: not app.all_runs.paused)
        app.screen.focus_run(CLOUD)
        await pilot.pause()
        await pilot.press("X")
        await until(pilot, lambda: "goes on by itself" in said(app))
        app.screen.focus_run(WIKI)
        await pilot.pause()
        await pilot.press("X")
        await until(pilot, lambda: phase(app, WIKI) == "skipped")
        await pilot.press("Z")
        await until(pilot, lambda: "Nothing waits" in said(app))
        for name in ("shop.example.org", "cloud.example.com"):
            world.engine.release(name)
        await until(pilot, lambda: "2 ok" in said(app))


async def test_cancel_all_asks_and_drops_what_waits(world, open_app):
    world.engine.hold()
    async with open_app(world, per_vnode=1) as (app, pilot):
        await begin_three(app, pilot)
        await pilot.press("Z")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press("y")
        await until(pilot, lambda: "Nothing more is begun" in said(app))
        world.engine.free = True
        for gate in world.engine.gates.values():
            gate.set()
        await until(pilot, lambda: not app.batch_watch.live())
        assert phase(app, WIKI) == "skipped" and phase(app, SHOP) == "ok"


async def test_failed_ones_are_retried_by_a_new_process_when_the_batch_is_over(world, open_app):
    world.engine.fails["wiki.example.org"] = "configuration_update"
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.batch_watch.views() and not app.batch_watch.live())
        await until(pilot, lambda: app.screen.id == "runs")
        await until(pilot, lambda: app.screen.list.rows[:1] == [WIKI])  # failures first
        assert "partial" in title(app)
        assert "1 failed" in said(app)
        del world.engine.fails["wiki.example.org"]
        before = app.all_runs.state(SHOP), app.all_runs.log_lines(SHOP)
        assert {step.state for step in before[0].steps} == {"done"} and len(before[1]) > 7
        await pilot.press("R")
        await agree(
            app, pilot, "migrate wiki.example.org on vn1.example.net: nginx -t failed", "validated first"
        )
        await until(pilot, lambda: phase(app, WIKI) == "ok")
        await until(pilot, lambda: not app.batch_watch.live())
        assert len(world.batches.names()) == 1, "the same batch went on"
        assert phase(app, SHOP) == "ok"
        after = app.all_runs.state(SHOP), app.all_runs.log_lines(SHOP)
        assert (after[0].steps, after[1]) == (before[0].steps, before[1]), "how it went stays to be seen"
        assert after[0].started == before[0].started


async def test_a_batch_that_was_left_is_offered_and_resumed(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        await world.batches.kill()
        await until(pilot, lambda: not app.batch_watch.live())
        assert "interrupted" in title(app)
        await pilot.press("C")
        await pilot.pause()
        assert app.screen.query_one("#list", VirtualList).rows == []
        world.engine.free = True
        app.run_worker(app._offer_what_is_left())
        await until(pilot, lambda: isinstance(app.screen, MenuDialog) and app.screen.focused is not None)
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "0 of 3 done" in facts and "cloud.example.com on vn2.example.net" in facts
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, MenuDialog))
        assert not app.batch_watch.live(), "Enter means later"
        app.run_worker(app._offer_what_is_left())
        await until(pilot, lambda: isinstance(app.screen, MenuDialog) and app.screen.focused is not None)
        await pilot.press("r")
        await agree(app, pilot, "3 vhosts on 2 vnodes migrate")
        await until(pilot, lambda: app.batch_watch.views() and phase(app, CLOUD) == "ok")
        await until(pilot, lambda: not app.batch_watch.live())
        assert {phase(app, key) for key in (SHOP, WIKI, CLOUD)} == {"ok"}
        assert any(call[0] == "take_up" for call in world.engine.calls)


async def test_do_not_ask_again_is_remembered(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        await world.batches.kill()
        await until(pilot, lambda: not app.batch_watch.live())
        app.batch_watch.forget_ended()
        app.run_worker(app._offer_what_is_left())
        await until(pilot, lambda: isinstance(app.screen, MenuDialog) and app.screen.focused is not None)
        await pilot.press("n")
        await until(pilot, lambda: world.store.get("tui-batches-left"))
        await app._offer_what_is_left()
        assert not isinstance(app.screen, MenuDialog)


async def test_canaries_wait_for_consent(world, open_app):
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        await pilot.press("c", "y")
        await until(pilot, lambda: "waits for you" in said(app))
        assert sum(phase(app, key) == "ok" for key in (SHOP, WIKI, CLOUD)) == 1
        await until(pilot, lambda: app.screen.id == "runs")
        await pilot.press("c")
        await agree(app, pilot, "2 vhosts on", "1 went first")
        await until(pilot, lambda: not app.batch_watch.live())
        assert {phase(app, key) for key in (SHOP, WIKI, CLOUD)} == {"ok"}


async def test_pause_holds_back_what_runs_and_releases_no_canary(world, open_app):
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        await pilot.press("c", "y")
        await until(pilot, lambda: "waits for you" in said(app) and app.screen.id == "runs")
        world.engine.hold()
        app.controller.start(Wish("validate", "vn1.example.net", "blog.example.org"))
        await pilot.press("p")
        await until(pilot, lambda: app.controller.paused)
        assert "PAUSED" in "".join(part for part, _style in app.title_pieces())
        await pilot.press("p")
        await until(pilot, lambda: not app.controller.paused)
        assert [view.phase for view in app.batch_watch.live()] == ["waiting"]
        assert sum(phase(app, key) == "waiting" for key in (SHOP, WIKI, CLOUD)) == 2
        world.engine.release("blog.example.org")
        await until(pilot, lambda: not app.controller.active)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        assert "Let the rest of batch" in app.screen.dialog_title
        await pilot.press("escape")
        await pilot.pause()
        assert [view.phase for view in app.batch_watch.live()] == ["waiting"]


async def test_vhosts_that_were_dealt_with_since_are_not_offered_again(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        await world.batches.kill()
        await until(pilot, lambda: not app.batch_watch.live())
        app.batch_watch.forget_ended()
        at = tui_world.NOW + 60
        world.store.save_run(RunRecord("u1", "undo", *SHOP.split("/"), "marc", at, at + 5, "ok"))
        world.engine.free = True
        app.run_worker(app._offer_what_is_left())
        await until(pilot, lambda: isinstance(app.screen, MenuDialog) and app.screen.focused is not None)
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "Still to do, 2: " in facts and "1 vhost dealt with since" in facts
        assert "shop.example.org" not in facts
        await pilot.press("r")
        await agree(app, pilot, "2 vhosts on 2 vnodes migrate")
        await until(pilot, lambda: app.batch_watch.views() and not app.batch_watch.live())
        assert "shop.example.org" not in {call[1] for call in world.engine.calls if call[0] == "take_up"}
        assert world.store.vhost(*SHOP.split("/")).status.value == "validated"


async def test_a_vnode_that_does_not_answer_is_left_out_with_its_reason(world, open_app):
    world.engine.refuses["vn2.example.net"] = tui_world.UNREACHABLE
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "Left out: cloud.example.com on vn2.example.net: vn8 did not answer." in facts
        assert app.screen.word == "migrate 2"


async def test_where_nobody_can_be_begun_the_reason_is_said(world, open_app):
    for name in ("vn1.example.net", "vn2.example.net"):
        world.engine.refuses[name] = tui_world.UNREACHABLE
    async with open_app(world) as (app, pilot):
        await pilot.press("a", "m")
        await until(pilot, lambda: isinstance(app.screen, MessageDialog))
        assert "did not answer" in " ".join(text for _style, text in app.screen.lines)
        assert world.batches.names() == []


async def test_planning_can_be_given_up(world, open_app, monkeypatch):
    async def slow(vnode, domains):
        await world.engine.gates.setdefault("measure", tui_world.asyncio.Event()).wait()

    monkeypatch.setattr(world.engine, "measure", slow)
    async with open_app(world) as (app, pilot):
        await pilot.press("a", "m")
        await until(pilot, lambda: isinstance(app.screen, BusyDialog))
        await pilot.press("y", "escape")
        await pilot.pause()
        await pilot.pause()
        assert app.screen.id == "fleet"
        assert world.batches.names() == []


async def test_a_read_only_session_watches_and_does_not_steer(world, open_app):
    world.engine.hold()
    async with open_app(world, per_vnode=1) as (app, pilot):
        await begin_three(app, pilot)
        app.controller.read_only = True
        await pilot.press("p")
        await until(pilot, lambda: "read-only" in said(app))
        assert app.batch_watch.views()[0].phase != "paused"


def bar(app, where):
    """What a bar of the screen says."""
    return "".join(part for part, _style in app.screen.query_one(where).pieces)


async def test_the_sums_are_those_of_the_batch_that_the_title_names(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        app.controller.start(Wish("discover", "vn7.example.net"))
        world.engine.release("vn7.example.net")
        await until(pilot, lambda: not app.controller.active)
        world.clock.now += 1000
        await begin_three(app, pilot)
        app.controller.start(Wish("resume", "vn1.example.net", "forum.example.org", {"undo": False}))
        await until(pilot, lambda: app.all_runs.state(SHOP).phase == "running")
        app.screen.look(force=True)
        assert len(app.screen.list.rows) == 4
        assert " 0/3 done  3 running " in bar(app, "#totals")
        assert app.all_runs.totals(world.clock.now + 7).elapsed == 7


async def test_a_dead_batch_says_what_it_left_and_that_it_is_not_done(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin_three(app, pilot)
        await until(pilot, lambda: {phase(app, key) for key in (SHOP, WIKI, CLOUD)} == {"running"})
        world.clock.now += 20
        view = app.batch_watch.views()[0]
        view.died()
        app.screen.look(force=True)
        assert " 0/3 done  3 left  " in bar(app, "#totals")
        assert "100%" not in bar(app, "#totals") and "/s" not in bar(app, "#totals")


async def test_nobody_guesses_the_time_of_what_waits_for_consent(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        await pilot.press("c", "y")
        await until(pilot, lambda: app.screen.id == "runs" and "running" in map(phase, [app] * 3, BATCH))
        assert "c Let the rest go" not in bar(app, "#keybar")
        first = next(key for key in BATCH if phase(app, key) == "running")
        await until(pilot, lambda: app.all_runs.state(first).fraction() > 0.1)
        assert app.all_runs.state(first).remaining(world.clock.now + 60) is not None
        assert app.all_runs.totals(world.clock.now + 60).remaining is None
        world.engine.release(first.partition("/")[2])
        await until(pilot, lambda: "waits for you" in said(app))
        await until(pilot, lambda: "c Let the rest go" in bar(app, "#keybar"))
        assert bar(app, "#keybar").index("Let the rest go") < bar(app, "#keybar").index("Pause")
        await pilot.press("c")
        await agree(app, pilot, "2 vhosts on")
        await until(pilot, lambda: sum(phase(app, key) == "running" for key in BATCH) == 2)
        assert app.all_runs.totals(world.clock.now + 60).remaining is not None


async def test_who_is_left_out_is_told_in_whole_sentences(world, open_app):
    world.engine.refuses["vn2.example.net"] = ConnectError(
        "The server did not answer in time.", hint="Check."
    )
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        facts = " ".join(text for _style, text in app.screen.fact_lines)
        assert "did not answer in time. Check." in facts and ".." not in facts
        await pilot.press("escape")


async def test_what_a_batch_left_out_for_want_of_room_is_not_said_to_be_asked_again(world, open_app):
    small = {"/dev/sda1": FileSystem("/dev/sda1", 1 << 20, 26_000_000)}
    whole = world.engine.measure

    async def measure(vnode, domains):
        found = await whole(vnode, domains)
        return replace(found, systems=small) if vnode.startswith("vn2") else found

    world.engine.measure = measure
    world.engine.fails["wiki.example.org"] = "configuration_update"
    async with open_app(world) as (app, pilot):
        await ask_for_three(app, pilot)
        await pilot.press("y")
        await until(pilot, lambda: app.batch_watch.views() and not app.batch_watch.live())
        await until(pilot, lambda: "R tries again what failed" in said(app))
        assert phase(app, CLOUD) == "skipped"
        del world.engine.fails["wiki.example.org"]
        await pilot.press("R")
        await agree(app, pilot, "wiki.example.org")
        await until(pilot, lambda: phase(app, WIKI) == "ok")
        await until(pilot, lambda: "1 asked again" in said(app))
        await until(pilot, lambda: not app.batch_watch.live())
        await pilot.press("R")
        await until(pilot, lambda: "Nothing has failed" in said(app))
        assert len(world.batches.names()) == 1 and not app.batch_watch.live()
