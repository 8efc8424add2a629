"""What an action acts on: the marked vhosts, or what is under the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.run_state import RunState
from .fleet_model import FleetLine, FleetModel, HostLine, NodeLine, SiteLine


@dataclass(frozen=True)
class Targets:
    """The selection at the moment of a key press. ``hosts`` are the vhosts meant, ``nodes`` the vnodes."""

    hosts: tuple[HostLine, ...] = ()
    nodes: tuple[NodeLine, ...] = ()
    line: FleetLine | None = None
    marked: bool = False
    run: RunState | None = None

    @property
    def host(self) -> HostLine | None:
        """The one vhost, when exactly one is meant."""
        return self.hosts[0] if len(self.hosts) == 1 else None

    @property
    def node(self) -> NodeLine | None:
        """The vnode under the cursor, or that of the vhost there, whatever is marked."""
        if isinstance(self.line, HostLine):
            return self.line.node
        return self.line if isinstance(self.line, NodeLine) else None

    @property
    def production(self) -> list[str]:
        """Names of the production vnodes among what is meant."""
        names = {host.node.name for host in self.hosts if host.vnode.production}
        return sorted(names | {node.name for node in self.nodes if node.vnode.production})


def choose(model: FleetModel, marks: set[str], line: FleetLine | None) -> Targets:
    """Marks win over the cursor; a branch stands for all its vhosts that are shown."""
    if marks:
        hosts = tuple(model.hosts[key] for key in sorted(marks) if key in model.hosts)
        return Targets(hosts, _nodes(hosts), line, marked=True)
    if isinstance(line, HostLine):
        return Targets((line,), (line.node,), line)
    if isinstance(line, NodeLine):
        return Targets(tuple(line.shown if model.query else line.hosts), (line,), line)
    if isinstance(line, SiteLine):
        hosts = tuple(host for node in line.nodes for host in (node.shown if model.query else node.hosts))
        return Targets(hosts, tuple(node for node in line.nodes if model.is_shown(node)), line)
    return Targets()


def _nodes(hosts: tuple[HostLine, ...]) -> tuple[NodeLine, ...]:
    return tuple({host.node.name: host.node for host in hosts}.values())
