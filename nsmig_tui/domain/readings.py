"""What the reading scripts print, turned into frozen facts; pure, and never raises on odd input."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .names import parse_settings
from .sections import Row, Sections, as_name, number, split_sections, unb64
from .service_config import ServiceConfig, read_service_configs


@dataclass(frozen=True)
class FpmMaster:
    """A running php-fpm master: its configuration file and unit (empty when unknown).

    ``mounts``: what it sees mounted, "rw" or "ro" and the path of each; see capabilities.sh.
    """

    pid: int
    conf: str
    unit: str
    mounts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Capabilities:
    """What a vnode can do, from capabilities.sh. Sizes in KiB.

    ``vpath``: ok, missing, other (no directory) or unreadable; empty where it was not asked.
    """

    machine_id: str = ""
    hostname: str = ""
    os: str = ""
    kernel: str = ""
    uid: int = -1
    root_id: str = "0:0"
    unprivileged: bool = False
    manager: str = "none"
    exchange: str = "none"
    tar: str = "other"
    gzip: str = ""
    now: float = 0.0
    tools: frozenset[str] = frozenset()
    disk_kb: int = 0
    avail_kb: int = 0
    inodes_free: int | None = None
    web_user: str = ""
    web_uid: int | None = None
    web_gid: int | None = None
    users: Mapping[str, int] = field(default_factory=dict)
    """Accounts that a web server may run as."""
    groups: Mapping[str, int] = field(default_factory=dict)
    web_worker: tuple[int, int] | None = None
    """Uid and gid of nginx's running workers, when they agree."""
    masters: tuple[FpmMaster, ...] = ()
    vpath: str = ""


def _mounts(said: Row) -> tuple[tuple[str, str], ...]:
    """Of "rw:/ ro:/srv\\040x", the kernel's spelling."""
    pairs = (word.partition(":") for word in " ".join(said).split())
    return tuple((way, re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), at)) for way, _, at in pairs)


def read_capabilities(sections: Sections, section: str = "capabilities") -> Capabilities:
    """The capabilities part of an answer."""
    value = sections.values(section)
    masters = []
    groups: dict[str, int] = {}
    users: dict[str, int] = {}
    workers: set[tuple[int, int]] = set()
    for row in (*sections.rows.get(section, ()), *sections.rows.get("web account", ())):
        key, _, rest = row[0].partition("=")
        if key == "fpm" and len(row) >= 3:
            masters.append(FpmMaster(number(rest), row[1], row[2], _mounts(row[3:])))
        elif key in ("wugid", "wuid"):
            name, _, digits = rest.partition(":")
            (groups if key == "wugid" else users).setdefault(name, number(digits))
        elif key == "worker":
            uid, _, gid = rest.partition(":")
            workers.add((number(uid, -1), number(gid, -1)))
    web = next((name for name in ("www-data", "nginx") if name in groups), "")
    inodes = value.get("inodes_free")
    return Capabilities(
        machine_id="".join(c for c in value.get("machine_id", "") if c.isalnum()),
        hostname=value.get("hostname", ""),
        os=value.get("os", ""),
        kernel=value.get("kernel", ""),
        uid=number(value.get("uid"), -1),
        root_id=value.get("root_id", "0:0"),
        unprivileged=value.get("unprivileged") == "1",
        manager=value.get("manager", "none"),
        exchange=value.get("exchange", "none"),
        tar=value.get("tar", "other"),
        gzip=value.get("gzip", ""),
        now=float(number(value.get("now"))),
        tools=frozenset(value.get("tools", "").split()),
        disk_kb=number(value.get("disk_kb")),
        avail_kb=number(value.get("avail_kb")),
        inodes_free=number(inodes) if inodes else None,
        web_user=web,
        web_uid=users.get(web),
        web_gid=groups.get(web),
        users=users,
        groups=groups,
        web_worker=workers.pop() if len(workers) == 1 else None,
        masters=tuple(masters),
        vpath=value.get("vpath", ""),
    )


@dataclass(frozen=True)
class Place:
    """One structural path: ``kind`` is dir, link or other; ``target`` of a link."""

    kind: str
    uid: int = -1
    gid: int = -1
    mode: str = ""
    inode: str = ""
    device: str = ""
    target: str = ""


@dataclass(frozen=True)
class Reference:
    """A line somewhere that names an old path. ``kind``: application, cron, logrotate, certbot…

    ``text`` is the path; of PHP that climbs the expression, of many paths at once the pattern.
    """

    kind: str
    file: str
    line: str
    text: str


@dataclass(frozen=True)
class VnodeReading:
    """What is the same for every vhost of a vnode, as it was read.

    ``hangs_on``: the three texts by which inspect_main.sh tells whether it still is (see surroundings.sh).
    """

    hangs_on: tuple[str, str, str]
    capabilities: Capabilities
    nginx: ServiceConfig | None
    fpm: tuple[ServiceConfig, ...]


@dataclass(frozen=True)
class Inspection:
    """All that inspect_main.sh says about one vhost's tree and its surroundings. Sizes in bytes."""

    places: Mapping[str, Place] = field(default_factory=dict)
    tree: Mapping[str, int] = field(default_factory=dict)
    odd: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    entries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    siblings: tuple[str, ...] = ()
    climbing: tuple[tuple[str, str], ...] = ()
    old_links: tuple[tuple[str, str], ...] = ()
    mounts: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    """Folders on another device; a subvolume of btrfs is one and in no list of mounts."""
    immutable: tuple[str, ...] = ()
    other_project: bool = False
    """Disk quotas by project count the vhost's folder apart from the one above it."""
    real: str = ""
    """Where the vhost's folder really is, when its parent is a link."""
    references: tuple[Reference, ...] = ()
    """At least one for each old place that is named."""
    more_references: Mapping[str, int] = field(default_factory=dict)
    """Kind -> lines that are not among ``references``."""
    php_climbs: tuple[Reference, ...] = ()
    globs: tuple[Reference, ...] = ()
    unread: tuple[str, ...] = ()
    """Files of the system that were not searched for old paths; or from where on none was."""
    homes: tuple[tuple[str, str], ...] = ()
    """(account, home) of those who live below the vhost's top directory."""
    journal: bytes = b""
    listening: frozenset[str] = frozenset()
    capabilities: Capabilities = field(default_factory=Capabilities)
    settings: Mapping[str, str] | None = None
    account: tuple[str, int, int, str, str] | None = None
    nginx: ServiceConfig | None = None
    fpm: tuple[ServiceConfig, ...] = ()
    beside: Mapping[str, bytes] = field(default_factory=dict)
    mail: Mapping[str, bool] = field(default_factory=dict)
    """Mail services that are installed -> whether they run."""
    vnode: VnodeReading | None = None
    """What the next inspection may build on; None when that must read everything."""

    def is_dir(self, name: str) -> bool:
        """Whether the structural path is there as a real directory."""
        place = self.places.get(name)
        return place is not None and place.kind == "dir"


def _place(row: Row) -> Place:
    uid, gid, mode, inode, device = (row[2].split(":") + [""] * 5)[:5]
    return Place(row[1], number(uid, -1), number(gid, -1), mode, inode, device, as_name(row[3]))


def _references(rows: Iterable[Row]) -> Iterator[Reference]:
    for row in rows:
        if len(row) >= 4:
            yield Reference(row[0], as_name(row[1]), row[2], as_name(row[3]))


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        if len(row) >= 2:
            found[row[0]] = found.get(row[0], 0) + number(row[1])
    return found


def _vnode_reading(s: Sections, before: VnodeReading | None) -> VnodeReading:
    if "unchanged" in s.rows and before is not None:
        return before
    hangs_on = next((row for row in s.of("surroundings", "hangs") if len(row) == 3), ("", "", ""))
    nginx = read_service_configs(s, "nginx")
    return VnodeReading(
        (as_name(hangs_on[0]), as_name(hangs_on[1]), as_name(hangs_on[2])),
        read_capabilities(s),
        nginx[0] if nginx else None,
        tuple(read_service_configs(s, "fpm")),
    )


def read_inspection(output: bytes, before: VnodeReading | None = None) -> Inspection:
    """The whole answer of inspect_main.sh; ``before`` is what it was told to compare with."""
    s = split_sections(output)
    odd: dict[str, list[str]] = {}
    for row in s.of("tree", "odd"):
        if len(row) >= 2:
            odd.setdefault(row[0], []).append(as_name(row[1]))
    entries: dict[str, list[str]] = {}
    for row in s.of("entries", "names"):
        if len(row) >= 2:
            found = [n.removeprefix("./") for n in as_name(row[1]).split("\0")]
            entries.setdefault(row[0], []).extend(sorted(n for n in found if n))
    for row in s.of("entries", "entry"):
        if len(row) >= 2:
            entries.setdefault(row[0], []).append(as_name(row[1]))
    vnode = _vnode_reading(s, before)
    raw = next((row for row in s.of("settings", "settings") if row), None)
    settings = parse_settings(unb64(raw[0]).decode("utf-8", "replace")) if raw else None
    accounts = [r for r in s.of("account", "account") if len(r) >= 5]
    named = [r for r in accounts if settings and r[0] == settings.get("UUSER")]
    account = next(iter([*named, *accounts]), None)
    homes = ((r[0], posixpath.normpath(r[1])) for r in s.of("account", "home") if len(r) >= 2)
    services = (vnode.nginx, *vnode.fpm)
    read = {name for c in services if c is not None for f in c.files for name in (f.path, f.real)}
    return Inspection(
        places={r[0]: _place(r) for r in s.of("stat", "stat") if len(r) >= 4},
        tree={k: number(v) for k, v in s.values("tree").items()},
        odd={k: tuple(v) for k, v in odd.items()},
        entries={k: tuple(v) for k, v in entries.items()},
        siblings=tuple(r[0] for r in s.of("entries", "sibling") if r),
        climbing=tuple((as_name(r[0]), as_name(r[1])) for r in s.of("entries", "climb") if len(r) >= 2),
        old_links=tuple((as_name(r[0]), as_name(r[1])) for r in s.of("entries", "oldlink") if len(r) >= 2),
        mounts=tuple(r[0] for r in s.of("mounts", "mount") if r),
        apart=tuple(as_name(r[0]) for r in s.of("entries", "apart") if r),
        immutable=tuple(r[0] for r in s.of("mounts", "immutable") if r),
        other_project=any(True for _ in s.of("mounts", "project")),
        real=next((as_name(r[0]) for r in s.of("mounts", "real") if r), ""),
        references=tuple(r for r in _references(s.of("refs", "ref")) if r.file not in read),
        more_references=_counts(s.of("refs", "more")),
        php_climbs=tuple(_references(("php", *r) for r in s.of("refs", "php"))),
        globs=tuple(r for r in _references(s.of("refs", "glob")) if r.file not in read),
        unread=tuple(as_name(r[0]) for r in s.of("refs", "unread") if r),
        homes=tuple(dict.fromkeys(homes)),
        journal=unb64(next((r[0] for r in s.of("journal", "journal") if r), "")),
        listening=frozenset(r[0] for r in s.of("pools", "listening") if r),
        mail={r[0]: r[1] == "yes" for r in s.of("mail", "mail") if len(r) >= 2},
        capabilities=vnode.capabilities,
        settings=settings,
        account=(account[0], number(account[1]), number(account[2]), account[3], account[4])
        if account
        else None,
        nginx=vnode.nginx,
        fpm=vnode.fpm,
        vnode=vnode if vnode.hangs_on[0] else None,
        beside={as_name(r[0]): unb64(r[1]) for r in s.of("copies", "copy") if len(r) >= 2},
    )


@dataclass(frozen=True)
class FoundVhost:
    """One directory below VPATH. ``flags``: structural path -> ``uid:gid:mode``, ``link`` or ``other``."""

    name: str
    kind: str
    uid: int
    gid: int
    target: str
    flags: Mapping[str, str]


@dataclass(frozen=True)
class Discovery:
    """All that discover_main.sh says about a vnode.

    ``runners``: domain -> the run at work there. ``recorded``: domain -> what the record beside the archives
    says of a completed migration.
    """

    capabilities: Capabilities
    vhosts: tuple[FoundVhost, ...]
    journals: Mapping[str, bytes]
    archives: Mapping[str, int]
    settings: Mapping[str, Mapping[str, str]]
    accounts: Mapping[int, str]
    nginx: ServiceConfig | None
    fpm: tuple[ServiceConfig, ...]
    runners: Mapping[str, str] = field(default_factory=dict)
    recorded: Mapping[str, Recorded] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """A completed migration by its ``migration-*.json``: when it was written (epoch), and its archive."""

    written_at: float = 0.0
    archive: str | None = None


def _recorded(line: str) -> Recorded:
    try:
        told = json.loads("{" + line.strip().rstrip(",") + "}")
        return Recorded(float(told["written_at"]), str(told["archive"]) or None)
    except (ValueError, KeyError, TypeError):
        return Recorded()


def _settings_by_file(lines: bytes) -> dict[str, dict[str, str]]:
    """``./NAME:LINE`` lines, as grep prints them, to one dictionary a file."""
    texts: dict[str, list[str]] = {}
    for line in lines.decode("utf-8", "replace").split("\n"):
        name, mark, rest = line.partition(":")
        if mark:
            texts.setdefault(name.removeprefix("./"), []).append(rest)
    return {name: parse_settings("\n".join(rows)) for name, rows in texts.items()}


def read_discovery(output: bytes) -> Discovery:
    """The whole answer of discover_main.sh."""
    s = split_sections(output)
    vhosts = []
    for row in s.of("vhosts", "vhost"):
        if len(row) < 4:
            continue
        bits = row[2].split(":")
        flags = dict(part.split("=", 1) for part in row[4:] if "=" in part)
        uid, gid = (number(bits[0], -1), number(bits[1], -1)) if len(bits) > 1 else (-1, -1)
        vhosts.append(FoundVhost(as_name(row[0]), row[1], uid, gid, as_name(row[3]), flags))
    accounts = {}
    for row in s.rows.get("passwd", ()):
        parts = row[0].split(":")
        if len(parts) >= 3 and parts[1].isdecimal():
            accounts.setdefault(number(parts[1]), parts[0])
    nginx = read_service_configs(s, "nginx")
    return Discovery(
        read_capabilities(s),
        tuple(vhosts),
        {r[0]: unb64(r[1]) for r in s.of("vhosts", "journal") if len(r) >= 2},
        {r[0]: number(r[1]) for r in s.of("vhosts", "archives") if len(r) >= 2},
        _settings_by_file(next((unb64(r[0]) for r in s.of("settings", "settings") if r), b"")),
        accounts,
        nginx[0] if nginx else None,
        tuple(read_service_configs(s, "fpm")),
        {r[0]: r[1] for r in s.of("vhosts", "runner") if len(r) >= 2},
        {r[0]: _recorded(r[1]) for r in s.of("vhosts", "recorded") if len(r) >= 2},
    )
