"""php-fpm's configuration, line by line: the pools, their values in force, and which ones serve a vhost.

Where a value is set more than once, ``listen`` and the like take the last one, but ``php_value[…]``,
``php_flag[…]`` and their admin forms keep the first (measured on PHP 8.2).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from .names import MAX_SOCKET_PATH
from .nginx_sites import Problem
from .nginx_syntax import decode, matches_include
from .path_map import below

_SECTION = re.compile(r"\s*\[([^\]]+)\]")
_ENTRY = re.compile(r"\s*([A-Za-z_][\w.]*(?:\[[^\]]*\])?)\s*=\s*(.*?)\s*$", re.DOTALL)
_FIRST_WINS = re.compile(r"php_(admin_)?(value|flag)\[")
_DEPTH = 40


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """One ``key = value`` line. ``start``/``end`` is the value's span in the file's text, quotes included.

    ``value`` is without quotes and comment, with ``$pool`` as written. ``line_start``/``line_end`` span the
    whole line with its line end. ``included`` names the files that an ``include`` brings in.
    """

    file: str
    line: int
    key: str
    value: str
    start: int
    end: int
    line_start: int
    line_end: int
    included: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """``FILE:LINE``, for people."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, eq=False)
class Pool:
    """One pool. ``entries`` are in php-fpm's order with included lines in their place.

    ``file`` is where the pool's first section header stands.
    """

    name: str
    file: str
    line: int
    entries: tuple[Entry, ...]

    def value(self, key: str) -> str | None:
        """The value in force, with ``$pool`` replaced, or None."""
        values = self._values.get(key)
        if not values:
            return None
        chosen = values[0] if len(values) == 1 or _FIRST_WINS.match(key) else values[-1]
        return chosen.replace("$pool", self.name)

    @cached_property
    def text(self) -> str:
        """All values, one a line, with ``$pool`` replaced: for a quick look at whether a word is in any."""
        return "\n".join(entry.value for entry in self.entries).replace("$pool", self.name)

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        """All values of each key, in php-fpm's order."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            found.setdefault(entry.key, []).append(entry.value)
        return found

    @property
    def listen(self) -> str:
        """Where the pool accepts: a socket's path, or ``host:port``."""
        return self.value("listen") or ""

    @property
    def user(self) -> str:
        """The account that the pool's workers run as."""
        return self.value("user") or ""

    @property
    def group(self) -> str:
        """The group of the pool's workers; php-fpm takes the account's own when none is set."""
        return self.value("group") or ""

    @property
    def where(self) -> str:
        """``FILE:LINE``, for people."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class FpmModel:
    """What one php-fpm master runs on. ``users``: for each included file the pools that it is part of.

    ``globals``: what stands in no pool.
    """

    main: str
    texts: Mapping[str, str]
    pools: tuple[Pool, ...]
    users: Mapping[str, frozenset[str]]
    patterns: tuple[str, ...] = ()
    resolve: Mapping[str, str] = field(default_factory=dict)
    globals: tuple[Entry, ...] = ()

    def real(self, path: str) -> str:
        """The path under which the file ``path`` is edited."""
        return self.resolve.get(path, path)

    def include_patterns(self) -> list[str]:
        """Every pattern that some include asks for."""
        return list(self.patterns)


@dataclass(frozen=True)
class PoolSet:
    """The pools that serve one vhost, and what is wrong with them."""

    pools: tuple[Pool, ...] = ()
    problems: tuple[Problem, ...] = ()


class _Reader:
    """Follows the files as php-fpm does: an included file goes on in the section it was included from."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.section = ""
        self.heads: dict[str, tuple[str, int]] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.users: dict[str, set[str]] = {}
        self.patterns: list[str] = []

    def read(self, path: str, depth: int = 0) -> None:
        """Take in one file."""
        for row in _rows(path, self.texts[path]) if depth < _DEPTH else ():
            if isinstance(row, _Head):
                self.section = row.name
                self.heads.setdefault(row.name, (path, row.line))
                self.entries.setdefault(row.name, [])
            elif row.key == "include":
                self._include(row, depth)
            else:
                self.entries.setdefault(self.section, []).append(row)

    def _include(self, row: Entry, depth: int) -> None:
        self.patterns.append(row.value)
        included = tuple(sorted(name for name in self.texts if matches_include(row.value, name)))
        self.entries.setdefault(self.section, []).append(replace(row, included=included))
        inside = self.section
        for name in included:
            self.read(name, depth + 1)
            if inside not in ("", "global") and self._goes_on(name):
                self.users.setdefault(name, set()).add(inside)

    def _goes_on(self, path: str) -> bool:
        """Whether a file says something before its first section: that is for the section around it."""
        return isinstance(next(iter(_rows(path, self.texts[path])), None), Entry)


@dataclass(frozen=True, slots=True)
class _Head:
    """A line that begins a section."""

    name: str
    line: int


@lru_cache(1024)
def _rows(path: str, text: str) -> tuple[Entry | _Head, ...]:
    """The lines of one file that say something, its includes not followed. Remembered by content."""
    rows: list[Entry | _Head] = []
    offset = 0
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1):
        end = offset + len(line)
        read = _read_line(line)
        if read is not None:
            key, at, value = read
            start = offset + at
            if at < 0:
                rows.append(_Head(key, number))
            else:
                rows.append(Entry(path, number, key, _bare(value), start, start + len(value), offset, end))
        offset = end
    return tuple(rows)


def load_fpm(files: Mapping[str, bytes], resolve: Mapping[str, str] | None = None) -> FpmModel:
    """The model of ``files`` (path -> content, the main file first, then all that its includes name).

    The same files give the same model.
    """
    return _load(tuple(files.items()), tuple((resolve or {}).items()))


@lru_cache(8)
def _load(given: tuple[tuple[str, bytes], ...], resolve: tuple[tuple[str, str], ...]) -> FpmModel:
    files = dict(given)
    main = next(iter(files))
    texts = {path: decode(raw) for path, raw in files.items()}
    reader = _Reader(texts)
    reader.read(main)
    pools = tuple(
        Pool(name, file, line, tuple(reader.entries[name]))
        for name, (file, line) in reader.heads.items()
        if name != "global"
    )
    users = {path: frozenset(names) for path, names in reader.users.items()}
    own = tuple(entry for name in ("", "global") for entry in reader.entries.get(name, ()))
    return FpmModel(main, texts, pools, users, tuple(reader.patterns), dict(resolve), own)


def find_pools(
    models: Collection[FpmModel],
    upath: str,
    sockets: Collection[str],
    *,
    links: Collection[str] = (),
) -> list[tuple[FpmModel, PoolSet]]:
    """For each php-fpm master that serves the vhost: its pools, and what is wrong with them.

    ``sockets`` are those that nginx asks (``unix:/…`` or ``host:port``). A pool is the vhost's own when
    it listens there or below ``upath``, or works or is rooted in ``upath``. A master without such a pool
    is left out. ``links``: other absolute paths that are links to ``upath``.
    """
    tops = (upath, *links)
    wanted = {_plain_address(socket) for socket in sockets}
    answer = []
    for model in models:
        own = [pool for pool in model.pools if _is_own(pool, tops, wanted)]
        problems = [problem for pool in own for problem in _unsupported(pool)]
        problems += [
            problem for pool in model.pools if pool not in own for problem in _references(pool, tops)
        ]
        if own or problems:
            answer.append((model, PoolSet(tuple(own), tuple(problems))))
    return answer


def _is_own(pool: Pool, tops: tuple[str, ...], wanted: set[str]) -> bool:
    if _plain_address(pool.listen) in wanted and pool.listen:
        return True
    places = ("listen", "chdir", "prefix", "chroot")
    return any(below(pool.value(key) or "", top) for key in places for top in tops)


def _unsupported(pool: Pool) -> list[Problem]:
    problems = []
    for key in ("chroot", "prefix"):
        if pool.value(key):
            message = f"the pool [{pool.name}] uses {key}, which is not supported"
            problems.append(Problem("critical", message, pool.where, f"Remove {key} from the pool."))
    if pool.listen.startswith("/") and len(pool.listen.encode("utf-8", "surrogateescape")) > MAX_SOCKET_PATH:
        message = f"the socket path of the pool [{pool.name}] is too long"
        problems.append(Problem("critical", message, pool.where, "php-fpm cuts it off silently."))
    return problems


def _references(pool: Pool, tops: tuple[str, ...]) -> list[Problem]:
    """Paths of this vhost in a pool that is not its own."""
    problems: list[Problem] = []
    if not any(top in pool.text for top in tops):
        return problems
    for entry in pool.entries:
        value = entry.value.replace("$pool", pool.name)
        if any(top in value and re.search(rf"(?<![\w./-]){re.escape(top)}(?![\w.-])", value) for top in tops):
            message = f"the pool [{pool.name}] of another vhost refers to {value} in its {entry.key}"
            problems.append(Problem("error", message, entry.where, "That pool would not be migrated."))
    return problems


def _plain_address(address: str) -> str:
    """One spelling for what nginx and php-fpm write differently."""
    address = address.removeprefix("unix:").rstrip(":")
    if address.isdigit():
        return f"127.0.0.1:{address}"
    address = re.sub(r"^(localhost|0\.0\.0\.0|\[::\]|\*):", "127.0.0.1:", address)
    if not address.startswith("/"):
        return address
    # everywhere the one is a link to the other
    return re.sub(r"^/var/run/", "/run/", posixpath.normpath(address))


def _read_line(line: str) -> tuple[str, int, str] | None:
    """(key, offset of the value, value) of one line; for a section (name, -1, ""); None for anything else."""
    section = _SECTION.match(line)
    if section:
        inner = section[1].strip()
        name = section[1] if _bare(inner) == inner else _bare(inner)  # blanks count without quotes
        return "global" if name.lower() == "global" else name, -1, ""
    match = _ENTRY.match(line)
    if match is None:
        return None
    return match[1], match.start(2), match[2][: _value_length(match[2])]


def _value_length(rest: str) -> int:
    """How much of ``rest`` is value: up to a comment that stands outside quotes."""
    quote = ""
    for index, char in enumerate(rest):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ";":
            return len(rest[:index].rstrip())
    return len(rest)


def _bare(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
