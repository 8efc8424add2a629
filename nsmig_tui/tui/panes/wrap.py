"""Small builders that the panes share: headings, labelled facts, wrapped text, sections."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from ..safe import one_line
from ..words import Line, pad


@dataclass(frozen=True)
class Row:
    """One line of a pane; ``about`` is what the line stands for, when it can be opened."""

    pieces: Line
    key: str = ""
    about: Any = None


def draw(row: Row, width: int) -> Line:
    """A pane's line is drawn as it was made."""
    return row.pieces


def key_of(row: Row) -> str:
    """What names a pane's line."""
    return row.key


def heading(text: str) -> Row:
    """A title line."""
    return Row([(text, "head")])


def blank() -> Row:
    """An empty line."""
    return Row([("", "")])


def text(words: str, width: int, style: str = "", indent: int = 0) -> list[Row]:
    """``words`` from anywhere, made safe, wrapped to ``width`` with ``indent`` blanks before."""
    rows = []
    for paragraph in words.split("\n"):
        lines = textwrap.wrap(one_line(paragraph), max(10, width - indent), break_on_hyphens=False) or [""]
        rows += [Row([(" " * indent + line, style)]) for line in lines]
    return rows


def fact(label: str, value: object, width: int, style: str = "", room: int = 15) -> list[Row]:
    """``label   value``, the value wrapped in its own column."""
    lines = textwrap.wrap(one_line(value), max(10, width - room), break_on_hyphens=False) or ["-"]
    first = Row([(pad(label, room), "dim"), (lines[0], style)])
    return [first, *(Row([(" " * room, ""), (line, style)]) for line in lines[1:])]


def number(rows: list[Row]) -> list[Row]:
    """Give every line without a key one of its own, so that the cursor can stay."""
    return [row if row.key else Row(row.pieces, f"#{index}", row.about) for index, row in enumerate(rows)]
