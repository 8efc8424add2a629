"""For terminals without UTF-8: what is drawn, in characters that they have."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_HORIZONTAL = "─━┄┅┈┉╌╍═╴╶╸╺╼╾"
_VERTICAL = "│┃┆┇┊┋╎╏║▌▍▎▏▊▋▐▕"
_BY_SIGN = {
    **dict.fromkeys(map(chr, range(0x2500, 0x2580)), "+"),
    **dict.fromkeys(map(chr, range(0x2580, 0x25A0)), " "),
    **dict.fromkeys(_HORIZONTAL, "-"),
    **dict.fromkeys(_VERTICAL, "|"),
    **{"█": "#", "…": "~", "·": ".", "•": "*", "→": ">", "←": "<", "✓": "+", "✗": "x"},
    **{"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x", "\xa0": " "},
}
_SIGNS = {ord(sign): plain for sign, plain in _BY_SIGN.items()}
"""What frames, scroll bars and texts hold: a cell for a cell, so that nothing moves."""


class NarrowFilter(LineFilter):
    """Draws frames and signs in ASCII, and ``?`` for what ``charset`` cannot express."""

    def __init__(self, charset: str) -> None:
        super().__init__()
        self.charset = charset

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same cells, with other characters in them where need be."""
        return [
            one if one.text.isascii() or one.control else Segment(self._plain(one.text), one.style)
            for one in segments
        ]

    def _plain(self, text: str) -> str:
        text = text.translate(_SIGNS)
        return "".join(one if self._has(one) else "?" * cell_len(one) for one in text)

    def _has(self, sign: str) -> bool:
        try:
            sign.encode(self.charset)
        except UnicodeEncodeError:
            return False
        return True


def charset(environ: Mapping[str, str] | None = None) -> str:
    """What the terminal is said to take; Python itself means UTF-8 where somebody asks for plain C."""
    env = os.environ if environ is None else environ
    # Python puts C.UTF-8 there when LANG is C; who chose it says so by more than LC_CTYPE.
    chosen = env.get("LC_ALL") or env.get("LC_CTYPE", "").replace("C.UTF-8", "") or env.get("LANG", "")
    if chosen in ("C", "POSIX"):
        return "ascii"
    return codecs.lookup(getattr(sys.__stderr__, "encoding", None) or "utf-8").name
