"""Small builders that the panes share: headings, labelled facts, wrapped text, sections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from ..safe import one_line
from ..words import Line, pad

WORDS = re.compile(r"\s*\S+")
MARKS = "/-._:,"
"""Behind these a long word may go on in the next line."""


@dataclass(frozen=True)
class Row:
    """One line of a pane; ``about`` is what the line stands for, when it can be opened."""

    pieces: Line
    key: str = ""
    about: Any = None


def draw(row: Row, width: int) -> Line:
    """A pane's line is drawn as it was made."""
    return row.pieces


def draw_found(words: str, row: Row, width: int) -> Line:
    """Like ``draw``, with every place underlined where ``words`` stand, in whatever case."""
    line: Line = []
    for text, style in row.pieces:
        for part in re.split(f"({re.escape(words)})", text, flags=re.IGNORECASE) if words else [text]:
            if part:
                line.append((part, "match" if part.lower() == words.lower() else style))
    return line


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
        lines = cut(one_line(paragraph), max(10, width - indent)) or [""]
        rows += [Row([(" " * indent + line, style)]) for line in lines]
    return rows


def cut(words: str, room: int) -> list[str]:
    """``words`` in lines of ``room`` cells; what is longer, such as a path, is cut behind a mark in it."""
    lines, line = [], ""
    for word in WORDS.findall(words.strip()):
        while cell_len(line) + cell_len(word) > room:
            free = room - cell_len(line)
            if cell_len(word.lstrip()) <= room or free < room // 3:
                at = 0
            else:
                fits = fitting(word, free)
                at = word.rfind("/", 1, fits) + 1
                if at < len(word) - len(word.lstrip()) + 2:
                    at = max(word.rfind(mark, 1, fits) + 1 for mark in MARKS) or fits
                at = at if at > len(word) - len(word.lstrip()) else 0
            if at or line:
                lines.append((line + word[:at]).rstrip())
                line, word = "", word[at:].lstrip()
            else:
                fits = max(1, fitting(word, room))
                lines.append(word[:fits])
                word = word[fits:]
        line += word
    return [*lines, line] if line else lines


def fitting(word: str, room: int) -> int:
    """How many characters of ``word`` fit into ``room`` cells; some take two, some none."""
    if word.isascii():
        return room
    used = 0
    for index, char in enumerate(word):
        used += cell_len(char)
        if used > room:
            return index
    return len(word)


def fact(label: str, value: object, width: int, style: str = "", room: int = 15) -> list[Row]:
    """``label   value``, the value wrapped in its own column."""
    lines = cut(one_line(value), max(10, width - room)) or ["-"]
    first = Row([(pad(label, room), "dim"), (lines[0], style)])
    return [first, *(Row([(" " * room, ""), (line, style)]) for line in lines[1:])]


def number(rows: list[Row]) -> list[Row]:
    """Give every line without a key one of its own, so that the cursor can stay."""
    return [row if row.key else Row(row.pieces, f"#{index}", row.about) for index, row in enumerate(rows)]
