"""What the engine needs from the world, as protocols; adapters live in remote and store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .batch_plan import Measured
from .events import Emit, Planned, Result
from .fleet import ArchiveRecord, Refusal, RunRecord, StatusChange, Vhost, VhostBrief, Vnode
from .options import MigrateOptions, RollbackOptions, RollbackPoint, Standing
from .retention import Choice


@dataclass(frozen=True)
class HttpRequest:
    """One GET to the vnode's own web server: connect to ``address:port`` there, ask for ``host``/``path``."""

    host: str
    path: str = "/"
    address: str = "127.0.0.1"
    port: int = 80
    tls: bool = False


@dataclass(frozen=True)
class HttpAnswer:
    """What came back. ``status`` 0 means no answer at all, and ``error`` says why.

    ``headers`` has lower-case names; ``body`` is at most 1 MiB.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""


class Shell(Protocol):
    """One shared, authenticated connection to a vnode; every script runs there as root."""

    async def run(self, script: str, args: Sequence[str] = (), *, timeout: float = 60.0) -> tuple[int, bytes]:
        """Run the sh ``script`` text with ``args``; answer its exit status and standard output.

        Login noise is cut away. Raises ConnectError when the answer is incomplete: then nothing
        may be concluded about what happened on the vnode.
        """
        ...

    async def send(
        self, script: str, args: Sequence[str], data: bytes, *, timeout: float = 60.0
    ) -> tuple[int, bytes]:
        """Like ``run``, with ``data`` (at most 8 MiB) as the script's standard input.

        The script starts only when all of ``data`` is there, by length and SHA-256.
        """
        ...

    async def http(self, request: HttpRequest, *, timeout: float = 10.0) -> HttpAnswer:
        """Ask the vnode's web server through the connection. Never raises for a bad answer.

        Raises ConnectError where the connection itself was lost: that is no answer of the web server.
        """
        ...

    async def http_all(self, requests: Sequence[HttpRequest], *, timeout: float = 10.0) -> list[HttpAnswer]:
        """Like ``http`` for many requests, answered in their order; ``timeout`` is for each."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


class Connector(Protocol):
    """Opens and shares connections, one a vnode."""

    async def shell(self, vnode: Vnode) -> Shell:
        """The vnode's connection, opened if need be. Raises ConnectError with a hint."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


AskHostKey = Callable[[str, str, str], Awaitable[bool]]
"""(host, key type, SHA256 fingerprint) -> trust and remember it?"""

AskPassword = Callable[[str], Awaitable[str | None]]
"""(prompt) -> the secret, or None when there is nobody to ask. Never stored."""


class FleetStore(Protocol):
    """The operator's database. Every method is short and synchronous."""

    def was_changed(self) -> bool: ...
    def is_free(self) -> bool: ...
    def vnodes(self) -> list[Vnode]: ...
    def vnode(self, name: str) -> Vnode | None: ...
    def save_vnode(self, vnode: Vnode) -> None: ...
    def remove_vnode(self, name: str) -> None: ...
    def vhosts(self, vnode: str | None = None, status: str | None = None) -> list[Vhost]: ...
    def vhost(self, vnode: str, domain: str) -> Vhost | None: ...
    def status_changes(self, vnode: str, domain: str) -> list[StatusChange]: ...
    def brief(self, after: tuple[str, str] = ("", ""), limit: int = 5000) -> list[VhostBrief]: ...
    def refusals(self, limit: int = 200) -> list[Refusal]: ...
    def save_vhost(self, vhost: Vhost) -> None: ...
    def save_vhosts(self, vhosts: Sequence[Vhost]) -> None: ...
    def save_run(self, record: RunRecord, vhost: Vhost | None = None) -> None: ...
    def run(self, run: str) -> RunRecord | None: ...
    def runs(
        self, vnode: str | None = None, vhost: str | None = None, limit: int = 200
    ) -> list[RunRecord]: ...
    def unfinished(self) -> list[RunRecord]: ...
    def archives(self, vnode: str | None = None, vhost: str | None = None) -> list[ArchiveRecord]: ...
    def save_archive(self, archive: ArchiveRecord) -> None: ...
    def remove_archive(self, vnode: str, vhost: str, path: str) -> None: ...
    def log(self, run: str, at: float, line: str) -> None: ...
    def log_lines(self, run: str) -> list[tuple[float, str]]: ...
    def put(self, key: str, value: Any, *, later: bool = False) -> None: ...
    def get(self, key: str) -> Any: ...
    def close(self) -> None: ...


class EngineApi(Protocol):
    """The engine as both faces see it. ``vnode`` and ``domain`` are names known to the store.

    Every verb emits events while it runs, keeps a RunRecord, updates the store, and returns the
    final ``Result`` (also emitted, last). Verbs that judge or change one vhost do not raise for what
    happens to that vhost: the Result says it (``ok``, ``errors``, ``hint``, ``exit_code``). They raise
    UsageError for unknown names. ``plan_*``, ``points``, ``standing``, ``check`` raise NsmigError
    subclasses.
    """

    async def check(self, vnode: str) -> dict[str, Any]:
        """Connect and probe: ``{"ok", "vnode", "os", "manager", "tools", "avail_kb", ...}``; sizes in KiB."""
        ...

    async def discover(self, vnode: str, emit: Emit) -> list[Result]:
        """Ask the vnode everything; one Result a vhost (imported or, ``skipped``, not)."""
        ...

    async def validate(self, vnode: str, domain: str, emit: Emit) -> Result: ...

    async def plan_migrate(self, vnode: str, domain: str, options: MigrateOptions) -> Planned: ...

    async def nothing_to_migrate(self, vnode: str, domain: str) -> None:
        """Ask the vnode whether a vhost known as migrated or native is so; raises Refused where it is not."""
        ...

    async def migrate(self, vnode: str, domain: str, options: MigrateOptions, emit: Emit) -> Result: ...

    async def points(self, vnode: str, domain: str) -> list[RollbackPoint]:
        """The archives on the vnode, newest first."""
        ...

    async def plan_rollback(self, vnode: str, domain: str, options: RollbackOptions) -> Planned: ...

    async def rollback(self, vnode: str, domain: str, options: RollbackOptions, emit: Emit) -> Result: ...

    async def resume(self, vnode: str, domain: str, emit: Emit, *, undo: bool = False) -> Result:
        """Attach to, finish or undo what was left half-done on this vhost."""
        ...

    async def standing(self, vnode: str, domain: str, *, undo: bool = False) -> Standing:
        """How the newest run on this vhost stands, and what ``resume`` would do now. Changes nothing."""
        ...

    async def measure(self, vnode: str, domains: Sequence[str]) -> Measured:
        """How big these vhosts are, and what room their file systems have. Never raises for the vnode."""
        ...

    async def take_up(self, vnode: str, domain: str, options: MigrateOptions, emit: Emit) -> Result:
        """Migrate one vhost from wherever an earlier process or try left it: attach, finish, or begin."""
        ...

    async def verify_archives(self, vnode: str, domain: str, emit: Emit) -> Result: ...

    async def plan_prune(self, vnode: str, domain: str, keep_days: int, keep_count: int) -> list[Choice]:
        """What a prune would delete and what it would keep, with reasons."""
        ...

    async def prune(self, vnode: str, domain: str, keep_days: int, keep_count: int, emit: Emit) -> Result: ...
