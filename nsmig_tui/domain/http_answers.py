"""Whether a site answers over HTTP as before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from .http_shape import (
    Shape,
    body_hash,
    is_file,
    masked,
    masked_text,
    misshapen,
    same_place,
    shape_from,
    shape_of,
    title,
)
from .path_map import PathMap
from .ports import HttpAnswer, HttpRequest

KEPT_HEADERS = ("location", "www-authenticate", "content-type")

MADE_UP = frozenset(
    {"transfer-encoding", "set-cookie", "x-powered-by", "cache-control", "pragma", "vary", "link"}
)
"""Headers that come with what an application makes for each request."""


@dataclass(frozen=True)
class Baseline:
    """One request and its answer before, folded: ``stable`` says that all samples had the same body.

    ``kind``: ``file`` for a file as it lies there, ``plain`` for what the web server itself says, ``made``
    for what an application makes. ``masked_sha256`` is of the body without anything that holds a digit;
    ``locations`` are those of all samples; ``date`` is the server's clock at the first sample.
    """

    request: HttpRequest
    status: int
    headers: dict[str, str]
    body_sha256: str
    title: str
    stable: bool
    kind: str = "plain"
    masked_sha256: str = ""
    locations: tuple[str, ...] = ()
    date: str = ""
    shape: Shape | None = None

    def as_json(self) -> dict[str, Any]:
        """As a plain dictionary, for the run's record on the vnode."""
        shape = self.shape.as_json() if self.shape else None
        return {**vars(self), "request": vars(self.request), "shape": shape}


def baseline_from(row: dict[str, Any]) -> Baseline:
    """The inverse of ``Baseline.as_json``; records of older versions know less, and say so."""
    shape = shape_from(row["shape"]) if row.get("shape") else None
    more = {"shape": shape, "locations": tuple(row.get("locations", ()))}
    return Baseline(**{**row, **more, "request": HttpRequest(**row["request"])})


def baseline_of(request: HttpRequest, samples: Sequence[HttpAnswer]) -> Baseline:
    """Fold the samples of one request: which parts of the answer are stable.

    The answer is the first sound one: what fails now and then, as while php-fpm is reloaded, does not fail.
    """
    first = next((a for a in samples if sound(a)), samples[0])
    alike = [a for a in samples if a.status == first.status]
    kind = _kind(alike)
    return Baseline(
        request,
        first.status,
        {k: v for k, v in first.headers.items() if k in KEPT_HEADERS},
        body_hash(first.body),
        title(first.body),
        len({a.body for a in samples}) == 1,
        kind,
        "" if kind == "file" else body_hash(masked(first.body)),
        tuple(dict.fromkeys(a.headers.get("location", "") for a in alike)),
        first.headers.get("date", ""),
        shape_of([a.body for a in alike], request.host),
    )


def _kind(samples: Sequence[HttpAnswer]) -> str:
    if all(map(is_file, samples)):
        return "file"
    own = all("content-length" in a.headers and not MADE_UP & a.headers.keys() for a in samples)
    return "plain" if own else "made"


def sound(answer: HttpAnswer) -> bool:
    """Whether the server gave an answer and not word of a fault of its own."""
    return 0 < answer.status < 500


def enough(samples: Sequence[HttpAnswer]) -> bool:
    """Whether another sample would tell nothing new: two sound ones show what changes each time.

    What changes more slowly is told by the looks afterwards, which are further apart.
    """
    return len(samples) >= 2 and all(map(sound, samples))


def difference(was: Baseline, looks: Sequence[HttpAnswer], paths: Sequence[PathMap] = ()) -> str:
    """What is not as before, in words; empty when all is well. ``looks``: one or more, the last one judged.

    A site is alive while it is moved: clocks, counters, nonces, random order, an article published just
    now. Such a change must not undo a migration (that costs reloads for everybody), and a broken site must
    not pass for a living one. So what is judged depends on who made the answer:

    1. Status, kind of content, and what a login asks for must be the same, whoever made it.
    2. A redirect must lead to the same place: scheme, host, path and parameters, but for values that differ
       from one look to the next, or are plainly tokens: a state, a nonce, a time.
    3. A file as it lies there (the server tells its length and its time) must be the same byte for byte.
       One that the server says was written since the first sample was taken is judged by its shape.
    4. What the web server says itself (an error page, a ``return``) must be the same but for words with
       digits in them, unless it also changes between looks.
    5. For what an application makes, a body that differs is no proof of anything; its shape is: signs of
       faults that were not there before (PHP's errors and warnings, PHP's source text, a list of files, a
       server's default or error page), a blank page, another title, a page without its end, a length far
       off, the site's own name gone, most of the words gone that every sample held.

    Bodies are equal also when they differ only in ``paths``: a page may show where it lies. Of times and
    random values: what holds a digit is taken as such, in titles too; a title that differs among samples,
    or from one look to the next, is not compared. No header but those of 1 and 2 is: cookies and policies
    hold nonces. An answer that failed before (no answer, 5xx) must fail no worse.
    """
    name, now = _address(was.request), looks[-1]
    if was.status == 0:
        return ""
    if now.status != was.status:
        return f"{name} answered {was.status} before and {now.status or now.error or 'nothing'} now"
    alike = [a for a in looks if a.status == was.status]
    wrong = _header_difference(was, now, alike)
    if wrong:
        return f"{name} {wrong}"
    if was.status >= 500 or _same_body(was, now, paths):
        return ""
    moves = not was.stable or len({a.body for a in alike}) > 1
    if _exact(was, now, moves=moves):
        return f"{name} has another body now"
    if was.shape is None:  # of an older version's record: its title is all that is known
        return f"{name} has another title now" if was.title != title(now.body) else ""
    wrong = misshapen(was.shape, [a.body for a in alike], was.request.host)
    return f"{name} {wrong}" if wrong else ""


def remark(was: Baseline, looks: Sequence[HttpAnswer], paths: Sequence[PathMap] = ()) -> str:
    """A word on a page that passes by its shape though it did not change by itself while it was looked at."""
    now = looks[-1]
    quiet = was.stable and len({a.body for a in looks}) == 1 and 0 < was.status < 500
    if not quiet or was.kind == "file" or was.shape is None or _same_body(was, now, paths):
        return ""
    return (
        f"{_address(was.request)} has another text than before the switch; status, kind, title and length"
        " are as they were, so that it may well be news: have a look at it"
    )


def _address(request: HttpRequest) -> str:
    """The question as people write it; the port and address where they are not the usual ones."""
    port = "" if request.port == (443 if request.tls else 80) else f":{request.port}"
    at = f" (at {request.address})" if request.address not in ("127.0.0.1", "") else ""
    return f"{'https' if request.tls else 'http'}://{request.host}{port}{request.path}{at}"


def _header_difference(was: Baseline, now: HttpAnswer, alike: Sequence[HttpAnswer]) -> str:
    for header in KEPT_HEADERS:
        old, new = was.headers.get(header), now.headers.get(header)
        if old == new:
            continue
        if header == "location" and old is not None and new is not None:
            before = was.locations or (old,)
            if same_place(before, [a.headers.get(header, "") for a in alike]):
                continue
        if header == "www-authenticate" and old and new and masked_text(old) == masked_text(new):
            continue  # a nonce
        return f"has another {header} now: {(new or '')[:80]}"
    return ""


def _same_body(was: Baseline, now: HttpAnswer, paths: Sequence[PathMap]) -> bool:
    """Whether the body is what it was, also with paths mapped; words with digits count in files only."""
    spelled = [now.body]
    if paths:
        text = now.body.decode("latin-1")
        spelled += [one.apply(text).encode("latin-1") for one in paths]
    if was.stable and was.body_sha256 in map(body_hash, spelled):
        return True
    return was.kind != "file" and was.masked_sha256 in (body_hash(masked(body)) for body in spelled)


def _exact(was: Baseline, now: HttpAnswer, *, moves: bool) -> bool:
    """Whether a body that differs is wrong whatever its shape."""
    if was.kind == "file" and was.stable:
        return not (is_file(now) and _written_since(was, now))
    return was.kind == "plain" and not moves


def _written_since(was: Baseline, now: HttpAnswer) -> bool:
    """Whether the server says that the file was written after the first sample was taken."""
    try:
        return parsedate_to_datetime(now.headers["last-modified"]) >= parsedate_to_datetime(was.date)
    except (KeyError, ValueError, TypeError):
        return False
