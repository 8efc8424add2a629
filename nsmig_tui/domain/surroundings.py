"""One vhost in its surroundings: how nginx and php-fpm serve it, and everything a plan needs of that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from .config_report import (
    fpm_leftovers,
    fpm_obstacles,
    master_leftovers,
    named_elsewhere,
    named_texts,
    nginx_leftovers,
)
from .fpm_pools import FpmModel, Pool, PoolSet, find_pools, load_fpm
from .fpm_rewrite import BOUND
from .nginx_load import load_nginx
from .nginx_model import NginxModel, Placed, refuses_links
from .nginx_sites import Problem, Site, Use, find_site
from .nginx_syntax import NginxSyntaxError
from .nginx_variables import Blocks
from .path_map import PathMap, below, final_map, normal
from .readings import Capabilities, FpmMaster
from .service_config import ServiceConfig


@dataclass(frozen=True)
class Serving:
    """How one vhost is served. ``fpm`` is None for a vhost without PHP.

    ``standing``: what stays in ``var/run``, as in `PathMap`. ``uses``: what of nginx's configuration goes on
    naming old paths. ``named``: paths of the vhost that others name, see `named_elsewhere`. ``blocks``: what
    is known of its server blocks, where nginx's configuration could be read.
    """

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
    standing: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    named: tuple[str, ...] = ()
    blocks: Blocks | None = field(default=None, compare=False, repr=False)

    @cached_property
    def configured(self) -> list[str]:
        """Every value of its configuration that may name a path of it."""
        return named_texts(self.site, self.pools, self.blocks)

    @property
    def paths(self) -> PathMap:
        """Where the vhost's paths lead after the migration."""
        return final_map(self.site.upath, self.site.links, self.standing)

    @property
    def sockets(self) -> list[str]:
        """The addresses that the vhost's pools make."""
        return sockets_of(self.pools)

    @property
    def without_links(self) -> bool:
        """Whether nginx may meet no link of ours on its way to the content, as those of an exchange are.

        Then what exists on disk tells it the root for each request, and two renames do for the exchange.
        """
        if self.nginx is None:
            return False
        outside = any(refuses_links(p.directive) for p in self.nginx.outside)
        return any(
            any(refuses_links(p.directive) for p in server.inner)
            or (outside and not server.own("disable_symlinks"))
            for server in self.site.servers
        )


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
    sockets: tuple[str, ...] = (),
) -> Serving:
    """All that serves ``domain``.

    ``directories``: real ones beside it; ``links``: links to it; ``var_entries``: what is in its ``var``;
    ``sockets``: those in its ``var/run``, absolute.
    """
    model, problems = nginx_model(nginx)
    if model is None:
        return Serving(Site(domain, upath), None, problems=problems)
    site = find_site(model, domain, upath, real_dirs=directories, links=links)
    found = list(site.problems)
    models = fpm_models(fpm)
    served = find_pools(models, upath, site.sockets, links=site.links)
    served, idle_words = without_idle(served, capabilities)
    with_pools = [(m, s) for m, s in served if s.pools]
    found += idle_words
    found += [problem for _, s in served for problem in s.problems]
    own_pools = [pool for _, s in with_pools for pool in s.pools]
    standing = standing_of(upath, [*sockets, *_named_sockets(own_pools)], own_pools)
    paths = final_map(upath, site.links, standing)
    blocks = Blocks(model, domain)
    said, uses = nginx_leftovers(model, site, var_entries, standing, sockets_of(own_pools), blocks)
    found += said
    found += fpm_leftovers(own_pools, upath, site.links, var_entries, standing)
    found += [p for m, s in with_pools for p in fpm_obstacles(m, s.pools, paths)]
    found += _masters(models, paths, var_entries, capabilities)
    named = named_elsewhere(model, models, site, paths)
    around: Any = {
        "neighbours": neighbours_of(model, site),
        "standing": standing,
        "uses": uses,
        "named": named,
        "blocks": blocks,
    }
    if not site.servers:
        found.append(
            Problem("error", f"no nginx server block serves {domain}", "", "Add one, or leave it out.")
        )
    found += _without_pool(site, with_pools)
    if not with_pools:
        return Serving(site, model, problems=unique(found), **around)
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
        unique(found),
        others,
        version[1] if version else "",
        **around,
    )


def sockets_of(pools: Iterable[Pool]) -> list[str]:
    """The addresses that pools make."""
    return [address for pool in pools for key in BOUND if (address := pool.value(key))]


def _named_sockets(pools: Iterable[Pool]) -> list[str]:
    """What the values of pools call sockets, whether or not they are there today."""
    return [normal(path) for pool in pools for path in re.findall(r"unix:(/[^\s:;,\"'?&$]+)", pool.text)]


def standing_of(upath: str, sockets: Iterable[str], pools: Iterable[Pool]) -> tuple[str, ...]:
    """What stays in ``var/run``: sockets that none of the ``pools`` makes, and folders that hold one."""
    own = {normal(address) for address in sockets_of(pools)}
    there = [path[len(upath) + 1 :] for path in sockets if path not in own and below(path, upath)]
    return tuple(sorted({"/".join(p.split("/")[:3]) for p in there if p.startswith("var/run/")}))


def unique(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once."""
    return tuple(dict.fromkeys(problems))


def _masters(
    models: list[FpmModel], paths: PathMap, var_entries: tuple[str, ...], capabilities: Capabilities
) -> list[Problem]:
    """What each php-fpm itself names; of one that does not run that is only worth a word."""
    running = {master.conf for master in capabilities.masters}
    found = []
    for model in models:
        left = master_leftovers(model, paths, var_entries)
        idle = bool(running) and model.main not in running
        found += [replace(p, severity="warning") for p in left] if idle else left
    return found


Served = tuple[FpmModel, PoolSet]


def _without_pool(site: Site, served: list[Served]) -> list[Problem]:
    """A vhost that asks for PHP where nobody answers, or in more than one place."""
    unix = [s for s in site.sockets if s.startswith("unix:")]
    if not served and unix:
        message = f"nginx asks {unix[0]} for PHP, but no php-fpm pool listens there"
        return [Problem("error", message, hint="Add the pool, or take fastcgi_pass out.")]
    if len(served) > 1:
        message = "pools of more than one php-fpm serve this vhost; that is not supported"
        return [Problem("critical", message, hint="Leave the vhost one pool.")]
    return []


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
    names = [server.first_name for server in model.servers if server.number not in own]
    return tuple(dict.fromkeys(name for name in names if re.fullmatch(r"[a-z0-9.-]+", name)))


def document_root_below(site: Site) -> bool:
    """Whether the document root is in the vhost's own web."""
    return site.document_root is not None and below(site.document_root, f"{site.upath}/web")
