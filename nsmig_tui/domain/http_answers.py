"""What to ask a site over HTTP, and whether it answers as before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .ports import HttpAnswer, HttpRequest
from .surroundings import Serving

TITLE = re.compile(rb"<title[^>]*>(.{0,300}?)</title>", re.IGNORECASE | re.DOTALL)
HIDDEN = (
    "/log/",
    "/run/",
    "/.archive/",
    "/app/public/",
    "/log/access.log",
    "/log/error.log",
    "/log/php-errors.log",
)
"""Places of the new layout that must not become reachable; their answers are compared as well."""

STATIC = re.compile(
    r"\w[A-Za-z0-9_.-]*\.(html?|txt|css|js|svg|png|jpe?g|gif|ico|webp|xml|json|pdf)", re.ASCII
)
MAX_PAGES = 12
MAX_NEIGHBOURS = 5


@dataclass(frozen=True)
class Baseline:
    """One request and its answer before, folded: ``stable`` says that all samples had the same body."""

    request: HttpRequest
    status: int
    headers: dict[str, str]
    body_sha256: str
    title: str
    stable: bool

    def as_json(self) -> dict[str, Any]:
        """As a plain dictionary, for the run's record on the vnode."""
        return {**vars(self), "request": vars(self.request)}


KEPT_HEADERS = ("location", "www-authenticate", "content-type")


def baseline_from(row: dict[str, Any]) -> Baseline:
    """The inverse of ``Baseline.as_json``."""
    return Baseline(**{**row, "request": HttpRequest(**row["request"])})


def requests_for(serving: Serving, entries: Sequence[str]) -> list[HttpRequest]:
    """The site's own pages worth asking for: the front page, static files at the top, hidden places.

    No script is asked for by name: an upload, a cron or an installer page may act when it is called, and
    many a ``location ~ .php`` takes ``x.php.txt`` for one.
    """
    plain = sorted(e for e in entries if STATIC.fullmatch(e) and ".ph" not in e.lower())
    paths = ["/", *(f"/{e}" for e in plain[:MAX_PAGES])]
    found = []
    for address, port, tls in _doors(serving):
        for path in dict.fromkeys([*paths, *HIDDEN]):
            found.append(HttpRequest(serving.site.domain, path, address, port, tls))
    for name in [n for n in serving.site.names if n != serving.site.domain and "*" not in n][:2]:
        address, port, tls = _doors(serving)[0]
        found.append(HttpRequest(name, "/", address, port, tls))
    return found


def neighbour_requests(serving: Serving) -> list[HttpRequest]:
    """A sample of other sites' front pages."""
    return [HttpRequest(name) for name in serving.neighbours[:MAX_NEIGHBOURS]]


def _doors(serving: Serving) -> list[tuple[str, int, bool]]:
    doors = []
    for listen in serving.site.listens:
        if listen.address.startswith("unix:") or listen.proxy_protocol:
            continue
        address = (
            "127.0.0.1"
            if listen.address in ("", "*", "0.0.0.0", "[::]", "::")
            else listen.address.strip("[]")
        )
        doors.append((address, listen.port, listen.tls))
    return list(dict.fromkeys(doors))[:3] or [("127.0.0.1", 80, False)]


def baseline_of(request: HttpRequest, samples: Sequence[HttpAnswer]) -> Baseline:
    """Fold the samples of one request: which parts of the answer are stable.

    The answer is the first sound one: what fails now and then, as while php-fpm is reloaded, does not fail.
    """
    bodies = {body_hash(a) for a in samples}
    first = next((a for a in samples if sound(a)), samples[0])
    kept = {k: v for k, v in first.headers.items() if k in KEPT_HEADERS}
    return Baseline(request, first.status, kept, body_hash(first), title(first.body), len(bodies) == 1)


MADE_UP = frozenset(
    {"transfer-encoding", "set-cookie", "x-powered-by", "cache-control", "pragma", "vary", "link"}
)
"""Headers that come with what an application makes for each request."""


def sound(answer: HttpAnswer) -> bool:
    """Whether the server gave an answer and not word of a fault of its own."""
    return 0 < answer.status < 500


def enough(samples: Sequence[HttpAnswer]) -> bool:
    """Whether another sample would tell nothing new.

    So it is when two differ already, and when two are equal that the web server gave from what lies there.
    """
    first = samples[0]
    if len(samples) < 2 or not all(map(sound, samples)):
        return False
    if any(a.body != first.body for a in samples[1:]):
        return True
    return "content-length" in first.headers and not MADE_UP & first.headers.keys()


def body_hash(answer: HttpAnswer) -> str:
    """SHA-256 of the body, in hex."""
    return hashlib.sha256(answer.body).hexdigest()


def title(body: bytes) -> str:
    """The page's title, or nothing."""
    match = TITLE.search(body)
    return match[1].strip().decode("utf-8", "replace") if match else ""


def difference(was: Baseline, now: HttpAnswer) -> str:
    """What is not as before, in words; empty when all is well.

    Status, place of a redirect and kind of content must be equal; the body where it was stable, else
    its title (the rule of Plesk's migrator, and more).
    """
    name = f"{'https' if was.request.tls else 'http'}://{was.request.host}{was.request.path}"
    if was.status == 0:
        return ""
    if now.status != was.status:
        return f"{name} answered {was.status} before and {now.status or now.error or 'nothing'} now"
    for header in KEPT_HEADERS:
        if was.headers.get(header) != now.headers.get(header):
            return f"{name} has another {header} now: {now.headers.get(header, '')[:80]}"
    if was.stable and was.body_sha256 != body_hash(now):
        return f"{name} has another body now"
    if not was.stable and was.title != title(now.body):
        return f"{name} has another title now"
    return ""
