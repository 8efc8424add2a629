"""Decides about host keys that are not on record: a new one is asked about, a changed one never passes."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.ports import AskHostKey

from .host_keys import KnownHosts, Trust, host_name
from .ssh_config import HostSettings


class HostKeyDesk:
    """One question at a time; what was accepted counts for the whole process, wherever it could be written.

    ``ssh_flags`` is how the operator's own ssh is told the same configuration file.
    """

    def __init__(self, ask: AskHostKey | None, ssh_flags: str = "") -> None:
        self._ask = ask
        self._ssh_flags = ssh_flags
        self._one_question = asyncio.Lock()
        self._accepted: dict[str, asyncssh.SSHKey] = {}

    def trusted(self, known: KnownHosts, name: str, port: int) -> Any:
        """What asyncssh may accept: what is on record, and what was accepted in this process."""
        keys, authorities, revoked = known.trusted(name, port)
        accepted = self._accepted.get(host_name(name, port))
        return [*keys, accepted] if accepted else keys, authorities, revoked

    async def judge(
        self, settings: HostSettings, name_port: tuple[str, int], key: asyncssh.SSHKey
    ) -> KnownHosts:
        """Decide about a key that is not on record; the known hosts to go on with. Raises ConnectError."""
        name, port = name_port
        written = host_name(name, port)
        kind, fingerprint = key.get_algorithm(), key.get_fingerprint()
        async with self._one_question:
            # Read again: the same key may just have been accepted for another vnode.
            known = KnownHosts(settings.user_known_hosts, settings.global_known_hosts)
            verdict = known.judge(name, port, key)
            if verdict.trust in (Trust.CHANGED, Trust.REVOKED):
                raise ConnectError(
                    f"The host key of {written} is {verdict.trust}: another machine may be answering."
                    f" It shows {kind} {fingerprint}; {verdict.where} says otherwise.",
                    hint=f"If the server was set up anew, remove {verdict.where} (file:line) by hand.",
                )
            if verdict.trust is Trust.TRUSTED or self._accepted.get(written) == key:
                return known
            if not (self._ask and await self._ask(written, kind, fingerprint)):
                raise ConnectError(
                    f"The host key of {written} is unknown and was refused: {kind} {fingerprint}.",
                    hint=f"Compare the fingerprint, then add it with: ssh {self._ssh_flags}{settings.target}",
                )
            known.remember(name, port, key)
            self._accepted[written] = key
        return KnownHosts(settings.user_known_hosts, settings.global_known_hosts)
