"""Which server blocks of nginx serve one vhost, and what about them we cannot migrate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .nginx_choice import answering
from .nginx_model import (
    HOST_VARIABLES,
    Listen,
    NginxModel,
    Placed,
    Server,
    name_matches,
    plain_names,
    resolve_value,
)
from .path_map import below, normal

PASS = ("fastcgi_pass", "uwsgi_pass", "scgi_pass", "proxy_pass", "grpc_pass")
LOGS = ("access_log", "error_log")
_WITH = {"auth_basic_user_file": "auth_basic", "fastcgi_param": "fastcgi_pass"}
"""What names paths also at the http level -> what makes use of it in a server block."""


@dataclass(frozen=True)
class Problem:
    """Something that stands in the way (critical, error) or is worth a word (warning).

    ``where`` is ``FILE:LINE``, or empty.
    """

    severity: str
    message: str
    where: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Use:
    """Text of the configuration that goes on naming an old path, for which only a link can hold.

    ``where`` is ``FILE:LINE``. ``must``: nginx, or the site, needs what is there.
    """

    where: str
    text: str
    must: bool = False


@dataclass(frozen=True)
class Site:
    """How nginx serves one vhost.

    ``servers`` are the blocks that are the vhost's own, redirect-only ones among them.
    ``links``: other absolute paths that are symbolic links to ``upath``. ``document_root`` is what ``root``
    is for a request to the domain. ``sockets``: where PHP is asked, as nginx writes it (``unix:/…``,
    ``127.0.0.1:9000``). ``names``: all plain names that the blocks answer to, the domain first.
    """

    domain: str
    upath: str
    links: tuple[str, ...] = ()
    servers: tuple[Server, ...] = ()
    document_root: str | None = None
    sockets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    listens: tuple[Listen, ...] = ()
    problems: tuple[Problem, ...] = ()
    strays: tuple[str, ...] = ()
    """Directories beside it that no block names: nginx answers for them with a block of this vhost."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the server blocks stand in, as nginx reads them."""
        return tuple(dict.fromkeys(server.file for server in self.servers))


def find_site(
    model: NginxModel,
    domain: str,
    upath: str,
    *,
    real_dirs: Collection[str] = (),
    links: Collection[str] = (),
) -> Site:
    """The server blocks that serve the vhost ``domain`` from ``upath``.

    ``real_dirs``: names of the real directories beside ``upath`` (other vhosts), which tell whether a
    block that builds its root from the host's name serves others too. ``links``: names beside ``upath``
    that are symbolic links to it.
    """
    vpath = upath.rsplit("/", 1)[0]
    link_paths = tuple(f"{vpath}/{name}" for name in links)
    tops = (upath, *link_paths)
    named = [s for s in model.servers if domain in s.names or f".{domain}" in s.names]
    root = _document_root(model, named, domain)
    same = _same_root(model, root, tops) | _siblings(model, domain, real_dirs, tops)
    same |= _only_ours(
        model, same | {server.number for server in named}, vpath, {*real_dirs} - {domain}, tops
    )
    own = [server for server in model.servers if server in named or server.number in same]
    root = root or _document_root(model, own, domain)
    strays, words = _strays(model, own, vpath, {*real_dirs} - {domain, *links})
    problems = [
        *_catch_all(model, own, named, domain, tops),
        *words,
        *_several_directories(model, own, domain, vpath, real_dirs, links),
        *_foreign(model, own, tops),
        *_inherited(model, own, domain, tops),
    ]
    sockets = [
        address
        for server in own
        for placed in server.any("fastcgi_pass")
        for address in _addresses(model, server, placed, domain)
    ]
    names = [domain, *(name for server in own for name in plain_names(server))]
    return Site(
        domain,
        upath,
        link_paths,
        tuple(own),
        root,
        tuple(dict.fromkeys(sockets)),
        tuple(dict.fromkeys(names)),
        tuple(dict.fromkeys(listen for s in own for listen in s.listens)),
        tuple(dict.fromkeys(problems)),
        strays,
    )


def is_redirect_only(server: Server) -> bool:
    """Whether the block answers everything with ``return`` and serves no file and no application."""
    return bool(server.own("return")) and not server.any("root", "alias", *PASS)


def is_templated(text: str) -> bool:
    """Whether the value is built from the name of the host that is asked for."""
    return any(f"${name}" in text or f"${{{name}}}" in text for name in HOST_VARIABLES)


def _document_root(model: NginxModel, servers: list[Server], domain: str) -> str | None:
    for server in servers:
        if is_redirect_only(server):
            continue
        roots = server.own("root") or [p for p in server.any("root") if p.blocks == ("server", "location")]
        roots = roots or [p for p in model.outside if p.directive.name == "root" and p.blocks == ("http",)]
        if roots and roots[0].directive.args:
            return normal(resolve_value(model, server, roots[0].directive.values[0], domain)).rstrip("/")
    return None


def _siblings(model: NginxModel, domain: str, real_dirs: Collection[str], tops: tuple[str, ...]) -> set[int]:
    """Blocks for ``www.`` or all names below the domain that redirect, or serve from this tree."""
    if f"www.{domain}" in real_dirs:
        return set()
    using = {used.server.number for top in tops for used in model.used_below(top)}
    wanted = {f"www.{domain}", f"*.{domain}"}
    return {
        server.number
        for server in model.servers
        if wanted & set(server.names) and (server.number in using or is_redirect_only(server))
    }


def _same_root(model: NginxModel, root: str | None, tops: tuple[str, ...]) -> set[int]:
    """The blocks that serve the very tree of this vhost, under whatever name."""
    wanted = {f"{top}/web" for top in tops}
    if root and any(below(root, top) for top in tops):
        wanted.add(root)
    return {
        used.server.number
        for top in wanted
        for used in model.used_below(top)
        if used.path == top and used.placed.directive.name == "root" and used.placed.blocks == ("server",)
    }


def _only_ours(
    model: NginxModel, known: set[int], vpath: str, others: Collection[str], tops: tuple[str, ...]
) -> set[int]:
    """Blocks under other names that serve from this tree and from no other, ``static.`` for one.

    A name with a directory of its own is another vhost's, whatever its block serves.
    """
    found = set()
    for number in {used.server.number for top in tops for used in model.used_below(top)} - known:
        server = model.servers[number]
        if any(name in others for name in plain_names(server)):
            continue
        paths = [used for used in model.used_below(vpath) if used.server is server]
        served = [p for p in server.any("root", "alias", *PASS) if p.directive.args]
        ours = [u.placed for u in paths if any(below(u.path, top) for top in tops)]
        roots = [p for p in served if p.directive.name in ("root", "alias")]
        if len(ours) == len(paths) and all(p in ours for p in roots) and any(p in ours for p in served):
            found.add(number)
    return found


def _addresses(model: NginxModel, server: Server, placed: Placed, domain: str) -> list[str]:
    """Where a ``fastcgi_pass`` leads: its upstream's servers, or itself."""
    if not placed.directive.args:
        return []
    value = resolve_value(model, server, placed.directive.values[0], domain)
    lines = [p for p in model.upstream(value) if p.directive.args]
    return [resolve_value(model, server, p.directive.values[0], domain) for p in lines] or [value]


def _catch_all(
    model: NginxModel, own: list[Server], named: list[Server], domain: str, tops: tuple[str, ...]
) -> list[Problem]:
    """A vhost that only a block for many names serves."""
    if named:
        return []
    for server in model.servers:
        patterned = any(name_matches(name, domain) for name in server.names)
        if server in own or not (patterned or any(listen.default for listen in server.listens)):
            continue
        for placed in server.any("root", "alias"):
            value = placed.directive.values[0] if placed.directive.args else ""
            led = normal(resolve_value(model, server, value, domain)) if "$" in value else ""
            if any(below(led, top) for top in tops):
                return [
                    Problem(
                        "critical",
                        f"one server block serves {domain} together with other vhosts",
                        server.where,
                        f"Give {domain} a server block of its own.",
                    )
                ]
    return []


def _several_directories(
    model: NginxModel,
    own: list[Server],
    domain: str,
    vpath: str,
    real_dirs: Collection[str],
    links: Collection[str],
) -> list[Problem]:
    """Own blocks whose templated paths lead into other vhosts' directories too."""
    problems = []
    others = [name for name in real_dirs if name != domain and name not in links]
    claimed = {name for server in model.servers if server not in own for name in server.names}
    for server in own:
        if not _leads_by_name(server, vpath):
            continue
        takes_all = any(listen.default for listen in server.listens)
        for other in others:
            exact = other in server.names
            pattern = any(name_matches(name, other) for name in server.names) or takes_all
            if exact or (pattern and other not in claimed):
                problems.append(
                    Problem(
                        "critical",
                        f"the server block of {domain} also serves {vpath}/{other}",
                        server.where,
                        f"Give {other} a server block of its own.",
                    )
                )
    return problems


def _leads_by_name(server: Server, vpath: str) -> bool:
    return any(is_templated(v) for p in server.inner for v in p.directive.values if vpath in v)


def _strays(
    model: NginxModel, own: list[Server], vpath: str, others: Collection[str]
) -> tuple[tuple[str, ...], list[Problem]]:
    """Names of other directories for which nginx comes to an own block only because it is the first one.

    Nobody meant it so, mostly: a vhost for mail alone, or one that was switched off. But one that is live in
    this way would not be found any more.
    """
    found: dict[str, Server] = {}
    every = {name for server in model.servers for name in server.names}
    for server in own:
        if is_redirect_only(server) or not _leads_by_name(server, vpath):
            continue
        if any(listen.default for listen in server.listens):  # that is meant, and refused
            continue
        probes = [listen.probe for listen in server.listens if not listen.address.startswith("unix:")]
        for name in sorted(others):
            if "." not in name.strip(".") or any(name_matches(pattern, name) for pattern in every):
                continue
            if any(answering(model, name, address, port) is server for address, port, _ in probes):
                found.setdefault(name, server)
    if not found:
        return (), []
    names = [*found]
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    message = (
        f"nginx gives what no block names to this vhost's: it answers for {told} too, by their directories"
    )
    hint = "Give what is live of them a server block of its own: it would not be found after the migration."
    return tuple(names), [Problem("warning", message, found[names[0]].where, hint)]


def _foreign(model: NginxModel, own: list[Server], tops: tuple[str, ...]) -> list[Problem]:
    """Other blocks that use paths in this vhost's tree; what a block names outside of web and var stays."""
    problems = []
    for used in (used for top in tops for used in model.used_below(top)):
        if used.server in own:
            continue
        label = used.server.names[0] if used.server.names else "a server block without a name"
        name = used.placed.directive.name
        message = f"{label} uses {used.path} in its {name}"
        rest = next(used.path[len(top) :] for top in tops if below(used.path, top))
        first, variable, _ = rest.strip("/").split("/")[0].partition("$")
        if not any(
            first in (moving, "") or (variable and moving.startswith(first)) for moving in ("web", "var")
        ):
            problems.append(Problem("warning", f"{message}, so it stays in place", used.placed.where))
            continue
        severity = "critical" if name in ("root", "alias", *PASS) else "error"
        hint = "That server block would not be migrated."
        problems.append(Problem(severity, message, used.placed.where, hint))
    return problems


def _inherited(model: NginxModel, own: list[Server], domain: str, tops: tuple[str, ...]) -> list[Problem]:
    """Paths that own blocks inherit from the http level, where nothing can be changed for one vhost."""
    problems = []
    for placed in model.outside:
        directive = placed.directive
        if placed.blocks != ("http",) or directive.name not in ("root", *LOGS, *_WITH) or not directive.args:
            continue
        for server in own:
            if is_redirect_only(server) or server.own(directive.name):
                continue
            if directive.name in _WITH:  # a literal path is changed where it stands
                unused = not server.any(_WITH[directive.name]) or server.any(directive.name)
                if unused or not is_templated(directive.values[-1]):
                    continue
            given = directive.values[-1] if directive.name in _WITH else directive.values[0]
            value = normal(resolve_value(model, server, given, domain))
            if any(below(value, top) for top in tops):
                severity = "critical" if directive.name == "root" else "error"
                message = f"{directive.name} {given} is inherited from the http level"
                hint = f"Set {directive.name} in the server block of {domain}."
                problems.append(Problem(severity, message, placed.where, hint))
    return problems
