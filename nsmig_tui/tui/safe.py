"""The door through which foreign text enters the screen: no control codes, no markup."""

from __future__ import annotations

from textual.content import Content

from ..domain.text import clean


def one_line(text: object) -> str:
    """``text`` fit for one line of the terminal."""
    return clean(str(text).replace("\n", " "))


def content(text: object) -> Content:
    """``text`` as Content in which brackets are just brackets; newlines stay."""
    return Content(clean(str(text), newlines=True))
