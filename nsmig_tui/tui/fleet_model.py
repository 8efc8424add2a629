"""The fleet as flat lines for the virtual list: vsite, vnode, vhost; filtered, sorted, folded, counted."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from ..domain.fleet import Vhost, VhostBrief, Vnode
from .filtering import keep

SORTS = ("name", "status", "size")
WORST_FIRST = {"failed": 0, "vanished": 1, "discovered": 2, "validated": 3, "migrated": 4, "native": 5}


class HostLine:
    """One vhost; light, since there may be 100,000."""

    __slots__ = ("domain", "haystack", "key", "layout", "node", "php", "size", "status", "vanished")
    depth, kind = 2, "vhost"

    def __init__(self, node: NodeLine, brief: VhostBrief) -> None:
        self.node = node
        self.domain = brief.domain
        self.key = f"{brief.vnode}/{brief.domain}"
        self.take(brief)

    def take(self, brief: VhostBrief) -> None:
        """Copy what may change; words that many lines share are kept once."""
        self.status = "vanished" if brief.vanished else sys.intern(brief.status)
        self.vanished = brief.vanished
        self.layout = sys.intern(brief.layout)
        self.size = brief.size
        self.php = _version(brief.php)
        self.haystack = f"{brief.domain} {brief.vnode} {self.node.vnode.vsite} {self.status}".lower()

    def field(self, name: str) -> str:
        """A field of the filter language."""
        if name == "node":
            return self.node.name.lower()
        if name == "site":
            return self.node.vnode.vsite.lower()
        return str(getattr(self, name)).lower()

    @property
    def vnode(self) -> Vnode:
        """The server that it is on."""
        return self.node.vnode


class NodeLine:
    """One vnode with its vhosts."""

    __slots__ = ("counts", "haystack", "hosts", "key", "name", "shown", "vnode")
    depth, kind = 1, "vnode"

    def __init__(self, vnode: Vnode) -> None:
        self.vnode, self.name, self.key = vnode, vnode.name, vnode.name
        self.hosts: list[HostLine] = []
        self.shown: list[HostLine] = []
        self.counts: Counter[str] = Counter()
        self.haystack = f"{vnode.name} {vnode.vsite}".lower()

    def field(self, name: str) -> str:
        """A field of the filter language; a vnode has no status of a vhost."""
        return {"node": self.name.lower(), "site": self.vnode.vsite.lower()}.get(name, "")


class SiteLine:
    """One vsite with its vnodes. Its key cannot be a vnode's or a vhost's."""

    __slots__ = ("counts", "key", "name", "nodes")
    depth, kind = 0, "vsite"

    def __init__(self, name: str) -> None:
        self.name, self.key = name, f"site:{name}"
        self.nodes: list[NodeLine] = []
        self.counts: Counter[str] = Counter()

    @property
    def shown(self) -> list[HostLine]:
        """Every vhost below it that passes the filter."""
        return [host for node in self.nodes for host in node.shown]


FleetLine = SiteLine | NodeLine | HostLine


class FleetModel:
    """Holds all lines and answers which to show. Knows nothing of the screen.

    ``version`` grows with every change of what is known, not with that of the view.
    """

    def __init__(self) -> None:
        self.sites: list[SiteLine] = []
        self.nodes: dict[str, NodeLine] = {}
        self.hosts: dict[str, HostLine] = {}
        self.expanded: set[str] = set()
        self.query = ""
        self.sort = SORTS[0]
        self.matching = self.version = 0

    def load(self, vnodes: Iterable[Vnode], briefs: Iterable[VhostBrief] = ()) -> None:
        """Take over the whole fleet; ``add`` brings more vhosts, page by page."""
        self.sites, self.nodes, self.hosts = [], {}, {}
        sites: dict[str, SiteLine] = {}
        for vnode in vnodes:
            node = self.nodes[vnode.name] = NodeLine(vnode)
            sites.setdefault(vnode.vsite, SiteLine(vnode.vsite)).nodes.append(node)
        self.sites = sorted(sites.values(), key=lambda site: site.name)
        for site in self.sites:
            site.nodes.sort(key=lambda node: node.name)
        self.add(briefs)

    def add(self, briefs: Iterable[VhostBrief]) -> None:
        """Take over vhosts that are not here yet, in the order of vnode and domain."""
        self.version += 1
        sites = {site.name: site for site in self.sites}
        for brief in briefs:
            line = self._add(brief)
            if line is not None:
                line.node.counts[line.status] += 1
                sites[line.node.vnode.vsite].counts[line.status] += 1

    def update_vnode(self, vnode: Vnode, vhosts: Iterable[Vhost]) -> None:
        """Take over one vnode and its vhosts again."""
        node = self.nodes.get(vnode.name)
        if node is None or node.vnode.vsite != vnode.vsite:
            raise KeyError(vnode.name)
        node.vnode = vnode
        for host in node.hosts:
            del self.hosts[host.key]
        node.hosts = []
        for vhost in vhosts:
            self._add(brief_of(vhost))
        node.hosts.sort(key=_by_domain)
        self._count(self._site(node))

    def update_vhost(self, vhost: Vhost) -> None:
        """Take over what changed in one vhost; one that is new is added."""
        line = self.hosts.get(f"{vhost.vnode}/{vhost.domain}")
        if line is not None:
            line.take(brief_of(vhost))
        elif (line := self._add(brief_of(vhost))) is not None:
            line.node.hosts.sort(key=_by_domain)
        else:
            return
        self._count(self._site(line.node))

    def flatten(self) -> list[FleetLine]:
        """The lines to show now, in order: filtered, sorted, folded."""
        wanted = self._filtered()
        rows: list[FleetLine] = []
        for site in self.sites:
            branch: list[FleetLine] = []
            for node in site.nodes:
                node.shown = self._sorted(wanted[node.name]) if wanted is not None else node.hosts
                if not self.is_shown(node):
                    continue
                branch.append(node)
                if self.is_open(node):
                    branch += node.shown if wanted is not None else self._sorted(node.hosts)
            if branch or wanted is None:
                rows.append(site)
                if self.is_open(site):
                    rows += branch
        return rows

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is on."""
        return bool(self.query.strip())

    def is_open(self, line: FleetLine) -> bool:
        """Whether what is below this branch is shown; a filter opens them all."""
        return self.is_filtered or line.key in self.expanded

    def shown_hosts(self) -> list[HostLine]:
        """Every vhost that passes the filter, folded away or not."""
        if not self.query:
            return list(self.hosts.values())
        return keep(list(self.hosts.values()), self.query)

    def totals(self) -> Counter[str]:
        """Vhosts by status over the whole fleet."""
        return sum((site.counts for site in self.sites), Counter())

    def _filtered(self) -> dict[str, list[HostLine]] | None:
        if not self.is_filtered:
            self.matching = len(self.hosts)
            return None
        found: dict[str, list[HostLine]] = {name: [] for name in self.nodes}
        kept = keep(list(self.hosts.values()), self.query)
        self.matching = len(kept)
        for host in kept:
            found[host.node.name].append(host)
        return found

    def is_shown(self, node: NodeLine) -> bool:
        """Whether the filter leaves it: for a vhost of it that passes, or by itself where it has none."""
        if not self.is_filtered or node.shown:
            return True
        return not node.hosts and bool(keep([node], self.query))

    def _sorted(self, hosts: list[HostLine]) -> list[HostLine]:
        if self.sort == "status":
            return sorted(hosts, key=lambda host: (WORST_FIRST.get(host.status, 9), host.domain))
        if self.sort == "size":
            return sorted(hosts, key=lambda host: (-host.size, host.domain))
        return hosts

    def _add(self, brief: VhostBrief) -> HostLine | None:
        node = self.nodes.get(brief.vnode)
        if node is None:
            return None
        line = HostLine(node, brief)
        node.hosts.append(line)
        self.hosts[line.key] = line
        return line

    def _site(self, node: NodeLine) -> SiteLine:
        return next(site for site in self.sites if site.name == node.vnode.vsite)

    def _count(self, site: SiteLine) -> None:
        self.version += 1
        site.counts = Counter()
        for node in site.nodes:
            node.counts = Counter(host.status for host in node.hosts)
            site.counts.update(node.counts)


def brief_of(vhost: Vhost) -> VhostBrief:
    """What a list shows of ``vhost``."""
    size, php = vhost.details.get("size") or 0, str(vhost.details.get("php") or "")
    return VhostBrief(
        vhost.vnode, vhost.domain, vhost.status.value, vhost.layout.value, vhost.vanished, size, php
    )


@lru_cache(maxsize=256)
def _version(main: str) -> str:
    """The version in the name of php-fpm's main file, such as /etc/php/8.2/fpm/php-fpm.conf."""
    found = re.search(r"\d+\.\d+", main)
    return found.group() if found else ""


def _by_domain(host: HostLine) -> str:
    return host.domain
