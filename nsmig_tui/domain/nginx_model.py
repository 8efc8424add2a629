"""All of nginx's files as one model: which server blocks there are, what is in them, who includes what."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from .nginx_syntax import Directive, include_pattern, includes_in, matches_include
from .path_map import below

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
HOST_VARIABLES = ("host", "http_host", "server_name")


@dataclass(frozen=True)
class Listen:
    """One address that a server block answers on; ``address`` is ``*``, an IP, or ``unix:PATH`` (port 0)."""

    address: str
    port: int
    tls: bool = False
    default: bool = False
    proxy_protocol: bool = False

    @property
    def probe(self) -> tuple[str, int, bool]:
        """(address, port, TLS) to connect to from the vnode itself."""
        address = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)
        return address, self.port, self.tls


@dataclass(frozen=True, eq=False, slots=True)
class Placed:
    """A directive and where it stands: ``file`` as nginx reads it, and the names of the blocks around it."""

    file: str
    directive: Directive
    blocks: tuple[str, ...]

    @property
    def where(self) -> str:
        """``FILE:LINE``, for people."""
        return f"{self.file}:{self.directive.line}"


@dataclass(frozen=True, eq=False)
class Server:
    """One ``server`` block of http with everything that its includes bring into it.

    ``inner`` holds the directives in nginx's order, an ``include`` before what it brings; ``number`` is
    the block's place among all server blocks.
    """

    number: int
    file: str
    directive: Directive
    inner: tuple[Placed, ...]
    names: tuple[str, ...]
    listens: tuple[Listen, ...]

    @property
    def where(self) -> str:
        """``FILE:LINE``, for people."""
        return f"{self.file}:{self.directive.line}"

    @property
    def first_name(self) -> str:
        """What ``$server_name`` is."""
        return self.names[0].removeprefix(".") if self.names else ""

    def own(self, *names: str) -> list[Placed]:
        """The directives of these names at the level of the server itself."""
        return [p for p in self.inner if p.directive.name in names and p.blocks == ("server",)]

    def any(self, *names: str) -> list[Placed]:
        """The directives of these names at any level."""
        return [p for p in self.inner if p.directive.name in names]


@dataclass(frozen=True, eq=False, slots=True)
class UsedPath:
    """An absolute path in a server block, as it is for one of the block's names."""

    path: str
    server: Server
    placed: Placed


@dataclass(frozen=True, eq=False)
class NginxModel:
    """What nginx runs on. ``users`` tells for each file the numbers of the server blocks that include it.

    ``outside`` holds the directives that stand in no server block of http. ``resolve`` gives the real path
    of a file that nginx reads through a link; files are edited under their real path. ``paths`` is sorted.
    """

    main: str
    texts: Mapping[str, str]
    trees: Mapping[str, tuple[Directive, ...]]
    servers: tuple[Server, ...]
    outside: tuple[Placed, ...]
    users: Mapping[str, frozenset[int]]
    resolve: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[UsedPath, ...] = ()

    def used_below(self, top: str) -> list[UsedPath]:
        """The paths in server blocks that are ``top`` or lie below it."""
        start = bisect_left(self.paths, top, key=lambda used: used.path)
        end = bisect_left(self.paths, top + "0", key=lambda used: used.path)
        return [used for used in self.paths[start:end] if below(used.path, top)]

    @cached_property
    def maps(self) -> tuple[MapRule, ...]:
        """Every ``map`` of two arguments."""
        found = (placed.directive for placed in self.outside)
        return tuple(
            MapRule.of(d, self._entries(d.block or (), 0))
            for d in found
            if d.name == "map" and len(d.args) == 2
        )

    def _entries(self, directives: tuple[Directive, ...], depth: int) -> list[Directive]:
        """The lines of a ``map``, those of its includes in their place."""
        lines: list[Directive] = []
        for directive in directives:
            if directive.name != "include" or depth > 8:
                lines.append(directive)
                continue
            for path in self.included(directive):
                lines += self._entries(self.trees[path], depth + 1)
        return lines

    def real(self, path: str) -> str:
        """The path under which the file ``path`` is edited."""
        return self.resolve.get(path, path)

    def included(self, directive: Directive) -> list[str]:
        """The files that an ``include`` reads, in nginx's order."""
        if not directive.args:
            return []
        pattern = include_pattern(directive.values[0], self.main)
        return list(_matching(pattern, tuple(self.texts)))

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        return tuple(
            include_pattern(d.values[0], self.main)
            for path, text in self.texts.items()
            for d in includes_in(text, path)
            if d.args
        )

    def include_patterns(self) -> list[str]:
        """Every pattern that some include asks for, absolute."""
        return list(self._patterns)

    def upstream(self, name: str) -> list[Placed]:
        """The ``server`` lines of the upstream ``name``."""
        inside = [p for p in self.outside if p.directive.name == "upstream" and p.directive.values == (name,)]
        spans = [(p.file, p.directive.start, p.directive.end) for p in inside]
        return [
            p
            for p in self.outside
            if p.directive.name == "server"
            and p.blocks[-1:] == ("upstream",)
            and any(p.file == f and start < p.directive.start < end for f, start, end in spans)
        ]


@lru_cache(1024)
def _matching(pattern: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(path for path in paths if matches_include(pattern, path)))


def plain_names(server: Server) -> list[str]:
    """The names of a block that are no patterns."""
    return [n for n in server.names if n[:1] not in "~*.$" and not n.endswith(".*") and n != "_"]


def resolve_value(model: NginxModel, server: Server, text: str, name: str) -> str:
    """``text`` with the variables that are known for a request to ``name`` replaced; others stay."""
    if "$" not in text:
        return text
    return resolved(text, known_variables(server, name, model.maps))


@dataclass(frozen=True)
class MapRule:
    """A ``map`` of two arguments: from what, to which variable, and its (key, value) lines.

    ``hostnames``: keys such as ``*.a.test`` are patterns.
    """

    source: str
    variable: str
    lines: tuple[tuple[str, str], ...]
    hostnames: bool = False

    @classmethod
    def of(cls, directive: Directive, entries: Iterable[Directive]) -> MapRule:
        """The map that a directive with these lines makes."""
        given = tuple(entries)
        lines = ((e.name if e.name[:1] == "~" else e.name.lower(), e.values[0]) for e in given if e.args)
        source, variable = directive.values
        hostnames = any(e.name == "hostnames" and not e.args for e in given)
        return cls(source.strip("${}"), variable.lstrip("$"), tuple(lines), hostnames)

    def answer(self, source: str) -> str | None:
        """What it makes of ``source``; None when we cannot tell."""
        plain = dict(self.lines)
        if source.lower() in plain:
            return plain[source.lower()]
        if self.hostnames:
            heads = [key for key in plain if key[:2] == "*." or key[:1] == "."]
            tails = [key for key in plain if key[-2:] == ".*"]
            for key in (*sorted(heads, key=len, reverse=True), *sorted(tails, key=len, reverse=True)):
                if name_matches(key, source.lower()):
                    return plain[key]
        for key, value in self.lines:
            if key[:1] == "~":
                try:
                    match = re.search(_pcre(key.lstrip("~*")), source, re.IGNORECASE * (key[:2] == "~*"))
                except re.error:
                    return None
                if match:
                    return _expanded(value, match)
        return plain.get("default", "")

    @property
    def values(self) -> tuple[str, ...]:
        """All that it may give."""
        given = dict.fromkeys(value for _, value in self.lines)
        return tuple(given if "default" in dict(self.lines) else {**given, "": None})


_CLASSES = {
    **{"alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z"},
    **{"xdigit": "0-9a-fA-F", "word": r"\w", "space": r"\s"},
}


def _pcre(pattern: str) -> str:
    """A pattern of nginx in Python's spelling."""
    pattern = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), pattern)
    return re.sub(r"\(\?(?:<(?![=!])(\w+)>|'(\w+)')", lambda f: f"(?P<{f[1] or f[2]}>", pattern)


def _expanded(value: str, match: re.Match[str]) -> str:
    """``value`` with what the pattern captured; other variables stay."""
    groups = {str(n): text or "" for n, text in enumerate(match.groups(), 1)}
    groups |= {name: text or "" for name, text in match.groupdict().items()}
    return _VARIABLE.sub(lambda m: groups.get(m[1] or m[2], m[0]), value)


def known_variables(server: Server, name: str, maps: tuple[MapRule, ...]) -> dict[str, str]:
    """The variables whose value is known for a request to ``name``."""
    known = {"host": name, "http_host": name, "server_name": server.first_name}
    for placed in server.any("set"):
        if len(placed.directive.args) == 2:
            known.setdefault(placed.directive.values[0].lstrip("$"), placed.directive.values[1])
    for one in maps:
        source = known.get(one.source)
        answer = one.answer(source) if source is not None else None
        if answer is not None:
            known.setdefault(one.variable, answer)
    return known


def resolved(text: str, known: Mapping[str, str]) -> str:
    for _ in range(5):
        following = _VARIABLE.sub(lambda m: known.get(m[1] or m[2], m[0]), text)
        if following == text:
            break
        text = following
    return text


def name_matches(pattern: str, name: str) -> bool:
    """Whether the ``server_name`` argument ``pattern`` stands, or may stand, for the host ``name``."""
    pattern = pattern if pattern.startswith("~") else pattern.lower()
    if pattern.startswith("~"):
        try:
            return re.search(_pcre(pattern[1:]), name, re.IGNORECASE) is not None
        except re.error:  # nginx knows more than Python does
            return True
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    if pattern.startswith("."):
        return name == pattern[1:] or name.endswith(pattern)
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern == name


def refuses_links(directive: Directive) -> bool:
    """Whether nginx opens no file behind a link, or not behind any link, where this directive stands."""
    return directive.name == "disable_symlinks" and directive.values != ("off",)
