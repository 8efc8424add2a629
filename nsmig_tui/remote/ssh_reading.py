"""asyncssh's own reading of OpenSSH's files, made to follow OpenSSH: for where no ssh can be asked."""

from __future__ import annotations

import getpass
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncssh import config as theirs
from asyncssh.config import SSHClientConfig


def load(paths: Sequence[str], target: str, user: str, port: int) -> Any:
    """What the files say about one host; may run commands of ``Match exec``."""
    given = (getpass.getuser(), user or (), target, port or ())
    config = SSHClientConfig.load(None, list(paths), False, False, False, *given)
    if config.has_match_final():
        config = SSHClientConfig.load(config, list(paths), True, False, True, *given)
    return config


def _include(config: Any, option: str, args: list[str]) -> None:
    """Files in the order of their names and without hidden ones, as glob(3) has them for OpenSSH."""
    found: list[str] = []
    for pattern in args:
        path = Path("~", ".ssh").expanduser() / Path(pattern).expanduser()
        found += sorted(glob.glob(str(path)))
    args[:] = [glob.escape(name) for name in found]
    SSHClientConfig._include(config, option, args)


def _match(config: Any, option: str, args: list[str]) -> None:
    """The command of an ``exec`` with its tokens filled in."""
    config._set_tokens()
    config._tokens["k"] = str(config.get("HostKeyAlias") or config._tokens["n"])
    for place in range(1, len(args)):
        if args[place - 1].lower() in ("exec", "!exec"):
            args[place] = theirs._token_pattern.sub(config._expand_token, args[place])
    SSHClientConfig._match(config, option, args)


def _proxy_jump(config: Any, option: str, args: list[str]) -> None:
    """Whichever way was given first is the way; a command that is `none` is one too."""
    if "ProxyCommand" in config._options:
        args.clear()
    else:
        SSHClientConfig._set_string(config, option, args)


def _proxy_command(config: Any, option: str, args: list[str]) -> None:
    if config._options.get("ProxyJump"):
        args.clear()
    else:
        SSHClientConfig._set_string(config, option, args)


SSHClientConfig._handlers = {
    **SSHClientConfig._handlers,
    "include": ("Include", _include),
    "match": ("Match", _match),
    "proxyjump": ("ProxyJump", _proxy_jump),
    "proxycommand": ("ProxyCommand", _proxy_command),
}
