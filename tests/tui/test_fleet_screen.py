"""The fleet screen: tree, filter, marks, pane, narrow and wide."""

from nsmig_tui.tui.widgets.virtual_list import VirtualList


def shown(app, where="#tree"):
    """The text of all lines of a list."""
    view = app.screen.query_one(where, VirtualList)
    return ["".join(text for text, _style in view.draw(row, 80)) for row in view.rows]


async def test_the_tree_shows_sites_nodes_counts_and_what_is_wrong(world, open_app):
    async with open_app(world) as (app, _pilot):
        lines = shown(app)
        assert any("sydney" in line and "2 vnodes" in line for line in lines)
        assert any("vn1.example.net" in line and "PROD" in line for line in lines)
        assert any("unreachable: connection timed out" in line for line in lines)


async def test_enter_unfolds_a_vnode_and_the_pane_follows(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("j", "enter", "j")
        assert app.screen.tree.row.domain == "blog.example.org"
        await pilot.pause(0.1)
        assert any("discovered" in line for line in shown(app, "#lines"))
        assert any("/srv/blog.example.org" in line for line in shown(app, "#lines"))
