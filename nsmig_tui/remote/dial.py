"""Dials one host: configuration, jump hosts, host key, keys, passphrases, passwords; then a connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.ports import AskHostKey
from nsmig_tui.domain.text import clean

from . import wire
from .host_key_desk import HostKeyDesk
from .host_keys import KnownHosts
from .key_ring import KeyRing
from .secret import Secret, Secrets
from .ssh_config import Hop, HostSettings, SshConfig
from .ssh_errors import explain

_MAX_HOPS = 8
_TRIES = 3

CIPHERS = "^aes256-gcm@openssh.com,aes128-gcm@openssh.com"
"""First in the order of preference, unless the user's files name ciphers: asyncssh hands these to OpenSSL
in one call a packet, where its usual first choice takes six, which is a fifth of all we compute."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the transport; times in seconds, ``answer`` in bytes.

    ``connect`` is for one dial without the time that a person takes to answer; ``open`` for a channel and
    its shell to come up.
    """

    connect: float = 30.0
    open: float = 30.0
    keepalive: float = 15.0
    keepalive_count: int = 3
    sessions: int = 8
    dials: int = 6
    answer: int = wire.MAX_ANSWER


@dataclass
class Line:
    """An open connection and the jump connections that carry it."""

    connection: asyncssh.SSHClientConnection
    carriers: list[asyncssh.SSHClientConnection] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it is not known to be lost."""
        return not self.connection.is_closed()

    async def close(self, *, at_once: bool = False) -> None:
        """End the connection, then its carriers."""
        for connection in (self.connection, *reversed(self.carriers)):
            if at_once:
                connection.abort()
                continue
            connection.close()
            try:
                async with asyncio.timeout(5):
                    await connection.wait_closed()
            except (TimeoutError, OSError, asyncssh.Error):
                connection.abort()


class _Client(asyncssh.SSHClient):
    """What the server asks of us during one connect."""

    def __init__(self, dialler: Dialler, settings: HostSettings, *, ask: bool) -> None:
        self.refused_key: asyncssh.SSHKey | None = None
        self.refused_name = ("", 0)
        self.refused_ca = False
        self.tried: list[Secret] = []
        self.clock: asyncio.Timeout | None = None
        self._dialler = dialler
        self._settings = settings
        self._ask = ask

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Keep the key that is not on record; the answer is always no."""
        self.refused_name = self._settings.known_as(host, port)
        self.refused_key = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Keep that the server came with a certificate of an authority we do not know."""
        self.refused_ca = True
        return False

    async def password_auth_requested(self) -> str | None:
        """The login password, at most two tries."""
        return await self._password(f"Password of {self._settings.user} on {self._settings.target}: ")

    def kbdint_auth_requested(self) -> str | None:
        """Take part in keyboard-interactive login when there is somebody to ask."""
        return "" if self._ask else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Any
    ) -> list[str] | None:
        """Answer each question: the password from memory, anything else by asking."""
        answers = []
        for prompt, echo in prompts:
            text = f"{self._settings.target}: {clean(prompt, 200)} "
            if not echo and "password" in prompt.lower():
                answer = await self._password(text)
            else:
                async with self._dialler.person(self.clock):
                    secret = await self._dialler.secrets.ask_once(text)
                answer = secret.reveal() if secret else None
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _password(self, prompt: str) -> str | None:
        if not self._ask or len(self.tried) >= 2:
            return None
        secrets, target = self._dialler.secrets, self._settings.target
        if self.tried:
            secrets.forget("login", target, self.tried[-1])
            prompt = f"Wrong. {prompt}"
        async with self._dialler.person(self.clock):
            secret = await secrets.get("login", target, prompt)
        if secret is None:
            return None
        self.tried.append(secret)
        return secret.reveal()


class Dialler:
    """Opens connections, a few at a time, with all that OpenSSH's files ask for."""

    def __init__(
        self, config: SshConfig, secrets: Secrets, ask_host_key: AskHostKey | None, limits: Limits
    ) -> None:
        self.secrets = secrets
        self.limits = limits
        self._config = config
        self._pace = asyncio.Semaphore(limits.dials)
        self._desk = HostKeyDesk(ask_host_key, config.flags)
        self._ring = KeyRing(secrets)

    async def dial(self, target: str, vnode: str) -> Line:
        """A connection to ``target``. Raises ConnectError with a hint."""
        carriers: list[asyncssh.SSHClientConnection] = []
        try:
            connection = await self._reach(Hop(target), None, carriers, 0)
            return Line(connection, carriers)
        except (OSError, asyncssh.Error, ValueError, ConnectError) as error:
            _abandon(carriers)
            raise explain(error, vnode, f"{self._config.flags}{target}") from error
        except BaseException:
            _abandon(carriers)
            raise

    @contextlib.asynccontextmanager
    async def person(self, clock: asyncio.Timeout | None) -> AsyncIterator[None]:
        """Stop the clock of a dial while a person thinks."""
        if clock is None:
            yield
            return
        clock.reschedule(None)
        try:
            yield
        finally:
            clock.reschedule(asyncio.get_running_loop().time() + self.limits.connect)

    async def _reach(
        self, hop: Hop, tunnel: Any, carriers: list[asyncssh.SSHClientConnection], depth: int
    ) -> asyncssh.SSHClientConnection:
        """Connect to one hop, over its own jump hosts unless ``tunnel`` already leads there."""
        if depth > _MAX_HOPS:
            raise ConnectError("The jump hosts lead in a circle.", hint="Check ProxyJump.")
        settings = await self._config.settings(hop.host, hop.user, hop.port)
        if tunnel is None:
            for jump in settings.jumps:
                if jump.host == settings.target:
                    continue
                tunnel = await self._reach(jump, tunnel, carriers, depth + 1)
                carriers.append(tunnel)
        known = KnownHosts(settings.user_known_hosts, settings.global_known_hosts)
        return await self._log_in(settings, tunnel, known)

    async def _log_in(
        self, settings: HostSettings, tunnel: Any, known: KnownHosts
    ) -> asyncssh.SSHClientConnection:
        """Connect with what is there; then, if there is somebody to ask, with passphrases and passwords."""
        try:
            return await self._connect(settings, tunnel, known, ask=False)
        except asyncssh.PermissionDenied:
            if not self.secrets.can_ask:
                raise
        keys = await self._ring.unlock(settings.identity_files)
        return await self._connect(settings, tunnel, known, ask=True, keys=keys)

    async def _connect(
        self,
        settings: HostSettings,
        tunnel: Any,
        known: KnownHosts,
        *,
        ask: bool,
        keys: list[Any] | None = None,
    ) -> asyncssh.SSHClientConnection:
        """One login, dialled again after a host key was accepted or the server was too busy."""
        extra: dict[str, Any] = {"client_keys": keys} if keys else {}
        tries = 0
        while True:
            client = _Client(self, settings, ask=ask)
            options = self._options(settings, tunnel, known, ask) | extra
            options["client_factory"] = partial(_same, client)
            try:
                async with self._pace, asyncio.timeout(self.limits.connect) as client.clock:
                    return _sparing(await asyncssh.connect(settings.target, **options))
            except asyncssh.HostKeyNotVerifiable:
                if client.refused_ca and "server_host_key_algs" not in extra:
                    # Its authority is unknown here: judge the plain key instead, as OpenSSH does.
                    extra["server_host_key_algs"] = _plain_algorithms()
                    continue
                if client.refused_key is None:
                    raise
                known = await self._desk.judge(settings, client.refused_name, client.refused_key)
            except asyncssh.PermissionDenied:
                if client.tried:
                    self.secrets.forget("login", settings.target, client.tried[-1])
                raise
            except (asyncssh.ConnectionLost, ConnectionResetError):
                tries += 1
                if tries >= _TRIES or client.tried:
                    raise
                # sshd drops some of many simultaneous logins (MaxStartups).
                await asyncio.sleep(random.uniform(0.1, 0.5) * tries)

    def _options(self, settings: HostSettings, tunnel: Any, known: KnownHosts, ask: bool) -> dict[str, Any]:
        """The arguments for asyncssh: its own reading of the files, bounded and made strict."""
        options: dict[str, Any] = {
            "config": list(settings.paths) or None,
            "username": settings.user,
            "port": settings.port,
            "tunnel": tunnel,
            "proxy_command": settings.proxy_command if settings.proxy_command and tunnel is None else None,
            "known_hosts": lambda host, _addr, port: self._desk.trusted(
                known, *settings.known_as(host, port)
            ),
            "ignore_encrypted": True,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "send_env": None,
            "env": None,
            "login_timeout": 0,
            "connect_timeout": None,
            "keepalive_interval": self.limits.keepalive,
            "keepalive_count_max": self.limits.keepalive_count,
        }
        if settings.identities_given:  # none of them may be there: then the agent's keys are what is left
            options["client_keys"] = [str(path) for path in settings.identity_files]
        if not settings.ciphers_given:
            options["encryption_algs"] = CIPHERS
        if not ask:
            options["password_auth"] = options["kbdint_auth"] = False
        return options


def _plain_algorithms() -> list[str]:
    """The host key algorithms that are no certificates."""
    from asyncssh.public_key import get_default_public_key_algs

    return [name.decode() for name in get_default_public_key_algs()]


def _same(client: _Client) -> _Client:
    """The factory that asyncssh wants, for a client that exists already."""
    return client


def _sparing(connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientConnection:
    """The connection, made to send less and less often."""
    return _sending_together(_without_fillers(connection))


def _without_fillers(connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientConnection:
    """Stop the empty packet that asyncssh sends ahead of each packet, where it protects nothing.

    It is against guessing the next initial vector of a cipher in CBC mode. GCM counts its own, and every
    other packet less is a quarter of what talking to a vnode costs.
    """
    if "gcm" in str(connection.get_extra_info("send_cipher")):
        send = connection.send_packet

        def send_packet(kind: int, *parts: bytes, handler: Any = None) -> None:
            if kind != MSG_IGNORE:
                send(kind, *parts, handler=handler)

        connection.send_packet = send_packet  # type: ignore[method-assign]
    return connection


def _sending_together(connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientConnection:
    """Hand over in one write what is sent in one turn of the loop, as questions of many vhosts often are.

    Each write wakes whoever carries it on, here and on the server; it costs more than what it carries.
    """
    write = connection._send
    waiting: list[bytes] = []

    def flush() -> None:
        together = b"".join(waiting)
        waiting.clear()
        write(together)

    def send(data: bytes) -> None:
        if not waiting:
            asyncio.get_running_loop().call_soon(flush)
        waiting.append(data)

    connection._send = send  # type: ignore[method-assign]
    return connection


def _word_no_debug_log() -> None:
    """Stop asyncssh from wording several lines of debug log for each packet that nobody will read."""

    def nothing(*_args: Any, **_more: Any) -> None:
        return

    if not logging.getLogger("asyncssh").isEnabledFor(logging.DEBUG):
        for logger, name in (
            (SSHPacketLogger, "log_sent_packet"),
            (SSHPacketLogger, "log_received_packet"),
            (SSHLogger, "debug1"),
        ):
            setattr(logger, name, nothing)


_word_no_debug_log()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of asyncio's log says something; how a ProxyCommand ended is told elsewhere.

    The transport of a process that is closed looks itself whether it has ended, ahead of who waits for it.
    """
    return "will report returncode 255" not in str(record.msg)


logging.getLogger("asyncio").addFilter(_is_news)


def _abandon(carriers: list[asyncssh.SSHClientConnection]) -> None:
    """Drop jump connections that lead nowhere."""
    for carrier in reversed(carriers):
        carrier.abort()
