"""Reads nginx configuration: tokens, blocks, includes, and the checks that ``nginx -t`` is asked for."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<end>;)|(?P<open>\{)|(?P<close>\})"""
    r"""|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<word>(?:\$\{\w+\}|\\.|[^\s;{}])+)""",
    re.DOTALL,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BLOCKS = _words("events http server location if upstream types")
ONCE = _words("root alias fastcgi_pass try_files pid user")
PLAIN = ONCE | _words(
    """worker_processes worker_connections include default_type sendfile tcp_nopush keepalive_timeout
    server_tokens server_name listen index return set deny allow access_log error_log log_format log_not_found
    fastcgi_param fastcgi_index fastcgi_split_path_info fastcgi_intercept_errors fastcgi_read_timeout
    fastcgi_next_upstream expires add_header gzip gzip_types charset client_max_body_size error_page
    autoindex disable_symlinks types_hash_max_size server_names_hash_bucket_size etag internal break
    worker_shutdown_timeout"""
)


class ConfError(Exception):
    """The configuration is wrong; the text is what nginx says after ``[emerg]``."""


@dataclass
class Directive:
    """One directive with its words, where it stands, and its block when it has one."""

    name: str
    args: list[str]
    file: str
    line: int
    block: list[Directive] | None = None

    @property
    def place(self) -> str:
        """File and line, as nginx names them."""
        return f"{self.file}:{self.line}"


@dataclass
class Conf:
    """A whole configuration: the tree with includes put in, and the files it came from, in order."""

    top: list[Directive] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def value(self, name: str, default: str) -> str:
        """The first word of a directive at the top, or ``default``."""
        return next((item.args[0] for item in self.top if item.name == name), default)

    def http(self) -> list[Directive]:
        """What the http block holds."""
        return next((item.block or [] for item in self.top if item.name == "http"), [])


def load(path: str) -> Conf:
    """Read ``path`` and all it includes. Raises ConfError."""
    conf = Conf()
    conf.top = _read(path, os.path.dirname(path), conf, "")
    return conf


def log_paths(items: list[Directive]) -> list[str]:
    """Every literal log path, which the master opens itself at start and at reload."""
    found = []
    for item in items:
        if item.name in ("access_log", "error_log") and item.args[0] not in ("off", "stderr"):
            found += [] if "$" in item.args[0] else [item.args[0]]
        found += log_paths(item.block or [])
    return found


def _read(path: str, base: str, conf: Conf, where: str) -> list[Directive]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError as error:
        raise ConfError(
            f'open() "{path}" failed ({error.errno}: {os.strerror(error.errno or 0)}){where}'
        ) from error
    conf.files.setdefault(path, text)
    return _block(_tokens(text, path), path, base, conf, top=True)


def _tokens(text: str, path: str) -> list[tuple[str, str, int]]:
    """(kind, text, line) of everything but blanks and comments; kind is word, end, open or close."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConfError(f'unexpected end of file, expecting """ in {path}:{line}')
        kind, word = match.lastgroup or "", match.group(match.lastgroup or 0)
        if kind in ("double", "single"):
            found.append(("word", re.sub(r"\\([\"'\\])", r"\1", word), line))
        elif kind not in ("space", "comment"):
            found.append((kind, word, line))
        line += match.group().count("\n")
        at = match.end()
    found.append(("eof", "", line))
    return found[::-1]  # reversed, so that pop() gives the next one


def _block(
    tokens: list[tuple[str, str, int]], path: str, base: str, conf: Conf, *, top: bool, free: bool = False
) -> list[Directive]:
    """Directives up to the end of this block; a ``free`` block (types) holds any first word."""
    items: list[Directive] = []
    while True:
        kind, word, line = tokens.pop()
        if kind == "eof" and top:
            return items
        if kind == "close" and not top:
            return items
        if kind == "eof":
            raise ConfError(f'unexpected end of file, expecting "}}" in {path}:{line}')
        if kind != "word":
            raise ConfError(f'unexpected "{word}" in {path}:{line}')
        item = Directive(word, [], path, line)
        while tokens[-1][0] == "word":
            item.args.append(tokens.pop()[1])
        kind, word, line = tokens.pop()
        if kind == "open":
            inner_free = item.name == "types"
            item.block = _block(tokens, path, base, conf, top=False, free=inner_free)
        elif kind == "eof":
            raise ConfError(f'unexpected end of file, expecting ";" or "}}" in {path}:{line}')
        elif kind != "end":
            raise ConfError(f'unexpected "{word}" in {path}:{line}')
        if not free:
            _check(item, items)
        if item.name == "include" and item.block is None:
            _include(item, base, conf, items)
        else:
            items.append(item)


def _include(item: Directive, base: str, conf: Conf, items: list[Directive]) -> None:
    pattern = os.path.join(base, item.args[0])
    for path in sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]:
        for inner in _read(path, base, conf, f" in {item.place}"):
            _check(inner, items)
            items.append(inner)


def _check(item: Directive, before: list[Directive]) -> None:
    if item.name not in (BLOCKS if item.block is not None else PLAIN):
        if item.name in BLOCKS:
            raise ConfError(f'directive "{item.name}" has no opening "{{" in {item.place}')
        raise ConfError(f'unknown directive "{item.name}" in {item.place}')
    if item.block is None and not item.args and item.name not in ("internal", "break"):
        raise ConfError(f'invalid number of arguments in "{item.name}" directive in {item.place}')
    if item.name in ONCE and any(other.name == item.name for other in before):
        raise ConfError(f'"{item.name}" directive is duplicate in {item.place}')
