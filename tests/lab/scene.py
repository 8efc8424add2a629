"""What tests of whole runs have in common: a vhost with a neighbour, pictures of them, a service restart.

``Operator`` is the product with one connection for many verbs, for tests that make a long chain of runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.node import Node, wait_for
from lab.prober import Target
from lab.seed import Vhost, seed_vhost, wrong_answers
from lab.tree import Tree, differences, node_picture
from nsmig_tui.domain.events import Result
from nsmig_tui.domain.options import MigrateOptions, RollbackOptions

DOMAIN = "shop.test"
NEIGHBOUR = "neighbour.test"


def snapshot(node: Node, domain: str = DOMAIN) -> Tree:
    """/etc and /srv without what nsmig keeps for itself, and without live sockets and growing logs."""
    whole = node_picture(node, ("etc", "srv"), ignore=[f"srv/{domain}/.archive"])
    by_itself = (b"access.log", b"error.log", b"etc/alternatives/php-fpm.sock")
    kept = {
        p: e
        for p, e in whole.items()
        # what was logged while there was no atomic exchange is kept beside the logs
        if e.kind != "socket" and not p.endswith(by_itself) and b".log.transition-" not in p
    }
    # A file put in place by rename changes its folder's time: said of /etc, not of the vhost's tree. And
    # php-fpm makes its sockets anew when a test starts it from disk.
    return {
        p: replace(e, mtime_ns=0)
        if e.kind == "dir" and (not p.startswith(b"srv/") or p.endswith(b"/var/run"))
        else e
        for p, e in kept.items()
    }


@dataclass
class Scene:
    """A node with one vhost to work on and a neighbour that must never notice."""

    node: Node
    vhost: Vhost
    neighbour: Vhost
    before: Tree = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """The vhost's name."""
        return self.vhost.domain

    @property
    def upath(self) -> Path:
        """The vhost's top directory, as this machine sees it."""
        return self.node.srv / self.domain

    def wrong(self) -> list[str]:
        """Answers of either site that are not as seeded."""
        return wrong_answers(self.node, self.vhost) + wrong_answers(self.node, self.neighbour)

    def restart(self) -> None:
        """Start the services from what is on disk, as a reboot or a package upgrade would."""
        self.node.sh("systemctl reset-failed; systemctl restart php8.2-fpm nginx")

    def remember(self) -> None:
        """From here on, "as before" means as it is now."""
        self.before = snapshot(self.node, self.domain)

    def changed(self) -> list[str]:
        """What is not as it was before the first run; empty after an undo."""
        return differences(self.before, snapshot(self.node, self.domain))

    def is_as_before(self, where: str = "") -> None:
        """Assert that tree and configuration are byte for byte as before, and both sites well."""
        changed, wrong = self.changed(), self.wrong()
        assert changed == [], "\n".join([where, *changed[:12]])
        assert wrong == [], (where, wrong)
        assert not (self.node.srv / ".nsmig").exists(), "staging was left behind"

    def is_migrated(self) -> None:
        """Assert the new layout's structure with its modes, and both sites well."""
        modes = {"web": 0o755, "web/app": 0o755, "web/app/public": 0o755, "web/log": 0o750, "web/run": 0o750}
        for place, mode in modes.items():
            seen = (self.upath / place).lstat()
            assert (seen.st_mode & 0o7777, seen.st_uid, seen.st_gid) == (mode, self.vhost.uid, 33), place
        real = {path.name for path in (self.upath / "web").iterdir() if not path.is_symlink()}
        assert real - {"tmp"} == {"app", "log", "run"}, real
        wrong = self.wrong()
        assert wrong == [], wrong
        assert not (self.node.srv / ".nsmig").exists(), "staging was left behind"

    def pages(self) -> list[Target]:
        """Questions for a prober, of both sites."""
        return [
            Target(site.domain, path, status, body)
            for site in (self.vhost, self.neighbour)
            for path, status, body in site.answers
        ]


def set_scene(node: Node, domain: str = DOMAIN, **form: Any) -> Scene:
    """Seed a vhost of this form and a neighbour, and remember how all looks."""
    neighbour = seed_vhost(node, NEIGHBOUR, shape="shared", reload=False)
    scene = Scene(node, seed_vhost(node, domain, **form), neighbour)
    wait_for("the neighbour to answer", lambda: scene.wrong() == [], 20)
    scene.remember()
    return scene


@dataclass
class Operator:
    """One wired application on one vhost; verbs are coroutines and answer with the Result."""

    app: Any
    scene: Scene
    events: list[Any] = field(default_factory=list)

    async def ready(self) -> None:
        """Discover and validate."""
        name, domain = self.scene.node.name, self.scene.domain
        await self.app.engine.discover(name, self.events.append)
        result = await self.app.engine.validate(name, domain, self.events.append)
        assert result.status == "validated", result

    async def migrate(self, **options: Any) -> Result:
        """Migrate."""
        chosen = MigrateOptions(**options)
        name, domain = self.scene.node.name, self.scene.domain
        return await self.app.engine.migrate(name, domain, chosen, self.events.append)

    async def rollback(self, **options: Any) -> Result:
        """Undo."""
        chosen = RollbackOptions(**options)
        name, domain = self.scene.node.name, self.scene.domain
        return await self.app.engine.rollback(name, domain, chosen, self.events.append)

    async def resume(self, *, undo: bool = False) -> Result:
        """Attach, finish or undo."""
        name, domain = self.scene.node.name, self.scene.domain
        return await self.app.engine.resume(name, domain, self.events.append, undo=undo)

    def journal(self, run: str = "") -> list[tuple[str, str]]:
        """(kind, detail) of the journal's lines, of one run or of all."""
        lines = self.scene.node.sh(f"cat /var/lib/nsmig/{self.scene.domain}/journal").stdout.splitlines()
        rows = [line.split("\t", 4) for line in lines]
        return [(row[3], row[4]) for row in rows if not run or row[2] == run]

    def points(self, run: str) -> int:
        """How many crash points an uninterrupted run passed."""
        return next(int(detail) for kind, detail in self.journal(run) if kind == "points")

    def died_at(self, run: str) -> str:
        """Name of the point at which the run killed itself; empty when it did not."""
        place = f"/var/lib/nsmig/{self.scene.domain}/runs/{run}/died-at"
        return self.scene.node.sh(f"cat {place} 2>/dev/null || true").stdout.strip()
