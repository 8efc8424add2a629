"""A fleet in which much goes wrong: what is worst is told, the rest is counted, and the screen stays free."""

from dataclasses import replace

import pytest
import tui_world
from test_actions import said
from waiting import until

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import Refusal, Status, Vhost
from nsmig_tui.domain.run_state import RunState
from nsmig_tui.tui.fleet_model import FleetModel
from nsmig_tui.tui.panes import dashboard, fleet_lines
from nsmig_tui.tui.widgets.virtual_list import VirtualList
from nsmig_tui.tui.words import Signs

NOW = tui_world.NOW


def words(row):
    """A line as text."""
    return "".join(text for text, _style in row.pieces)


def test_failed_vhosts_are_named_before_the_vanished_and_those_without_room_are_counted():
    store, model = tui_world.fleet(), FleetModel()
    for number in range(300):
        store.save_vhost(Vhost("vn1.example.net", f"a{number}.example", vanished=True))
    store.save_vhost(Vhost("vn7.example.net", "z.example", Status.FAILED))
    model.load(store.vnodes(), store.brief(limit=1000))
    bad = [Refusal("vn1.example.net", f"b{number}.example", "no") for number in range(dashboard.NAMED + 5)]
    lines = [words(row) for row in dashboard.attention(model, bad, NOW, 80)]
    failed = next(at for at, line in enumerate(lines) if "z.example" in line)
    gone = next(at for at, line in enumerate(lines) if "is no longer on" in line)
    assert failed < gone
    vanished = sum(host.vanished for host in model.hosts.values())
    assert f"  and {vanished - dashboard.NAMED} more vanished" in lines
    assert "  and 5 more refused" in lines
    assert any("88% full" in line for line in lines)


async def test_the_dashboard_shows_what_has_changed_since(world, open_app):
    def text(app):
        return "\n".join(words(row) for row in app.screen.query_one("#lines", VirtualList).rows)

    async with open_app(world) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: "forum.example.org" in text(app))
        forum = world.store.vhost("vn1.example.net", "forum.example.org")
        world.store.save_vhost(replace(forum, status=Status.MIGRATED))
        app.reload_vhost("vn1.example.net", "forum.example.org")
        await until(pilot, lambda: "failed on vn1" not in text(app), seconds=10)
        world.store.save_vhost(Vhost("vn1.example.net", "another.example", Status.FAILED))
        world.store.changed = True
        await until(pilot, lambda: "another.example" in text(app), seconds=10)


async def test_of_many_failures_at_once_the_first_get_toasts_and_the_rest_a_sum(
    world, open_app, at_rest, monkeypatch
):
    async def cannot(vnode, domain, emit):
        raise ConnectError("The name of the server is not known")

    monkeypatch.setattr(world.engine, "validate", cannot)
    for number in range(40):
        world.store.save_vhost(Vhost("vn1.example.net", f"bad{number}.example"))
    async with open_app(world) as (app, pilot):
        await pilot.press("slash", *"bad", "enter", "a", "v")
        await at_rest(app, pilot)
        assert said(app).count("not known") == 3
        assert "validate: 0 of 40 went well: 2 shows them." in said(app)


async def test_many_failures_of_a_batch_get_no_sum_of_other_runs(world, open_app):
    async with open_app(world) as (app, pilot):
        for number in range(6):
            state = RunState(
                "migrate", "vn1.example.net", f"bad{number}.example", phase="failed", error="no room"
            )
            for listener in app.batch_watch.ended:
                listener(state)
        await pilot.pause()
        assert said(app).count("no room") == 3 and "went well" not in said(app)


@pytest.mark.parametrize("width", [72, 76, 77, 80, 100])
def test_the_line_of_a_vsite_is_never_cut(width):
    store, model = tui_world.fleet(), FleetModel()
    store.save_vnode(replace(store.vnodes()[0], vsite="north"))
    model.load(store.vnodes(), store.brief())
    site = next(one for one in model.sites if one.name == "north")
    site.counts.update(failed=306, vanished=100, discovered=310, validated=347, migrated=314, native=323)
    for many in range(6):
        site.counts["native"] = 10**many
        line = fleet_lines.draw(site, width, model, Signs(), NOW)
        assert sum(len(text) for text, _style in line) <= width
