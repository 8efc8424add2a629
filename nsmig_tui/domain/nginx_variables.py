"""What the variables of nginx may be for requests to one vhost, as far as its configuration tells."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .nginx_model import HOST_VARIABLES, MapRule, NginxModel, Server, name_matches, plain_names, resolved
from .nginx_syntax import Directive
from .path_map import SLASHED

VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
PATTERNS = ("~", "~*", "!~", "!~*")
"""What in a condition compares with a pattern, in which nginx replaces no variables."""
_MOST = 64
"""More combinations of values than this are not looked at one by one."""
_ROOT_VARIABLES = ("document_root", "realpath_root")
_LIKE_SLASH = "/\x00"
"""Stands for a capture that begins with a slash."""


@dataclass(frozen=True)
class Variables:
    """All values that each known variable may have; what is in none of them is not known.

    ``mapped``: those that come from a ``map``, whose lines stand outside of the server block, and what these
    lines literally say.
    """

    values: Mapping[str, tuple[str, ...]]
    mapped: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def among(self, text: str) -> list[str]:
        """The known variables in ``text``, and those in their values."""
        found: dict[str, None] = {}
        todo = [text]
        while todo:
            for match in VARIABLE.finditer(todo.pop()):
                name = match[1] or match[2]
                if name in self.values and name not in found:
                    found[name] = None
                    todo += self.values[name]
        return list(found)

    def assignments(self, text: str) -> list[dict[str, str]] | None:
        """Each way to give the known variables in ``text`` a value, unresolved; None: too many."""
        names = self.among(text)
        count = 1
        for name in names:
            count *= len(self.values[name])
        if count > _MOST:
            return None
        chosen = itertools.product(*(self.values[name] for name in names))
        return [dict(zip(names, one, strict=True)) for one in chosen]

    def without_roots(self) -> Variables:
        """The same, but for what ``root`` says: it is not spelled where it is used."""
        values = {name: given for name, given in self.values.items() if name not in _ROOT_VARIABLES}
        return Variables(values, self.mapped)

    def readings(self, text: str) -> tuple[str, ...]:
        """``text`` with the known variables replaced, in each way."""
        kept = self._read.get(text)
        if kept is None:
            kept = self._read[text] = tuple(resolved(text, one) for one in self.assignments(text) or [{}])
        return kept

    @cached_property
    def _read(self) -> dict[str, tuple[str, ...]]:
        return {}


NONE = Variables({})


def variables_of(server: Server, domain: str, maps: tuple[MapRule, ...]) -> Variables:
    """The variables of one server block of the vhost ``domain``."""
    values: dict[str, tuple[str, ...]] = {
        "host": (domain,),
        "http_host": (domain,),
        "server_name": (server.first_name or domain,),
    }
    for placed in server.any("set"):
        if len(placed.directive.args) == 2:
            name, value = placed.directive.values[0].lstrip("$"), placed.directive.values[1]
            values[name] = tuple(dict.fromkeys((*values.get(name, ()), value)))
    mapped: dict[str, frozenset[str]] = {}
    for rule in maps:
        if rule.variable not in values:
            values[rule.variable] = _answers(server, domain, rule, values)
            mapped[rule.variable] = frozenset(value for _, value in rule.lines)
    return Variables(values, mapped)


def _answers(
    server: Server, domain: str, rule: MapRule, values: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """All that a map may give for requests to this block."""
    if rule.source not in HOST_VARIABLES:
        sources = list(values.get(rule.source, ()))
        if not sources or any("$" in source for source in sources):
            return rule.values
    elif any(listen.default for listen in server.listens) or len(plain_names(server)) < len(server.names):
        return _for_many_hosts(server, domain, rule)
    else:
        sources = plain_names(server) or [domain]
    found = [rule.answer(source) for source in sources]
    if None in found:
        return rule.values
    return tuple(dict.fromkeys(answer for answer in found if answer is not None))


def _for_many_hosts(server: Server, domain: str, rule: MapRule) -> tuple[str, ...]:
    """What a map of the host gives in a block that answers to more than its plain names."""
    answers = [rule.answer(source) for source in dict.fromkeys((domain, *plain_names(server)))]
    if None in answers:
        return rule.values
    takes_all = any(listen.default for listen in server.listens)
    for key, value in rule.lines:
        is_pattern = key == "default" or key[:1] in "~*." or key.endswith(".*")
        if is_pattern or takes_all or any(name_matches(name, key) for name in server.names):
            answers.append(value)
    return tuple(dict.fromkeys(answer for answer in answers if answer is not None))


@dataclass(frozen=True)
class Scope:
    """What else is known inside one block.

    ``captures``: those of its location that begin with a slash. ``roots``: what ``$document_root`` may be.
    """

    captures: Mapping[str, str]
    roots: tuple[str, ...] = ()
    own_root: tuple[str, ...] = ()

    def added_to(self, variables: Variables) -> Variables:
        """``variables`` with those of this block."""
        captures = {name: (value,) for name, value in self.captures.items()}
        roots = dict.fromkeys(_ROOT_VARIABLES, self.roots) if self.roots else {}
        return Variables({**captures, **variables.values, **roots}, variables.mapped)


def scope_of(model: NginxModel, directive: Directive, outer: Scope | None = None) -> Scope:
    """The scope of a block: of a server, or of a block in the scope ``outer``."""
    block = directive.block or ()
    here = tuple(_roots(model, block, deep=False)) or (outer.own_root if outer else ())
    roots = tuple(dict.fromkeys((*here, *_roots(model, block, deep=True))))
    captures: Mapping[str, str] = outer.captures if outer else {}
    if directive.name == "location":
        captures = _captures(model, directive)
    elif directive.name == "if" and any(word in PATTERNS for word in directive.values):
        captures = {}
    return Scope(captures, roots, here)


class Block:
    """What is known of the variables inside one block, found once however often it is asked for.

    ``server``: the variables of the server block that it is in, or is. ``all``: those of the block itself
    too; ``plain``: without what ``root`` says. ``far``: arguments (the identity of their directive, their
    place) that certainly name no path of the vhost, whatever becomes of its paths.
    """

    def __init__(self, model: NginxModel, server: Variables, scope: Scope) -> None:
        self.model, self.server, self.scope = model, server, scope
        self.all = scope.added_to(server)
        self.plain = self.all.without_roots()
        self.far: set[tuple[int, int]] = set()
        self._inner: dict[int, tuple[Directive, Block]] = {}

    def inside(self, directive: Directive) -> Block:
        """The block of a directive in this block."""
        kept = self._inner.get(id(directive))
        if kept is None:
            block = Block(self.model, self.server, scope_of(self.model, directive, self.scope))
            kept = self._inner[id(directive)] = directive, block
        return kept[1]


class Blocks:
    """What is known inside the server blocks of the vhost ``domain``, found once for all who ask."""

    def __init__(self, model: NginxModel, domain: str) -> None:
        self.model, self.domain = model, domain
        self._known: dict[int, Block] = {}

    def of(self, server: Server) -> Block:
        """Inside one of them."""
        kept = self._known.get(server.number)
        if kept is None:
            variables = variables_of(server, self.domain, self.model.maps)
            scope = scope_of(self.model, server.directive)
            kept = self._known[server.number] = Block(self.model, variables, scope)
        return kept


def _roots(model: NginxModel, block: tuple[Directive, ...], *, deep: bool, depth: int = 0) -> Iterator[str]:
    for directive in block:
        if directive.name in ("root", "alias") and directive.args:
            yield directive.values[0]
        elif directive.name == "include" and depth < 8:
            for path in model.included(directive):
                yield from _roots(model, model.trees[path], deep=deep, depth=depth + 1)
        elif deep and directive.block:
            yield from _roots(model, directive.block, deep=True, depth=depth)


def _captures(model: NginxModel, location: Directive) -> dict[str, str]:
    """The captures of a location that begin with a slash, or are empty."""
    if len(location.args) != 2 or location.values[0] not in ("~", "~*"):
        return {}
    numbered = not _matches_again(model, location.block or (), 0)
    found = {}
    for number, (name, slashed) in enumerate(_groups(location.values[1]), 1):
        if slashed and numbered:
            found[str(number)] = _LIKE_SLASH
        if slashed and name:
            found[name] = _LIKE_SLASH
    return found


def _matches_again(model: NginxModel, block: tuple[Directive, ...], depth: int) -> bool:
    """Whether another pattern may give ``$1`` its value in there."""
    for directive in block:
        if directive.name == "rewrite" or any(word in PATTERNS for word in directive.values[:2]):
            return True
        inner = [directive.block or ()]
        if directive.name == "include" and depth < 8:
            inner += [model.trees[path] for path in model.included(directive)]
        if any(_matches_again(model, one, depth + 1) for one in inner):
            return True
    return False


def _groups(pattern: str) -> list[tuple[str, bool]]:
    """For each capturing group of a location's pattern: its name, and whether a slash begins what it holds.

    A URI begins with a slash, so a group at the very start does too.
    """
    found: list[tuple[str, bool]] = []
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            at += pattern[at + 1 : at + 2] in ("]", "^")
        elif char == "(":
            head = re.compile(r"\((?:\?P?<(?![=!])(\w+)>|\?'(\w+)'|(?!\?|\*))").match(pattern, at)
            if head:
                end, slashed = _content(pattern, head.end())
                first = pattern[:at].strip("(") == "^" and pattern[end + 1 : end + 2] not in ("*", "+", "{")
                found.append((head[1] or head[2] or "", first or slashed))
        at += 1
    return found


def _content(pattern: str, start: int) -> tuple[int, bool]:
    """Where the group that begins at ``start`` ends, and whether each alternative begins with a slash."""
    depth, at, fresh, slashed = 0, start, True, True
    while at < len(pattern):
        char = pattern[at]
        if fresh:
            slashed = slashed and re.match(r"\\?/(?![?*{])|\)", pattern[at:]) is not None
        fresh = char == "|" and depth == 0
        if char == "\\":
            at += 1
        elif char == "[":
            at = max(pattern.find("]", at + 2), at)
        elif char == "(":
            depth += 1
        elif char == ")":
            if depth == 0:
                return at, slashed
            depth -= 1
        at += 1
    return at, False


def names_in(text: str) -> list[str]:
    """The variables in ``text``."""
    return [match[1] or match[2] for match in VARIABLE.finditer(text)]


def unknown_head(text: str, *, anywhere: bool) -> str:
    """The variable that a path begins with and whose value nothing tells, if any.

    ``text``: with the known variables replaced. ``anywhere``: a path may begin after ``=`` or ``:``.
    """
    pattern = r"(?:^|[=:\s\"'])\$\{?(\w+)\}?/" if anywhere else r"\$\{?(\w+)"
    match = re.search(pattern, text) if anywhere else re.match(pattern, text)
    return match[1] if match and match[1] not in SLASHED else ""
