"""Where an absolute path of one vhost goes when its layout changes, found inside any text and back.

A path counts only at component boundaries: ``/srv/a.test/web`` is not in ``/srv/a.test/website`` nor in
``/srv/a.test.other/web``. What stands before the changing components is kept as it was written
(``$host``, doubled slashes), so that an edit is as small as it can be.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

_BEFORE = r"(?<![\w./$}~+%@\\-])"
SLASHED = (
    *("uri", "document_uri", "request_uri", "fastcgi_script_name", "fastcgi_path_info", "path_info"),
    *("request_filename", "document_root", "realpath_root"),
)
"""Variables of nginx whose value begins with a slash, if it is not empty."""
_AFTER = rf"""(?=$|[/\s"':;,|&<>=?#()]|\$\{{?(?:{"|".join(SLASHED)})\b|\$(?![\w{{]))"""
_END = r"""(?=$|[/\s"':;,|&<>=?#()])"""
WORD = re.compile(r"""/[^\s"':;,|&<>=?#()]*""")
"""A path in any text, up to what cannot be in one."""
_DOT = re.compile(r"(?P<cut>/+\.)(?=/)")
_DIRECTORIES = r"(?:web|msg|bin|etc|\.ssh|var)"
_UP = rf"(?:/+\.)*/+\.\.{_END}"
_CLIMBS = (
    re.compile(rf"(?P<cut>/+{_DIRECTORIES}{_UP})"),
    re.compile(rf"/+var(?P<cut>/+(?:log|run|tmp){_UP})"),
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Found:
    """One old path in a text: ``text[start:end]`` are the components that change (``web``, ``var/log``).

    ``begin`` is where the whole path starts, ``base`` the spelling before the changing components,
    ``old`` the rule's name for them, ``templated`` whether the path is written with a variable.
    """

    begin: int
    start: int
    end: int
    base: str
    old: str
    templated: bool


@dataclass(frozen=True)
class PathMap:
    """Rules ``(old, new)`` for what lies below ``upath``; a class without a rule stays where it is.

    ``old`` is relative to ``upath``; ``new`` is relative too, or absolute, or begins with ``$`` (a variable
    of nginx that holds the place). ``aliases``: other absolute paths that are links to ``upath``.
    ``standing``: what stays with all below it, whatever the rules say; relative to ``upath``.
    """

    upath: str
    rules: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()

    def target(self, old: str) -> str | None:
        """The new place of the class ``old``, or None."""
        return dict(self.rules).get(old)

    def without(self, *classes: str) -> PathMap:
        """The same map, with these old classes staying where they are."""
        return replace(self, rules=tuple(r for r in self.rules if r[0] not in classes))

    def with_target(self, old: str, new: str) -> PathMap:
        """The same map, with the class ``old`` going to ``new``."""
        return replace(self, rules=(*self.without(old).rules, (old, new)))

    def inverse(self) -> PathMap:
        """The map back; only for maps whose targets are relative."""
        return replace(self, rules=tuple((new, old) for old, new in self.rules))

    def find(self, text: str, values: Mapping[str, str] | None = None) -> list[Found]:
        """Every path in ``text`` that a rule changes; ``values`` are those of variables such as ``host``."""
        if not self.rules or ("/" not in text and "$" not in text):
            return []
        replaced = "$" in text and values and _names_any(text, values)
        if not replaced and not self.is_near(text):
            return []
        plain, where = _substitute(text, values or {})
        if replaced and not self.is_near(plain):
            return []
        found = []
        base, olds = self._patterns
        for base_match in base.finditer(plain):
            match = olds.match(plain, base_match.end())
            if match is None or self._stands(plain, base_match.end()):
                continue
            begin, start, end = where[base_match.start()], where[match.start("old")], where[match.end("old")]
            if text[start:end] != match["old"]:  # what changes is in the variable's value, or in part
                continue
            old = re.sub("/+", "/", match["old"])
            found.append(Found(begin, start, end, text[begin:start], old, "$" in text[begin:end]))
        return found

    def _stands(self, plain: str, at: int) -> bool:
        """Whether the path whose part below a top directory begins at ``at`` is one that stays."""
        word = WORD.match(plain, at) if self.standing else None
        return word is not None and any(below(normal(word[0]).lstrip("/"), one) for one in self.standing)

    def straightened(self, text: str, values: Mapping[str, str] | None = None) -> str:
        """``text`` in which no path of ours goes up again from a directory that moves (``web/../x``).

        Only what certainly is a directory, no link, is taken out: the names of the old layout.
        """
        while "/." in text:
            plain, where = _substitute(text, values or {})
            for start, end in self._detours(plain):
                if text[where[start] : where[end]] == plain[start:end]:
                    text = text[: where[start]] + text[where[end] :]
                    break
            else:
                break
        return text

    def respell(self, text: str, values: Mapping[str, str] | None = None) -> str:
        """``text`` with every old path replaced, after detours over what moves are taken out."""
        straight = self.straightened(text, values)
        new = self.apply(straight, values)
        return text if new == straight and "/.." not in text else new

    def place(self, text: str, values: Mapping[str, str] | None = None) -> str | None:
        """What the one path that ``text`` is names below ``upath`` (empty: ``upath`` itself), else None."""
        plain = _substitute(text, values or {})[0].strip(" \t\"'")
        path = posixpath.normpath(plain) if plain.startswith("/") else ""
        top = next((top for top in self.tops if below(path, top)), None)
        return None if top is None else path[len(top) :].strip("/")

    def _detours(self, plain: str) -> Iterator[tuple[int, int]]:
        """Where there is something to take out."""
        base = self._patterns[0]
        for found in base.finditer(plain):
            for pattern in _CLIMBS:
                match = pattern.match(plain, found.end())
                if match:
                    yield match.span("cut")
        for word in WORD.finditer(plain):
            if self.is_near(word[0]) and any(below(posixpath.normpath(word[0]), t) for t in self.tops):
                for match in _DOT.finditer(word[0]):
                    yield word.start() + match.start("cut"), word.start() + match.end("cut")

    def follow(self, text: str) -> str:
        """Where the literal paths in ``text`` lead: mapped, and without detours."""
        return normal(self.apply(normal(text)))

    def is_open(self, text: str) -> bool:
        """Whether a path in ``text`` has a variable where it is decided which of our rules holds."""
        if "$" not in text or not self.is_near(text):
            return False
        if any(re.search(rf"{_BEFORE}{re.escape(top)}\$\{{?\w", text) for top in self.tops):
            return True
        olds = [f"/{old}" for old, _ in self.rules]
        for base in self._patterns[0].finditer(text):
            word = WORD.match(text, base.end())
            prefix, mark, rest = word[0].partition("$") if word else ("", "", "")
            variable = _VARIABLE.match(mark + rest)
            if variable is None:
                continue
            prefix = re.sub("/+", "/", prefix)
            slashed = (variable[1] or variable[2]) in SLASHED
            if any(old.startswith(prefix) and not (slashed and old == prefix) for old in olds):
                return True
        return False

    @cached_property
    def tops(self) -> tuple[str, ...]:
        """``upath`` and the links to it."""
        return (self.upath, *self.aliases)

    def is_near(self, text: str) -> bool:
        """Whether ``text``, its variables replaced, holds what any of our paths holds: a quick first look."""
        # Not any(): this is asked of every value in a server's configuration.
        for mark in self._marks:  # noqa: SIM110
            if mark in text:
                return True
        return False

    @cached_property
    def beside(self) -> str:
        """The directory that ``upath`` and other vhosts lie in, with a slash at its end."""
        return self.upath.rpartition("/")[0] + "/"

    def apply(self, text: str, values: Mapping[str, str] | None = None) -> str:
        """``text`` with every old path in it replaced, and nothing else."""
        out, last = [], 0
        for hit in self.find(text, values):
            new = self.target(hit.old) or hit.old
            if new.startswith(("/", "$")):
                out.append(text[last : hit.begin])
            elif new.startswith(hit.old + "/"):
                out.append(text[last : hit.end])
                new = new[len(hit.old) :]
            else:
                out.append(text[last : hit.start])
            out.append(new)
            last = hit.end
        return "".join(out) + text[last:]

    def path(self, path: str) -> str:
        """One absolute path, mapped as a whole."""
        for old, new in sorted(self.rules, key=lambda rule: -len(rule[0])):
            top = f"{self.upath}/{old}"
            if path == top or path.startswith(top + "/"):
                return (new if new.startswith(("/", "$")) else f"{self.upath}/{new}") + path[len(top) :]
        return path

    @cached_property
    def _marks(self) -> tuple[str, ...]:
        """What a text must hold to name one of our paths at all, however its slashes are doubled."""
        return tuple(base.rstrip("/").rpartition("/")[2] for base in self.tops)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """Where a top directory of ours begins, and what may follow it."""
        olds = tuple(old for old, _ in self.rules)
        return _base_pattern(self.tops), _olds_pattern(olds)


def final_map(upath: str, aliases: tuple[str, ...] = (), standing: tuple[str, ...] = ()) -> PathMap:
    """The map of a finished migration."""
    rules = (
        ("web", "web/app/public"),
        ("var/log", "web/log"),
        ("var/run", "web/run"),
        ("var/tmp", "web/tmp"),
    )
    return PathMap(upath, rules, aliases, standing)


def normal(text: str) -> str:
    """``text`` with every path in it spelled without ``.``, ``..`` and doubled slashes."""
    return WORD.sub(lambda match: posixpath.normpath(match[0]).replace("//", "/"), text)


def below(path: str, top: str) -> bool:
    """Whether ``path`` is ``top`` or lies below it, by components."""
    return path == top or path.startswith(top.rstrip("/") + "/")


def substitute(text: str, values: Mapping[str, str]) -> str:
    """``text`` with the variables in ``values`` replaced (``$name``, ``${name}``); others stay."""
    return _substitute(text, values)[0]


@lru_cache(64)
def _base_pattern(bases: tuple[str, ...]) -> re.Pattern[str]:
    """Where one of the vhost's top directories begins; apart from what follows, as compiling is dear."""
    return re.compile(rf"{_BEFORE}(?:{'|'.join(map(_spelled, bases))})(?=/)")


@lru_cache(64)
def _olds_pattern(olds: tuple[str, ...]) -> re.Pattern[str]:
    """What may follow a top directory; the same for all vhosts."""
    longest_first = sorted(olds, key=lambda old: -len(old))
    return re.compile(rf"/+(?P<old>{'|'.join(map(_spelled, longest_first))}){_AFTER}")


def _spelled(path: str) -> str:
    """``path`` as a pattern in which a slash may be doubled."""
    return "/+".join(re.escape(part) for part in path.split("/"))


def _names_any(text: str, values: Mapping[str, str]) -> bool:
    """Whether one of the variables may be in ``text``: most values hold others only."""
    return any(name in text for name in values)


def _substitute(text: str, values: Mapping[str, str]) -> tuple[str, Sequence[int]]:
    """``text`` with known variables replaced, and for each offset in it the offset in ``text``."""
    if "$" not in text or not _names_any(text, values):
        return text, range(len(text) + 1)
    out: list[str] = []
    where: list[int] = []
    last = 0
    for match in _VARIABLE.finditer(text):
        value = values.get(match[1] or match[2])
        if value is None:
            continue
        out += [text[last : match.start()], value]
        where += range(last, match.start())
        where += [match.start()] * len(value)
        last = match.end()
    out.append(text[last:])
    where += range(last, len(text) + 1)
    return "".join(out), where
