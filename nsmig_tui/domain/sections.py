"""The rows that reading scripts print: sections, TAB-separated rows, base64 for what may be any bytes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Row = tuple[str, ...]


def unb64(text: str) -> bytes:
    """Base64 to bytes; empty for what is none."""
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return b""


def as_name(text: str) -> str:
    """A base64 file name as text that keeps every byte (surrogateescape)."""
    return unb64(text).decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Sections:
    """The rows of one answer by section name."""

    rows: Mapping[str, tuple[Row, ...]]

    def of(self, section: str, kind: str) -> Iterator[Row]:
        """Rows of a section that start with ``kind``, without that word."""
        for row in self.rows.get(section, ()):
            if row[0] == kind:
                yield row[1:]

    def values(self, section: str) -> dict[str, str]:
        """The ``KEY=VALUE`` rows of a section; the first of equal keys wins."""
        found: dict[str, str] = {}
        for row in self.rows.get(section, ()):
            key, mark, value = row[0].partition("=")
            if mark:
                found.setdefault(key, "\t".join((value, *row[1:])))
        return found


def split_sections(output: bytes) -> Sections:
    """Cut a script's output at its ``@name`` lines."""
    rows: dict[str, list[Row]] = {}
    current = rows.setdefault("", [])
    for raw in output.split(b"\n"):
        line = raw.decode("utf-8", "surrogateescape")
        if line.startswith("@"):
            current = rows.setdefault(line[1:], [])
        elif line:
            current.append(tuple(line.split("\t")))
    return Sections({name: tuple(found) for name, found in rows.items()})


def number(text: str | None, default: int = 0) -> int:
    """The number that the text says, or ``default``."""
    try:
        return int(float(text or default))
    except (ValueError, OverflowError):
        return default
