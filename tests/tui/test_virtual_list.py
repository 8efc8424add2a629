"""The one list: moves, keeps its place, draws few lines, survives any width and text."""

import pytest
from textual.app import App

from nsmig_tui.tui.widgets.virtual_list import VirtualList, changed_cells, merged


class Bench(App):
    """Only a list."""

    def __init__(self, rows, **options):
        super().__init__()
        self.drawn = []
        self.first = rows
        self.view = VirtualList(self.draw, str, **options)

    def draw(self, row, width):
        """Remember what is asked for."""
        self.drawn.append(row)
        return [(f"row {row}", "ok" if row % 2 else "no-such-style" if row < 0 else "")]

    def compose(self):
        """The list."""
        yield self.view

    def on_mount(self):
        """Fill it."""
        self.view.show(self.first)
        self.view.focus()


async def test_only_what_is_seen_is_drawn_of_100_000_rows():
    app = Bench(range(100_000))
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("G")
        assert app.view.row == 99_999
        app.drawn.clear()
        await pilot.press("k")
        await pilot.pause()
        assert len(app.drawn) <= 4, "a step draws two lines"
        await pilot.press("home", "pagedown")
        assert app.view.row == 19
        assert max(app.drawn) <= 99_999


async def test_the_cursor_stays_on_its_row_when_rows_change():
    app = Bench([1, 2, 3, 4, 5])
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("j", "j")
        app.view.show([9, 8, 3, 7])
        assert app.view.row == 3
        app.view.show([9, 8])
        assert app.view.row == 8
        app.view.show([])
        assert app.view.row is None
        await pilot.press("j", "enter", "G", "pageup")
        app.view.show([5, 6], keep="6")
        assert app.view.row == 6


async def test_redraw_asks_only_for_lines_that_differ():
    app = Bench(list(range(10)))
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.pause()
        refreshed = []
        app.view.refresh = lambda *regions, **_options: refreshed.extend(regions)
        app.view.redraw()
        assert refreshed == []
        app.view.rows = [*range(9), 99]
        app.view.redraw()
        assert [(region.y, region.height) for region in refreshed] == [(9, 1)]


@pytest.mark.parametrize(
    ("old", "new", "cells"),
    [
        ([("ab", ""), ("cd", "ok")], [("ab", ""), ("ce", "ok")], (2, 4)),
        ([("ab", ""), ("cd", "ok"), ("ef", "")], [("ab", ""), ("xy", "ok"), ("ef", "")], (2, 4)),
        ([("ab", ""), ("cd", "ok")], [("ab", ""), ("c", "ok"), ("d", "")], (2, 20)),
        ([("日本", ""), ("x", "")], [("日本", ""), ("y", "")], (4, 5)),
        ([], [("ab", "")], (0, 20)),
    ],
)
def test_only_the_cells_that_changed_are_sent(old, new, cells):
    assert changed_cells(old, new, 20) == cells


def test_neighbours_of_one_style_are_one_piece():
    assert merged([("a", "ok"), ("b", "ok"), ("c", "")]) == [("ab", "ok"), ("c", "")]


async def test_a_branch_opens_before_the_next_key_is_looked_at():
    app = Bench(list(range(10)))
    opened = []

    def unfold(row):
        opened.append(row)
        return row < 5

    async with app.run_test(size=(40, 20), message_hook=lambda m: opened.append(type(m))) as pilot:
        app.view.unfold = unfold
        app.view.action_open()
        assert opened[-1] == 0
        app.view.move_to(7)
        app.view.action_open()
        await pilot.pause()
        assert VirtualList.Opened in opened


async def test_a_click_moves_and_a_second_opens():
    app = Bench(list(range(10)))
    opened = []
    async with app.run_test(size=(40, 20), message_hook=lambda m: opened.append(m)) as pilot:
        await pilot.click(VirtualList, offset=(3, 4))
        assert app.view.cursor == 4
        await pilot.click(VirtualList, offset=(3, 4))
        await pilot.pause()
        assert any(isinstance(message, VirtualList.Opened) and message.row == 4 for message in opened)
        await pilot.click(VirtualList, offset=(3, 15))
        assert app.view.cursor == 4


async def test_a_log_follows_its_end_until_one_scrolls_up():
    app = Bench(list(range(50)), with_cursor=False, follow=True)
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.show(list(range(60)))
        await pilot.pause()
        assert app.view.scroll_y == 50
        await pilot.press("k")
        app.view.show(list(range(70)))
        await pilot.pause()
        assert app.view.scroll_y == 49
        await pilot.press("G")
        app.view.show(list(range(80)))
        await pilot.pause()
        assert app.view.scroll_y == 70


async def test_what_is_cut_off_in_a_list_ends_with_an_ellipsis():
    rows = [
        [("abc", ""), ("defghijklmno", "bold")],
        [("ab", ""), ("c" * 8, "dim"), ("   ", "")],
        [("日本" * 9, "")],
    ]
    view = VirtualList(lambda row, _width: row, lambda row: str(rows.index(row)), with_cursor=False)

    class One(App[None]):
        def compose(self):
            yield view

    async with One().run_test(size=(11, 5)) as pilot:
        view.show(rows)
        await pilot.pause()
        drawn = [view.render_line(y).text for y in range(3)]
    assert drawn == ["abcdefghi…", "ab" + "c" * 8, "日本日本 …"]
