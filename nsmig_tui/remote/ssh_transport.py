"""The door to all vnodes: implements ``domain.ports.Connector`` on asyncssh."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.domain.ports import AskHostKey, AskPassword

from .dial import Dialler, Limits
from .secret import Secrets
from .ssh_config import SshConfig
from .ssh_shell import SshShell

__all__ = ["Limits", "SshConnector"]


class SshConnector:
    """Shares one connection per target; vnodes that name the same target share it too.

    ``ssh_config`` replaces the user's own files, as ``ssh -F`` does. Without the two callbacks nothing is
    asked: unknown host keys are refused, and only keys and the agent open doors.
    """

    def __init__(
        self,
        ssh_config: Path | None = None,
        *,
        ask_host_key: AskHostKey | None = None,
        ask_password: AskPassword | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._config = SshConfig(ssh_config)
        self._dialler = Dialler(self._config, Secrets(ask_password), ask_host_key, limits or Limits())
        self._shells: dict[str, SshShell] = {}
        self._closed = False

    async def shell(self, vnode: Vnode) -> SshShell:
        """The vnode's connection, opened if need be. Raises ConnectError with a hint."""
        if self._closed:
            raise ConnectError("The program is closing its connections.", vnode=vnode.name)
        shell = self._shells.get(vnode.target)
        if shell is None or shell.is_closed:
            shell = self._shells[vnode.target] = SshShell(vnode.target, vnode.name, self._dialler)
        await shell.open()
        return shell

    async def close(self) -> None:
        """End all connections."""
        self._closed = True
        await asyncio.gather(*(shell.close() for shell in self._shells.values()), return_exceptions=True)
        self._shells.clear()
        self._config.close()
