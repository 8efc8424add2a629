"""One vhost in its surroundings: how nginx and php-fpm serve it, and everything a plan needs of that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from .config_report import fpm_leftovers, nginx_leftovers
from .fpm_pools import FpmModel, Pool, PoolSet, find_pools, load_fpm
from .nginx_load import load_nginx
from .nginx_model import NginxModel, Placed
from .nginx_sites import Problem, Site, find_site
from .nginx_syntax import NginxSyntaxError
from .path_map import below
from .readings import Capabilities, FpmMaster
from .service_config import ServiceConfig


@dataclass(frozen=True)
class Serving:
    """How one vhost is served. ``fpm`` is None for a vhost without PHP."""

    site: Site
    nginx: NginxModel | None
    fpm: FpmModel | None = None
    pools: tuple[Pool, ...] = ()
    master: FpmMaster | None = None
    binary: str = ""
    problems: tuple[Problem, ...] = ()
    other_sockets: tuple[str, ...] = ()
    php_version: str = ""
    neighbours: tuple[str, ...] = field(default=())


def nginx_model(config: ServiceConfig | None) -> tuple[NginxModel | None, tuple[Problem, ...]]:
    """The model of nginx's files, or why there is none."""
    if config is None or not config.files:
        return None, (
            Problem("error", "nginx's configuration could not be found", "", "Is nginx installed?"),
        )
    try:
        return load_nginx(config.texts(), config.resolve()), ()
    except NginxSyntaxError as error:
        return None, (
            Problem(
                "error", f"nginx's configuration cannot be read: {error}", "", "Mend it; see `nginx -t`."
            ),
        )


def fpm_models(configs: tuple[ServiceConfig, ...]) -> list[FpmModel]:
    """One model a php-fpm main file."""
    return [load_fpm(c.texts(), c.resolve()) for c in configs if c.files]


def serving_of(
    domain: str,
    upath: str,
    nginx: ServiceConfig | None,
    fpm: tuple[ServiceConfig, ...],
    capabilities: Capabilities,
    listening: frozenset[str] = frozenset(),
    directories: tuple[str, ...] = (),
    links: tuple[str, ...] = (),
    var_entries: tuple[str, ...] = (),
) -> Serving:
    """All that serves ``domain``.

    ``directories``: real ones beside it; ``links``: links to it; ``var_entries``: what is in its ``var``.
    """
    model, problems = nginx_model(nginx)
    if model is None:
        return Serving(Site(domain, upath), None, problems=problems)
    site = find_site(model, domain, upath, real_dirs=directories, links=links)
    found = list(site.problems)
    served = find_pools(fpm_models(fpm), upath, site.sockets, links=site.links)
    served, idle = without_idle(served, capabilities)
    with_pools = [(m, s) for m, s in served if s.pools]
    found += idle
    found += [problem for _, s in served for problem in s.problems]
    found += nginx_leftovers(model, site, var_entries)
    found += [p for m, s in with_pools for p in fpm_leftovers(s.pools, upath, site.links, var_entries)]
    if not site.servers:
        found.append(
            Problem("error", f"no nginx server block serves {domain}", "", "Add one, or leave it out.")
        )
    names = neighbours_of(model, site)
    if not with_pools:
        unix = [s for s in site.sockets if s.startswith("unix:")]
        if unix:
            found.append(
                Problem(
                    "error",
                    f"nginx asks {unix[0]} for PHP, but no php-fpm pool listens there",
                    hint="Add the pool, or take fastcgi_pass out.",
                )
            )
        return Serving(site, model, problems=tuple(found), neighbours=names)
    if len(with_pools) > 1:
        found.append(
            Problem(
                "critical",
                "pools of more than one php-fpm serve this vhost; that is not supported",
                hint="Leave the vhost one pool.",
            )
        )
    fpm_model, pools = with_pools[0]
    binary = next((c.binary for c in fpm if c.main == fpm_model.main), "")
    master = next((m for m in capabilities.masters if m.conf == fpm_model.main), None)
    version = re.search(r"/php/?(\d+\.?\d*)/", fpm_model.main)
    own = {pool.name for pool in pools.pools}
    others = tuple(
        sorted(
            {p.listen for p in fpm_model.pools if p.name not in own and p.listen.startswith("/")}
            & (set(listening) if listening else {p.listen for p in fpm_model.pools})
        )
    )
    return Serving(
        site,
        model,
        fpm_model,
        pools.pools,
        master,
        binary,
        tuple(found),
        others,
        version[1] if version else "",
        names,
    )


Served = tuple[FpmModel, PoolSet]


def without_idle(served: list[Served], capabilities: Capabilities) -> tuple[list[Served], list[Problem]]:
    """What a running php-fpm serves; configuration that none runs with serves nobody, and gets a word.

    Where nothing runs that has a pool of the vhost, all stay: then that is what must be said.
    """
    running = {master.conf for master in capabilities.masters}
    live = [(m, s) for m, s in served if m.main in running]
    if not any(s.pools for _, s in live):
        return served, []
    return live, [
        Problem(
            "warning",
            f"{m.main} has a pool for this vhost too, but no php-fpm runs with it; it is left as it is",
            s.pools[0].where if s.pools else "",
            "Remove that pool, or it will name old paths when that php-fpm is started.",
        )
        for m, s in served
        if m.main not in running
    ]


def web_account(capabilities: Capabilities, model: NginxModel | None) -> Capabilities:
    """The same, with the web server's account that nginx itself names or its workers have.

    As nginx has it: a group that is not given is the one with the account's name. What nginx says and
    nobody knows is not replaced by a guess.
    """
    said = [p.directive.values for p in model.outside if _is_user(p)] if model else []
    if said:
        name, group = said[0][0], said[0][1] if len(said[0]) > 1 else said[0][0]
        uid, gid = capabilities.users.get(name), capabilities.groups.get(group)
        if uid is None or gid is None:
            uid = gid = None
        return replace(capabilities, web_user=name, web_uid=uid, web_gid=gid)
    if capabilities.web_worker is not None and capabilities.web_worker[0] != 0:
        uid, gid = capabilities.web_worker
        name = next((n for n, u in capabilities.users.items() if u == uid), "")
        return replace(capabilities, web_user=name, web_uid=uid, web_gid=gid)
    return capabilities


def _is_user(placed: Placed) -> bool:
    return placed.directive.name == "user" and not placed.blocks and bool(placed.directive.args)


def neighbours_of(model: NginxModel, site: Site) -> tuple[str, ...]:
    """Names of other sites on the vnode, for a look before and after."""
    own = {server.number for server in site.servers}
    names = [
        name
        for server in model.servers
        if server.number not in own
        for name in server.names[:1]
        if re.fullmatch(r"[a-z0-9.-]+", name)
    ]
    return tuple(dict.fromkeys(names))


def document_root_below(site: Site) -> bool:
    """Whether the document root is in the vhost's own web."""
    return site.document_root is not None and below(site.document_root, f"{site.upath}/web")
