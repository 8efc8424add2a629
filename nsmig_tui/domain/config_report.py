"""What in a vhost's configuration names places that the migration cannot follow for it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

from .fpm_pools import Pool
from .nginx_model import NginxModel, Placed
from .nginx_sites import Problem, Site
from .path_map import PathMap, below, final_map, substitute

_LEGACY = ("etc", "bin", ".ssh", "var")
_WORD = re.compile(r"/[^\s\"':;,|&<>=?#()]*")
_VARIABLE = re.compile(r"\$\{?(\w+)")


def nginx_leftovers(model: NginxModel, site: Site) -> list[Problem]:
    """Values in the vhost's server blocks (and literal ones outside) that no mapping reaches."""
    paths = final_map(site.upath, site.links)
    problems: list[Problem] = []
    for server in site.servers:
        values = {"host": site.domain, "http_host": site.domain}
        values["server_name"] = server.names[0] if server.names else site.domain
        for placed in server.inner:
            problems += _placed(placed, paths, values)
    naming = {path for path, text in model.texts.items() if paths.is_near(text)}
    for placed in model.outside:
        if placed.file in naming:
            problems += _placed(placed, paths, {})
        if placed.directive.name == "map" and len(placed.directive.args) == 2:
            problems += _shared_map(placed, site, paths)
    return list(dict.fromkeys(problems))


def fpm_leftovers(pools: Iterable[Pool], upath: str, links: tuple[str, ...] = ()) -> list[Problem]:
    """Values in the vhost's pools that no mapping reaches."""
    paths = final_map(upath, links)
    problems: list[Problem] = []
    for pool in pools:
        for entry in pool.entries:
            problems += _value(entry.value, entry.key, entry.where, paths, {"pool": pool.name})
    return list(dict.fromkeys(problems))


def uses_tmp(site: Site, pools: Iterable[Pool]) -> bool:
    """Whether a server block or a pool refers to ``var/tmp``, so that it has to move along."""
    top = f"{site.upath}/var/tmp"
    tmp = PathMap(site.upath, (("var/tmp", "web/tmp"),), site.links)
    in_pools = any(tmp.find(e.value, {"pool": pool.name}) for pool in pools for e in pool.entries)
    values = {"host": site.domain, "http_host": site.domain, "server_name": site.domain}
    in_nginx = any(tmp.find(v, values) for s in site.servers for p in s.inner for v in p.directive.values)
    return (
        in_pools
        or in_nginx
        or any(top in v for s in site.servers for p in s.inner for v in p.directive.values)
    )


def _shared_map(placed: Placed, site: Site, paths: PathMap) -> list[Problem]:
    """Entries of a map that the vhost uses and that build its paths for all vhosts, or compare with them."""
    variable = placed.directive.values[1]
    if not any(variable in v for server in site.servers for p in server.inner for v in p.directive.values):
        return []
    values = {
        "host": site.domain,
        "http_host": site.domain,
        placed.directive.values[0].strip("${}"): site.domain,
    }
    problems = []
    for entry in placed.directive.block or ():
        shared = any(hit.templated for value in entry.values for hit in paths.find(value, values))
        if shared or paths.find(entry.name.lstrip("~*^"), values):
            message = f"the map of {variable} names the vhost's path in a line that is not changed"
            where = f"{placed.file}:{entry.line}"
            problems.append(Problem("critical", message, where, f"Give {site.domain} a line of its own."))
    return problems


def _placed(placed: Placed, paths: PathMap, values: Mapping[str, str]) -> list[Problem]:
    directive = placed.directive
    problems: list[Problem] = []
    for value in directive.values:
        problems += _value(value, directive.name, placed.where, paths, values)
    return problems


def _value(value: str, name: str, where: str, paths: PathMap, values: Mapping[str, str]) -> list[Problem]:
    plain = substitute(value, values)
    # most values name no path at all; whatever can be said of one below holds one of these
    if not (values and paths.beside in plain) and not paths.is_near(plain):
        return []
    tops = (paths.upath, *paths.aliases)
    problems = []
    for word in _WORD.findall(plain):
        normal = posixpath.normpath(word)
        top = next((top for top in tops if below(normal, top)), None)
        if top is None:
            unknown = _unknown_vhost(word, paths.upath) if values else ""
            if unknown:
                message = f"{name} {value} is built from ${unknown}, which cannot be followed"
                problems.append(Problem("error", message, where, "Write the path out."))
            continue
        mapped = paths.path(paths.upath + normal[len(top) :])
        rest = normal[len(top) :].strip("/").split("/")
        if mapped != paths.upath + normal[len(top) :]:
            if not paths.find(value, values):
                message = f"{name} {value} names the path in a form that cannot be changed"
                problems.append(Problem("error", message, where, f"Write it as {normal}."))
        elif rest[0] in _LEGACY and normal != f"{top}/var":
            message = f"{name} refers to {normal}, which leaves the live tree"
            severity = "warning" if name.startswith("env[") else "error"
            problems.append(Problem(severity, message, where, "Move it, or point the setting elsewhere."))
    return problems


def _unknown_vhost(word: str, upath: str) -> str:
    """The variable that stands where a vhost's directory would, if any."""
    vpath = posixpath.dirname(upath)
    if not word.startswith(vpath + "/"):
        return ""
    match = _VARIABLE.search(word[len(vpath) + 1 :].split("/")[0])
    return match[1] if match else ""
