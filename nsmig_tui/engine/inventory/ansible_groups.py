"""What an Ansible inventory says of its hosts, put together from the groups that they are in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

EVERYBODY = ("all", "ungrouped", "_meta")

_WITH_PORT = (re.compile(r"\[([^\[\]]+)\]:(\d+)"), re.compile(r"((?:[^:\[\]]|\[[^\[\]]*\])+):(\d+)"))
"""``[address]:port`` and ``name:port``; the colons of a range are within its brackets."""


@dataclass
class Groups:
    """``hosts``: name or range, the group that lists it, variables given there, in order. ``variables``: of
    each group. ``parents``: the groups that a group is a child of."""

    hosts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=dict)

    def add(self, words: str, group: str, given: Mapping[Any, Any]) -> None:
        """Note a host or range that a group lists; a port may follow it, which the variables overrule."""
        for form in _WITH_PORT:
            if match := form.fullmatch(words):
                words, given = match[1], {"ansible_port": match[2], **given}
                break
        self.hosts.append((words, group, dict(given)))

    def above(self, group: str) -> dict[str, int]:
        """The group and all that it is a child of; each with the length of the longest way up from it.

        Raises ValueError for groups that are children of each other.
        """
        far: dict[str, int] = {}
        todo = [(group, 0)]
        while todo:
            name, way = todo.pop()
            if way > len(self.parents) + 1:
                raise ValueError(f"the groups above {group} lead in a circle")
            if way >= far.get(name, -1):
                far[name] = way
                todo += [(parent, way + 1) for parent in self.parents.get(name, ())]
        return far

    def merged(self, expand: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each host with the first group that lists it, or "", and the variables that hold for it.

        Ansible's order: all's first, then parents' before children's, equals by name; the host's own last.
        Raises ValueError.
        """
        first: dict[str, str] = {}
        own: dict[str, dict[str, Any]] = {}
        member: dict[str, set[str]] = {}
        for pattern, group, given in self.hosts:
            for name in expand(pattern):
                first[name] = first.get(name) or ("" if group in EVERYBODY else group)
                own.setdefault(name, {}).update(given)
                member.setdefault(name, set()).add(group)
        for name, group in first.items():
            above = {each for listed in member[name] for each in self.above(listed)}
            order = sorted(above - {"all"}, key=lambda each: (self._depth(each), each))
            shared: dict[str, Any] = {}
            for each in ["all", *order]:
                shared |= self.variables.get(each, {})
            yield name, group, {**shared, **own[name]}

    def _depth(self, group: str) -> int:
        """How many groups are above it, along the longest way."""
        return max(self.above(group).values())
