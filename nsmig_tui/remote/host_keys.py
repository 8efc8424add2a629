"""Known hosts: tells trusted, unknown, changed and revoked host keys apart, and remembers new ones.

asyncssh says the same for an unknown and for a changed key, and stops at the first line of a file that it
cannot read; so the files are read here, line by line, as OpenSSH does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import asyncssh

from nsmig_tui.domain.errors import ConnectError

SSH_PORT = 22


class Trust(StrEnum):
    """What the known_hosts files say about a key."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Verdict:
    """``trust``, and the file and line (1-based) that say so; both empty when none does."""

    trust: Trust
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """File and line for people."""
        return f"{self.file}:{self.line}" if self.file else ""


@dataclass(frozen=True)
class _Entry:
    """One readable line of a known_hosts file."""

    file: str
    line: int
    hosts: asyncssh.SSHKnownHosts
    names: frozenset[str] | None
    """The names that it is for, where it is for these and no others; None where patterns or hashes decide."""

    def may_match(self, name: str) -> bool:
        """Whether it is worth asking: most lines of a large file are for other hosts."""
        return self.names is None or name in self.names

    def match(self, name: str) -> Any:
        """What this line says about ``name``: asyncssh's seven lists, host, CA and revoked keys first."""
        return self.hosts.match(name, "", None)


class KnownHosts:
    """The known_hosts files of one host, the user's own first. Addresses do not count, only names."""

    def __init__(self, user_files: Sequence[Path], global_files: Sequence[Path] = ()) -> None:
        self._user_files = tuple(user_files)
        self._entries = [entry for path in (*user_files, *global_files) for entry in _read(path)]

    def trusted(self, host: str, port: int) -> tuple[list[Any], list[Any], list[Any]]:
        """The host keys and authorities on record for a host, and what is revoked under any of its names."""
        matches = [match for _, match in self._matches(host, port)]
        keys, authorities = ([item for match in matches for item in match[at]] for at in range(2))
        return keys, authorities, self._revoked(host, port)

    def judge(self, host: str, port: int, key: asyncssh.SSHKey) -> Verdict:
        """What is on record about this very key of this host."""
        for entry in self._entries:
            if any(key in entry.match(name)[2] for name in _names(host, port) if entry.may_match(name)):
                return Verdict(Trust.REVOKED, entry.file, entry.line)
        matches = self._matches(host, port)
        for entry, match in matches:
            if key in match[0]:
                return Verdict(Trust.TRUSTED, entry.file, entry.line)
        exact = host_name(host, port)
        for entry, match in matches:
            if match[0] and entry.match(exact)[0]:
                return Verdict(Trust.CHANGED, entry.file, entry.line)
        return Verdict(Trust.UNKNOWN)

    def remember(self, host: str, port: int, key: asyncssh.SSHKey) -> Path:
        """Append the key to the user's first file and return it. Raises ConnectError when that fails."""
        path = self._user_files[0] if self._user_files else Path("~/.ssh/known_hosts").expanduser()
        words = key.export_public_key("openssh").decode().split()[:2]
        line = " ".join([host_name(host, port), *words]) + "\n"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(size - 1)
                    line = line if file.read(1) == b"\n" else "\n" + line
                file.write(line.encode())
                file.flush()
                if path.is_file():
                    os.fsync(file.fileno())
        except OSError as error:
            raise ConnectError(
                f"The host key cannot be written to {path}: {error.strerror}.",
                hint="Make the file writable, or set UserKnownHostsFile.",
            ) from error
        return path

    def _matches(self, host: str, port: int) -> list[tuple[_Entry, Any]]:
        """The lines for exactly this host and port; only if there are none, those that name no port."""
        for name in _names(host, port):
            found = [(entry, entry.match(name)) for entry in self._entries if entry.may_match(name)]
            found = [(entry, match) for entry, match in found if match[0] or match[1]]
            if found:
                return found
        return []

    def _revoked(self, host: str, port: int) -> list[Any]:
        """The keys that must never be accepted for this host."""
        names = _names(host, port)
        asked = [(entry, name) for entry in self._entries for name in names if entry.may_match(name)]
        return [key for entry, name in asked for key in entry.match(name)[2]]


def host_name(host: str, port: int) -> str:
    """How known_hosts writes a host and its port."""
    return host.lower() if port == SSH_PORT else f"[{host.lower()}]:{port}"


def _names(host: str, port: int) -> tuple[str, ...]:
    """The names to look up, in order."""
    exact = host_name(host, port)
    return (exact,) if port == SSH_PORT else (exact, host.lower())


def _read(path: Path) -> list[_Entry]:
    """The lines of a file that can be understood; a file that is not there has none.

    Raises ConnectError for a file that cannot be read: what it says may be a warning.
    """
    try:
        text = path.read_text("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConnectError(
            f"The known hosts file {path} cannot be read: {error.strerror}.",
            hint="Without it a changed host key could not be told from a new one.",
        ) from error
    return list(_parse(str(path), text))


@lru_cache(4)
def _parse(path: str, text: str) -> tuple[_Entry, ...]:
    """The readable lines of a file; the same for every host of a fleet."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            hosts = asyncssh.import_known_hosts(line)
        except (ValueError, asyncssh.KeyImportError):
            # OpenSSH, too, passes over lines that it cannot read.
            continue
        entries.append(_Entry(path, number, hosts, _plain_names(line)))
    return tuple(entries)


def _plain_names(line: str) -> frozenset[str] | None:
    """The names that a line is for, as asyncssh takes them; None when one of them is more than a name."""
    words = line.split()
    names = next((word for word in words if not word.startswith("@")), "")
    return None if any(mark in names for mark in "*?|/!") else frozenset(names.split(","))
