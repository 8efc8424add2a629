"""What to ask a site over HTTP, at which of its doors, and whether anybody saw a page of it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .http_answers import Baseline
from .nginx_choice import answering
from .nginx_model import Listen, NginxModel, Server, plain_names
from .nginx_sites import PASS
from .ports import HttpRequest
from .surroundings import Serving

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

MISSING = HIDDEN[-1]
"""Of all these, the one that is hardly ever there: what nginx says of a file that is missing."""

NO_SCRIPT = "/nsmig-no-such-page.php"
"""A script that is not there shows whether PHP is reached (404, not 502), and runs nothing of the site's
but what answers for any missing page."""

STATIC = re.compile(
    r"\w[A-Za-z0-9_.-]*\.(html?|txt|css|js|svg|png|jpe?g|gif|ico|webp|xml|json|pdf)", re.ASCII
)
MAX_PAGES = 12
MAX_NEIGHBOURS = 5
MAX_STRAYS = 50
NOBODY = "nsmig-nobody.invalid"
"""A host that no server has: .invalid is reserved for that (RFC 2606)."""

MAX_NAMES = 4
"""Names of one server block that are asked."""

MAX_QUESTIONS = 60
"""Requests for one vhost in all."""

_LOOPBACK = tuple(f"127.0.0.{number}" for number in range(1, 9))


@dataclass(frozen=True)
class _Door:
    """A way into one server block: connect to ``address:port`` and ask for ``host``."""

    server: Server
    host: str
    address: str
    port: int
    tls: bool

    def ask(self, path: str) -> HttpRequest:
        return HttpRequest(self.host, path, self.address, self.port, self.tls)


def requests_for(serving: Serving, entries: Sequence[str]) -> list[HttpRequest]:
    """The site's own pages worth asking for: the front page, static files at the top, hidden places.

    Of each server block that does more than redirect, all of them are asked for under its first name, in
    the clear and with TLS, and under every name where a condition may send some names elsewhere. Other
    names get the front page and a static file; other addresses one page; what merely redirects, ``/``.
    Each door has had a page before any gets all, so that a bound in numbers leaves none out.

    No script of the site is asked for by name: an upload, a cron or an installer page may act when it is
    called, and many a ``location ~ .php`` takes ``x.php.txt`` for one.
    """
    plain = sorted(e for e in entries if STATIC.fullmatch(e) and ".ph" not in e.lower())
    pages = ["/", *(f"/{e}" for e in plain[:MAX_PAGES])]
    whole = [*pages, *HIDDEN, *([NO_SCRIPT] if serving.pools else [])]
    if serving.nginx is None or not serving.site.servers:
        return [HttpRequest(serving.site.domain, path) for path in whole]
    few: list[HttpRequest] = []
    rest: list[HttpRequest] = []
    for server in sorted(serving.site.servers, key=_silence):
        doors = list(_doors(serving.nginx, server, serving.site.domain))
        for door in doors:
            first_name = door.host == doors[0].host
            usual = door == _same_scheme(doors, door)
            if _turns_away(server):
                few += [door.ask("/")] if usual else []
            elif usual:
                few += [door.ask(path) for path in pages[:2]]
                rest += [door.ask(path) for path in whole] if first_name or _conditional(server) else []
            elif first_name:
                few.append(door.ask(pages[:2][-1]))
    return list(dict.fromkeys([*few, *rest]))[:MAX_QUESTIONS]


def neighbour_requests(serving: Serving) -> list[HttpRequest]:
    """A sample of other sites' front pages, each where it is served and not merely redirected."""
    asked = []
    for name in serving.neighbours[:MAX_NEIGHBOURS]:
        every = serving.nginx.servers if serving.nginx else ()
        blocks = [s for s in every if name in s.names or f".{name}" in s.names]
        doors = [
            door
            for server in sorted(blocks, key=_silence)
            for door in _doors(serving.nginx, server, name)
            if serving.nginx and door.host == name
        ]
        asked.append(doors[0].ask("/") if doors else HttpRequest(name))
    return asked


def stray_requests(serving: Serving) -> list[HttpRequest]:
    """Front pages of directories that only nginx's choice of a default brings to a block of this vhost.

    At each door a name that nobody has is asked for as well, which tells what depends on the directory.
    """
    if serving.nginx is None:
        return []
    asked = []
    for name in serving.site.strays[:MAX_STRAYS]:
        for server in serving.site.servers:
            for listen in server.listens:
                if listen.address.startswith("unix:") or listen.proxy_protocol:
                    continue
                address = _address(serving.nginx, server, name, listen)
                if address:
                    asked += [HttpRequest(n, "/", address, listen.port, listen.tls) for n in (NOBODY, name)]
    return list(dict.fromkeys(asked))


def live_strays(before: Sequence[Baseline]) -> list[str]:
    """Those of ``stray_requests`` that show a page which the name that nobody has does not."""
    shown = [b.request for b in before if b.status // 100 == 2]
    all_get = {(r.address, r.port, r.tls) for r in shown if r.host == NOBODY}
    return list(dict.fromkeys(r.host for r in shown if (r.address, r.port, r.tls) not in all_get))


def further_requests(serving: Serving, before: Sequence[Baseline]) -> list[HttpRequest]:
    """Where the site itself sends who asks for its pages, as far as it is served here; for who saw none."""
    if serving.nginx is None:
        return []
    model, domain = serving.nginx, serving.site.domain
    doors = [door for server in serving.site.servers for door in _doors(model, server, domain)]
    asked = {b.request for b in before}
    found = []
    for was in before:
        place = urlsplit(was.headers.get("location", "")) if was.status // 100 == 3 else None
        if place is None or was.request.path in HIDDEN or ".ph" in place.path.lower():
            continue
        host = (place.hostname or was.request.host).lower()
        tls = place.scheme == "https" if place.scheme else was.request.tls
        try:
            port = place.port or ((443 if tls else 80) if place.netloc else was.request.port)
        except ValueError:
            continue
        for door in doors:
            if (door.host, door.port, door.tls) == (host, port, tls):
                found.append(door.ask(place.path or "/"))
                break
    return [r for r in dict.fromkeys(found) if r not in asked][:3]


def unseen(own: Sequence[Baseline]) -> str:
    """Why nobody can say that pages of the site come, in words; empty when one was seen.

    A page was seen where an answer was 2xx, or where nginx tells a file that is there from one that is not.
    """
    if not own:
        return ""
    if all(b.status == 0 for b in own):
        return "the site could not be asked over HTTP: verified by files and sockets only"
    pages = [b for b in own if b.request.path not in (*HIDDEN, NO_SCRIPT)]
    gone = {_place(b.request): b.status for b in own if b.request.path == MISSING and b.status}
    for page in pages:
        elsewhere = gone.get(_place(page.request), page.status)
        if page.status // 100 == 2 or (0 < page.status < 500 and page.status != elsewhere):
            return ""
    said = ", ".join(str(status) for status in sorted({b.status for b in pages if b.status}))
    return (
        f"nobody saw a page of this site: all that was asked for answered {said or 'nothing'}. The new"
        " place is proven by files and sockets only; look at the site yourself afterwards"
    )


def blind_spots(serving: Serving) -> list[str]:
    """What is known before the first question of why nobody will see a page."""
    if serving.nginx is None or not serving.site.servers:
        return []
    telling = [s for s in serving.site.servers if not _turns_away(s)]
    doors = [d for s in telling for d in _doors(serving.nginx, s, serving.site.domain)]
    if not doors:
        why = (
            "its server blocks only redirect" if not telling else "none of its listens can be asked from here"
        )
        return [f"nobody will see a page of this site: {why}; look at the site yourself afterwards"]
    if all(any(p.directive.values != ("off",) for p in d.server.own("auth_basic")) for d in doors):
        return ["the site asks for a password: what nobody may see is proven by files and sockets only"]
    return []


def _place(request: HttpRequest) -> tuple[str, str, int]:
    return request.host, request.address, request.port


def _same_scheme(doors: Sequence[_Door], door: _Door) -> _Door:
    """The first door for that name with the same scheme: what the others show as well."""
    return next(d for d in doors if (d.host, d.tls) == (door.host, door.tls))


def _silence(server: Server) -> tuple[bool, bool]:
    """How little a block has to tell, for sorting."""
    return _turns_away(server), not server.any("root", "alias", *PASS)


def _turns_away(server: Server) -> bool:
    """Whether the block answers every question with its ``return``."""
    return bool(server.own("return"))


def _conditional(server: Server) -> bool:
    """Whether an ``if`` or ``rewrite`` at the level of the server may send some askers elsewhere."""
    inside = [p for p in server.any("return", "rewrite") if p.blocks in (("server", "if"), ("server",))]
    return bool(inside)


def _doors(model: NginxModel, server: Server, domain: str) -> Iterator[_Door]:
    """The ways into ``server`` on which nginx really answers with it, the domain's own name first."""
    names = plain_names(server) or [domain, f"www.{domain}"]
    names = sorted(dict.fromkeys(names), key=lambda name: name != domain)[:MAX_NAMES]
    for host in names:
        for listen in server.listens:
            if listen.address.startswith("unix:") or listen.proxy_protocol:
                continue
            address = _address(model, server, host, listen)
            if address:
                yield _Door(server, host, address, listen.port, listen.tls)


def _address(model: NginxModel, server: Server, host: str, listen: Listen) -> str:
    """Where to connect to from the vnode itself, so that ``server`` answers for ``host``; empty: nowhere.

    A block that listens on every address is not asked on one that another block listens on by itself.
    """
    usual, port, _ = listen.probe
    for address in _LOOPBACK if usual == _LOOPBACK[0] else (usual,):
        if answering(model, host, address, port) is server:
            return address
    return ""
