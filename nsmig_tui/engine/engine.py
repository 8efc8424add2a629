"""The engine as both faces see it: one method a verb, over the ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.batch_plan import Measured
from ..domain.events import Emit, Planned, Result
from ..domain.options import MigrateOptions, RollbackOptions, RollbackPoint, Standing
from ..domain.ports import Connector, FleetStore
from ..domain.retention import Choice
from . import archives, discovering, migrating, resuming, returning, validating
from .batch import measuring, taking_up
from .desk import Desk
from .reading import Scripts


class Engine:
    """Implements ``domain.ports.EngineApi``; what each method promises stands there."""

    def __init__(
        self,
        store: FleetStore,
        connector: Connector,
        *,
        scripts: Scripts,
        operator: str,
        services: Mapping[str, Mapping[str, str]],
        batch: str = "",
    ) -> None:
        self.desk = Desk(store, connector, scripts, operator, services=services, batch=batch)

    async def check(self, vnode: str) -> dict[str, Any]:
        """Connect and probe."""
        return await discovering.check(self.desk, vnode)

    async def discover(self, vnode: str, emit: Emit) -> list[Result]:
        """Import what stands on the vnode."""
        return await discovering.discover(self.desk, vnode, emit)

    async def validate(self, vnode: str, domain: str, emit: Emit) -> Result:
        """Judge one vhost."""
        return await validating.validate(self.desk, vnode, domain, emit)

    async def plan_migrate(self, vnode: str, domain: str, options: MigrateOptions) -> Planned:
        """The dry run of a migration."""
        return await migrating.plan_migrate(self.desk, vnode, domain, options)

    async def nothing_to_migrate(self, vnode: str, domain: str) -> None:
        """Whether the vnode, too, says of a vhost that it is migrated or native; raises Refused if not."""
        await migrating.nothing_to_migrate(self.desk, vnode, domain)

    async def migrate(self, vnode: str, domain: str, options: MigrateOptions, emit: Emit) -> Result:
        """Migrate one vhost."""
        return await migrating.migrate(self.desk, vnode, domain, options, emit)

    async def points(self, vnode: str, domain: str) -> list[RollbackPoint]:
        """What a vhost can be rolled back to."""
        return await returning.points(self.desk, vnode, domain)

    async def plan_rollback(self, vnode: str, domain: str, options: RollbackOptions) -> Planned:
        """The dry run of a rollback."""
        return await returning.plan_rollback(self.desk, vnode, domain, options)

    async def rollback(self, vnode: str, domain: str, options: RollbackOptions, emit: Emit) -> Result:
        """Undo a migration or restore an archive."""
        return await returning.rollback(self.desk, vnode, domain, options, emit)

    async def resume(self, vnode: str, domain: str, emit: Emit, *, undo: bool = False) -> Result:
        """Attach, finish or undo."""
        return await resuming.resume(self.desk, vnode, domain, emit, undo_it=undo)

    async def standing(self, vnode: str, domain: str, *, undo: bool = False) -> Standing:
        """What a resume would do now."""
        return await resuming.standing(self.desk, vnode, domain, undo_it=undo)

    async def verify_archives(self, vnode: str, domain: str, emit: Emit) -> Result:
        """Read a vhost's archives to their end and compare them with their recorded hashes."""
        return await archives.verify(self.desk, vnode, domain, emit)

    async def plan_prune(self, vnode: str, domain: str, keep_days: int, keep_count: int) -> list[Choice]:
        """What a prune would delete and what it would keep, with reasons. Raises NsmigError."""
        return await archives.plan_prune(self.desk, vnode, domain, keep_days, keep_count)

    async def prune(self, vnode: str, domain: str, keep_days: int, keep_count: int, emit: Emit) -> Result:
        """Delete what the limits do not keep; never the newest verified archive."""
        return await archives.prune(self.desk, vnode, domain, keep_days, keep_count, emit)

    async def measure(self, vnode: str, domains: Sequence[str]) -> Measured:
        """How big these vhosts are, and what room their file systems have."""
        return await measuring.measure(self.desk, vnode, domains)

    async def take_up(self, vnode: str, domain: str, options: MigrateOptions, emit: Emit) -> Result:
        """Migrate one vhost from wherever an earlier try left it."""
        return await taking_up.take_up(self.desk, vnode, domain, options, emit)
