"""How one argument of nginx's configuration is spelled for the new places, and whether that is certain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .nginx_model import resolved
from .nginx_syntax import Directive
from .nginx_variables import Block, Variables, unknown_head
from .path_map import Found, PathMap, normal
from .php_values import map_param

PHP_PARAMS = ("PHP_VALUE", "PHP_ADMIN_VALUE")
_PARAMS = ("fastcgi_param", "uwsgi_param", "scgi_param")
_ROOTS = ("root", "alias")
_PATHS = (*_ROOTS, "access_log", "error_log", "auth_basic_user_file")
_UP = re.compile(r"\$(?:\{(\w+)\}|(\w+))(?=/[^\s\"':;,]*\.\.)")
WRITE_OUT = "Write the path out."


@dataclass(frozen=True)
class Trouble:
    """Why an argument's new text may not be what is needed; ``says`` follows the argument."""

    severity: str
    says: str
    hint: str


@dataclass(frozen=True)
class Spelling:
    """An argument's new text. ``hits``: the old paths in it; ``known``: variables and their values."""

    new: str
    hits: tuple[Found, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    trouble: Trouble | None = None


class Speller:
    """Spells what stands directly in one block.

    ``aim``: ``paths`` with places instead of nginx variables, so that the outcome can be looked at.
    """

    def __init__(self, paths: PathMap, aim: PathMap, block: Block) -> None:
        self.paths, self.aim, self.block = paths, aim, block

    def inside(self, directive: Directive) -> Speller:
        """The one for the block of a directive in this block."""
        return Speller(self.paths, self.aim, self.block.inside(directive))

    def is_far(self, directive: Directive, number: int) -> bool:
        """Whether it has been found out already that the argument names nothing that moves."""
        return (id(directive), number) in self.block.far

    def is_plain(self, raw: str) -> bool:
        """Whether there is certainly nothing to spell in ``raw``, and nothing to say."""
        return "$" not in raw and not self.paths.is_near(raw)

    def spell(self, directive: Directive, number: int, raw: str) -> Spelling:
        """``raw``: the argument ``number`` of ``directive`` as it is written."""
        if "$" not in raw and "/." not in raw:
            return Spelling(_mapped(self.paths, directive, raw, {}), tuple(self.paths.find(raw)))
        variables, plain = self.block.all, self.block.plain
        readings = plain.readings(raw)
        unknown = _unknown(directive, number, readings)
        if not any(map(self.aim.is_near, variables.readings(raw))):
            if unknown is None:
                self.block.far.add((id(directive), number))
            return Spelling(raw, trouble=unknown)
        for text in (raw, *_written_out(raw, variables)):
            ways = _ways(plain, text)
            spelled = {_mapped(self.aim, directive, text, way) for way in ways}
            if len(spelled) == 1 and self._is_right(directive, variables, raw, spelled.pop()):
                straight = self.paths.straightened(text, ways[0])
                hits = dict.fromkeys(hit for way in ways for hit in self.paths.find(straight, way))
                new = _mapped(self.paths, directive, text, ways[0])
                return Spelling(new, tuple(hits), ways[0], self._open(readings) or unknown)
        trouble = self._open(readings) or self._why_not(directive, variables, raw, _ways(plain, raw))
        return Spelling(raw, tuple(self.paths.find(raw, _ways(plain, raw)[0])), trouble=trouble)

    def _is_right(self, directive: Directive, variables: Variables, old: str, new: str) -> bool:
        """Whether ``new`` leads where the places go to which ``old`` leads, whatever the variables are."""
        chosen = variables.assignments(f"{old} {new}")
        if chosen is None:
            return False
        for values in chosen:
            renewed = {name: self._renewed(variables, name, value) for name, value in values.items()}
            aim = _mapped(self.aim, directive, normal(resolved(old, values)), {})
            if normal(aim) != normal(resolved(new, renewed)):
                return False
        return True

    def _renewed(self, variables: Variables, name: str, value: str) -> str:
        """The value that a variable will have in place of ``value``."""
        if name in variables.mapped:  # a line that puts the path together from captures is not changed
            return self.aim.respell(value) if value in variables.mapped[name] else value
        spelled = {self.aim.respell(value, way) for way in _ways(self.block.plain, value)}
        return spelled.pop() if len(spelled) == 1 else value

    def _open(self, readings: tuple[str, ...]) -> Trouble | None:
        if not any(self.aim.is_open(text) for text in readings):
            return None
        says = "has a variable that decides to which place this leads"
        return Trouble("error", says, "Write the path out, or put a / before the variable.")

    def _why_not(
        self, directive: Directive, variables: Variables, raw: str, ways: list[dict[str, str]]
    ) -> Trouble:
        if len({_mapped(self.aim, directive, raw, way) for way in ways}) > 1:
            says = "does not lead to this vhost with every value of its variables"
            return Trouble("error", says, WRITE_OUT)
        first = normal(variables.readings(raw)[0]).strip("\"'")
        return Trouble("error", "names the path in a form that cannot be changed", f"Write it as {first}.")


def _mapped(paths: PathMap, directive: Directive, raw: str, values: Mapping[str, str]) -> str:
    """``raw`` with its paths mapped."""
    if directive.name in _PARAMS and directive.values[:1] and directive.values[0] in PHP_PARAMS:
        return map_param(paths, raw, values)
    return paths.respell(raw, values)


def _ways(variables: Variables, text: str) -> list[dict[str, str]]:
    """Each way to give the variables in ``text`` values; none is known where there are too many ways."""
    chosen = variables.assignments(text) or [{}]
    return [{name: resolved(value, values) for name, value in values.items()} for values in chosen]


def _written_out(raw: str, variables: Variables) -> Iterator[str]:
    """``raw`` with the value of a variable above which it climbs in place of the variable."""
    for match in _UP.finditer(raw):
        for value in variables.values.get(match[1] or match[2], ()):
            yield raw[: match.start()] + value + raw[match.end() :]


def _unknown(directive: Directive, number: int, readings: tuple[str, ...]) -> Trouble | None:
    """A word on a path that begins with a variable of which nothing is known."""
    is_param = directive.name in _PARAMS and directive.values[:1] and number == 1
    inside = is_param and directive.values[0] in PHP_PARAMS
    is_path = is_param and directive.values[0] in ("SCRIPT_FILENAME", "DOCUMENT_ROOT")
    if not (inside or is_path or (directive.name in _PATHS and number == 0)):
        return None
    for text in readings:
        name = unknown_head(text.strip("\"'"), anywhere=bool(inside))
        if name:
            severity = "error" if directive.name in _ROOTS else "warning"
            return Trouble(severity, f"is built from ${name}, whose value cannot be told", WRITE_OUT)
    return None
