"""The way back for a configuration file that a person edited after the migration."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .fpm_pools import load_fpm
from .nginx_directives import FOLLOWS, use_of
from .nginx_model import name_matches
from .nginx_rewrite import quoted
from .nginx_syntax import Directive, decode, encode, include_pattern, parse
from .path_map import PathMap, final_map
from .php_values import map_value
from .rewrite import Edit, apply_edits, respelled


def inverse_text(
    raw: bytes,
    kind: str,
    upath: str,
    *,
    names: Collection[str],
    includes: Mapping[str, str] | None = None,
    main: str = "",
    links: tuple[str, ...] = (),
) -> bytes:
    """The old-layout form of a file in the new layout; what names no place of ``upath`` stays.

    ``kind``: ``nginx`` or ``fpm``. ``names``: the host names of the vhost's server blocks (the domain
    first), or the names of its pools. ``includes``: NS3 copy -> the shared include it stands for, put back
    only inside those blocks and pools. ``main``: nginx's main file, for relative includes. Raises
    NginxSyntaxError when nginx's text cannot be read.
    """
    paths = final_map(upath, links).inverse()
    text = decode(raw)
    back = dict(includes or {})
    if kind == "nginx":
        edits = _nginx(text, parse(text), paths, list(names), back, main, {})
    else:
        edits = _fpm(raw, text, paths, names, back)
    return encode(apply_edits(text, edits))


def _nginx(
    text: str,
    directives: tuple[Directive, ...],
    paths: PathMap,
    names: list[str],
    back: Mapping[str, str],
    main: str,
    values: Mapping[str, str],
) -> list[Edit]:
    edits: list[Edit] = []
    for directive in directives:
        inner = values
        if directive.name == "server" and directive.block is not None:
            inner = _host_values(directive, names)
        original = None
        if directive.name == "include" and directive.args and values:
            original = back.get(include_pattern(directive.values[0], main))
        if original is not None:
            arg = directive.args[0]
            copy = include_pattern(arg.value, main)
            edits.append(Edit(arg.start, arg.end, quoted(respelled(arg.value, copy, original))))
        else:
            edits += _args(text, directive, paths, values)
        within_map = {} if directive.name == "map" else inner
        edits += _nginx(text, directive.block or (), paths, names, back, main, within_map)
    return edits


def _args(text: str, directive: Directive, paths: PathMap, values: Mapping[str, str]) -> list[Edit]:
    edits = []
    in_map = len(directive.args) == 1 and use_of(directive.name) != FOLLOWS
    for arg in directive.args:
        raw = text[arg.start : arg.end]
        if use_of(directive.name) != FOLLOWS and not (in_map and raw.lstrip("\"'").startswith("/")):
            continue
        new = paths.apply(raw, values)
        if new != raw:
            edits.append(Edit(arg.start, arg.end, new))
    return edits


def _host_values(server: Directive, names: list[str]) -> dict[str, str]:
    """The variables of a server block, when it is one of the vhost's own."""
    given = [v.lower() for d in server.block or () if d.name == "server_name" for v in d.values]
    if not names or not any(name_matches(pattern, name) for pattern in given for name in names):
        return {}
    return {"host": names[0], "http_host": names[0], "server_name": given[0]}


def _fpm(
    raw: bytes, text: str, paths: PathMap, names: Collection[str], back: Mapping[str, str]
) -> list[Edit]:
    edits = []
    for pool in load_fpm({"": raw}).pools:
        for entry in pool.entries:
            value = text[entry.start : entry.end]
            if entry.key == "include":
                original = back.get(entry.value) if pool.name in names else None
                new = value.replace(entry.value, original) if original else value
            else:
                new = map_value(paths, entry.key, value, {"pool": pool.name})
            if new != value:
                edits.append(Edit(entry.start, entry.end, new))
    return edits
