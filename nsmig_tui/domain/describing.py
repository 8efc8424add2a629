"""Puts a plan into words: the seven steps with their changes, the tree before and after."""

from __future__ import annotations

from typing import Any

from .events import Planned
from .fleet import STEPS
from .planning import MigrationPlan
from .readings import Inspection
from .rewrite import diff
from .surroundings import Serving
from .text import clean

BYTES_PER_SECOND = 40e6
"""Reading, hashing and packing together; what two cores and gzip reach on mixed content (performance.md)."""

FIXED_SECONDS = 1.5
"""Checks, reloads and HTTP looks of one vhost."""


NAMED = 20
"""Entries of ``var/run`` that are named one by one; of more it is said that they all move."""


def expected_seconds(size: int) -> float:
    """How long a migration of ``size`` bytes may take."""
    return round(FIXED_SECONDS + size / BYTES_PER_SECOND, 1)


def describe_plan(plan: MigrationPlan, seen: Inspection, serving: Serving) -> Planned:
    """The dry run's answer."""
    changes: dict[str, list[dict[str, Any]]] = {name: [] for name in STEPS}
    changes[STEPS[0]] = _checks(plan)
    changes[STEPS[1]] = _backup(plan)
    changes[STEPS[2]] = _moves(plan, seen)
    changes[STEPS[3]] = _modes(plan, seen)
    changes[STEPS[4]] = [
        {
            "what": "create" if c.created else "edit",
            "from": "" if c.created else c.path,
            "to": c.path,
            "diff": diff(c),
        }
        for c in plan.final_changes
    ]
    changes[STEPS[5]] = _reloads(plan, seen, len(serving.other_sockets))
    changes[STEPS[6]] = [
        {"what": "compare the tree with its manifest"},
        {"what": f"compare the HTTP answers of {', '.join(serving.site.names)} with those before"},
        {"what": f"compare the answers of {len(serving.neighbours)} neighbour(s)"},
    ]
    return Planned(
        plan.vnode,
        plan.domain,
        "",
        "migrate",
        tuple({"name": name, "changes": changes[name]} for name in STEPS),
        dict(plan.sizes),
        expected_seconds(plan.sizes.get("bytes", 0)),
        _before(seen, plan.upath),
        _after(plan, seen),
        plan.warnings,
    )


def _checks(plan: MigrationPlan) -> list[dict[str, Any]]:
    return [
        {"what": f"machine {plan.values['MACHINE_ID'][:12]}, folders and files as they were examined"},
        {"what": f"free space of at least {int(plan.values['NEED_KB']) // 1024} MiB"},
        {"what": "nginx -t" + (" and php-fpm -t" if plan.values["FPM_CONF"] else "") + " pass"},
    ]


def _backup(plan: MigrationPlan) -> list[dict[str, Any]]:
    if plan.values["BACKUP"] != "1":
        return [{"what": "no archive is made"}]
    archive = f"{plan.upath}/.archive/pre-migration-{plan.values['TS']}.tar.gz"
    return [{"what": "archive", "from": plan.upath, "to": archive}]


def _moves(plan: MigrationPlan, seen: Inspection) -> list[dict[str, Any]]:
    up = plan.upath
    moves = [{"what": "move", "from": f"{up}/web", "to": f"{up}/web/app/public"}]
    for name, used in (("log", True), ("tmp", plan.relocate_tmp)):
        if used and seen.is_dir(f"var/{name}"):
            moves.append({"what": "move", "from": f"{up}/var/{name}", "to": f"{up}/web/{name}"})
    moves.append({"what": "create", "from": "", "to": f"{up}/web/run"})
    held = _held_sockets(plan, seen)
    own = [
        n for n in seen.entries.get("run", ()) if not any(s.startswith(f"{up}/var/run/{n}/") for s in held)
    ]
    for name in map(clean, own) if len(own) <= NAMED else ("*",):
        moves.append({"what": "move", "from": f"{up}/var/run/{name}", "to": f"{up}/web/run/{name}"})
    if plan.values["BACKUP"] == "1":
        legacy = f"{up}/.archive/legacy-{plan.values['TS']}"
        for name in (".ssh", "bin", "etc", *_leaves_var(plan, seen)):
            if name.split("/")[0] in seen.entries.get("top", ()) and name not in plan.keep_legacy:
                moves.append({"what": "put away", "from": f"{up}/{name}", "to": f"{legacy}/{name}"})
    if plan.values["WELL_KNOWN"] and ".well-known" not in seen.entries.get("web", ()):
        moves.append({"what": "create", "from": "", "to": f"{up}/web/app/public/.well-known"})
    if plan.compat_web:
        moves.append({"what": "link", "from": f"{up}/web/*", "to": "app/public/*"})
    if plan.values["COMPAT_APP"] == "all":
        moves.append({"what": "link", "from": f"{up}/web/app/*", "to": "public/app/*"})
    if plan.compat_var:
        stays = held or plan.values["BACKUP"] != "1"  # then the old folders are there still
        names = ["log", *(["run"] if not (stays and seen.is_dir("var/run")) else [])]
        names += ["tmp"] if plan.relocate_tmp and seen.is_dir("var/tmp") else []
        moves += [{"what": "link", "from": f"{up}/var/{n}", "to": f"../web/{n}"} for n in names]
    moves += [{"what": "link", "from": f"{up}/{at}", "to": to} for at, to in plan.climbing]
    return moves


def _held_sockets(plan: MigrationPlan, seen: Inspection) -> list[str]:
    """Sockets in ``var/run`` that are of no pool of this vhost; they keep that folder and ``var``."""
    return sorted(set(seen.entries.get("socket", ())) - set(plan.values["OLD_SOCKETS"].split()))


def _leaves_var(plan: MigrationPlan, seen: Inspection) -> list[str]:
    """``var`` as a whole, or where something keeps it what leaves of it."""
    names, held = set(seen.entries.get("var", ())), _held_sockets(plan, seen)
    if not names - {"log", "run", "tmp"} and not held:
        return ["var"]
    stay = {"run"} if held else set()
    stay |= {"tmp"} if plan.relocate_tmp else set()
    return [f"var/{name}" for name in ("run", "tmp") if name in names - stay]


def _modes(plan: MigrationPlan, seen: Inspection) -> list[dict[str, Any]]:
    owner = f"{plan.values['UIDN']}:{plan.values['GIDN']}"
    web, log = seen.places.get("web"), seen.places.get("var/log")
    rows = [
        ("web", "", "755"),
        ("web/app", "", "755"),
        ("web/app/public", f"{web.mode} {web.uid}:{web.gid}" if web else "", "755"),
        ("web/log", f"{log.mode} {log.uid}:{log.gid}" if log else "", "750"),
        ("web/run", "", "750"),
    ]
    if plan.relocate_tmp and (tmp := seen.places.get("var/tmp")):
        rows.append(("web/tmp", f"{tmp.mode} {tmp.uid}:{tmp.gid}", "750"))
    changes: list[dict[str, Any]] = [
        {"what": "mode", "to": f"{plan.upath}/{at}", "from": old, "mode": f"{mode} {owner}"}
        for at, old, mode in rows
    ]
    if plan.values["OWNERS"] == "foreign" and seen.tree.get("n_foreign"):
        changes.append({"what": f"{seen.tree['n_foreign']} foreign entries get the owner {owner}"})
    elif plan.values["OWNERS"] == "all":
        changes.append({"what": f"every entry gets the owner {owner}"})
    return changes


def _reloads(plan: MigrationPlan, seen: Inspection, others: int) -> list[dict[str, Any]]:
    found = [{"what": "reload nginx, proven by its new workers"}]
    if plan.values["FPM_CONF"]:
        if plan.values["XCHG"] == "none":  # PHP is sent past the moment in which the tree is half moved
            thrice = any("apart" in config.stages for config in plan.configs)
        else:  # its memory of old paths has to go before web/run can come
            thrice = "run" in seen.entries.get("web", ())
        often = "three times: to forget old paths," if thrice else "twice:"
        found.append({"what": f"reload php-fpm {often} with both sockets, then without the old one"})
        found.append({"what": f"pools of {others} other sites must answer"})
    return found


def _line(name: str, seen: Inspection) -> str:
    place = seen.places[name]
    return f"{name + '/':<18} {place.mode:>4} {place.uid}:{place.gid}"


def _before(seen: Inspection, upath: str) -> tuple[str, ...]:
    names = (".ssh", "bin", "etc", "var", "var/log", "var/run", "var/tmp", "web", "msg", ".archive")
    return (f"{upath}/", *(_line(name, seen) for name in names if name in seen.places))


def _after(plan: MigrationPlan, seen: Inspection) -> tuple[str, ...]:
    owner = f"{plan.values['UIDN']}:{plan.values['GIDN']}"
    rows = [(".archive", "700", "0:0")] if plan.values["BACKUP"] == "1" else []
    rows += [("web", "755", owner), ("web/app", "755", owner), ("web/app/public", "755", owner)]
    rows += [("web/log", "750", owner), ("web/run", "750", owner)]
    if plan.relocate_tmp:
        rows.append(("web/tmp", "750", owner))
    lines = [f"{name + '/':<18} {mode:>4} {own}" for name, mode, own in rows]
    stays = ["msg"] if seen.is_dir("msg") else []
    if plan.values["BACKUP"] == "1":
        stays += plan.keep_legacy
        if "var" not in _leaves_var(plan, seen):
            stays.append("var")
    else:
        stays += [n for n in (".ssh", "bin", "etc", "var") if seen.is_dir(n)]
    return (f"{plan.upath}/", *lines, *(_line(n, seen) for n in stays if n in seen.places))
