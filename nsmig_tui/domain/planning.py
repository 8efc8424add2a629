"""Makes the plan of one migration from facts: the very object that a dry run shows and a run follows."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .fleet import Layout, Vnode
from .layout import layout_seen
from .old_path_findings import lost_homes
from .old_paths import (
    bridges,
    in_the_way,
    kept_legacy,
    links_in_app,
    names,
    needed,
    token_writers,
    units_in_need,
    used_paths,
    without_leaving,
)
from .options import IONICE, MigrateOptions
from .readings import Inspection
from .rewrite import FileChange, Outcome
from .stages import exchange_for, odd_files, only_in_detours, problems_of, stages_of, unheld
from .surroundings import Serving

SIZES = (("allocated", "alloc"), ("bytes", "bytes"), ("entries", "entries"))
"""The sizes of a plan, and the facts that they are."""

SIDE_NAME = ".nsmig-app"
"""Where the content waits while nginx leaves a document root that has an entry called ``app``."""

NO_LINK_FOR_TOKENS = (
    "certificates cannot be renewed without a link: {} names the old document root; change it to "
    "{}/web/app/public after the migration"
)


NEEDS_LINK = "{} needs {}, which only a link keeps: migrate without --compat never, or change it first"


@dataclass(frozen=True)
class ConfigFilePlan:
    """One configuration file in all its stages. ``stages``: stage name -> whole text."""

    path: str
    kind: str
    original: bytes | None
    stages: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """Of the original, or ``absent`` for a file that we create."""
        return "absent" if self.original is None else hashlib.sha256(self.original).hexdigest()


@dataclass(frozen=True)
class MigrationPlan:
    """Everything that one migration will do. ``values`` are the runner's variables."""

    vnode: str
    domain: str
    upath: str
    values: Mapping[str, str]
    configs: tuple[ConfigFilePlan, ...]
    warnings: tuple[str, ...]
    blocked: tuple[str, ...]
    sizes: Mapping[str, int]
    climbing: tuple[tuple[str, str], ...] = ()
    keep_legacy: tuple[str, ...] = ()
    relocate_tmp: bool = False
    compat_web: bool = False
    compat_var: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)
    final_changes: tuple[FileChange, ...] = ()

    def run_files(self, runner: bytes, overrides: Mapping[str, str]) -> dict[str, bytes]:
        """The files of the run's directory on the vnode, by relative name."""
        lines = []
        files = {"runner.sh": runner, "plan": plan_text({**self.values, **overrides})}
        for number, config in enumerate(self.configs, 1):
            lines.append(f"{number}\t{config.kind}\t{config.sha256}\t{config.path}\n")
            for stage, text in config.stages.items():
                files[f"conf/{number}.{stage}"] = text
        files["conf/list"] = "".join(lines).encode("utf-8", "surrogateescape")
        files["meta.json"] = (json.dumps(self.meta, sort_keys=True, ensure_ascii=True) + "\n").encode()
        files["climb"] = "".join(f"{at}\t{to}\n" for at, to in self.climbing).encode(
            "utf-8", "surrogateescape"
        )
        return files


def plan_text(values: Mapping[str, str]) -> bytes:
    """``KEY='value'`` lines that only a POSIX shell reads, quoted by the standard library."""
    return "".join(f"{k}={shlex.quote(v)}\n" for k, v in sorted(values.items())).encode(
        "utf-8", "surrogateescape"
    )


def make_plan(
    vnode: Vnode, domain: str, seen: Inspection, serving: Serving, options: MigrateOptions, stamp: str
) -> MigrationPlan:
    """The plan for ``domain``; ``stamp`` is the UTC time for names, ``YYYYmmdd-HHMMSS``.

    What stands in the way is in ``blocked``; the plan is still whole enough to be shown.
    """
    upath = f"{vnode.vpath}/{domain}"
    configured = [*serving.configured, *serving.named]
    seen = without_leaving(seen, upath, configured, stays=not options.backup)
    used = [*used_paths(seen, upath, serving.site.document_root), *(use.text for use in serving.uses)]
    must = needed(seen, upath, serving.uses)
    tmp_used = moves_tmp(serving, upath, used)
    hold = SIDE_NAME if "app" in seen.entries.get("web", ()) else "app"
    configs, stages = _configs(serving, upath, hold, tmp_used, seen.beside)
    compat_web, compat_var = _compat(used, upath, options.compat)
    keep = kept_legacy(used + configured, upath)
    climbing, climb_problems = bridges(seen, upath, serving.site.document_root)
    app_links = links_in_app(seen, compat_web)
    exchange = exchange_for(seen, serving)
    problems = [*problems_of(stages, exchange), *unheld(upath, exchange, must), *odd_files(stages, seen)]
    blocked = [p.message + f" ({p.where})" * bool(p.where) for p in problems if p.severity != "warning"]
    blocked += climb_problems
    if options.compat != "never":
        blocked += in_the_way(seen, upath, used, tmp_used, must)[0]
    else:
        blocked += [NEEDS_LINK.format(use.where, use.text) for use in (*must, *units_in_need(seen, upath))]
    if layout_seen(seen, serving.site) is not Layout.NS1:
        blocked.insert(0, f"{domain} does not have the old layout")
    warnings = [p.message for p in problems if p.severity == "warning"]
    warnings += [*_worker_logs(serving, upath), *_others_sockets(seen, serving, upath)]
    warnings += _warnings(seen, keep, hold, compat_web or compat_var, options)
    warnings += lost_homes(upath, seen, compat_web, compat_var)
    writers = token_writers(seen, upath)
    warnings += [NO_LINK_FOR_TOKENS.format(writers[0].file, upath)] if writers and not compat_web else []
    values = runner_values(vnode, domain, seen, serving, options, stamp)
    values |= {
        "HOLD": hold,
        "TMP_INO": seen.places["var/tmp"].inode if tmp_used and seen.is_dir("var/tmp") else "",
        "COMPAT_WEB": "all" if compat_web else "none",
        "COMPAT_VAR": "all" if compat_var else "none",
        "WELL_KNOWN": "1" if writers and compat_web else "",
        "COMPAT_APP": "all" if app_links else "none",
        "LEGACY_KEEP": " ".join(keep),
        "NEEDS_XCHG": "1" if exchange != "none" and (must or only_in_detours(stages)) else "",
    }
    sizes = {name: seen.tree.get(fact, 0) for name, fact in SIZES}
    meta = {
        "vnode": vnode.name,
        "domain": domain,
        "upath": upath,
        "account": {"uid": values["UIDN"], "gid": values["GIDN"]},
        "places": {k: vars(p) for k, p in seen.places.items()},
        "configuration": [{"path": c.path, "kind": c.kind, "sha256": c.sha256} for c in configs],
        "sizes": sizes,
        "owners": options.owners,
        "compat": {"web": compat_web, "var": compat_var, "app": app_links},
        "tar": seen.capabilities.tar,
        "exchange": exchange,
        "mounts": list(seen.mounts),
    }
    finals = tuple(c for name, o in stages.items() if name.endswith("final") for c in o.changes)
    return MigrationPlan(
        vnode.name,
        domain,
        upath,
        values,
        configs,
        tuple(dict.fromkeys(warnings)),
        tuple(dict.fromkeys(blocked)),
        sizes,
        climbing,
        keep,
        tmp_used,
        compat_web,
        compat_var,
        json.loads(json.dumps(meta, default=str)),
        finals,
    )


def _configs(
    serving: Serving, upath: str, hold: str, tmp_used: bool, beside: Mapping[str, bytes]
) -> tuple[tuple[ConfigFilePlan, ...], dict[str, Outcome]]:
    stages = stages_of(serving, upath, hold, tmp_used, beside)
    originals: dict[tuple[str, str], bytes | None] = {}
    for kind, outcome in stages.values():
        for change in outcome.changes:
            originals[(kind, change.path)] = None if change.created else change.original
    plans = []
    for (kind, path), original in sorted(originals.items(), key=lambda item: (item[1] is not None, item[0])):
        texts: dict[str, bytes] = {}
        for name, (stage_kind, outcome) in stages.items():
            if stage_kind != kind:
                continue
            change = next((c for c in outcome.changes if c.path == path), None)
            if change is not None:
                texts[name.split()[-1]] = change.new
            elif original is not None:
                texts[name.split()[-1]] = original
        plans.append(ConfigFilePlan(path, kind, original, texts))
    return tuple(plans), {name: outcome for name, (_, outcome) in stages.items()}


def moves_tmp(serving: Serving, upath: str, used: Sequence[str]) -> bool:
    """Whether something refers to var/tmp, so that it becomes web/tmp."""
    texts = [*used, *serving.configured, *serving.named]
    return any(names(text, f"{upath}/var/tmp") or _allows(text, f"{upath}/var") for text in texts)


def _allows(text: str, folder: str) -> bool:
    """Whether ``text`` names the folder itself, as a list of directories that may be used does."""
    if folder not in text:  # compiling the pattern is dear
        return False
    return re.search(rf"(?<![\w.-]){re.escape(folder)}/*(?=$|[\s:;\"'])", text) is not None


def _compat(used: Sequence[str], upath: str, policy: str) -> tuple[bool, bool]:
    """Whether links stay at the old places of (web's entries, var's folders)."""
    if policy != "auto":
        return policy == "always", policy == "always"
    return any(names(t, f"{upath}/web") for t in used), any(names(t, f"{upath}/var") for t in used)


def _warnings(
    seen: Inspection, keep: tuple[str, ...], hold: str, compat: bool, options: MigrateOptions
) -> list[str]:
    found = [f"{name!r} at the top stays where it is" for name in _unknown(seen, "top")]
    found += [f"var/{name!r} stays where it is" for name in _unknown(seen, "var")]
    found += [f"{name} stays: something still names it" for name in keep]
    if not options.backup:
        found.append("no archive: there will be nothing to restore from, and the old directories stay")
    if compat:
        found.append(OLD_PATHS)
    if (shared := seen.tree.get("n_hardlink")) and options.owners != "keep":
        found.append(
            f"{shared} file(s) have another name, by hard links, outside of web: they keep their owner"
        )
    if seen.is_dir(".ssh") and ".ssh" not in keep and options.backup:
        found.append(".ssh leaves the live tree: logins by keys kept there stop working")
    if hold != "app" and seen.capabilities.exchange == "none":
        found.append("the content has an entry called app; without an exchange PHP can miss it for a moment")
    return found


OLD_PATHS = (
    "old paths are still in use; links keep them valid, but what a program makes or replaces by rename "
    "directly in the old document root is then beside the site: not served, and put into .archive by an undo"
)
WORKERS_OPEN_LOGS = (
    "nginx's workers open the access log themselves (its path holds a variable): with mode 0750 they can "
    "append to the files that are there, but not make new ones; let logrotate create them"
)


def _worker_logs(serving: Serving, upath: str) -> list[str]:
    """A word on logs that nginx's workers open: they may not create files in ``web/log``."""
    if serving.nginx is None:
        return []
    own = {server.number for server in serving.site.servers}
    used = [u for u in serving.nginx.used_below(f"{upath}/var/log") if u.server.number in own]
    variable = any("$" in value for u in used for value in u.placed.directive.values[:1])
    return [WORKERS_OPEN_LOGS] if variable else []


def _others_sockets(seen: Inspection, serving: Serving, upath: str) -> list[str]:
    """A word on sockets below ``var`` that are not of this vhost's pools: they are never moved."""
    own = {pool.listen.replace("$pool", pool.name) for pool in serving.pools}
    others = sorted(s for s in seen.listening - own if s.startswith(f"{upath}/var/"))
    return [
        f"var stays: another service listens on {socket}, and a socket is never moved" for socket in others
    ]


def _unknown(seen: Inspection, where: str) -> list[str]:
    known = {"top": {"web", "msg", "var", "bin", "etc", ".ssh", ".archive"}, "var": {"log", "run", "tmp"}}
    return sorted(set(seen.entries.get(where, ())) - known[where])


def _inode(seen: Inspection, name: str) -> str:
    return seen.places[name].inode if seen.is_dir(name) else ""


def runner_values(
    vnode: Vnode,
    domain: str,
    seen: Inspection,
    serving: Serving,
    options: MigrateOptions,
    stamp: str,
) -> dict[str, str]:
    """The runner's variables that follow from the facts; run_*.sh says what each means."""
    upath = f"{vnode.vpath}/{domain}"
    can, service = seen.capabilities, vnode.service
    web = seen.places.get("web")
    final = serving.paths
    old, new = [], []
    for pool in serving.pools:
        moved = final.apply(pool.listen, {"pool": pool.name})
        if moved != pool.listen:
            new.append(moved)
            old.append(pool.listen)
    unit = (serving.master.unit if serving.master else "") or f"php{serving.php_version}-fpm.service"
    return {
        "DOMAIN": domain,
        "UPATH": upath,
        "TS": stamp,
        "MACHINE_ID": can.machine_id,
        "UIDN": str(web.uid if web else 0),
        "GIDN": str(can.web_gid if can.web_gid is not None else 0),
        "WUIDN": str(can.web_uid if can.web_uid is not None else 0),
        "UPATH_INO": _inode(seen, "upath"),
        "WEB_INO": _inode(seen, "web"),
        "VAR_INO": _inode(seen, "var"),
        "LOG_INO": _inode(seen, "var/log"),
        "MSG_INO": _inode(seen, "msg"),
        "XCHG": exchange_for(seen, serving),
        "TAR": can.tar,
        "GZ": can.gzip or "gzip",
        "BACKUP": "1" if options.backup else "0",
        "OWNERS": options.owners,
        "MANAGER": service.get("manager", can.manager),
        "NGINX_UNIT": "nginx.service",
        "NGINX_CMD": service.get("nginx", ""),
        "NGINX_PID": nginx_pid_file(serving, seen),
        "FPM_CONF": serving.fpm.main if serving.fpm else "",
        "FPM_BIN": serving.binary,
        "FPM_UNIT": unit if serving.fpm else "",
        "FPM_CMD": service.get("php-fpm", ""),
        "OLD_SOCKETS": " ".join(old),
        "NEW_SOCKETS": " ".join(new),
        "NEED_KB": str(2 * seen.tree.get("alloc", 0) // 1024 + 1024),
        "NEED_VAR_KB": str(2048 + seen.tree.get("entries", 0)),
        "NEED_INODES": str(len(seen.entries.get("web", ())) + 64),
        "TOTAL_BYTES": str(seen.tree.get("bytes", 0)),
        "CONFIRM_WAIT": str(options.confirm_wait),
        "NICE": str(options.nice),
        "IONICE": IONICE[options.ionice] if "ionice" in can.tools else "",
        "GATHER": "1" if options.gather else "0",
        "FOLLOW": str(options.follow),
        "CRASH_AT": str(options.crash_at),
        "FAIL_AT": options.fail_at,
    }


def nginx_pid_file(serving: Serving, seen: Inspection) -> str:
    """Where nginx's master writes its pid: the ``pid`` directive, else what it was built with."""
    if serving.nginx is not None:
        for placed in serving.nginx.outside:
            if placed.directive.name == "pid" and not placed.blocks and placed.directive.args:
                value = placed.directive.values[0]
                if value.startswith("/"):
                    return value
    return (seen.nginx.pid_file if seen.nginx else "") or "/run/nginx.pid"
