"""Cuts HTTP/1 answers out of a stream of bytes, as far as a comparison of answers needs it.

Written out here because ``http.client`` costs half a millisecond an answer and cannot say where one ends
and the next begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from nsmig_tui.domain.ports import HttpAnswer
from nsmig_tui.domain.text import clean

MAX_BODY = 1024 * 1024
"""Bytes of a body that are kept; the rest is not even fetched."""

MAX_RAW = MAX_BODY + 256 * 1024
"""Bytes of an answer, with all that frames it, that are looked at."""

_BLANK = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([01]) +(\d{3})(?: [^\r\n]*)?")
_DIGITS = re.compile(r"\d{1,18}", re.ASCII)
_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_LINE = re.compile(rb"[^\n]*\n")


@dataclass(frozen=True)
class Cut:
    """One whole answer, the bytes that it took, and whether another one may follow on this connection."""

    answer: HttpAnswer
    taken: int
    goes_on: bool


class _Broken(ValueError):
    """What is there is no HTTP."""


def cut(raw: bytes, *, ended: bool) -> Cut | None:
    """The first answer in ``raw``; None while more is needed. ``ended``: no more will come.

    An answer that ended early is none: status 0.
    """
    ended = ended or len(raw) >= MAX_RAW
    try:
        return _cut(raw, ended=ended)
    except _Broken as error:
        return _none(f"no HTTP: {clean(str(error), 200)}")


def early() -> HttpAnswer:
    """What stands for an answer that is not whole."""
    return HttpAnswer(0, error="the answer ended early")


def _none(words: str) -> Cut:
    return Cut(HttpAnswer(0, error=words), 0, False)


def _cut(raw: bytes, *, ended: bool) -> Cut | None:
    start = 0
    while True:
        blank = _BLANK.search(raw, start)
        if blank is None:
            return Cut(early(), 0, False) if ended else None
        old, status, headers = _head(raw[start : blank.start()])
        start = blank.end()
        if status >= 200 or status == 101:
            break  # anything else below 200 only announces the answer proper
    body, taken, framed = _body(raw, start, status, headers, ended=ended)
    if body is None:
        return Cut(early(), 0, False) if ended else None
    wish = headers.get("connection", "").lower()
    goes_on = framed and status != 101 and "close" not in wish and (not old or "keep-alive" in wish)
    return Cut(HttpAnswer(status, dict(headers), body), taken, goes_on)


@lru_cache(64)
def _head(head: bytes) -> tuple[bool, int, dict[str, str]]:
    """(HTTP/1.0?, status, headers by lower-case name). Raises _Broken.

    Remembered: pages asked for twice, and all that are not there, have equal heads for a second.
    """
    first, *lines = head.split(b"\n")
    match = _STATUS.fullmatch(first.rstrip(b"\r"))
    if match is None:
        raise _Broken(first[:60].decode("latin-1"))
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        text = line.decode("latin-1").rstrip("\r")
        if text[:1] in (" ", "\t"):
            if name:
                headers[name] += " " + text.strip()
            continue
        name, mark, value = text.partition(":")
        name = name.strip().lower() if mark else ""
        if name:
            value = value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return match[1] == b"0", int(match[2]), headers


def _body(
    raw: bytes, start: int, status: int, headers: dict[str, str], *, ended: bool
) -> tuple[bytes | None, int, bool]:
    """(body or None while it is not whole, where it ends, whether that end is sure)."""
    if status in (204, 304):
        return b"", start, True
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _chunked(raw, start, ended=ended)
    length = headers.get("content-length", "")
    if _DIGITS.fullmatch(length):
        wanted = int(length)
        if len(raw) - start >= min(wanted, MAX_BODY):
            return raw[start : start + min(wanted, MAX_BODY)], start + wanted, wanted <= MAX_BODY
        return None, 0, False
    if ended or len(raw) - start >= MAX_BODY:
        return raw[start : start + MAX_BODY], len(raw), False
    return None, 0, False


def _chunked(raw: bytes, at: int, *, ended: bool) -> tuple[bytes | None, int, bool]:
    pieces: list[bytes] = []
    have = 0
    while have < MAX_BODY:
        match = _SIZE.match(raw, at)
        if match is None:
            if b"\n" in raw[at : at + 4096] or len(raw) - at > 4096:
                raise _Broken("a chunk without a size")
            return None, 0, False
        size = int(match[1], 16)
        at = match.end()
        if size == 0:
            end = _trailer(raw, at)
            if end < 0 and not ended:
                return None, 0, False
            return b"".join(pieces), end, end >= 0
        pieces.append(raw[at : at + size])
        have += len(pieces[-1])
        at += size
        line = _LINE.match(raw, at)
        if have < MAX_BODY:
            if line is None:
                return None, 0, False
            at = line.end()
    return b"".join(pieces)[:MAX_BODY], len(raw), False


def _trailer(raw: bytes, at: int) -> int:
    """Where the lines after the last chunk end; -1 while that is not there."""
    while match := _LINE.match(raw, at):
        at = match.end()
        if not match[0].strip():
            return at
    return -1
