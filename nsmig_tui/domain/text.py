"""Text that came from a server, made safe to show: nothing in it can drive a terminal or deceive the eye."""

from __future__ import annotations

import re
import unicodedata

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]+[0-~]"  # two-byte escapes such as character sets
    r"|\x1b[0-Z\\^-~]"
)

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are invisible, reorder text, or are no characters at all."""


def clean(value: bytes | str, limit: int = 4000, *, newlines: bool = False) -> str:
    """``value`` as printable text of at most ``limit`` characters.

    Whole escape sequences are dropped; any other byte or character that is not plainly visible
    (control, bidirectional, zero-width, undecodable) is written as ``\\xNN`` or ``\\uNNNN``. Tabs become
    blanks. Newlines stay only when ``newlines`` is set.
    """
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    cut = len(text) > 4 * limit
    text = _ESCAPES.sub("", text[: 4 * limit])
    shown = "".join(_visible(char, newlines) for char in text[: limit + 1])
    return shown if len(shown) <= limit and not cut else shown[: max(limit - 1, 0)] + "…"


def _visible(char: str, newlines: bool) -> str:
    """One character as it may be shown."""
    if " " <= char <= "~" or (newlines and char == "\n"):
        return char
    if char == "\t":
        return " "
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(char) in _HIDDEN or code in (0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return char
