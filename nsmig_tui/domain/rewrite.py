"""Surgical edits of configuration text: spans replaced, every other byte kept; names for NS3 copies."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .masking import mask_line
from .nginx_sites import Problem
from .nginx_syntax import encode, matches_include
from .path_map import below


@dataclass(frozen=True)
class FileChange:
    """One file as it was read and as a stage needs it. ``kind`` is ``nginx`` or ``fpm``.

    ``path`` is the real path, never a link. ``created``: the file is new (an NS3 copy that other vhosts
    may share later), ``original`` is empty then.
    """

    path: str
    kind: str
    original: bytes
    new: bytes
    created: bool = False


@dataclass(frozen=True)
class Outcome:
    """What one stage needs. A file that is in no change has its original text in that stage.

    ``copies`` maps each shared include to the NS3 copy that stands in for it.
    """

    changes: tuple[FileChange, ...] = ()
    problems: tuple[Problem, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, order=True)
class Edit:
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """``text`` with the edits made. The same edit twice is one; raises ValueError when two overlap."""
    out, last = [], 0
    for edit in sorted(set(edits)):
        if edit.start < last:
            raise ValueError(f"overlapping edits at offset {edit.start}")
        out += [text[last : edit.start], edit.new]
        last = edit.end
    return "".join(out) + text[last:]


def newline_of(text: str) -> str:
    """The line end that the text uses."""
    return "\r\n" if "\r\n" in text else "\n"


def diff(change: FileChange) -> str:
    """A unified diff for people, without secrets.

    Bytes that are no UTF-8 are shown as escapes; control codes are kept.
    """
    before = change.original.decode("utf-8", "backslashreplace")
    after = change.new.decode("utf-8", "backslashreplace")
    source = "/dev/null" if change.created else change.path
    lines = map(mask_line, difflib.unified_diff(_lines(before), _lines(after), source, change.path))
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines
    )


class Draft:
    """The edits of one stage while they are collected, over the files of one model.

    Files below ``tops`` are the site's content and are never edited. ``fallback``: the directory in which
    copies get a directory of their own when every name beside the original would be read by an include.
    """

    def __init__(
        self,
        kind: str,
        texts: Mapping[str, str],
        patterns: Iterable[str],
        existing: Mapping[str, bytes],
        fallback: str,
        real: Mapping[str, str],
        tops: Collection[str],
    ) -> None:
        self.kind = kind
        self.texts = texts
        self.globs = [pattern for pattern in patterns if any(mark in pattern for mark in "*?[")]
        self.existing = existing
        self.fallback = fallback
        self.resolve = real
        self.tops = tuple(tops)
        self.edits: dict[str, set[Edit]] = {}
        self.appended: dict[str, str] = {}
        self.created: dict[str, bytes] = {}
        self.copies: dict[str, str] = {}
        self.problems: list[Problem] = []

    def edit(self, file: str, edits: Iterable[Edit]) -> None:
        """Plan edits of the file that is read as ``file``."""
        new = list(edits)
        if new and self._may_change(file):
            self.edits.setdefault(file, set()).update(new)

    def append(self, file: str, text: str) -> None:
        """Plan more text at the end of the file."""
        if self._may_change(file):
            self.appended[file] = self.appended.get(file, "") + text

    def _may_change(self, file: str) -> bool:
        if any(below(self.resolve.get(file, file), top) for top in self.tops):
            message = f"{file} belongs to the site's own content and is not changed"
            self.problem("error", message, file, "Move it to the server's own configuration.")
            return False
        return True

    def problem(self, severity: str, message: str, where: str = "", hint: str = "") -> None:
        """Note something that could not be handled."""
        self.problems.append(Problem(severity, message, where, hint))

    def copy(self, original: str, text: str) -> str:
        """The path of an NS3 copy of the include ``original`` with this text, planned if it is not there."""
        content = encode(text)
        for path in _copy_names(original, self.fallback, self.globs):
            present = self.created.get(path, self._there(path))
            if present is not None and present != content:
                continue
            if present is None:
                self.created[path] = content
            self.copies[original] = path
            return path
        raise AssertionError("the names for copies never end")

    def _there(self, path: str) -> bytes | None:
        """What the file holds on the vnode, if we know it."""
        text = self.texts.get(path)
        return self.existing.get(path, None if text is None else encode(text))

    def outcome(self) -> Outcome:
        """All changes, one for each real file."""
        by_real: dict[str, tuple[str, set[Edit], str]] = {}
        for file in dict.fromkeys([*self.edits, *self.appended]):
            real = self.resolve.get(file, file)
            _, edits, tail = by_real.get(real, (file, set(), ""))
            more = self.appended.get(file, "")
            by_real[real] = (file, edits | self.edits.get(file, set()), tail if tail == more else tail + more)
        changes = [
            FileChange(path, self.kind, b"", content, True) for path, content in sorted(self.created.items())
        ]
        for real, (file, edits, tail) in sorted(by_real.items()):
            text = self.texts[file]
            changed = apply_edits(text, edits)
            if tail and changed and not changed.endswith("\n"):
                changed += newline_of(text)
            new = encode(changed + tail)
            if new != encode(text):
                changes.append(FileChange(real, self.kind, encode(text), new))
        return Outcome(tuple(changes), tuple(dict.fromkeys(self.problems)), tuple(self.copies.items()))


def respelled(argument: str, original: str, other: str) -> str:
    """``other`` in the way that ``argument`` names ``original``: relative where that is relative."""
    if argument.startswith("/") or posixpath.dirname(original) != posixpath.dirname(other):
        return other
    return posixpath.join(posixpath.dirname(argument), posixpath.basename(other))


def _copy_names(original: str, fallback: str, globs: Collection[str]) -> Iterable[str]:
    """Names for a copy of ``original``, best first, that no include reads by chance."""
    folder, name = posixpath.split(original)
    stem, extension = posixpath.splitext(name)
    number = 1
    while True:
        mark = "ns3" if number == 1 else f"ns3-{number}"
        for candidate in (
            posixpath.join(folder, f"{stem}.{mark}{extension}"),
            posixpath.join(folder, f"{name}.{mark}"),
            posixpath.join(fallback, mark, name),
        ):
            if not any(matches_include(pattern, candidate) for pattern in globs):
                yield candidate
                break
        number += 1


def _lines(text: str) -> list[str]:
    *whole, rest = text.split("\n")
    return [part + "\n" for part in whole] + ([rest] if rest else [])
