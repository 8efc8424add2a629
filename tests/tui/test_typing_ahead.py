"""Keys that come faster than the program looks at them."""

from textual import events
from textual.widgets import Input


async def burst(app, pilot, keys):
    """All keys in the queue at once, as from a paste or a slow link."""
    for key in keys:
        name = {"/": "slash", ".": "full_stop"}.get(key, key)
        app._driver.process_message(events.Key(name, key))
    for _turn in range(4):
        await pilot.pause()


async def test_letters_behind_the_filter_key_are_typed_and_never_acts(world, open_app):
    async with open_app(world) as (app, pilot):
        await burst(app, pilot, "/my.baker/x")
        assert app.screen.id == "fleet"
        assert app.screen.query_one("#filter", Input).value == "my.baker/x"
        assert world.engine.calls == []
        assert app.marks == set()


async def test_enter_ends_the_filter_before_the_next_key(world, open_app):
    async with open_app(world) as (app, pilot):
        await burst(app, pilot, ["slash", *"wiki", "enter", "j"])
        assert app.screen.query_one("#filter", Input).value == "wiki"
        assert app.model.query == "wiki"
        assert app.screen.focused is app.screen.tree
        assert app.screen.query_one("#filter-row").display


async def test_a_burst_of_keys_breaks_nothing(world, open_app):
    async with open_app(world) as (app, pilot):
        await burst(app, pilot, "jekaryzoauVV*+O][")
        assert app.is_running


async def test_keys_behind_the_key_of_another_screen_meet_that_screen(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("2")
        await pilot.pause()
        assert app.screen.id == "runs"
        await burst(app, pilot, ["1", "/", *"shop.ex"])
        assert app.screen.id == "fleet"
        assert app.screen.query_one("#filter", Input).value == "shop.ex"
        assert app.screen.focused is app.screen.query_one("#filter", Input)
