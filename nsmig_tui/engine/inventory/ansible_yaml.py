"""Reads the groups, hosts and variables of an Ansible inventory in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DEPTH = 50
"""Groups within groups; more means that an alias leads back to itself."""

Listed = tuple[str, str, dict[str, Any]]
"""A host as one group lists it: its name or range, the group, the variables that hold for it there."""


def read_groups(text: str) -> list[Listed]:
    """Every host of every group, in order. Raises ValueError for what is no inventory in YAML."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Plain values only; what an inventory tags, such as ``!vault``, is a secret and is dropped."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    try:
        tree = yaml.load(text, Loader)
        return [
            listed for group, body in _table(tree).items() for listed in _walk(str(group), body, {}, DEPTH)
        ]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _walk(group: str, body: Any, inherited: Mapping[str, Any], depth: int) -> Iterator[Listed]:
    if depth == 0:
        raise ValueError(f"the groups below {group} never end")
    told = _table(body)
    shared = {**inherited, **_table(told.get("vars"))}
    for name, own in _table(told.get("hosts")).items():
        yield str(name), group, {**shared, **_table(own)}
    for name, inner in _table(told.get("children")).items():
        yield from _walk(str(name), inner, shared, depth - 1)


def _table(value: Any) -> Mapping[Any, Any]:
    """A mapping; nothing at all is an empty one. Raises ValueError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{str(value)[:40]!r} stands where names with a colon are expected")
    return value
