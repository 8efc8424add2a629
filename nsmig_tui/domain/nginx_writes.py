"""Where nginx itself writes below the document root: WebDAV, and answers of other servers that it stores."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .nginx_model import NginxModel, Placed, Server
from .nginx_sites import Site
from .nginx_syntax import Directive
from .nginx_variables import Blocks, Variables
from .path_map import SLASHED

STORES = {f"{kind}_store": f"{kind}_pass" for kind in ("proxy", "fastcgi", "scgi", "uwsgi")}
"""Directives that make nginx store answers -> what there must be to answer."""

_DEPTH = 8
_PREFIX = ("=", "^~")


@dataclass(frozen=True)
class Writing:
    """A folder in which nginx makes files, and the directive that says so."""

    folder: str
    name: str
    where: str


@dataclass(frozen=True)
class _Block:
    """What holds in one block; ``base`` is what the URI of a request is put behind to find its file."""

    root: str = ""
    alias: str = ""
    prefix: str = ""
    says: dict[str, Placed] = field(default_factory=dict)
    passes: frozenset[str] = frozenset()

    @property
    def folder(self) -> str:
        return self.alias or self.root + self.prefix


def writings(blocks: Blocks, site: Site) -> Iterator[Writing]:
    """Every folder that nginx may make files in for requests to this vhost; ``blocks``: its server blocks."""
    model = blocks.model
    outer = _Block()
    for placed in model.outside:
        if placed.blocks == ("http",):
            outer = _with(outer, placed)
    for server in site.servers:
        variables = blocks.of(server).server
        yield from dict.fromkeys(_inside(model, server, variables, outer, server.directive, server.file, 0))


def _inside(
    model: NginxModel,
    server: Server,
    variables: Variables,
    outer: _Block,
    block: Directive,
    file: str,
    depth: int,
) -> Iterator[Writing]:
    here = replace(outer, alias="" if block.name == "location" else outer.alias, passes=frozenset())
    if block.name == "location" and block.args:
        plain = len(block.args) == 1 or block.values[0] in _PREFIX
        path = block.values[-1]
        here = replace(here, prefix=path if plain and path.startswith("/") else "")
    lines = list(_lines(model, block.block or (), file, 0))
    for placed in lines:
        here = _with(here, placed)
    for name, placed in here.says.items():
        if name not in STORES or STORES[name] in here.passes:
            given = placed.directive.values[0] if placed.directive.values else ""
            for text in variables.readings(given if given[:1] in ("/", "$") else here.folder):
                yield Writing(_folder(text), name, placed.where)
    for placed in lines:
        if placed.directive.block is not None and depth < _DEPTH:
            yield from _inside(model, server, variables, here, placed.directive, placed.file, depth + 1)


def _lines(model: NginxModel, block: tuple[Directive, ...], file: str, depth: int) -> Iterator[Placed]:
    """The directives of one block, with those of its includes."""
    for directive in block:
        if directive.name == "include" and depth < _DEPTH:
            for path in model.included(directive):
                yield from _lines(model, model.trees[path], path, depth + 1)
        else:
            yield Placed(file, directive, ())


def _with(block: _Block, placed: Placed) -> _Block:
    """``block`` after one more directive of its own."""
    name, values = placed.directive.name, placed.directive.values
    if name in STORES.values():
        return replace(block, passes=block.passes | {name})
    if not values:
        return block
    if name == "root":
        return replace(block, root=values[0].rstrip("/"), alias="")
    if name == "alias":
        return replace(block, alias=values[0])
    if name == "dav_methods" or name in STORES:
        others = {known: said for known, said in block.says.items() if known != name}
        return replace(block, says=others if values[0] == "off" else {**others, name: placed})
    return block


def _folder(text: str) -> str:
    """The folder that is certain: up to the first variable."""
    known, mark, rest = text.partition("$")
    if mark and not known.endswith("/") and not re.match(rf"\{{?(?:{'|'.join(SLASHED)})\b", rest):
        known = posixpath.dirname(known)
    return posixpath.normpath(known) if known.startswith("/") else ""
