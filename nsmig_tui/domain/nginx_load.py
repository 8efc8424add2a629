"""Reads nginx's files into the model, following the includes as nginx does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from .nginx_model import (
    Listen,
    MapRule,
    NginxModel,
    Placed,
    Server,
    UsedPath,
    known_variables,
    plain_names,
    resolved,
)
from .nginx_syntax import Directive, decode, includes_in, parse
from .path_map import normal

_DEPTH = 40


def load_nginx(files: Mapping[str, bytes], resolve: Mapping[str, str] | None = None) -> NginxModel:
    """The model of ``files`` (path -> content, the main file first).

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
    whole = _Part()
    _read(bare, main, trees[main], (), whole, 0, 0)
    users = {path: frozenset(numbers) for path, numbers in whole.users.items()}
    model = replace(bare, servers=tuple(whole.servers), outside=tuple(whole.outside), users=users)
    used = [use for server in model.servers for use in _used_paths(server, model.maps)]
    return replace(model, paths=tuple(sorted(used, key=lambda use: use.path)))


@dataclass(eq=False)
class _Part:
    """What some files bring to the model, as in `NginxModel`."""

    servers: list[Server] = field(default_factory=list)
    outside: list[Placed] = field(default_factory=list)
    users: dict[str, set[int]] = field(default_factory=dict)

    def add(self, other: _Part) -> None:
        """What comes after."""
        self.servers += other.servers
        self.outside += other.outside
        for path, numbers in other.users.items():
            self.users.setdefault(path, set()).update(numbers)


def _read(
    model: NginxModel,
    file: str,
    directives: tuple[Directive, ...],
    blocks: tuple[str, ...],
    part: _Part,
    first: int,
    depth: int,
) -> None:
    """Take in directives outside server blocks of http; ``first`` is the number of the next such block."""
    if depth > _DEPTH:
        return
    for directive in directives:
        placed = Placed(file, directive, blocks)
        if directive.name == "server" and blocks == ("http",):
            part.servers.append(_server(model, placed, first + len(part.servers), part.users))
            continue
        part.outside.append(placed)
        if directive.name == "include":
            for path in model.included(directive):
                part.users.setdefault(path, set()).add(-1)
                brought = _brought(model, path)
                number = first + len(part.servers)
                part.add(_file(model.main, path, brought, blocks, number, depth + 1))
        elif directive.block:
            _read(model, file, directive.block, (*blocks, directive.name), part, first, depth + 1)


def _brought(model: NginxModel, path: str) -> tuple[tuple[str, str], ...]:
    """A file and all that its includes bring, with their texts."""
    found = {path: model.texts[path]}
    todo = [path]
    while todo:
        at = todo.pop()
        for directive in includes_in(model.texts[at], at):
            for name in model.included(directive):
                if name not in found:
                    found[name] = model.texts[name]
                    todo.append(name)
    return tuple(found.items())


@lru_cache(1024)
def _file(
    main: str,
    path: str,
    brought: tuple[tuple[str, str], ...],
    blocks: tuple[str, ...],
    first: int,
    depth: int,
) -> _Part:
    """What one included file brings. It is a function of its text and of the texts that it includes.

    So it is remembered by them: each look at one vhost of a server brings the files of all.
    """
    texts = dict(brought)
    trees = {name: parse(text, name) for name, text in brought}
    part = _Part()
    _read(NginxModel(main, texts, trees, (), (), {}), path, trees[path], blocks, part, first, depth)
    return part


@lru_cache(1024)
def _used_paths(server: Server, maps: tuple[MapRule, ...]) -> tuple[UsedPath, ...]:
    known = [known_variables(server, name, maps) for name in plain_names(server) or [""]]
    used = []
    for placed in server.inner:
        for value in placed.directive.values:
            if "$" in value:
                found = list(dict.fromkeys(resolved(value, variables) for variables in known))
            elif "/" in value:
                found = [value]
            else:
                continue
            for path in found:
                path = path.removeprefix("unix:")
                if path.startswith("/"):
                    plain = normal(path) if "//" in path or "/." in path else path
                    used.append(UsedPath(plain.rstrip("/"), server, placed))
    return tuple(used)


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
    """Directives in nginx's order with includes followed."""
    if depth > _DEPTH:
        return found
    for directive in directives:
        found.append(Placed(file, directive, blocks))
        if directive.name == "include":
            for path in model.included(directive):
                users.setdefault(path, set()).add(number)
                _flatten(model, path, model.trees[path], blocks, users, number, found, depth + 1)
        elif directive.block:
            within = (*blocks, directive.name)
            _flatten(model, file, directive.block, within, users, number, found, depth + 1)
    return found


def _server(model: NginxModel, placed: Placed, number: int, users: dict[str, set[int]]) -> Server:
    block = placed.directive.block or ()
    inner = tuple(_flatten(model, placed.file, block, ("server",), users, number, []))
    own = [p.directive for p in inner if p.blocks == ("server",)]
    names = tuple(_name(value) for d in own if d.name == "server_name" for value in d.values if value)
    all_tls = any(d.name == "ssl" and d.values == ("on",) for d in own)
    listens = tuple(_listen(d.values, all_tls) for d in own if d.name == "listen" and d.args)
    listens = tuple(listen for listen in listens if listen is not None) or (Listen("*", 80),)
    return Server(number, placed.file, placed.directive, inner, names, listens)


def _name(value: str) -> str:
    """A ``server_name`` as nginx compares it; in a pattern the case of letters counts (``(?P<x>)``)."""
    return value if value.startswith("~") else value.lower()


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
