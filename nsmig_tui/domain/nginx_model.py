"""All of nginx's files as one model: which server blocks there are, what is in them, who includes what."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from .nginx_syntax import Directive, decode, include_pattern, matches_include, parse, walk
from .path_map import below

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_DEPTH = 40
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


@dataclass(frozen=True, eq=False)
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

    def own(self, *names: str) -> list[Placed]:
        """The directives of these names at the level of the server itself."""
        return [p for p in self.inner if p.directive.name in names and p.blocks == ("server",)]

    def any(self, *names: str) -> list[Placed]:
        """The directives of these names at any level."""
        return [p for p in self.inner if p.directive.name in names]


@dataclass(frozen=True, eq=False)
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
    def maps(self) -> tuple[Directive, ...]:
        """Every ``map`` of two arguments."""
        found = (placed.directive for placed in self.outside)
        return tuple(d for d in found if d.name == "map" and len(d.args) == 2)

    def real(self, path: str) -> str:
        """The path under which the file ``path`` is edited."""
        return self.resolve.get(path, path)

    def included(self, directive: Directive) -> list[str]:
        """The files that an ``include`` reads, in nginx's order."""
        if not directive.args:
            return []
        pattern = include_pattern(directive.values[0], self.main)
        return sorted(path for path in self.texts if matches_include(pattern, path))

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        return tuple(
            include_pattern(d.values[0], self.main)
            for tree in self.trees.values()
            for d in walk(tree)
            if d.name == "include" and d.args
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


def load_nginx(files: Mapping[str, bytes], resolve: Mapping[str, str] | None = None) -> NginxModel:
    """The model of ``files`` (path -> content, the main file first, as `split_dump` gives them).

    Raises NginxSyntaxError. The same files give the same model.
    """
    return _load(tuple(files.items()), tuple((resolve or {}).items()))


@lru_cache(8)
def _load(given: tuple[tuple[str, bytes], ...], resolve: tuple[tuple[str, str], ...]) -> NginxModel:
    files = dict(given)
    main = next(iter(files))
    texts = {path: decode(raw) for path, raw in files.items()}
    trees = {path: parse(text, path) for path, text in texts.items()}
    bare = NginxModel(main, texts, trees, (), (), {}, dict(resolve))
    users: dict[str, set[int]] = {}
    servers: list[Server] = []
    outside: list[Placed] = []
    for placed in _flatten(bare, main, trees[main], (), {}, -1, []):
        if placed.directive.name == "server" and placed.blocks == ("http",):
            servers.append(_server(bare, placed, len(servers), users))
        else:
            outside.append(placed)
    frozen = {path: frozenset(numbers) for path, numbers in users.items()}
    model = replace(bare, servers=tuple(servers), outside=tuple(outside), users=frozen)
    used = [use for server in servers for use in _used_paths(model, server)]
    return replace(model, paths=tuple(sorted(used, key=lambda use: use.path)))


def plain_names(server: Server) -> list[str]:
    """The names of a block that are no patterns."""
    return [n for n in server.names if n[:1] not in "~*." and not n.endswith(".*") and n != "_"]


def resolve_value(model: NginxModel, server: Server, text: str, name: str) -> str:
    """``text`` with the variables that are known for a request to ``name`` replaced; others stay."""
    return _resolved(text, _known(model, server, name)) if "$" in text else text


def _known(model: NginxModel, server: Server, name: str) -> dict[str, str]:
    """The variables whose value is known for a request to ``name``."""
    known = {"host": name, "http_host": name, "server_name": server.names[0] if server.names else ""}
    for placed in server.any("set"):
        if len(placed.directive.args) == 2:
            known.setdefault(placed.directive.values[0].lstrip("$"), placed.directive.values[1])
    for directive in model.maps:
        source = known.get(directive.values[0].strip("${}"))
        answer = _map_answer(directive, source) if source is not None else None
        if answer is not None:
            known.setdefault(directive.values[1].lstrip("$"), answer)
    return known


def _resolved(text: str, known: Mapping[str, str]) -> str:
    for _ in range(5):
        following = _VARIABLE.sub(lambda m: known.get(m[1] or m[2], m[0]), text)
        if following == text:
            break
        text = following
    return text


def name_matches(pattern: str, name: str) -> bool:
    """Whether the ``server_name`` argument ``pattern`` stands for the host ``name``."""
    pattern = pattern if pattern.startswith("~") else pattern.lower()
    if pattern.startswith("~"):
        try:
            return re.search(re.sub(r"\(\?<(?![=!])", "(?P<", pattern[1:]), name) is not None
        except re.error:
            return False
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    if pattern.startswith("."):
        return name == pattern[1:] or name.endswith(pattern)
    if pattern.endswith(".*"):
        return name.startswith(pattern[:-1])
    return pattern == name


def _used_paths(model: NginxModel, server: Server) -> Iterator[UsedPath]:
    known = [_known(model, server, name) for name in plain_names(server) or [""]]
    for placed in server.inner:
        for value in placed.directive.values:
            if "$" in value:
                found = list(dict.fromkeys(_resolved(value, variables) for variables in known))
            elif "/" in value:
                found = [value]
            else:
                continue
            for path in found:
                path = path.removeprefix("unix:")
                if path.startswith("/"):
                    yield UsedPath(path.rstrip("/"), server, placed)


def _flatten(
    model: NginxModel,
    file: str,
    directives: tuple[Directive, ...],
    blocks: tuple[str, ...],
    users: dict[str, set[int]],
    number: int,
    found: list[Placed],
    depth: int = 0,
) -> list[Placed]:
    """Directives in nginx's order with includes followed; does not look into server blocks of http."""
    if depth > _DEPTH:
        return found
    for directive in directives:
        found.append(Placed(file, directive, blocks))
        if directive.name == "include":
            for path in model.included(directive):
                users.setdefault(path, set()).add(number)
                _flatten(model, path, model.trees[path], blocks, users, number, found, depth + 1)
        elif directive.block and not (directive.name == "server" and blocks == ("http",)):
            within = (*blocks, directive.name)
            _flatten(model, file, directive.block, within, users, number, found, depth + 1)
    return found


def _server(model: NginxModel, placed: Placed, number: int, users: dict[str, set[int]]) -> Server:
    block = placed.directive.block or ()
    inner = tuple(_flatten(model, placed.file, block, ("server",), users, number, []))
    own = [p.directive for p in inner if p.blocks == ("server",)]
    names = tuple(name.lower() for d in own if d.name == "server_name" for name in d.values if name)
    all_tls = any(d.name == "ssl" and d.values == ("on",) for d in own)
    listens = tuple(_listen(d.values, all_tls) for d in own if d.name == "listen" and d.args)
    listens = tuple(listen for listen in listens if listen is not None) or (Listen("*", 80),)
    return Server(number, placed.file, placed.directive, inner, names, listens)


def _listen(values: tuple[str, ...], all_tls: bool) -> Listen | None:
    """One ``listen`` directive; None for QUIC, which no TCP probe reaches."""
    where, flags = values[0], values[1:]
    if "quic" in flags:
        return None
    rest = ("ssl" in flags or all_tls, "default_server" in flags or "default" in flags)
    proxy = "proxy_protocol" in flags
    if where.startswith("unix:"):
        return Listen(where, 0, *rest, proxy)
    if where.isdigit():
        return Listen("*", int(where), *rest, proxy)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+)(?:-\d+)?)?", where)
    if match is None:
        return Listen(where, 80, *rest, proxy)
    return Listen(match[1].strip("[]") or "*", int(match[2] or 80), *rest, proxy)


def _map_answer(directive: Directive, source: str) -> str | None:
    """What a ``map`` of plain values makes of ``source``; None when a pattern would have to decide."""
    plain: dict[str, str] = {}
    for entry in directive.block or ():
        if len(entry.args) == 1:
            plain[entry.name.lower()] = entry.values[0]
    if source.lower() in plain:
        return plain[source.lower()]
    if any(key.startswith("~") or "*" in key for key in plain):
        return None
    return plain.get("default")
