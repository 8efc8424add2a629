"""The product against lab nodes: wired as the command line wires it, with throw-away state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.fleet import Lab
from lab.node import Node
from nsmig_tui import wiring
from nsmig_tui.domain.events import Result
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.domain.options import MigrateOptions, RollbackOptions
from nsmig_tui.settings import load

LOGS = {b"web/log", b"var/log"}
"""Folders whose files grow by themselves while a site is asked."""


@dataclass
class Product:
    """One operator with a database of his own. Verbs block and answer with the Result."""

    lab: Lab
    place: Path
    events: list[Any] = field(default_factory=list)

    def run(self, work: Any) -> Any:
        """Run one coroutine function of the wired application, in a loop and connection of its own."""

        async def inside() -> Any:
            app = wiring.build(self.settings())
            try:
                return await work(app)
            finally:
                await app.close()

        return asyncio.run(inside())

    def settings(self) -> Any:
        """Settings that point at the throw-away place and at the lab's ssh_config."""
        flags = {
            "data_dir": self.place / "data",
            "config_dir": self.place / "config",
            "ssh_config": self.lab.ssh_config,
        }
        return load(flags)

    def add(self, *nodes: Node, **more: Any) -> None:
        """Make nodes known."""

        async def work(app: Any) -> None:
            for node in nodes:
                app.store.save_vnode(Vnode(node.name, **{"ssh_host": node.name, **more}))

        self.run(work)

    def discover(self, node: Node) -> list[Result]:
        """Discover one node."""
        return self.run(lambda app: app.engine.discover(node.name, self.events.append))

    def validate(self, node: Node, domain: str) -> Result:
        """Validate one vhost."""
        return self.run(lambda app: app.engine.validate(node.name, domain, self.events.append))

    def ready(self, node: Node, *domains: str) -> None:
        """Discover and validate; every domain must come out validated."""
        self.discover(node)
        for domain in domains:
            result = self.validate(node, domain)
            assert result.status == "validated", (domain, result.errors)

    def plan(self, node: Node, domain: str, **options: Any) -> Any:
        """The dry run."""
        return self.run(lambda app: app.engine.plan_migrate(node.name, domain, MigrateOptions(**options)))

    def migrate(self, node: Node, domain: str, **options: Any) -> Result:
        """Migrate."""
        chosen = MigrateOptions(**options)
        return self.run(lambda app: app.engine.migrate(node.name, domain, chosen, self.events.append))

    def rollback(self, node: Node, domain: str, **options: Any) -> Result:
        """Undo or restore."""
        chosen = RollbackOptions(**options)
        return self.run(lambda app: app.engine.rollback(node.name, domain, chosen, self.events.append))

    def plan_rollback(self, node: Node, domain: str, **options: Any) -> Any:
        """What a rollback would do."""
        chosen = RollbackOptions(**options)
        return self.run(lambda app: app.engine.plan_rollback(node.name, domain, chosen))

    def resume(self, node: Node, domain: str, *, undo: bool = False) -> Result:
        """Attach, finish or undo."""
        return self.run(lambda app: app.engine.resume(node.name, domain, self.events.append, undo=undo))

    def points(self, node: Node, domain: str) -> list[Any]:
        """What it can be rolled back to."""
        return self.run(lambda app: app.engine.points(node.name, domain))

    def vhost(self, node: Node, domain: str) -> Any:
        """The database's row."""

        async def work(app: Any) -> Any:
            return app.store.vhost(node.name, domain)

        return self.run(work)
