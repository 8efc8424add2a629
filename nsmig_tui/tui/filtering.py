"""The language of the ``/`` filter, turned into a predicate over fleet lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

FIELDS = ("status", "node", "site", "layout", "php")
HELP = "words  ~fuzzy  !not  status:failed  node:vn7  site:syd  layout:ns1  php:8.2"


class Searchable(Protocol):
    """What a filter looks at: ``haystack`` is lower-case text, ``field`` answers by name, lower-case."""

    haystack: str

    def field(self, name: str) -> str:
        """The value of one of FIELDS."""
        ...


Test = Callable[[Searchable], bool]


def parse(query: str) -> list[Test]:
    """The tests that a line must all pass. Never raises: whatever is typed means something."""
    return [test for word in query.lower().split() if (test := _test(word)) is not None]


def keep(lines: list, query: str) -> list:
    """Those of ``lines`` that pass ``query``; plain words go first since they are cheapest."""
    words = query.lower().split()
    plain = [word for word in words if _is_plain(word)]
    for word in plain:
        lines = [line for line in lines if word in line.haystack]
    for test in parse(" ".join(word for word in words if not _is_plain(word))):
        lines = [line for line in lines if test(line)]
    return lines


def _is_plain(word: str) -> bool:
    return word[0] not in "!~" and word.partition(":")[0] not in FIELDS


def _test(word: str) -> Test | None:
    if word.startswith("!"):
        inner = _test(word[1:]) if len(word) > 1 else None
        return (lambda line: not inner(line)) if inner else None
    if word.startswith("~"):
        if len(word) == 1:
            return None
        found = re.compile("".join(f"[^{char}]*+{char}" for char in map(re.escape, word[1:]))).match
        return lambda line: found(line.haystack) is not None
    name, colon, value = word.partition(":")
    if colon and name in FIELDS:
        return (lambda line: line.field(name).startswith(value)) if value else None
    return lambda line: word in line.haystack
