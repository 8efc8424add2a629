"""What OpenSSH's own files say about a host, as values for asyncssh."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import re
import socket
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.text import clean

from .host_keys import SSH_PORT
from .scratch import Scratch
from .ssh_reading import load
from .ssh_tool import SshTool, Told, flat_text

_TARGET = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9._:%\[\]-]{0,254}")

_TOKEN = re.compile(r"%(.)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")

FRESH = 2.0
"""Seconds for which what was found out about a host is taken again."""

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk", "id_dsa")

_PROXY = "exec 9>&2 2>/dev/null; exec {}"
"""OpenSSH hands a ProxyCommand to a shell: redirections and variables in it are common.

asyncssh takes what comes on the command's standard error for the server's own words, and its end for the
end of the connection: so nothing is written there, and it stays open.
"""


@dataclass(frozen=True)
class Hop:
    """One host of a ProxyJump chain as written: user and port only where they are given."""

    host: str
    user: str = ""
    port: int = 0


@dataclass(frozen=True)
class HostSettings:
    """How to reach one host. ``paths`` are the configuration files that asyncssh shall read itself."""

    target: str
    host: str
    port: int
    user: str
    key_alias: str
    paths: tuple[str, ...]
    user_known_hosts: tuple[Path, ...]
    global_known_hosts: tuple[Path, ...]
    identity_files: tuple[Path, ...]
    identities_given: bool
    jumps: tuple[Hop, ...] = ()
    proxy_command: tuple[str, ...] = ()
    ciphers_given: bool = False

    def known_as(self, host: str, port: int | None) -> tuple[str, int]:
        """Name and port to look up in known_hosts: a HostKeyAlias stands for both, as in OpenSSH."""
        return (self.key_alias, SSH_PORT) if self.key_alias else (host, port or SSH_PORT)


class SshConfig:
    """The user's own configuration, or the one file given instead of it."""

    def __init__(self, path: Path | None = None) -> None:
        self._given = path.expanduser() if path else None
        self._tool = SshTool(self._given)
        self._scratch = Scratch()
        self._found: dict[Hashable, tuple[float, HostSettings]] = {}
        self._asking: dict[Hashable, asyncio.Lock] = {}

    @property
    def flags(self) -> str:
        """What the same choice looks like on ssh's command line, with a blank at its end."""
        return f"-F {self._given} " if self._given else ""

    async def settings(self, target: str, user: str = "", port: int = 0) -> HostSettings:
        """The settings for ``target``. Raises ConnectError for names or files that make no sense.

        Many vnodes behind one jump host ask for it in the same moment: it is found out once.
        """
        if not _TARGET.fullmatch(target):
            raise ConnectError(
                f"{clean(target, 80)!r} is no name of an SSH host.",
                hint="Give the vnode an --ssh-host alias.",
            )
        key = (target, user, port, *map(_state, self._paths()))
        async with self._asking.setdefault(key, asyncio.Lock()):
            at, found = self._found.get(key, (0.0, None))
            if found is None or time.monotonic() - at > FRESH:
                found = await self._find_out(target, user, port)
                self._found[key] = (time.monotonic(), found)
        return found

    def close(self) -> None:
        """Remove what was written for asyncssh to read, and find all out anew from here on."""
        self._found.clear()
        self._scratch.close()

    async def _find_out(self, target: str, user: str, port: int) -> HostSettings:
        try:
            if self._given:
                self._given.open("rb").close()
            told = await self._tool.ask(target, user, port)
            paths = self._paths()
            if told is not None:
                paths = (str(self._flattened(told, await self._tool.defaults(), target, user, port)),)
            found = await asyncio.to_thread(load, paths, target, user, port)
        except OSError as error:
            raise ConnectError(
                f"The SSH configuration cannot be read: {clean(str(error))}", hint="See --ssh-config."
            ) from error
        except (asyncssh.ConfigParseError, ValueError) as error:
            raise ConnectError(
                f"The SSH configuration cannot be understood: {clean(str(error))}",
                hint="Mend the line, or give a simpler file with --ssh-config.",
            ) from error
        return _settings(found, told, target, user, port, paths)

    def _paths(self) -> tuple[str, ...]:
        """The files in the order in which OpenSSH reads them; the first value found wins."""
        if self._given:
            return (str(self._given),)
        usual = (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config"))
        return tuple(str(path) for path in usual if os.access(path, os.R_OK))

    def _flattened(self, told: Told, defaults: Told, target: str, user: str, port: int) -> Path:
        """What ssh makes of its files for this host, as a file of its own for asyncssh to read."""
        tokens = _tokens(
            told["hostname"][0],
            port or int(told["port"][0]),
            user or told["user"][0],
            target,
            told.get("hostkeyalias", [""])[0],
        )
        text = flat_text(told, defaults, lambda name: _filled(name, tokens))
        path = self._scratch.file(hashlib.sha256(repr((target, user, port)).encode()).hexdigest())
        path.write_text(text, "utf-8", "surrogateescape")
        return path


def _state(path: str) -> tuple[int, int]:
    """What changes when a file does; nothing for one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _tokens(host: str, port: int, user: str, target: str, key_alias: str) -> dict[str, str]:
    """What the tokens stand for that a name or command of the configuration may have."""
    local = socket.gethostname()
    digest = hashlib.sha1(f"{local}{host}{port}{user}".encode(), usedforsecurity=False).hexdigest()
    return {
        **{"h": host, "p": str(port), "r": user, "n": target, "k": key_alias or target, "%": "%"},
        **{"d": os.path.expanduser("~"), "u": getpass.getuser(), "i": str(os.getuid())},
        **{"l": local, "L": local.partition(".")[0], "C": digest},
    }


def _settings(
    found: Any, told: Told | None, target: str, user: str, port: int, paths: tuple[str, ...]
) -> HostSettings:
    """The parts that nsmig decides by itself, out of a loaded configuration and of what ssh told."""
    host = str(found.get("Hostname") or target)
    port = port or int(found.get("Port") or SSH_PORT)
    user = user or str(found.get("User") or getpass.getuser())
    key_alias = str(found.get("HostKeyAlias") or "")
    tokens = _tokens(host, port, user, target, key_alias)

    def files(option: str, usual: Sequence[str]) -> tuple[Path, ...]:
        return tuple(_expand(str(name), tokens) for name in found.get(option, usual))

    identities = found.get("IdentityFile")
    names = identities if identities is not None else [f"~/.ssh/{name}" for name in _DEFAULT_KEYS]
    identity_files = tuple(Path(str(name)).expanduser() for name in names)
    if not found.get("IdentitiesOnly"):
        identity_files = tuple(path for path in identity_files if path.suffix != ".pub")
    if told is None:
        jump, command = str(found.get("ProxyJump") or ""), str(found.get("ProxyCommand") or "")
    else:
        jump = told.get("proxyjump", [""])[0]
        command = told.get("proxycommand", [""])[0]
        command = "" if command == "none" else _filled(command, tokens, variables=False)
    return HostSettings(
        target=target,
        host=host,
        port=port,
        user=user,
        key_alias=key_alias,
        paths=paths,
        user_known_hosts=files("UserKnownHostsFile", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]),
        global_known_hosts=files(
            "GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
        ),
        identity_files=tuple(path for path in identity_files if path.is_file()),
        identities_given=identities is not None,
        jumps=_jumps(_TOKEN.sub(lambda match: tokens.get(match.group(1), match.group(0)), jump)),
        proxy_command=("/bin/sh", "-c", _PROXY.format(command)) if command else (),
        ciphers_given=bool(found.get("Ciphers")),
    )


def _filled(text: str, tokens: dict[str, str], *, variables: bool = True) -> str:
    """The text with its tokens and variables filled in. Raises ConnectError for one that stands for nothing.

    Without ``variables`` these stay as they are, for a shell to fill in.
    """

    def missing(what: str) -> str:
        raise ConnectError(
            f"The SSH configuration cannot be understood: {what} in {clean(text)} stands for nothing.",
            hint="Mend the line; ssh_config(5) lists the tokens.",
        )

    text = _TOKEN.sub(lambda match: tokens.get(match.group(1)) or missing(match.group(0)), text)
    if not variables:
        return text
    return _VARIABLE.sub(lambda match: os.environ.get(match.group(1)) or missing(match.group(0)), text)


def _expand(name: str, tokens: dict[str, str]) -> Path:
    """A file name of the configuration with its tokens, variables and home directory filled in."""
    name = _TOKEN.sub(lambda match: tokens.get(match.group(1), match.group(0)), name)
    name = _VARIABLE.sub(lambda match: os.environ.get(match.group(1), match.group(0)), name)
    return Path(name).expanduser()


def _jumps(value: str) -> tuple[Hop, ...]:
    """The hosts of a ProxyJump value, first hop first."""
    if not value or value.lower() == "none":
        return ()
    hops = []
    for word in value.split(","):
        text = word.strip().removeprefix("ssh://").rstrip("/")
        user, _, rest = text.rpartition("@")
        match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?|(.*:.*:.*)", rest)
        if not match:
            raise ConnectError(
                f"ProxyJump {clean(word)!r} cannot be understood.", hint="Write user@host:port."
            )
        host = match.group(1) or match.group(3) or match.group(5)
        hops.append(Hop(host, user, int(match.group(2) or match.group(4) or 0)))
    return tuple(hops)
