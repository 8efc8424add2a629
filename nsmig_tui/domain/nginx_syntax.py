"""nginx's configuration language with exact offsets.

Text is bytes decoded as UTF-8 with ``surrogateescape`` (`decode`, `encode`), so that any byte survives
the round trip. Offsets count characters of that text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>\#[^\n]*)
    |(?P<mark>[;{}])
    |(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<word>(?:\\.|\$\{|[^ \t\r\n;{\\])+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_CONTROL = {"t": "\t", "r": "\r", "n": "\n"}
_LUA = re.compile(
    r"""--\[(?P<c>=*)\[.*?\](?P=c)\]|--[^\n]*|\[(?P<s>=*)\[.*?\](?P=s)\]"""
    r"""|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}]""",
    re.DOTALL,
)
_BRACKET = re.compile(r"\[(?P<not>[!^]|(?![!^]))(?P<inner>\](?:\\.|[^\]\\])*|(?:\\.|[^\]\\])+)\]", re.DOTALL)


class NginxSyntaxError(ValueError):
    """The text is no nginx configuration; ``path`` and ``line`` say where."""

    def __init__(self, reason: str, path: str, line: int) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.reason = reason
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class Arg:
    """One word of a directive: the span with its quotes, and the value that nginx sees."""

    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive; ``end`` is after its ``;`` or ``}``.

    ``block`` holds the children, or is None without braces; ``body`` is the span between the braces.
    The body of a Lua block is not looked into: its ``block`` is empty.
    """

    name: str
    args: tuple[Arg, ...]
    start: int
    end: int
    line: int
    block: tuple[Directive, ...] | None = None
    body: tuple[int, int] | None = None
    values: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """The arguments as nginx sees them."""

    def __post_init__(self) -> None:
        # once, as every look at a configuration asks for them
        object.__setattr__(self, "values", tuple(arg.value for arg in self.args))

    @property
    def is_lua(self) -> bool:
        """Whether the body is Lua code."""
        return self.name.endswith("_by_lua_block")


def decode(raw: bytes) -> str:
    """Bytes of a file as text that `encode` turns back exactly."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that `decode` was given."""
    return text.encode("utf-8", "surrogateescape")


class _Frame:
    """A block whose closing brace has not come yet."""

    def __init__(self, words: list[Arg], line: int, start: int) -> None:
        self.words, self.line, self.start = words, line, start
        self.children: list[Directive] = []

    def close(self, body_end: int) -> Directive:
        """The finished block directive."""
        head = self.words[0]
        return Directive(
            head.value,
            tuple(self.words[1:]),
            head.start,
            body_end + 1,
            self.line,
            tuple(self.children),
            (self.start, body_end),
        )


@lru_cache(1024)
def parse(text: str, path: str = "") -> tuple[Directive, ...]:
    """All directives of one file. Raises NginxSyntaxError.

    Remembered by content: each look at one vhost of a server brings the files of all.
    """
    top = _Frame([], 1, 0)
    stack = [top]
    words: list[Arg] = []
    position, line, first_line = 0, 1, 1
    glued = False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise NginxSyntaxError("unfinished text", path, line)
        kind, token, start, position = match.lastgroup, match[0], match.start(), match.end()
        if kind in ("word", "quoted"):
            if glued and not token.startswith(")"):
                raise NginxSyntaxError("something follows a closing quote", path, line)
            first_line = first_line if words else line
            words.append(Arg(start, position, _unquoted(token)))
        elif token == ";":
            if not words:
                raise NginxSyntaxError('unexpected ";"', path, line)
            done = Directive(words[0].value, tuple(words[1:]), words[0].start, position, first_line)
            stack[-1].children.append(done)
            words = []
        elif token == "{":
            if not words:
                raise NginxSyntaxError('unexpected "{"', path, line)
            stack.append(_Frame(words, first_line, position))
            if words[0].value.endswith("_by_lua_block"):
                position = _lua_end(text, position, path, line)
            words = []
        elif token == "}":
            if words or len(stack) == 1:
                raise NginxSyntaxError('unexpected "}"', path, line)
            block = stack.pop().close(start)
            stack[-1].children.append(block)
        glued = kind == "quoted"
        line += text.count("\n", start, position)
    if words or len(stack) > 1:
        raise NginxSyntaxError('unexpected end of file, expecting ";" or "}"', path, line)
    return tuple(top.children)


def walk(directives: Iterable[Directive]) -> Iterator[Directive]:
    """Every directive, blocks before what is in them."""
    todo = list(directives)[::-1]
    while todo:
        directive = todo.pop()
        yield directive
        todo.extend((directive.block or ())[::-1])


@lru_cache(1024)
def includes_in(text: str, path: str) -> tuple[Directive, ...]:
    """Every ``include`` of a file, at any level. Raises NginxSyntaxError."""
    return tuple(d for d in walk(parse(text, path)) if d.name == "include")


def matches_include(pattern: str, path: str) -> bool:
    """Whether nginx's ``include pattern`` would read ``path`` (both absolute), as glob(3) has it."""
    if not any(mark in pattern for mark in "*?["):
        return pattern == path
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(_part_matches(*pair) for pair in zip(wanted, given, strict=True))


def include_pattern(argument: str, main: str) -> str:
    """The absolute pattern of an ``include``; relative ones start at the directory of ``main``."""
    return argument if argument.startswith("/") else posixpath.join(posixpath.dirname(main), argument)


def _part_matches(pattern: str, name: str) -> bool:
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return _glob(pattern).fullmatch(name) is not None


@lru_cache(256)
def _glob(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(_glob_pattern(pattern), re.DOTALL)
    except re.error:  # a range from high to low: nothing is in it
        return re.compile("(?!)")


def _glob_pattern(pattern: str) -> str:
    out, i = [], 0
    while i < len(pattern):
        char, end = pattern[i], i + 1
        some = _BRACKET.match(pattern, i)
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif some:
            inner = re.sub(r"\\(.)|\[", lambda m: re.escape(m[1] or m[0]), some["inner"], flags=re.DOTALL)
            out.append(f"[{'^' if some['not'] else ''}{inner}]")
            end = some.end()
        elif char == "\\" and end < len(pattern):
            out.append(re.escape(pattern[end]))
            end += 1
        else:
            out.append(re.escape(char))
        i = end
    return "".join(out)


def _unquoted(token: str) -> str:
    inner = token[1:-1] if token[0] in "\"'" else token
    if "\\" not in inner:
        return inner
    return _ESCAPE.sub(lambda match: _CONTROL.get(match[1], match[1]), inner)


def _lua_end(text: str, start: int, path: str, line: int) -> int:
    """Offset of the brace that ends the Lua code beginning at ``start``."""
    depth = 1
    for match in _LUA.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    raise NginxSyntaxError("unfinished Lua block", path, line)
