"""Reads hosts and groups out of an Ansible inventory, for import."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...domain.errors import UsageError
from .ansible_groups import EVERYBODY, Groups
from .ansible_yaml import read_groups

TOOL_SECONDS = 120
LARGEST = 16 << 20
"""Bytes of an inventory; more is some other file, or never ends."""

MOST = 10_000
"""Hosts that one range may stand for; with more, somebody mistyped."""

SSH_WORDS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
_JUMP = re.compile(r"""(?<!\S)(?:-J\s*|-o\s*["']?ProxyJump[= ])([^\s"']+)["']?""")
_YAML_BEGINS = re.compile(r"(?:[ \t]*(?:#.*)?\n)*(?:---|[\w.-]+:[ \t]*(?:#.*)?(?:\n|$))")


@dataclass(frozen=True)
class InventoryHost:
    """One host: its group is the first that lists it; what is not given is empty.

    ``key``: its key's file. ``jump``: the hosts to go over, as ssh's ProxyJump has them. ``more``: the
    inventory's variables with other words for ssh; not what they say, as that may be a password.
    """

    name: str
    group: str = ""
    address: str = ""
    port: str = ""
    user: str = ""
    key: str = ""
    jump: str = ""
    more: tuple[str, ...] = ()

    @property
    def needs_stanza(self) -> bool:
        """Whether ssh must be told more of it than an address."""
        return bool(self.port or self.user or self.key or self.jump or self.more)

    @property
    def alias(self) -> str:
        """What ssh calls it; empty for its own name, under which a stanza would stand."""
        return "" if self.needs_stanza or self.address == self.name else self.address

    @property
    def stanza(self) -> str:
        """What to add to ssh's configuration."""
        values = (
            *(("HostName", self.address), ("Port", self.port), ("User", self.user)),
            ("IdentityFile", f'"{self.key}"' if " " in self.key else self.key),
            ("ProxyJump", self.jump),
            *(("#", f"what else {name} says in the inventory") for name in self.more),
        )
        return "\n".join([f"Host {self.name}", *(f"    {word} {value}" for word, value in values if value)])


def read_hosts(path: Path) -> list[InventoryHost]:
    """The hosts of an inventory, in order. Ansible's own tool reads it where installed, else we do.

    Without the tool we read INI, YAML, and the JSON that ``ansible-inventory --list`` prints; not what
    plugins and separate files of variables add. Raises UsageError.
    """
    tool = shutil.which("ansible-inventory")
    if tool and path.exists():
        return _from_json(_ask_tool(tool, path), path)
    text = _text(path)
    if text.lstrip().startswith("{"):
        return _from_json(text, path)
    if path.suffix in (".yml", ".yaml") or _YAML_BEGINS.match(text):
        return _from_yaml(text, path)
    return _from_ini(text, path)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UsageError(f"{path} is no inventory: it has more than {LARGEST >> 20} MiB.")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def _ask_tool(tool: str, path: Path) -> str:
    try:
        done = subprocess.run(
            [tool, "-i", str(path), "--list"],
            capture_output=True,
            timeout=TOOL_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"ansible-inventory did not answer: {error}.") from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        raise UsageError(f"ansible-inventory cannot read {path}: {last[0]}")
    return done.stdout.decode("utf-8", "replace")


def _from_json(text: str, path: Path) -> list[InventoryHost]:
    try:
        groups = json.loads(text)
        variables = groups.get("_meta", {}).get("hostvars", {})
        first: dict[str, str] = {}
        for group, members in groups.items():
            if group == "_meta":
                continue
            for name in members.get("hosts", ()):
                if not first.get(name):
                    first[name] = "" if group in EVERYBODY else group
        return [_host(name, group, variables.get(name, {})) for name, group in first.items()]
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{path} is no inventory in JSON: {error}.") from error


def _from_yaml(text: str, path: Path) -> list[InventoryHost]:
    try:
        return _hosts(read_groups(text))
    except ValueError as error:
        hint = f"`ansible-inventory -i {path.name} --list > hosts.json` writes what can be imported too."
        raise UsageError(f"{path} is no inventory in YAML: {error}.", hint=hint) from error


def _hosts(groups: Groups) -> list[InventoryHost]:
    return [_host(name, group, variables) for name, group, variables in groups.merged(_names)]


def _host(name: str, group: str, variables: dict[str, Any]) -> InventoryHost:
    def value(*names: str) -> str:
        return next((str(variables[each]) for each in names if variables.get(each)), "")

    said = {each: _jump(str(variables[each])) for each in SSH_WORDS if variables.get(each)}
    return InventoryHost(
        name,
        group,
        value("ansible_host", "ansible_ssh_host"),
        value("ansible_port", "ansible_ssh_port"),
        value("ansible_user", "ansible_ssh_user"),
        value("ansible_ssh_private_key_file", "ansible_private_key_file"),
        next((jump for jump, _ in said.values() if jump), ""),
        tuple(each for each, (_, is_all) in said.items() if not is_all),
    )


def _jump(text: str) -> tuple[str, bool]:
    """The jump hosts in words for ssh, and whether these say nothing else."""
    found = _JUMP.findall(text)
    rest = _JUMP.sub("", text).strip()
    jump = found[0] if found else ""
    return (jump, not rest) if "{" not in jump else ("", False)


def _from_ini(text: str, path: Path) -> list[InventoryHost]:
    groups = Groups()
    section, kind = "ungrouped", "hosts"
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        header = re.fullmatch(r"\[([^\]:]+)(?::(\w+))?\]\s*(?:#.*)?", stripped)
        if header:
            section, kind = header.group(1), header.group(2) or "hosts"
            continue
        try:
            words = shlex.split(stripped, comments=True)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}.") from error
        if kind == "vars":
            name, _, value = re.sub(r"\s#.*", "", stripped).partition("=")
            groups.variables.setdefault(section, {})[name.strip()] = value.strip().strip("\"'")
        elif kind == "children":
            groups.parents.setdefault(words[0], set()).add(section)
        elif kind == "hosts":
            given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            groups.add(words[0], section, given)
    try:
        return _hosts(groups)
    except ValueError as error:
        raise UsageError(f"{path} is no inventory: {error}.") from error


def _names(pattern: str) -> Iterator[str]:
    """The names that a pattern stands for. Raises ValueError for too many."""
    for number, name in enumerate(_expand(pattern)):
        if number >= MOST:
            raise ValueError(f"{pattern} stands for more than {MOST:,} hosts")
        yield name


def _expand(pattern: str) -> Iterator[str]:
    """The names of a range such as ``web[01:20].example`` or ``db-[a:c]``."""
    match = re.search(r"\[(\w+):(\w+)(?::(\d+))?\]", pattern)
    if not match:
        yield pattern
        return
    start, end, step = match.group(1), match.group(2), int(match.group(3) or 1) or 1
    if start.isdigit() and end.isdigit():
        middles = (str(number).zfill(len(start)) for number in range(int(start), int(end) + 1, step))
    else:
        middles = (chr(code) for code in range(ord(start[0]), ord(end[0]) + 1, step))
    for middle in middles:
        yield from _expand(pattern[: match.start()] + middle + pattern[match.end() :])
