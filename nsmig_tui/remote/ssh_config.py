"""What OpenSSH's own files say about a host, as values for asyncssh."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.config import SSHClientConfig

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.text import clean

from .host_keys import SSH_PORT

_TARGET = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9._:%\[\]-]{0,254}")

_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk", "id_dsa")

_FROM_SSH_G = frozenset(
    {
        *("hostname", "user", "port", "addressfamily", "bindaddress", "proxyjump", "proxycommand"),
        *("identityfile", "identitiesonly", "identityagent", "certificatefile", "hostkeyalias"),
        *("userknownhostsfile", "globalknownhostsfile", "preferredauthentications"),
        *("pubkeyauthentication", "passwordauthentication", "kbdinteractiveauthentication"),
    }
)
"""The words of ``ssh -G`` that matter here and that asyncssh reads in the same way."""


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
        self._given = path
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @property
    def flags(self) -> str:
        """What the same choice looks like on ssh's command line, with a blank at its end."""
        return f"-F {self._given} " if self._given else ""

    async def settings(self, target: str, user: str = "", port: int = 0) -> HostSettings:
        """The settings for ``target``. Raises ConnectError for names or files that make no sense."""
        if not _TARGET.fullmatch(target):
            raise ConnectError(
                f"{clean(target, 80)!r} is no name of an SSH host.",
                hint="Give the vnode an --ssh-host alias.",
            )
        paths = self._paths()
        try:
            found = await asyncio.to_thread(_load, paths, target, user, port)
        except (asyncssh.ConfigParseError, ValueError) as error:
            paths = (str(await self._flattened(target, user, port, error)),)
            found = await asyncio.to_thread(_load, paths, target, user, port)
        except OSError as error:
            raise ConnectError(
                f"The SSH configuration cannot be read: {clean(str(error))}", hint="See --ssh-config."
            ) from error
        return _settings(found, target, user, port, paths)

    def close(self) -> None:
        """Remove what was written for the fallback."""
        if self._scratch:
            self._scratch.cleanup()
            self._scratch = None

    def _paths(self) -> tuple[str, ...]:
        """The files in the order in which OpenSSH reads them; the first value found wins."""
        if self._given:
            return (str(self._given.expanduser()),)
        usual = (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config"))
        return tuple(str(path) for path in usual if os.access(path, os.R_OK))

    async def _flattened(self, target: str, user: str, port: int, error: Exception) -> Path:
        """What ssh itself makes of a file that asyncssh cannot read, as a flat file."""
        command = ["ssh", *(["-F", str(self._given)] if self._given else []), "-G"]
        command += ["-l", user] if user else []
        command += ["-p", str(port)] if port else []
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                "--",
                target,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            output, _ = await asyncio.wait_for(process.communicate(), 20)
        except (OSError, TimeoutError):
            output = b""
        if not output or process.returncode:
            raise ConnectError(
                f"The SSH configuration cannot be understood: {clean(str(error))}",
                hint="Mend the line, or give a simpler file with --ssh-config.",
            ) from error
        lines = [line.split(" ", 1) for line in output.decode("utf-8", "replace").splitlines()]
        kept = [f"{pair[0]} {pair[1]}" for pair in lines if len(pair) == 2 and _is_plain(*pair)]
        self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="nsmig-ssh-")
        path = Path(self._scratch.name) / f"{abs(hash((target, user, port))):x}"
        path.write_text("\n".join(kept) + "\n")
        return path


def _is_plain(word: str, value: str) -> bool:
    """Whether a line of ``ssh -G`` means the same to asyncssh."""
    if word == "pubkeyauthentication":
        return value in ("yes", "no", "true", "false")
    if word == "identityagent":
        return value != "SSH_AUTH_SOCK"
    return word in _FROM_SSH_G


def _load(paths: Sequence[str], target: str, user: str, port: int) -> Any:
    """asyncssh's own reading of the files for one host; may run commands of ``Match exec``."""
    given = (getpass.getuser(), user or (), target, port or ())
    config = SSHClientConfig.load(None, list(paths), False, False, False, *given)
    if config.has_match_final():
        config = SSHClientConfig.load(config, list(paths), True, False, True, *given)
    return config


def _settings(found: Any, target: str, user: str, port: int, paths: tuple[str, ...]) -> HostSettings:
    """The parts that nsmig decides by itself, out of a loaded configuration."""
    host = str(found.get("Hostname") or target)
    port = port or int(found.get("Port") or SSH_PORT)
    user = user or str(found.get("User") or getpass.getuser())
    key_alias = str(found.get("HostKeyAlias") or "")
    tokens = {"h": host, "p": str(port), "r": user, "n": target, "k": key_alias or host, "%": "%"}
    tokens |= {"d": os.path.expanduser("~"), "u": getpass.getuser(), "i": str(os.getuid())}

    def files(option: str, usual: Sequence[str]) -> tuple[Path, ...]:
        return tuple(_expand(str(name), tokens) for name in found.get(option, usual))

    identities = found.get("IdentityFile")
    names = identities if identities is not None else [f"~/.ssh/{name}" for name in _DEFAULT_KEYS]
    identity_files = tuple(Path(str(name)).expanduser() for name in names)
    if not found.get("IdentitiesOnly"):
        identity_files = tuple(path for path in identity_files if path.suffix != ".pub")
    command = str(found.get("ProxyCommand") or "")
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
        jumps=_jumps(str(found.get("ProxyJump") or "")),
        proxy_command=("/bin/sh", "-c", _PROXY.format(command)) if command else (),
        ciphers_given=bool(found.get("Ciphers")),
    )


def _expand(name: str, tokens: dict[str, str]) -> Path:
    """A file name of the configuration with its tokens, variables and home directory filled in."""
    name = re.sub(r"%(.)", lambda match: tokens.get(match.group(1), match.group(0)), name)
    name = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match.group(1), match.group(0)), name)
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
