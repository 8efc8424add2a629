"""The stages that nginx's and php-fpm's files go through in one migration, and what stands in their way."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from functools import partial

from .fpm_rewrite import fpm_changes
from .nginx_rewrite import Transition, nginx_changes
from .nginx_sites import Problem, Use
from .old_paths import names, needed
from .path_map import PathMap
from .readings import Inspection
from .rewrite import Outcome
from .surroundings import Serving

DETOURS = ("transition", "apart", "both_t")
"""Stages that only a vnode without an exchange goes through."""
GIVE_ONE = "Give this vnode perl or mv --exchange, or have that elsewhere."


def stages_of(
    serving: Serving, upath: str, hold: str, tmp_used: bool, beside: Mapping[str, bytes]
) -> dict[str, tuple[str, Outcome]]:
    """Stage name -> (kind, outcome), ``apart`` only where it changes something.

    Logs and sessions move in the final stages only; see run_tree.sh.
    """
    staging = f"{posixpath.dirname(upath)}/.nsmig/{posixpath.basename(upath)}"
    final = serving.paths
    if not tmp_used:
        final = final.without("var/tmp")
    held = f"web/{hold}/public"
    roots = final.without("var/log", "var/run", "var/tmp").with_target("web", held)
    detour = roots.with_target("var/log", f"{staging}/tlog")
    stages: dict[str, tuple[str, Outcome]] = {}
    socks = serving.sockets
    if serving.nginx is not None:
        model, site = serving.nginx, serving.site
        switch = Transition(
            f"{upath}/web",
            f"{staging}/new/{held[4:]}",
            f"{upath}/web/.nsmig-switched",
            f"{upath}/{held}",
            f"{staging}/held",
        )
        change = partial(nginx_changes, model, site, sockets=socks, blocks=serving.blocks)
        stages["bridge"] = ("nginx", change(roots, copies=False))
        stages["transition"] = ("nginx", change(detour, copies=False, transition=switch))
        stages["final"] = ("nginx", change(final, existing=beside))
    if serving.fpm is not None:
        model_, pools = serving.fpm, serving.pools
        both: PathMap = final.without("var/log", "var/tmp").with_target("web", held)
        both_t = both.with_target("var/log", f"{staging}/tlog")
        apart = fpm_changes(model_, pools, roots, copies=False, chdir=staging)
        if apart.changes:
            stages["apart"] = ("fpm", apart)
        stages["both"] = ("fpm", fpm_changes(model_, pools, both, copies=False, keep_old_socket=True))
        stages["both_t"] = ("fpm", fpm_changes(model_, pools, both_t, copies=False, keep_old_socket=True))
        stages["fpm final"] = ("fpm", fpm_changes(model_, pools, final, existing=beside))
    return stages


def exchange_for(seen: Inspection, serving: Serving) -> str:
    """How this vnode exchanges two directories for this vhost; ``none``: by two renames."""
    return "none" if serving.without_links else seen.capabilities.exchange


def problems_of(stages: Mapping[str, Outcome], exchange: str) -> list[Problem]:
    """What is said of the stages that a vhost goes through with that kind of exchange."""
    return [p for name, o in stages.items() if exchange == "none" or name not in DETOURS for p in o.problems]


def odd_files(stages: Mapping[str, Outcome], seen: Inspection) -> list[Problem]:
    """What chattr and hard links mean for the files that the stages change."""
    configs = [config for config in (seen.nginx, *seen.fpm) if config is not None]
    fixed = {path for config in configs for path in config.fixed}
    linked = {path for config in configs for path in config.linked}
    found = []
    for path in dict.fromkeys(change.path for outcome in stages.values() for change in outcome.changes):
        for place in sorted({path, posixpath.dirname(path)} & fixed):
            message = f"{place} is immutable or append-only, so {path} cannot be changed"
            found.append(Problem("error", message, hint="chattr -i -a it for the migration."))
        if path in linked:
            message = f"{path} has another name, by a hard link; that becomes a file apart with the old paths"
            found.append(Problem("warning", message, hint="Make the other name a symbolic link."))
    return found


def only_in_detours(stages: Mapping[str, Outcome]) -> list[Problem]:
    """What stands in the way of those stages, and of no other."""
    direct = {p for name, o in stages.items() if name not in DETOURS for p in o.problems}
    detour = [p for name in DETOURS if name in stages for p in stages[name].problems]
    return [p for p in detour if p.severity != "warning" and p not in direct]


def unheld(upath: str, exchange: str, must: Sequence[Use]) -> list[Problem]:
    """Uses for which no link holds while two renames take the place of an exchange.

    Of what php.ini names only what is in web may be something without which PHP does not start.
    """
    if exchange != "none":
        return []
    return [
        Problem(
            "error", f"{use.text} would be gone for a moment while the tree is switched", use.where, GIVE_ONE
        )
        for use in must
        if ".ini:" not in use.where or names(use.text, f"{upath}/web")
    ]


def vnode_problems(upath: str, seen: Inspection, serving: Serving) -> list[Problem]:
    """What stands in the way only because this vnode has no exchange, or has odd files."""
    exchange = exchange_for(seen, serving)
    odd = any(config.fixed or config.linked for config in (seen.nginx, *seen.fpm) if config is not None)
    if exchange != "none" and not odd:
        return []
    stages = {name: outcome for name, (_, outcome) in stages_of(serving, upath, "app", True, {}).items()}
    found = odd_files(stages, seen)
    if exchange == "none":
        found += [*only_in_detours(stages), *unheld(upath, exchange, needed(seen, upath, serving.uses))]
    return found
