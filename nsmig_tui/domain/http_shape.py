"""What of an answer stays the same while a site is alive: its rough shape, and what shows a fault."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .ports import HttpAnswer

TITLE = re.compile(rb"<title[^>]*>(.{0,300}?)</title>", re.IGNORECASE | re.DOTALL)

FAULTS = {
    "PHP's source text": rb"<\?(php\b|=)",
    "a fatal error": rb"(?i)\b(fatal|parse) error(</b>)?:|uncaught (\w*error|\w*exception)\b",
    "a warning of PHP": rb"(?i)<b>(warning|notice|deprecated)</b>:|^(php )?warning: ",
    "a file that cannot be opened": rb"(?i)failed to open stream|failed opening required"
    rb"|open_basedir restriction",
    "a script that php-fpm cannot find": rb"No input file specified|^File not found\.\s*$"
    rb"|Primary script unknown",
    "a missing database": rb"(?i)error establishing a database connection"
    rb"|could not connect to (the )?database",
    "a list of files": rb"(?i)<(title|h1)>\s*(index of|directory listing)",
    "a server's first page": rb"(?i)<(title|h1)>[^<]{0,80}(welcome to nginx|default page|test page|it works)",
    "a server's own error page": rb"(?i)<(title|h1)>\s*[45]\d\d\b|<hr><center>(nginx|openresty)",
}
"""What a broken site shows, that a page which works does not show more often than before."""

_FAULTS = {name: re.compile(pattern, re.MULTILINE) for name, pattern in FAULTS.items()}
_NUMBERED = re.compile(rb"(?<![A-Za-z_+/=-])[A-Za-z_+/=-]*\d[\w+/=-]*")
_WORD = re.compile(rb"[A-Za-z\x80-\xff]{3,}")
_MADE_UP = re.compile(r"[\w.~+/=-]{16,}|\d{6,}", re.ASCII)
MAX_WORDS = 24

HEAD, TAIL = 96 * 1024, 32 * 1024
"""Bytes at a body's two ends that are searched for words and faults."""

SLACK_SHORT, SLACK_LONG = 256, 4096
"""Bytes by which a page may always become shorter or longer."""


@dataclass(frozen=True)
class Shape:
    """What all samples of one answer had in common.

    ``words`` are checksums of some words that every sample held; ``faults`` counts, for each kind, what
    the worst sample showed; ``title`` is None where samples differ in it. ``host``: the asked name was in
    all of them; ``ends``: all had the end of an HTML page.
    """

    shortest: int = 0
    longest: int = 0
    title: str | None = None
    blank: bool = False
    ends: bool = False
    host: bool = False
    words: tuple[int, ...] = ()
    faults: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As a plain dictionary."""
        return {**vars(self), "faults": dict(self.faults)}


def shape_from(row: dict[str, Any]) -> Shape:
    """The inverse of ``Shape.as_json``."""
    return Shape(**{**row, "words": tuple(row["words"])})


def shape_of(bodies: Sequence[bytes], host: str) -> Shape:
    """The shape that these bodies share."""
    titles = {masked_text(title(body)) for body in bodies}
    words = frozenset.intersection(*(words_in(body) for body in bodies))
    counts = [faults_in(body) for body in bodies]
    name = host.encode("utf-8", "replace").lower()
    return Shape(
        min(map(len, bodies)),
        max(map(len, bodies)),
        titles.pop() if len(titles) == 1 else None,
        all(not body.strip() for body in bodies),
        all(_ends(body) for body in bodies),
        all(name in body.lower() for body in bodies),
        tuple(sorted(words)[:MAX_WORDS]),
        {kind: most for kind in FAULTS if (most := max(count.get(kind, 0) for count in counts))},
    )


def misshapen(was: Shape, looks: Sequence[bytes], host: str) -> str:
    """In what the last of ``looks`` is another page than those of this shape; empty when it may be the same.

    Title and words are not compared where the looks show that they change by themselves.
    """
    body = looks[-1]
    now = shape_of([body], host)
    titles_move = shape_of(looks, host).title is None
    words_move = not all(_most(shape_of([look], host).words, body) for look in looks[:-1])
    size = f"{now.longest} bytes, {was.shortest} before"
    for kind, count in now.faults.items():
        if count > was.faults.get(kind, 0):
            return f"shows {kind} now"
    if now.blank and not was.blank:
        return "is blank now"
    if was.title is not None and now.title != was.title and not titles_move:
        return "has another title now"
    if was.ends and not now.ends:
        return "ends early now"
    if now.longest + SLACK_SHORT < was.shortest / 2:
        return f"is much shorter now: {size}"
    if now.longest > 3 * was.longest + SLACK_LONG:
        return f"is much longer now: {size}"
    if was.host and not now.host:
        return f"does not name {host} now"
    if not words_move and not _most(was.words, body):
        return "is another page now: most of its words are gone"
    return ""


def _most(words: Sequence[int], body: bytes) -> bool:
    """Whether most of these words are in ``body``."""
    kept = words_in(body)
    return sum(word in kept for word in words) * 2 >= len(words)


def title(body: bytes) -> str:
    """The page's title, or nothing."""
    match = TITLE.search(body)
    return match[1].strip().decode("utf-8", "replace") if match else ""


def masked(body: bytes) -> bytes:
    """``body`` with everything that holds a digit replaced: times, counts, hashes, nonces."""
    return _NUMBERED.sub(b"0", body)


def masked_text(text: str) -> str:
    """The same for a word in a header or a title."""
    return masked(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def body_hash(body: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(body).hexdigest()


def words_in(body: bytes) -> frozenset[int]:
    """Checksums of the words in ``body``, markup among them."""
    text = masked(_ends_of(body))
    return frozenset(zlib.crc32(word.lower()) for word in set(_WORD.findall(text)))


def faults_in(body: bytes) -> dict[str, int]:
    """How often ``body`` shows each kind of fault."""
    text = _ends_of(body)
    return {kind: n for kind, pattern in _FAULTS.items() if (n := len(pattern.findall(text)))}


def _ends_of(body: bytes) -> bytes:
    """What of a body is searched; nothing of one that is no text."""
    if b"\0" in body[:1024]:
        return b""
    return body if len(body) <= HEAD + TAIL else body[:HEAD] + b"\n" + body[-TAIL:]


def same_place(was: Sequence[str], now: Sequence[str]) -> bool:
    """Whether redirects lead to the same place, but for what is made up anew for each.

    That is: the values of query parameters, and the parts of a path, in which ``was`` or ``now`` differ
    among themselves; and values of parameters that look like tokens or times on both sides.
    """
    first, last = _parts(was[0]), _parts(now[-1])
    if first.keys() != last.keys():
        return False
    for key, value in first.items():
        if value == last[key]:
            continue
        moving = any(
            len({_parts(place).get(key) for place in places}) > 1 and key[0] != "base"
            for places in (was, now)
        )
        token = key[0] == "query" and _MADE_UP.fullmatch(value) and _MADE_UP.fullmatch(last[key])
        if not moving and not token:
            return False
    return True


def _parts(place: str) -> dict[tuple[str, str], str]:
    """A location in pieces: scheme and host, each part of the path, each parameter."""
    try:
        split = urlsplit(place)
    except ValueError:
        return {("base", ""): place}
    pieces = {("base", ""): f"{split.scheme}://{split.netloc}"}
    pieces |= {("path", str(n)): part for n, part in enumerate(split.path.split("/"))}
    pieces |= {("query", name): value for name, value in parse_qsl(split.query, keep_blank_values=True)}
    return pieces | {("fragment", ""): split.fragment}


def _ends(body: bytes) -> bool:
    return b"</html" in body[-2048:].lower()


def is_file(answer: HttpAnswer) -> bool:
    """Whether the server says that it sent a file as it lies there: with its length and its time."""
    held = answer.headers
    whole = "content-length" in held and "last-modified" in held
    return whole and ("accept-ranges" in held or "etag" in held) and "x-powered-by" not in held
