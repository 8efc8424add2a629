"""One vnode's shell: scripts and HTTP requests over one shared connection that is dialled when needed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from typing import Any

import asyncssh

from nsmig_tui.domain.errors import ConnectError
from nsmig_tui.domain.ports import HttpAnswer, HttpRequest
from nsmig_tui.domain.text import clean

from . import http_tunnel, sudo, wire
from .dial import Dialler, Line
from .secret import Secret
from .session import Conversation, NotStarted, WrongPassword
from .slots import Slots
from .ssh_errors import explain

KEPT = 4
"""Shells on a vnode that wait for more to do. A new one costs us, and the vnode, more than most questions."""

KEPT_S = 20.0
"""Seconds after which a shell that has nothing to do is ended."""


@dataclass
class _Link:
    """A line with what is known about it, and the root shells there that have answered and wait for more."""

    line: Line
    slots: Slots
    privilege: sudo.Privilege = field(default_factory=lambda: sudo.Privilege(sudo.Way.PLAIN, -1))
    password: Secret | None = None
    kept: dict[Conversation, asyncio.TimerHandle] = field(default_factory=dict)

    def take(self, nonce: str) -> Conversation | None:
        """A shell that waits, made ready for another exchange."""
        while self.kept:
            talk, timer = self.kept.popitem()
            timer.cancel()
            if not talk.is_gone:
                with contextlib.suppress(OSError):  # its channel is being closed just now
                    talk.renew(nonce)
                    return talk
            self.slots.opened -= 1
        return None

    def keep(self, talk: Conversation) -> bool:
        """Let a shell wait for more; False when enough of them do."""
        if len(self.kept) >= KEPT or talk.is_gone:
            return False
        self.kept[talk] = asyncio.get_running_loop().call_later(KEPT_S, self._end, talk)
        return True

    def _end(self, talk: Conversation) -> None:
        del self.kept[talk]
        self.slots.opened -= 1
        talk.abort()

    async def close(self, *, at_once: bool = False) -> None:
        """End the line."""
        for timer in self.kept.values():
            timer.cancel()
        self.kept.clear()
        await self.line.close(at_once=at_once)


class SshShell:
    """Implements ``domain.ports.Shell``. Safe to share; reconnects on the next call after a loss."""

    def __init__(self, target: str, vnode: str, dialler: Dialler) -> None:
        self._target = target
        self._vnode = vnode
        self._dialler = dialler
        self._limits = dialler.limits
        self._link: _Link | None = None
        self._connecting: asyncio.Task[_Link] | None = None
        self._closed = False

    async def open(self) -> None:
        """Connect and find the way to root, unless that is done. Raises ConnectError."""
        await self._linked()

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called; a lost connection is another matter."""
        return self._closed

    @property
    def privilege(self) -> sudo.Privilege | None:
        """How scripts get to run as root, once connected."""
        return self._link.privilege if self._link else None

    async def run(self, script: str, args: Sequence[str] = (), *, timeout: float = 60.0) -> tuple[int, bytes]:
        """Run ``script`` with ``args`` as root: exit status and standard output. See ``ports.Shell``."""
        return await self._exchange(script, args, None, timeout)

    async def send(
        self, script: str, args: Sequence[str], data: bytes, *, timeout: float = 60.0
    ) -> tuple[int, bytes]:
        """Like ``run``, with ``data`` (at most 8 MiB, checked on arrival) as the script's standard input."""
        return await self._exchange(script, args, data, timeout)

    async def http(self, request: HttpRequest, *, timeout: float = 10.0) -> HttpAnswer:
        """Ask the vnode's web server, through the connection or else with a tool of the vnode."""
        return (await self.http_all([request], timeout=timeout))[0]

    async def http_all(self, requests: Sequence[HttpRequest], *, timeout: float = 10.0) -> list[HttpAnswer]:
        """The answers to many questions, in order, over shared connections. See ``ports.Shell.http``."""
        link = await self._linked()
        answers = await self._ask(link, requests, timeout)
        if not all(answer.status for answer in answers):
            # Only a line that still answers makes silence the web server's own.
            await self._exchange(":", [], None, self._limits.open)
        if self._link is not link or not link.line.is_open:
            raise explain(asyncssh.ConnectionLost("connection lost"), self._vnode, self._target)
        return answers

    async def _ask(self, link: _Link, requests: Sequence[HttpRequest], timeout: float) -> list[HttpAnswer]:
        try:
            return await http_tunnel.fetch_all(link.line.connection, requests, timeout)
        except http_tunnel.NoTunnel:
            pass
        except (OSError, asyncssh.Error) as error:
            return [HttpAnswer(0, error=clean(str(error) or type(error).__name__, 300))] * len(requests)
        gate = asyncio.Semaphore(http_tunnel.LANES)

        async def one(request: HttpRequest) -> HttpAnswer:
            async with gate:
                return await self._http_there(request, timeout)

        return list(await asyncio.gather(*map(one, requests)))

    async def close(self) -> None:
        """End the connection. Later calls are refused."""
        self._closed = True
        if self._connecting and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._link:
            await self._link.close()
            self._link = None

    async def _linked(self) -> _Link:
        """The open link; whoever comes while it is being dialled waits for the same dial."""
        if self._closed:
            raise ConnectError("The connection was closed here.", vnode=self._vnode)
        if self._link and self._link.line.is_open:
            return self._link
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(_retrieved)
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Link:
        """Dial, then find out how to become root there."""
        line = await self._dialler.dial(self._target, self._vnode)
        link = _Link(line, Slots(self._limits.sessions))
        try:
            rc, answer = await self._converse(link, _script("privilege.sh"), [], None, self._limits.open)
            if rc != 0:
                raise ConnectError(
                    f"The first question to the server failed with status {rc}.", vnode=self._vnode
                )
            link.privilege = sudo.choose(answer, self._vnode)
            if link.privilege.way is sudo.Way.SUDO_PASSWORD:
                await self._find_password(link)
        except _Unsent as error:
            await line.close(at_once=True)
            raise explain(error.cause, self._vnode, self._target) from error
        except BaseException:
            await line.close(at_once=True)
            raise
        self._link = link
        return link

    async def _find_password(self, link: _Link) -> None:
        """Ask for sudo's password and prove it, with one retry; nothing else is sent before it holds."""
        prompt = f"sudo password on {self._vnode}: "
        for attempt in range(2):
            secret = await self._dialler.secrets.get(
                "sudo", self._target, ("Wrong. " if attempt else "") + prompt
            )
            if secret is None:
                raise sudo.nobody_to_ask(self._vnode)
            link.password = secret
            try:
                rc, answer = await self._converse(link, "id -u", [], None, self._limits.open)
            except WrongPassword:
                self._dialler.secrets.forget("sudo", self._target, secret)
                continue
            if (rc, answer) == (0, b"0\n"):
                return
            raise sudo.not_root(self._vnode, f"uid {clean(answer, 40)}")
        raise sudo.wrong_password(self._vnode)

    async def _exchange(
        self, script: str, args: Sequence[str], data: bytes | None, timeout: float
    ) -> tuple[int, bytes]:
        """Run over the link; dial once more if it turns out to be lost before anything was sent."""
        for attempt in range(2):
            link = await self._linked()
            try:
                while True:
                    with contextlib.suppress(_Ended):
                        return await self._converse(link, script, args, data, timeout)
            except _Unsent as error:
                if attempt or link.line.is_open:
                    raise explain(error.cause, self._vnode, self._target) from error
            except WrongPassword as error:
                raise sudo.wrong_password(self._vnode) from error
        raise ConnectError("The connection was lost.", vnode=self._vnode)

    async def _converse(
        self, link: _Link, script: str, args: Sequence[str], data: bytes | None, timeout: float
    ) -> tuple[int, bytes]:
        """One exchange on one channel."""
        nonce = wire.new_nonce()
        more = link is self._link  # before, the way to root is still being looked for
        name = wire.script_name(script)
        try:
            async with self._session(link, nonce, more) as talk:
                stream = wire.frame(script, args, nonce, data, more=more, known=name in talk.knows)
                await self._await_ready(link, talk)
                talk.send(stream, more=more)
                async with asyncio.timeout(timeout):
                    answer = await talk.finished
                talk.knows.add(name)
                return answer
        except TimeoutError as error:
            raise ConnectError(
                f"The server gave no complete answer within {timeout:g} s.",
                hint="What was asked may still be going on there.",
                vnode=self._vnode,
            ) from error
        except wire.WireError as error:
            lost = "" if link.line.is_open else " The connection was lost."
            raise ConnectError(
                f"No usable answer: {clean(str(error), 300)}.{lost}",
                hint="Nothing can be concluded about what happened there; look again.",
                vnode=self._vnode,
            ) from error

    @contextlib.asynccontextmanager
    async def _session(self, link: _Link, nonce: str, more: bool) -> AsyncIterator[Conversation]:
        """A session on the link, opened patiently: servers may allow fewer than we ask for (MaxSessions).

        ``more``: it may be one that has answered before, and may be kept for another answer.
        """
        patience, pause = self._limits.open, 0.02
        while True:
            async with link.slots:
                try:
                    talk = (link.take(nonce) if more else None) or await self._open(link, nonce)
                except asyncssh.ChannelOpenError as error:
                    refused = error
                    link.slots.shrink()
                else:
                    kept = False
                    try:
                        yield talk
                        kept = more and link.keep(talk)
                        if not kept:
                            await talk.leave()
                        return
                    finally:
                        if not kept:
                            link.slots.opened -= 1
                            talk.abort()
            if link.slots.opened == 0:
                # None of ours is in the way, so waiting for a slot is no waiting at all.
                patience -= pause
            if patience < 0 or not link.line.is_open:
                raise _Unsent(refused) from refused
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 1.0)

    async def _await_ready(self, link: _Link, talk: Conversation) -> None:
        """Wait until the shell itself answers; so far nothing was sent."""
        try:
            async with asyncio.timeout(self._limits.open):
                await talk.ready
        except TimeoutError as error:
            if talk.is_renewed and not talk.said():
                # It spoke before, so the line is dead: as when not even a channel opens.
                link.line.connection.abort()
                raise _Unsent(error) from error
            if link.privilege.way is sudo.Way.PLAIN and not talk.said():
                # Silence before the very first word: the line is dead, the next call shall dial anew.
                link.line.connection.abort()
            raise ConnectError(
                f"The server's shell did not come up within {self._limits.open:g} s."
                f" It said: {clean(talk.said()[-400:], 200) or 'nothing'}",
                hint="Check its login scripts, and what sudo asks there.",
                vnode=self._vnode,
            ) from error
        except NotStarted as error:
            if not link.line.is_open:
                raise _Unsent(asyncssh.ConnectionLost("connection lost")) from error
            if talk.is_renewed:
                raise _Ended from error
            if link.privilege.way is sudo.Way.PLAIN:
                raise ConnectError(
                    "The login shell runs no commands."
                    f" It said: {clean(error.said[-400:], 200) or 'nothing'}",
                    hint="Check the account's shell (nologin?) and ForceCommand on the server.",
                    vnode=self._vnode,
                ) from error
            raise sudo.not_root(self._vnode, error.said) from error

    async def _open(self, link: _Link, nonce: str) -> Conversation:
        """Open one session channel. ChannelOpenError is left to the caller, it may pass."""
        with_password = link.privilege.way is sudo.Way.SUDO_PASSWORD
        password = link.password if with_password else None
        talk = partial(Conversation, nonce, self._limits.answer, says_ready=with_password, password=password)
        command = link.privilege.command(nonce, prove=link is not self._link)
        opening = asyncio.ensure_future(
            link.line.connection.create_session(talk, command, encoding=None, request_pty=False)
        )
        try:
            async with asyncio.timeout(self._limits.open):
                # Shielded: asyncssh forgets a half-open session that is cancelled, the server does not.
                _, made = await asyncio.shield(opening)
                link.slots.opened += 1
                return made
        except (asyncssh.ChannelOpenError, asyncio.CancelledError):
            opening.add_done_callback(_end_late)
            raise
        except (OSError, asyncssh.Error) as error:
            opening.add_done_callback(_end_late)
            if isinstance(error, TimeoutError):
                # Not even a channel: the line is dead, the next call shall dial anew.
                link.line.connection.abort()
            raise _Unsent(error) from error

    async def _http_there(self, request: HttpRequest, timeout: float) -> HttpAnswer:
        """The same question asked by a tool on the vnode."""
        args = [request.address, str(request.port), request.host, request.path, "1" if request.tls else "0"]
        try:
            rc, output = await self.run(
                _script("http_get.sh"), [*args, str(max(1, round(timeout)))], timeout=timeout * 3 + 10
            )
        except (ConnectError, ValueError) as error:
            return HttpAnswer(0, error=clean(str(error), 300))
        return http_tunnel.from_tool(rc, output)


class _Unsent(Exception):
    """The channel failed before anything was sent."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Ended(Exception):
    """A shell that was kept has been ended over there; nothing was sent to it."""


def _end_late(opening: asyncio.Future[Any]) -> None:
    """End a session that came up when nobody wanted it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].abort()


def _script(name: str) -> str:
    """The text of one of the transport's own scripts."""
    return (resources.files("nsmig_tui.remote") / "scripts" / name).read_text("utf-8")


def _retrieved(task: asyncio.Task[_Link]) -> None:
    """Mark a dial's failure as seen: whoever waited for it may be gone."""
    if not task.cancelled():
        task.exception()
