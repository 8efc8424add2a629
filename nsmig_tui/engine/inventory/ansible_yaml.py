"""Reads the groups, hosts and variables of an Ansible inventory in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .ansible_groups import Groups

DEPTH = 50
"""Groups within groups; more means that an alias leads back to itself."""


def read_groups(text: str) -> Groups:
    """The groups with their hosts, in order. Raises ValueError for what is no inventory in YAML."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain values only; what an inventory tags, such as ``!vault``, is a secret and is dropped."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    try:
        tree = yaml.load(text, Loader)
        groups = Groups()
        for group, body in _table(tree).items():
            _walk(groups, str(group), body, DEPTH)
        return groups
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _walk(groups: Groups, group: str, body: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"the groups below {group} never end")
    told = _table(body)
    groups.variables.setdefault(group, {}).update(_table(told.get("vars")))
    for name, own in _table(told.get("hosts")).items():
        groups.add(str(name), group, _table(own))
    for name, inner in _table(told.get("children")).items():
        groups.parents.setdefault(str(name), set()).add(group)
        _walk(groups, str(name), inner, depth - 1)


def _table(value: Any) -> Mapping[Any, Any]:
    """A mapping; nothing at all is an empty one. Raises ValueError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{str(value)[:40]!r} stands where names with a colon are expected")
    return value
