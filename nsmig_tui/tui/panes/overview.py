"""Overview panes: of a vhost, of a vnode, of a vsite."""

from __future__ import annotations

from typing import Any

from ...domain.fleet import RunRecord, Vhost, Vnode
from ..fleet_model import SiteLine
from ..words import Signs, ago, pad, plural, size, span, when
from . import wrap
from .fleet_lines import count_pieces
from .wrap import Row

NEXT = {
    "discovered": "Validate it (v).",
    "validated": "Look at the plan (p), then migrate (m).",
    "migrated": "Nothing. The way back is rollback (b).",
    "failed": "Resume (r), undo (U), or validate again (v).",
    "native": "Nothing: it was born in the new layout.",
}

DETAILS = (
    ("PHP", "php"),
    ("document root", "document_root"),
    ("names", "names"),
    ("site files", "site_files"),
    ("pool files", "pool_files"),
)
"""Label and key of what discovery found of a vhost, in the order of interest."""

SYSTEM = (
    ("os", "os"),
    ("kernel", "kernel"),
    ("hostname", "hostname"),
    ("services by", "manager"),
    ("exchange by", "exchange"),
    ("tar", "tar"),
    ("gzip", "gzip"),
    ("tools", "tools"),
)
"""Label and key of what a vnode said of itself."""


def vhost(
    host: Vhost, vnode: Vnode, runs: list[RunRecord], signs: Signs, now: float, width: int
) -> list[Row]:
    """What one vhost is, where it stands, and what to do next."""
    details = host.details
    word, style = signs.status(host.status.value, vanished=host.vanished)
    rows = [Row([(host.domain, "head")]), wrap.blank()]
    rows += wrap.fact("status", word, width, style)
    rows += wrap.fact(
        "next", "It is no longer on the vnode." if host.vanished else NEXT[host.status.value], width
    )
    if host.last_error:
        rows += [wrap.blank(), *wrap.fact("error", host.last_error, width, "fail")]
        if host.last_hint:
            rows += wrap.fact("what to do", host.last_hint, width, "warn")
    rows.append(wrap.blank())
    rows += wrap.fact("vnode", f"{vnode.name}{' (PROD)' if vnode.production else ''}", width, _prod(vnode))
    rows += wrap.fact("path", f"{vnode.vpath}/{host.domain}", width)
    rows += wrap.fact("layout", host.layout.value.upper(), width)
    account = f"{host.uuser or '-'}  uid {_or_dash(host.uid)}  gid {_or_dash(host.gid)}"
    rows += wrap.fact("account", account, width)
    rows += wrap.fact("size", size(details.get("size")), width)
    if details.get("entries"):
        rows += wrap.fact("entries", f"{details['entries']:,}", width)
    for label, name in DETAILS:
        value = details.get(name)
        if value:
            rows += wrap.fact(label, _plain(value), width)
    rows.append(wrap.blank())
    rows += wrap.fact("validated", _moment(host.validated_at, now), width)
    was = "not now" if host.migration_attempts and not host.migrated_at else _moment(host.migrated_at, now)
    rows += wrap.fact("migrated", was, width)
    rows += wrap.fact("attempts", host.migration_attempts, width)
    rows += wrap.fact("way back", host.backup_archive or ("undo" if host.rollback_available else "-"), width)
    if runs:
        last = runs[0]
        took = span(last.finished - last.started) if last.finished else "under way"
        rows += wrap.fact("last run", f"{last.verb} {last.outcome}, {ago(last.started, now)}, {took}", width)
    return wrap.number(rows)


def vnode(node: Vnode, counts: dict[str, int], signs: Signs, now: float, width: int) -> list[Row]:
    """What one server is: system, services, space, last contact."""
    facts = node.facts
    rows = [Row([(node.name, "head"), ("  PROD", "prod") if node.production else ("", "")]), wrap.blank()]
    if node.unreachable:
        rows += [*wrap.fact("unreachable", node.unreachable, width, "fail"), wrap.blank()]
    rows += wrap.fact("class", "production" if node.production else "not production", width, _prod(node))
    rows += wrap.fact("vsite", node.vsite, width)
    rows += wrap.fact("ssh", f"ssh {node.target}", width)
    rows += wrap.fact("VPATH", node.vpath, width)
    rows += wrap.fact("last contact", _moment(node.last_contact, now), width)
    rows.append(Row([(pad("vhosts", 15), "dim"), *(count_pieces(counts, signs) or [("none", "dim")])]))
    if not facts:
        rows += [wrap.blank(), *wrap.text("Nothing is known of it yet: discover (d) asks.", width, "dim")]
        return wrap.number(rows)
    rows += [wrap.blank(), wrap.heading("System")]
    for label, name in SYSTEM:
        if facts.get(name):
            rows += wrap.fact(label, _plain(facts[name]), width)
    rows += _disks(facts, signs, width)
    return wrap.number(rows)


def vsite(site: SiteLine, signs: Signs, now: float, width: int) -> list[Row]:
    """One place: its vnodes and what is there to do."""
    rows = [wrap.heading(site.name), wrap.blank()]
    rows += wrap.fact("vnodes", len(site.nodes), width)
    rows.append(Row([(pad("vhosts", 15), "dim"), *(count_pieces(site.counts, signs) or [("none", "dim")])]))
    lost = [node for node in site.nodes if node.vnode.unreachable]
    if lost:
        rows += [wrap.blank(), wrap.heading(f"{plural(len(lost), 'vnode')} unreachable")]
        for node in lost:
            rows += wrap.fact(node.name, node.vnode.unreachable, width, "fail", room=20)
    return wrap.number(rows)


def _disks(facts: dict[str, Any], signs: Signs, width: int) -> list[Row]:
    used, free = space(facts)
    if used is None:
        return []
    style = "fail" if used > 0.9 else "warn" if used > 0.75 else "ok"
    tail = f" {used:4.0%} used, {size(free)} free"
    bar = signs.bar(used, max(8, width - 15 - len(tail)), style)
    rows = [wrap.blank(), wrap.heading("Space below VPATH")]
    rows.append(Row([(pad("disk", 15), "dim"), *bar, (tail, style if used > 0.75 else "")]))
    if facts.get("inodes_free"):
        rows += wrap.fact("inodes free", f"{facts['inodes_free']:,}", width)
    return rows


def space(facts: dict[str, Any]) -> tuple[float | None, int]:
    """How full the file system of VPATH is, 0 to 1 (None when unknown), and its free bytes."""
    total, free = facts.get("disk_kb"), facts.get("avail_kb")
    if not isinstance(total, int) or not isinstance(free, int) or total <= 0:
        return None, 0
    return max(0.0, min(1.0, 1 - free / total)), free * 1024


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items()) or "-"
    if isinstance(value, list | tuple | set):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _moment(at: float | None, now: float) -> str:
    return f"{when(at)} UTC, {ago(at, now)}" if at else "never"


def _prod(node: Vnode) -> str:
    return "prod" if node.production else ""


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)
