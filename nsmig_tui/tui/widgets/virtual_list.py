"""The one list of the application: draws only the lines that can be seen, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..safe import one_line
from ..words import Line

STYLES = (
    "ok", "warn", "fail", "run", "wait", "dim", "bold", "head", "prod", "key", "add", "del", "mark", "match",
)  # fmt: skip
"""Names that a piece of a line may be styled with; each is the component class ``line--NAME``."""


class VirtualList(ScrollView, can_focus=True):
    """Rows of any kind, drawn one line each by ``draw(row, width)``, with a cursor and optional marks.

    ``key(row)`` names a row for good: by it the cursor stays where it was when rows change, and
    ``marked`` is looked up. With ``follow`` and no cursor, the end stays in view until one looks back.
    ``unfold(row)``, where set, opens or closes a branch at once and answers whether the row was one.
    Text of a row is cleaned of control codes here, whoever drew it.
    """

    COMPONENT_CLASSES: ClassVar = {"line--cursor", *(f"line--{name}" for name in STYLES)}
    DEFAULT_CSS = """
    VirtualList { scrollbar-size-vertical: 1; overflow-x: hidden; scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "go(0)", "First", show=False),
        Binding("end,G", "go(-1)", "Last", show=False),
        Binding("enter", "open", "Open", show=False),
    ]

    class Highlighted(Message):
        """The cursor is on another row."""

        def __init__(self, sender: VirtualList, row: Any) -> None:
            super().__init__()
            self.sender, self.row = sender, row

        @property
        def control(self) -> VirtualList:
            """The list itself, for ``@on`` selectors."""
            return self.sender

    class Opened(Highlighted):
        """Enter or a second click on the row under the cursor."""

    def __init__(
        self,
        draw: Callable[[Any, int], Line],
        key: Callable[[Any], str] = str,
        *,
        with_cursor: bool = True,
        follow: bool = False,
        marked: Container[str] | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.draw, self.key, self.marked = draw, key, marked
        self.with_cursor = with_cursor
        self.unfold: Callable[[Any], bool] | None = None
        self.rows: Sequence[Any] = ()
        self.cursor = 0
        self.can_follow = self.follow = follow
        self._drawn: dict[int, Line] = {}
        self._styles: dict[str, Style] = {}

    # -- rows ------------------------------------------------------------------------------------

    def show(self, rows: Sequence[Any], *, keep: str | None = None, top: bool = False) -> None:
        """Show ``rows``. The cursor stays on the row whose key is ``keep`` (or that it was on) if it can."""
        before = self.row
        wanted = keep if keep is not None else None if before is None or top else self.key(before)
        old_index, self.rows = self.cursor, rows
        self._drawn.clear()
        self.virtual_size = Size(self.scrollable_content_region.width, len(rows))
        self.cursor = 0 if top else min(old_index, max(0, len(rows) - 1))
        if wanted is not None and not (self.row is not None and self.key(self.row) == wanted):
            found = self.index_of(wanted)
            self.cursor = self.cursor if found is None else found
        self.refresh()
        if self.follow and not self.with_cursor:
            # Only after the layout knows the new height is there an end to scroll to.
            self.call_after_refresh(self.scroll_to, y=len(rows), animate=False)
        elif top and not self.with_cursor:
            self.scroll_to(y=0, animate=False)
        else:
            self._scroll_to_cursor()
        after = self.row
        if (before is None) != (after is None) or (after is not None and self.key(after) != self.key(before)):
            self.post_message(self.Highlighted(self, after))

    def index_of(self, key: str) -> int | None:
        """Where the row with this key is, if it is shown."""
        name = self.key
        return next((index for index, row in enumerate(self.rows) if name(row) == key), None)

    @property
    def row(self) -> Any | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def redraw(self) -> None:
        """Draw again what has changed in the visible lines, and no more: few bytes for slow links."""
        top, width = self.scroll_offset.y, self._line_width
        for index in range(top, min(len(self.rows), top + self.size.height)):
            old, new = self._drawn.get(index), self._pieces(index, width)
            if old is None:
                self.refresh_line(index)
            elif old != new:
                start, end = changed_cells(old, new, width)
                self.refresh(Region(start, index - top, end - start, 1))

    # -- moving ----------------------------------------------------------------------------------

    def move_to(self, index: int) -> None:
        """Put the cursor on a row; without a cursor, scroll there."""
        if not self.with_cursor:
            self.scroll_to(y=index, animate=False)
            return
        index = max(0, min(index, len(self.rows) - 1))
        if not self.rows or index == self.cursor:
            return
        old, self.cursor = self.cursor, index
        self.refresh_line(old)
        self.refresh_line(index)
        self._scroll_to_cursor()
        self.post_message(self.Highlighted(self, self.row))

    def action_move(self, by: int) -> None:
        """One row up or down."""
        self.follow = self.can_follow and by > 0 and self.scroll_y + by >= self.max_scroll_y
        self.move_to((self.cursor if self.with_cursor else round(self.scroll_y)) + by)

    def action_page(self, by: int) -> None:
        """One screenful up or down."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_go(self, to: int) -> None:
        """To the first row, or (-1) the last; a log then follows its end."""
        self.follow = self.can_follow and to < 0
        self.move_to(to if to >= 0 else len(self.rows) - 1)

    def action_open(self) -> None:
        """Tell that the row under the cursor is wanted; a branch opens before the next key is looked at."""
        if self.row is None or (self.unfold is not None and self.unfold(self.row)):
            return
        self.post_message(self.Opened(self, self.row))

    def on_click(self, event: Click) -> None:
        """A click moves the cursor; on the row that has it, it opens."""
        index = event.y + self.scroll_offset.y
        if not self.with_cursor or index >= len(self.rows):
            return
        if index == self.cursor:
            self.action_open()
        else:
            self.move_to(index)

    def on_mouse_scroll_up(self) -> None:
        """Whoever looks back does not want to be pulled to the end."""
        self.follow = False

    def on_resize(self, _event: Resize) -> None:
        """Lines are drawn to the new width."""
        self._drawn.clear()
        self.virtual_size = Size(self.scrollable_content_region.width, len(self.rows))
        self._scroll_to_cursor()

    def on_focus(self) -> None:
        """The cursor looks different with the focus."""
        self._restyle()

    def on_blur(self) -> None:
        """The cursor looks different without the focus."""
        self._restyle()

    # -- drawing ---------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Forget styles when the theme or a class changes."""
        super().notify_style_update()
        self._restyle()

    def render_line(self, y: int) -> Strip:
        """One line of the visible part."""
        index, width = y + self.scroll_offset.y, self._line_width
        base = self.rich_style
        if index >= len(self.rows):
            return Strip.blank(width, base)
        pieces = self._drawn[index] = self._pieces(index, width)
        on_cursor = self.with_cursor and index == self.cursor
        cursor = self._style("cursor") if on_cursor else None
        segments, used = [], 0
        for text, style in merged(marked_cut(pieces, width)):
            text = text if text.isprintable() else one_line(text)
            used += cell_len(text)
            look = base + self._style(style) if style else base
            segments.append(Segment(text, look + cursor if cursor else look))
            if used >= width:
                break
        strip = Strip(segments)
        return strip.adjust_cell_length(width, base + cursor if cursor else base)

    @property
    def _line_width(self) -> int:
        return self.scrollable_content_region.width

    def _pieces(self, index: int, width: int) -> Line:
        row = self.rows[index]
        if self.marked is None:
            return self.draw(row, width)
        is_marked = self.key(row) in self.marked
        return [("[x] " if is_marked else "    ", "mark"), *self.draw(row, width - 4)]

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.get_component_rich_style(f"line--{name}", partial=name == "cursor")
            self._styles[name] = style
        return style

    def _restyle(self) -> None:
        self._styles.clear()
        self._drawn.clear()
        self.refresh()

    def _scroll_to_cursor(self) -> None:
        height = self.size.height
        if not self.with_cursor or height <= 0:
            return
        top = round(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)


def changed_cells(old: Line, new: Line, width: int) -> tuple[int, int]:
    """From and up to which cell two different lines differ, by whole pieces."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    start = sum(cell_len(text) for text, _style in new[:same])
    if [cell_len(text) for text, _style in old] != [cell_len(text) for text, _style in new]:
        return min(start, width), width
    last = len(new)
    while last > same and old[last - 1] == new[last - 1]:
        last -= 1
    return min(start, width), min(width, start + sum(cell_len(text) for text, _style in new[same:last]))


def marked_cut(pieces: Line, width: int) -> Line:
    """``pieces`` as they are, or, where more than blanks would be cut off, with an ellipsis at the end."""
    left, kept = width, []
    for index, (text, style) in enumerate(pieces):
        long = cell_len(text)
        rest = "".join(part for part, _style in pieces[index:]).rstrip() if long >= left else ""
        if rest and cell_len(rest) > left:
            return [*kept, (f"{set_cell_size(rest, left - 1)}…" if left > 0 else "", style)]
        kept.append((text, style))
        left -= long
    return kept


def merged(pieces: Line) -> Line:
    """Neighbours of one style as one piece: each piece costs escape codes on the line."""
    joined: Line = []
    for text, style in pieces:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + text, style)
        else:
            joined.append((text, style))
    return joined
