"""What lines and questions say: true, whole, and told apart from their neighbours."""

import pytest
import tui_world
from textual.widgets import Static
from waiting import until

from nsmig_tui.domain import run_state
from nsmig_tui.domain.errors import Refused
from nsmig_tui.domain.fleet import Refusal, RunRecord
from nsmig_tui.domain.run_state import RunState
from nsmig_tui.tui.acts import work
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.fleet_model import FleetModel
from nsmig_tui.tui.panes import dashboard, points, run_lines
from nsmig_tui.tui.selection import choose
from nsmig_tui.tui.words import Signs, sentences

NOW = 1_790_000_000.0
WWW = "vn1.example.net/www.example.org"


def said(pieces):
    """A line as text."""
    return "".join(text for text, _style in pieces)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("It is there already", "There is nothing to do."), "It is there already. There is nothing to do."),
        (("Why?", ""), "Why?"),
        (("", "Look"), "Look."),
        (("", ""), ""),
    ],
)
def test_a_message_and_its_hint_are_two_sentences(parts, words):
    assert sentences(*parts) == words


async def test_why_there_is_no_plan_is_said_in_sentences(world, open_app, monkeypatch):
    async def refuse(*_args):
        raise Refused("It is in the new layout already", hint="There is nothing to migrate.")

    monkeypatch.setattr(world.engine, "plan_migrate", refuse)
    async with open_app(world) as (app, pilot):
        app.reveal(WWW)
        await pilot.press("p")
        await until(pilot, lambda: "No plan" in app.screen.detail.plans.get(WWW, ""))
        assert (
            app.screen.detail.plans[WWW]
            == "No plan: It is in the new layout already. There is nothing to migrate."
        )


def test_one_is_asked_to_unmark_only_what_is_marked():
    store, model = tui_world.fleet(), FleetModel()
    model.load(store.vnodes(), store.brief())
    branch = choose(model, set(), model.nodes["vn1.example.net"])
    marked = choose(model, set(model.hosts), None)
    assert work.no_single(None, branch) == "For one vhost at a time: choose one."
    assert work.no_single(None, marked) == "For one vhost at a time: unmark all (u) and choose one."


async def test_one_of_many_that_can_migrate_is_asked_about_with_its_plan(world, open_app):
    async with open_app(world) as (app, pilot):
        app.marks.update({WWW, "vn1.example.net/shop.example.org"})
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        facts = [text for _style, text in app.screen.fact_lines]
        assert any(text.startswith("Changes: ") for text in facts)
        assert "Left out: 1 other of the selection, not validated." in facts


async def test_a_question_never_says_what_its_choices_have_turned_round(world, open_app):
    async with open_app(world) as (app, pilot):
        app.reveal(WWW)
        await pilot.press("b")
        await until(pilot, lambda: len(app.screen.list.rows) == 4)
        await pilot.press("j")
        await until(pilot, lambda: len(app.screen.plans) == 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog) and app.screen.focused is not None)

        def lines():
            return "\n".join(str(one.render()) for one in app.screen.query(Static))

        assert "files that are new since: carried over" in lines() and "mail: stays as it is" in lines()
        facts = [text for _style, text in app.screen.fact_lines]
        assert not [text for text in facts if "carried over" in text or "mail" in text]
        await pilot.press("w")
        await until(pilot, lambda: "mail: restored too" in lines())


@pytest.mark.parametrize("width", [79, 100, 139, 199])
@pytest.mark.parametrize("phase", ["waiting", "running", "ok", "failed", "skipped"])
def test_a_run_is_told_in_one_line_with_its_whole_name(width, phase):
    state = RunState("vn1.example.net", "lantern.example", "rollback", phase=phase, started=NOW - 9)
    state = run_state.replace(state, error="cancelled by marc" if phase in ("failed", "skipped") else "")
    line = said(run_lines.row(state, width, Signs(), NOW))
    assert "rollback lantern.example " in line and len(line) <= width
    assert "…" not in line.removeprefix("… WAIT"), "what has no steps shows none"
    assert ("cancelled by marc" in line) == (phase in ("failed", "skipped"))
    assert ("vn1.example.net" in line) == (width >= 110)


@pytest.mark.parametrize("width", [76, 100, 140])
def test_a_kept_run_says_where_it_was_and_ends_with_the_line(width):
    record = RunRecord(
        run="r1",
        verb="migrate",
        vnode="vn1.example.net",
        vhost="shop.example.org",
        operator="a-long-name@the-operators-own-machine",
        started=NOW - 90,
        finished=NOW - 30,
        outcome="ok",
    )
    line = said(points.runs([record], Signs(), NOW, width, named=True)[0].pieces)
    assert len(line.rstrip()) <= width
    assert ("vn1.example.net" in line) == (width >= 100)


@pytest.mark.parametrize("width", [60, 76, 136])
def test_space_keeps_its_bars_apart_from_long_paths(width):
    store, model = tui_world.fleet(), FleetModel()
    for vnode in store.vnodes():
        store.save_vnode(
            run_state.replace(vnode, vpath="/a/very/long/path/to/everything/that/is/served/here")
        )
    model.load(store.vnodes(), store.brief())
    lines = [said(row.pieces) for row in dashboard.lines(model, [], store.refusals(), Signs(), NOW, width)]
    begin = lines.index("Space, fullest first") + 1
    bars = lines[begin : lines.index("", begin)]
    assert bars and all("  ━" in line and len(line) <= width for line in bars)


@pytest.mark.parametrize("width", [40, 76, 136])
def test_a_refusal_is_one_safe_line_however_long_its_reason(width):
    store, model = tui_world.fleet(), FleetModel()
    model.load(store.vnodes(), store.brief())
    bad = Refusal("vn1.example.net", "blog.example.org", "web is\n\x1b[31ma link" + " to nowhere" * 30)
    rows = dashboard.attention(model, [bad], NOW, width)
    row = next(row for row in rows if row.key == "vn1.example.net/blog.example.org")
    line = said(row.pieces)
    assert "refused: web is" in line and line.endswith("…") and len(line) <= width
    assert line.isprintable()


async def test_a_vnode_without_vhosts_says_so(open_app):
    parts = tui_world.parts(tui_world.FakeStore())
    parts.store.save_vnode(run_state.replace(tui_world.fleet().vnodes()[0], name="vn0"))
    async with open_app(parts) as (app, pilot):
        await pilot.pause()
        tree = app.screen.tree
        assert any("no vhosts" in said(tree.draw(row, 60)) for row in tree.rows)
        assert "No vhost is known yet: d discovers." in said(app.screen.query_one("#status").pieces)
