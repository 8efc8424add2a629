"""The runs screen: live steps, failures first, leave and come back, pause, cancel, retry, log."""

from collections import deque
from dataclasses import replace

import pytest
import tui_world
from waiting import until

from nsmig_tui.domain import events as ev
from nsmig_tui.domain.errors import Refused
from nsmig_tui.domain.fleet import Status
from nsmig_tui.domain.run_state import reduce
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.panes import run_lines
from nsmig_tui.tui.widgets.virtual_list import VirtualList

SHOP, WIKI, CLOUD = (
    "vn1.example.net/shop.example.org",
    "vn1.example.net/wiki.example.org",
    "vn2.example.net/cloud.example.com",
)


def text(app, where):
    """What a list shows."""
    view = app.screen.query_one(where, VirtualList)
    return "\n".join("".join(part for part, _style in view.draw(row, 100)) for row in view.rows)


async def begin(app, pilot, *keys):
    """Begin migrations by hand and look at them."""
    app.controller.start_many(
        [Wish("migrate", *key.split("/"), size=app.model.hosts[key].size) for key in keys]
    )
    app.open_runs(keys[0])
    await pilot.pause()
    await pilot.pause()


async def test_the_seven_steps_move_and_the_screen_can_be_left(world, open_app, at_rest):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP)
        assert "57%" in text(app, "#steps")
        assert "1.2 GiB of 2.1 GiB" in text(app, "#steps")
        assert "writing the archive" in text(app, "#log")
        await pilot.press("escape")
        assert app.screen.id == "fleet"
        assert "1 run" in "".join(part for part, _style in app.title_pieces())
        world.engine.release("shop.example.org")
        await at_rest(app, pilot)
        assert app.model.hosts[SHOP].status == "migrated", "the run went on without its screen"
        await pilot.press("2")
        await pilot.pause()
        assert "100%" in text(app, "#list")
        assert text(app, "#steps").count("✓") >= 7


async def test_failures_come_first_with_their_reason_and_hint(world, open_app):
    world.engine.hold()
    world.engine.fails["wiki.example.org"] = "configuration_update"
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP, WIKI, CLOUD)
        world.engine.release("wiki.example.org")
        await pilot.pause()
        app.screen.look()
        await pilot.pause()
        assert app.screen.list.rows[0] == WIKI
        assert "[emerg] bad [/x]" in text(app, "#list")
        app.screen.focus_run(WIKI)
        await pilot.pause()
        assert "Mend it." in text(app, "#steps")
        totals = "".join(part for part, _style in app.screen.query_one("#totals").pieces)
        assert "1 failed" in totals and "2 running" in totals


async def test_pause_cancel_retry_and_clear(world, open_app, at_rest):
    async with open_app(world, per_vnode=1) as (app, pilot):
        app.open_runs()
        await pilot.pause()
        await pilot.press("p")
        await begin(app, pilot, SHOP, WIKI)
        assert app.controller.state(SHOP).phase == "waiting"
        assert "PAUSED" in "".join(part for part, _style in app.screen.query_one("#totals").pieces)
        app.screen.focus_run(WIKI)
        await pilot.press("X")
        await pilot.pause()
        assert app.controller.state(WIKI).phase == "cancelled"
        await pilot.press("p")
        await at_rest(app, pilot)
        assert app.controller.state(SHOP).phase == "ok"
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)
        await pilot.press("y")
        await until(pilot, lambda: app.controller.state(WIKI).phase == "ok")
        await at_rest(app, pilot)
        await pilot.press("C")
        assert app.controller.snapshot() == ()


async def test_what_has_begun_is_not_cancelled(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP)
        await pilot.press("X")
        assert app.controller.state(SHOP).phase == "running"
        assert any("goes on by itself" in str(note.message) for note in app._notifications)


async def test_the_log_of_a_run_opens_filters_and_closes(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP)
        await pilot.press("l")
        await pilot.pause()
        assert "writing the archive" in text(app, "#lines")
        await pilot.press("slash", *"begins", "enter")
        await pilot.pause()
        assert len(app.screen.list.rows) == 1
        await pilot.press("w", "E", "escape", "escape")
        await pilot.pause()
        assert app.screen.id == "runs"


async def test_the_log_of_a_kept_run_opens_from_the_fleet(world, open_app):
    async with open_app(world) as (app, pilot):
        app.reveal("vn1.example.net/www.example.org")
        await pilot.pause(0.1)
        await pilot.press("l")
        await pilot.pause()
        assert "two files changed while read" in text(app, "#lines")


async def test_leaving_a_waiting_batch_says_what_is_dropped(world, open_app):
    world.engine.hold()
    async with open_app(world, per_vnode=1) as (app, pilot):
        await begin(app, pilot, SHOP, WIKI)
        await pilot.press("q")
        await pilot.pause()
        facts = " ".join(line for _style, line in app.screen.fact_lines)
        assert "1 run under way" in facts and "1 run not begun" in facts
        await pilot.press("l")
        await pilot.pause()
        assert app.controller.state(SHOP).phase == "left"


async def test_what_another_program_wrote_is_shown(world, open_app):
    async with open_app(world) as (app, _pilot):
        other = replace(world.store.vhost(*SHOP.split("/")), status=Status.MIGRATED)
        world.store.save_vhost(other)
        assert app.model.hosts[SHOP].status == "validated"
        world.store.changed = True
        app.screen.look_at_database()
        assert app.model.hosts[SHOP].status == "migrated"


async def test_a_look_ends_with_the_program_and_is_said_so(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        app.controller.start(Wish("discover", "vn7.example.net"))
        await pilot.pause()
        facts = " ".join(app.leaving_facts())
        assert "1 look (discover, validate): ends when you leave" in facts and "goes on" not in facts


async def test_the_plan_goes_when_a_run_has_touched_the_vhost(world, open_app, at_rest):
    async with open_app(world) as (app, pilot):
        app.screen.detail.plans[SHOP] = tui_world.migrate_plan(*SHOP.split("/"))
        app.controller.start(Wish("migrate", *SHOP.split("/")))
        await at_rest(app, pilot)
        assert SHOP not in app.screen.detail.plans


async def test_the_dashboard_names_what_needs_attention_and_leads_there(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("3")
        await pilot.pause()
        shown = text(app, "#lines")
        for words in (
            "3 vsites",
            "unreachable: connection timed out",
            "forum.example.org",
            "refused: The pool listens where the site does not ask.",
            "/srv is 88% full",
            "3 of 4",
        ):
            assert words in shown
        app.screen.list.move_to(app.screen.list.index_of("vn1.example.net/forum.example.org"))
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.id == "fleet"
        assert app.screen.tree.row.domain == "forum.example.org"


async def test_a_lost_connection_is_said_and_no_time_left_is_guessed(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP)
        world.clock.now += 30
        state = app.controller.state(SHOP)
        app.controller._put(
            reduce(state, ev.LinkChanged(*SHOP.split("/"), state.run, True, "lost"), world.clock.now)
        )
        world.clock.now += 20
        app.screen.look(force=True)
        assert "no link" in text(app, "#list") and " left" not in text(app, "#list")
        assert "No connection for 20 s: trying again. The run goes on there." in text(app, "#steps")


async def test_a_step_that_counts_nothing_for_long_says_so_and_no_time_left_is_guessed(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP)
        world.clock.now += 60
        app.screen.look(force=True)
        assert " left" in text(app, "#list") and "nothing counted" not in text(app, "#steps")
        world.clock.now += 60
        app.screen.look(force=True)
        assert " left" not in text(app, "#list") and "nothing counted for 2m00" in text(app, "#steps")


@pytest.mark.parametrize(
    "line, style",
    [
        ("configuration_update failed: nginx -t", "fail"),
        ("undo_failed", "fail"),
        ("nginx: [error] no room", "fail"),
        ("Failure of the disk.", "fail"),
        ("discover of failover.example begins", ""),
        ("/srv/a.test/var/log/error.log moved", ""),
        ("warning: the error-pages stay", "warn"),
    ],
)
def test_a_line_of_a_log_is_judged_by_its_words_not_by_names_in_it(line, style):
    (row,) = run_lines.log([(0.0, line)], 100)
    assert row.pieces[1] == (line, style)


@pytest.mark.parametrize(("columns", "words"), [(60, "1.2 GiB"), (80, "1.2 GiB of 2.1 GiB")])
async def test_no_number_of_bytes_is_cut_to_another(world, open_app, columns, words):
    world.engine.hold()
    async with open_app(world, size=(columns, 20)) as (app, pilot):
        await begin(app, pilot, SHOP)
        await until(pilot, lambda: "GiB" in text(app, "#steps"))
        line = next(one for one in text(app, "#steps").splitlines() if "backup_creation" in one)
        assert line.rstrip().endswith(f"  {words}")


async def test_a_run_whose_undo_failed_is_for_a_person_and_is_not_tried_again(world, open_app):
    async with open_app(world) as (app, pilot):
        await begin(app, pilot, SHOP)
        await until(pilot, lambda: not app.controller.active)
        bad = ev.Result(
            *SHOP.split("/"), ok=False, errors=("it broke", "undo: stuck"), hint="Look there", exit_code=6
        )
        app.controller._put(reduce(app.controller.state(SHOP), bad, world.clock.now))
        app.screen.look(force=True)
        assert "LOOK" in text(app, "#list")
        assert "it broke; undo: stuck" in text(app, "#steps") and "Look there" in text(app, "#steps")
        await pilot.press("R")
        await until(pilot, lambda: any("1 vhost first" in str(note.message) for note in app._notifications))
        assert app.controller.state(SHOP).phase == "look"


async def test_what_ended_before_is_wrapped_to_the_width_that_there_is(world, open_app, at_rest):
    world.engine.refuses["vn1.example.net"] = Refused(" ".join(["a long reason that goes on"] * 6))
    async with open_app(world) as (app, pilot):
        app.controller.start(Wish("discover", "vn1.example.net"))
        await at_rest(app, pilot)
        await pilot.press("2")
        await until(pilot, lambda: "a long reason" in text(app, "#steps"))
        await pilot.pause(0.1)
        longest = max(len(line) for line in text(app, "#steps").splitlines())
        assert longest > 80


async def test_a_log_at_its_longest_goes_on_to_show_what_comes(world, open_app):
    kept = deque(((1.0, f"line {number}") for number in range(500)), maxlen=500)
    async with open_app(world) as (app, pilot):
        app.show_log("a long run", lambda: list(kept))
        await until(pilot, lambda: app.screen.query("#lines"))
        await until(pilot, lambda: "line 499" in text(app, "#lines"))
        kept.append((2.0, "what came last"))
        await until(pilot, lambda: "what came last" in text(app, "#lines"))


async def test_a_database_that_cannot_be_read_ends_nothing(world, open_app, monkeypatch):
    def damaged(*_words, **_more):
        raise Refused("The database is damaged.", hint="Move it away.")

    async with open_app(world) as (app, pilot):
        app.reveal(SHOP)
        await pilot.pause(0.1)
        for name in ("vhost", "runs", "refusals", "log_lines"):
            monkeypatch.setattr(world.store, name, damaged)
        app.screen.detail.reload()
        assert "The database is damaged. Move it away." in text(app, "#lines")
        await pilot.pause(1.2)
        await pilot.press("right_square_bracket", "3")
        await until(pilot, lambda: app.screen.id == "dashboard")
        await until(pilot, lambda: "The database is damaged." in text(app, "#lines"))
        app.show_log("of the database", damaged)
        await until(pilot, lambda: app.screen.id is None and app.screen.query("#lines"))
        await until(pilot, lambda: "error: The database is damaged." in text(app, "#lines"))
        assert app.is_running


async def test_what_cannot_be_dropped_or_tried_again_is_grey_and_says_why(world, open_app, at_rest):
    def why(app):
        return {action.id: reason for action, reason in app.available(app.screen.targets(), app.screen)}

    world.engine.hold()
    async with open_app(world, per_vnode=1) as (app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: app.screen.id == "runs")
        assert why(app)["cancel"] == "There is no run here."
        assert why(app)["retry"] == "Nothing has failed."
        await begin(app, pilot, SHOP, WIKI)
        assert "goes on by itself on the vnode" in why(app)["cancel"]
        app.screen.focus_run(WIKI)
        assert why(app)["cancel"] == "", "it has not begun"
        await pilot.press("X")
        await until(pilot, lambda: app.all_runs.state(WIKI).phase == "cancelled")
        assert why(app)["retry"] == ""
        app.screen.focus_run(WIKI)
        assert why(app)["cancel"] == "It has ended."
        world.engine.release("shop.example.org")
        await at_rest(app, pilot)


async def test_of_a_very_long_log_the_newest_lines_are_laid_out_and_all_are_searched(
    world, open_app, monkeypatch
):
    monkeypatch.setattr("nsmig_tui.tui.screens.log.NEWEST", 5)
    async with open_app(world) as (app, pilot):
        app.show_log("shop", lambda: [(float(n), f"line {n}.") for n in range(12)])
        await until(pilot, lambda: app.screen.WHERE == "log" and app.screen.is_mounted)
        await until(pilot, lambda: "line 11." in text(app, "#lines"))
        shown = text(app, "#lines").splitlines()
        assert "7 earlier lines are not shown" in shown[0]
        assert [line.split()[-1] for line in shown[1:]] == ["7.", "8.", "9.", "10.", "11."]
        await pilot.press("/", *"line 3.")
        await until(pilot, lambda: "line 3." in text(app, "#lines"))
        assert len(text(app, "#lines").splitlines()) == 1
