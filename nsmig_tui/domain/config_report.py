"""What in a vhost's configuration names places that the migration cannot follow for it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable

from .fpm_pools import FpmModel, Pool
from .fpm_rewrite import fpm_changes
from .nginx_model import NginxModel, Placed
from .nginx_rewrite import LEAD_ELSEWHERE, foreseen
from .nginx_sites import Problem, Site, Use
from .nginx_spelling import WRITE_OUT
from .nginx_syntax import include_pattern
from .nginx_variables import Blocks
from .old_paths import LEGACY
from .path_map import WORD, PathMap, below, final_map, normal, substitute
from .php_values import map_value

_VARIABLE = re.compile(r"\$\{?(\w+)")


def nginx_leftovers(
    model: NginxModel,
    site: Site,
    var_entries: Collection[str] = (),
    standing: tuple[str, ...] = (),
    sockets: Collection[str] | None = None,
    blocks: Blocks | None = None,
) -> tuple[list[Problem], tuple[Use, ...]]:
    """Values in the vhost's server blocks (and literal ones outside) that no mapping reaches; uses that stay.

    ``var_entries``: what is in ``var``; with anything else than the known folders ``var`` stays.
    ``standing``, ``sockets`` and ``blocks``: as in `PathMap` and `nginx_changes`.
    """
    blocks = blocks or Blocks(model, site.domain)
    paths = final_map(site.upath, site.links, standing)
    stays = _var_stays(var_entries)
    problems: list[Problem] = []
    for server in site.servers:
        variables = blocks.of(server).server
        for placed in server.inner:
            name, where = placed.directive.name, placed.where
            for value in placed.directive.values:
                for plain in variables.readings(value) if "$" in value else (value,):
                    problems += _leaving(plain, name, where, paths, stays)
                    problems += _unknown(plain, value, name, where, paths)
    naming = {path for path, text in model.texts.items() if paths.is_near(text)}
    shared = []
    for placed in model.outside:
        if placed.file in naming:
            for value in placed.directive.values:
                problems += _leaving(value, placed.directive.name, placed.where, paths, stays)
        if placed.directive.name == "map" and len(placed.directive.args) == 2:
            shared += _shared_map(placed, site, paths)
    said, uses = foreseen(model, site, paths, sockets, blocks)
    if not shared:
        problems += said
    problems += [*shared, *_unread(model, site), *_read_from_within(model, site, paths)]
    return list(dict.fromkeys(problems)), uses


def fpm_leftovers(
    pools: Iterable[Pool],
    upath: str,
    links: tuple[str, ...] = (),
    var_entries: Collection[str] = (),
    standing: tuple[str, ...] = (),
) -> list[Problem]:
    """Values in the vhost's pools that no mapping reaches."""
    paths = final_map(upath, links, standing)
    stays = _var_stays(var_entries)
    problems: list[Problem] = []
    for pool in pools:
        values = {"pool": pool.name}
        for entry in pool.entries:
            plain = substitute(entry.value, values)
            problems += _leaving(plain, entry.key, entry.where, paths, stays)
            problems += _unknown(plain, entry.value, entry.key, entry.where, paths)
            aim = map_value(paths, entry.key, normal(plain), {})
            new = substitute(map_value(paths, entry.key, entry.value, values), values)
            if normal(aim) != normal(new):
                message = f"{entry.key} {entry.value} names the path in a form that cannot be changed"
                problems.append(Problem("error", message, entry.where, f"Write it as {normal(plain)}."))
    return list(dict.fromkeys(problems))


def fpm_obstacles(model: FpmModel, pools: Collection[Pool], paths: PathMap) -> list[Problem]:
    """All that would be said of edits of the vhost's pools, those with two sockets and the last ones."""
    both = fpm_changes(model, pools, paths, copies=False, keep_old_socket=True)
    return [*both.problems, *fpm_changes(model, pools, paths).problems]


def master_leftovers(model: FpmModel, paths: PathMap, var_entries: Collection[str]) -> list[Problem]:
    """What php-fpm itself names of the vhost: no edit for one vhost may change what is for all of them."""
    problems = []
    for entry in model.globals:
        if entry.key == "include":
            continue
        problems += _leaving(entry.value, entry.key, entry.where, paths, _var_stays(var_entries))
        if paths.find(normal(entry.value)):
            message = f"php-fpm's own {entry.key} names {entry.value}, and php-fpm would not start without it"
            hint = "Give it a place outside of the vhosts, /var/log for one, and reload php-fpm."
            problems.append(Problem("error", message, entry.where, hint))
    for path in model.texts:
        if any(_moves(p, paths) for p in (path, model.real(path))):
            message = f"php-fpm reads {path} from a place that moves"
            problems.append(Problem("error", message, path, "Move it to the server's own configuration."))
    return problems


def _moves(path: str, paths: PathMap) -> bool:
    if not paths.is_near(path):
        return False
    return any(below(path, f"{top}/{old}") for top in paths.tops for old, _ in paths.rules)


def _read_from_within(model: NginxModel, site: Site, paths: PathMap) -> list[Problem]:
    """Files that nginx finds by a pattern or a link in places that move: no edit keeps them found."""
    inside = {path for path in model.texts if _moves(path, paths)}
    problems = [
        Problem("error", f"{path} is a link to {real}, which moves", path, LEAD_ELSEWHERE)
        for path, real in model.resolve.items()
        if path not in inside and _moves(real, paths)
    ]
    everywhere = [p for s in model.servers for p in s.inner] if inside else []
    for placed in (*everywhere, *(model.outside if inside else ())):
        if placed.directive.name == "include" and placed.directive.args:
            found = [path for path in model.included(placed.directive) if path in inside]
            if found and any(mark in placed.directive.values[0] for mark in "*?["):
                message = f"include {placed.directive.values[0]} finds {found[0]}, which moves"
                problems.append(Problem("error", message, placed.where, LEAD_ELSEWHERE))
    return problems


def named_elsewhere(
    model: NginxModel, masters: Iterable[FpmModel], site: Site, paths: PathMap
) -> tuple[str, ...]:
    """What names the vhost's paths beside its own blocks and pools: others' blocks, php-fpm itself, files."""
    texts = [u.path for top in paths.tops for u in model.used_below(top) if u.server not in site.servers]
    read = [model.texts, model.resolve.values()]
    for master in masters:
        texts += [entry.value for entry in master.globals]
        read += [master.texts, master.resolve.values()]
    texts += [path for paths_read in read for path in paths_read]
    found = [normal(text) for text in texts if paths.is_near(text)]
    for alias in paths.aliases:
        found += [text.replace(alias, paths.upath) for text in found if alias in text]
    return tuple(dict.fromkeys(found))


def named_texts(site: Site, pools: Iterable[Pool], blocks: Blocks | None) -> list[str]:
    """Every value of the vhost's configuration that may name a path of it, variables replaced.

    ``blocks``: its server blocks; None where nginx's configuration could not be read.
    """
    paths = final_map(site.upath, site.links)
    texts = []
    if blocks is not None:
        model = blocks.model
        for server in site.servers:
            variables = blocks.of(server).server
            for placed in server.inner:
                for value in placed.directive.values:
                    texts += variables.readings(value) if "$" in value else [value]
        naming = {path for path, text in model.texts.items() if paths.is_near(text)}
        texts += [v for p in model.outside if p.file in naming for v in p.directive.values]
    texts += [substitute(e.value, {"pool": pool.name}) for pool in pools for e in pool.entries]
    found = [normal(text) for text in texts if paths.is_near(text)]
    for alias in site.links:
        found += [text.replace(alias, site.upath) for text in found if alias in text]
    return found


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
        if shared or paths.find(entry.name.lstrip("~*^").replace("\\", ""), values):
            message = f"the map of {variable} names the vhost's path in a line that is not changed"
            where = f"{placed.file}:{entry.line}"
            problems.append(Problem("critical", message, where, f"Give {site.domain} a line of its own."))
    return problems


def _var_stays(entries: Collection[str]) -> bool:
    return any(name not in ("log", "run", "tmp") for name in entries)


def _leaving(plain: str, name: str, where: str, paths: PathMap, var_stays: bool) -> list[Problem]:
    """Words on paths of ours that no rule maps, in places that may leave the live tree."""
    if not paths.is_near(plain):
        return []
    problems = []
    for word in WORD.findall(plain):
        path = posixpath.normpath(word)
        top = next((top for top in paths.tops if below(path, top)), None)
        rest = path[len(top) :].strip("/") if top else ""
        first = rest.split("/")[0]
        if first in LEGACY:
            message = f"{name} refers to {path}, so {first} stays in place"
            problems.append(Problem("warning", message, where, "Move it elsewhere when there is time."))
        elif first == "var" and rest != "var" and not var_stays:
            known = f"{paths.upath}/{rest}"
            if paths.path(known) == known:
                message = f"{name} refers to {path}, which leaves the live tree"
                severity = "warning" if name.startswith("env[") else "error"
                hint = "Move it, or point the setting elsewhere."
                problems.append(Problem(severity, message, where, hint))
    return problems


def _unknown(plain: str, value: str, name: str, where: str, paths: PathMap) -> list[Problem]:
    """A word on paths beside the vhost's own that are built from something that cannot be followed."""
    if "$" not in plain or paths.beside not in plain:
        return []
    for word in WORD.findall(plain):
        unknown = _unknown_vhost(word, paths.upath)
        if unknown:
            message = f"{name} {value} is built from ${unknown}, which cannot be followed"
            return [Problem("error", message, where, WRITE_OUT)]
    return []


def _unread(model: NginxModel, site: Site) -> list[Problem]:
    """Files that nginx includes by name and that we did not get."""
    inside = [placed for server in site.servers for placed in server.inner]
    problems = []
    for placed in (*inside, *model.outside):
        if placed.directive.name != "include" or not placed.directive.args:
            continue
        path = include_pattern(placed.directive.values[0], model.main)
        if not any(mark in path for mark in "*?[") and path not in model.texts:
            message = f"the included file {path} was not read"
            hint = (
                "Write the include on one line, without blanks in the name, and see that the file is there."
            )
            problems.append(Problem("error", message, placed.where, hint))
    return problems


def _unknown_vhost(word: str, upath: str) -> str:
    """The variable that stands where a vhost's directory would, if any."""
    vpath = posixpath.dirname(upath)
    if not word.startswith(vpath + "/"):
        return ""
    match = _VARIABLE.search(word[len(vpath) + 1 :].split("/")[0])
    return match[1] if match else ""
