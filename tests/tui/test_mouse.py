"""The mouse does what keys do: words of the bars are clicked where they stand."""

import pytest
from waiting import until

from nsmig_tui.tui.dialogs.help import HelpDialog
from nsmig_tui.tui.widgets.bars import ClickBar


def place(app, bar, word):
    """Where on the screen the last cell of ``word`` is drawn in the bar."""
    strip = app.screen._compositor.render_strips()[bar.region.y]
    line = "".join(segment.text for segment in strip)
    return line.index(word, bar.region.x) + len(word) - 1, bar.region.y


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_keys_and_tabs_are_clicked(world, open_app, size):
    async with open_app(world, size=size) as (app, pilot):
        app.reveal("vn1.example.net/shop.example.org")
        await pilot.press("enter")
        tabs = app.screen.query_one("#tabs", ClickBar)
        await pilot.click(offset=place(app, tabs, "Findings"))
        await until(pilot, lambda: app.screen.detail.tab == "findings")
        bar = app.screen.query_one("#keybar", ClickBar)
        assert place(app, bar, "m Migrate")[0] == len(" m Migrate") - 1
        await pilot.click(offset=place(app, bar, "? Help"))
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
