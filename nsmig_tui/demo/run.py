"""`nsmig demo --run`: the real product on the demo world, from discovery to rollback, told as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.errors import Interrupted, NsmigError
from ..domain.events import Event, FindingMade, Result, StepFailed, StepFinished, silent
from ..domain.fleet import Status
from ..domain.options import MigrateOptions, RollbackOptions
from ..domain.ports import FleetStore, HttpRequest
from ..domain.text import clean
from .seed import SECRET, SeededSite
from .world import DemoWorld

if TYPE_CHECKING:
    from ..settings import Settings

Say = Callable[[str], Any]
Pages = dict[str, tuple[int, bytes]]
_SERIOUS = ("critical", "error")


def demo_settings(world: DemoWorld, base: Settings) -> Settings:
    """``base`` with everything that is kept or read inside the world: nothing of the user's own is used."""
    place = world.directory / "operator"
    return replace(
        base,
        data_dir=place / "data",
        config_dir=place / "config",
        ssh_config=world.ssh_config,
        read_only=False,
        services={},
        demo=True,
    )


def add_vnodes(store: FleetStore, world: DemoWorld) -> None:
    """Make the world's vnodes known to the store."""
    for vnode in world.vnodes:
        store.save_vnode(vnode)


async def run_demo(
    say: Say = print, base: Settings | None = None, *, vnodes: int = 3, vhosts_per_vnode: int = 4
) -> int:
    """Discover, validate, migrate all, roll one back; answers 0 only if everything came out as expected.

    It is a program's whole work: when cancelled it clears up and raises Interrupted.
    """
    from .. import wiring
    from ..settings import load

    begun = time.monotonic()
    world = DemoWorld(vnodes, vhosts_per_vnode)
    try:
        async with world:
            flags = {name: world.directory / "operator" / name for name in ("data_dir", "config_dir")}
            settings = demo_settings(world, base if base is not None else load(flags))
            app = wiring.build(settings)
            try:
                add_vnodes(app.store, world)
                tour = Tour(app, world, say)
                await tour.walk()
            finally:
                await app.close()
    except asyncio.CancelledError as stop:
        raise Interrupted("Interrupted; the demo's servers and their files are gone again.") from stop
    seconds = time.monotonic() - begun
    left = [str(world.directory)] if world.directory.exists() else []
    problems = [*tour.problems, *(f"{path} is still there" for path in left)]
    say("")
    for problem in problems:
        say(f"NOT AS EXPECTED: {problem}")
    if problems:
        say(f"The demo found {len(problems)} thing(s) wrong, after {seconds:.1f} s.")
        return 1
    say(f"All went as expected, in {seconds:.1f} s. The servers and their files are gone again.")
    return 0


class Tour:
    """One walk through the product. ``problems`` collects what was not as the seeds say it must be."""

    def __init__(self, app: Any, world: DemoWorld, say: Say) -> None:
        self.app, self.world = app, world
        self.say = lambda text: say(clean(text, 400))
        self.problems: list[str] = []
        self.before: dict[str, Pages] = {}

    async def walk(self) -> None:
        """All of it, in order."""
        count = len(self.world.names)
        self.say(
            f"{count} servers are up on this machine, with {len(self.world.sites)} directories to look at."
        )
        await self.discover()
        await self.validate()
        for site in self.world.sites:
            self.before[site.domain] = await self.pages(site)
        await self.migrate()
        await self.roll_back()
        self.check_secret()

    def title(self, words: str) -> None:
        """Begin a part of the account."""
        self.say("")
        self.say(words)

    def expect(self, true: bool, problem: str) -> None:
        """Note ``problem`` unless it is ``true`` that all is well."""
        if not true:
            self.problems.append(clean(problem, 400))

    def status(self, site: SeededSite) -> Status | None:
        """What the store says of a site."""
        known = self.app.store.vhost(site.vnode, site.domain)
        return known.status if known else None

    async def discover(self) -> None:
        """Ask every vnode; what was seeded must be found as what it is."""
        self.title("Discover")
        for name in self.world.names:
            results = await self.app.engine.discover(name, silent)
            taken = sum(not result.skipped for result in results)
            self.say(f"  {name}: {taken} vhosts, {len(results) - taken} not imported")
            for result in results:
                if result.skipped:
                    self.say(f"    {result.vhost}: {'; '.join((*result.errors, *result.warnings))}")
        for site in self.world.sites:
            if site.kind == "misnamed":
                self.expect(self.status(site) is None, f"{site.domain} was imported")
            elif site.kind == "native":
                self.expect(self.status(site) is Status.NATIVE, f"{site.domain} is not known as native")
            elif site.migrates:
                found = self.status(site)
                self.expect(found is Status.DISCOVERED, f"{site.domain} is {found}, not discovered")

    async def validate(self) -> None:
        """Judge every discovered vhost; those that cannot be migrated must be held back, with the reason."""
        self.title("Validate")
        for vhost in self.app.store.vhosts(status=Status.DISCOVERED):
            serious: list[str] = []

            def listen(event: Event, serious: list[str] = serious) -> None:
                if isinstance(event, FindingMade) and event.severity in _SERIOUS:
                    serious.append(f"{event.severity}: {event.message}")

            await self._verb("validate", vhost.vnode, vhost.domain, listen)
            now = self.app.store.vhost(vhost.vnode, vhost.domain)
            self.say(f"  {vhost.vnode} {vhost.domain}: {now.status}")
            for line in serious:
                self.say(f"    {line}")
        for site in self.world.sites:
            if site.kind != "misnamed":
                ready = self.status(site) is Status.VALIDATED
                self.expect(ready == site.migrates, f"{site.domain} ({site.kind}) is {self.status(site)}")

    async def migrate(self) -> None:
        """Migrate all that is validated, the vnodes side by side."""
        self.title("Migrate")
        await asyncio.gather(*(self._migrate_on(name) for name in self.world.names))
        for site in self.world.sites:
            top = self.world.root(site.vnode) / "srv" / site.domain
            if site.migrates:
                now = self.status(site)
                self.expect(now is Status.MIGRATED, f"{site.domain} is {now}, not migrated")
                self.expect((top / "web/app/public/index.html").is_file(), f"{top} is not in the new layout")
            if site.pages:
                same = await self.pages(site) == self.before[site.domain]
                self.expect(same, f"{site.domain} does not answer as before")
        if not self.problems:
            self.say("  every page of every site answers as before")

    async def _migrate_on(self, name: str) -> None:
        for vhost in self.app.store.vhosts(name, Status.VALIDATED):
            where = f"  {name} {vhost.domain}"

            def listen(event: Event, where: str = where) -> None:
                if isinstance(event, StepFinished):
                    self.say(f"{where}: {event.step} ({event.seconds:.1f} s)")
                elif isinstance(event, StepFailed):
                    self.say(f"{where}: {event.step} failed: {event.message} {event.hint}")

            result = await self._verb("migrate", name, vhost.domain, listen, MigrateOptions())
            if result is not None:
                for words in result.warnings:
                    self.say(f"{where}: warning: {words}")
                self.say(f"{where}: {result.status}, archive {result.backup_archive or 'none'}")

    async def roll_back(self) -> None:
        """Undo one migration; the old layout must be there and answer."""
        self.title("Roll back one")
        site = next(site for site in self.world.sites if site.migrates)
        top = self.world.root(site.vnode) / "srv" / site.domain
        upload = top / "web/app/public/written-since.txt"
        if upload.parent.is_dir():
            upload.write_text("an upload after the migration\n")
        points = await self.app.engine.points(site.vnode, site.domain)
        self.say(f"  {site.vnode} {site.domain} has {len(points)} archive(s) to go back to")
        self.expect(bool(points), f"{site.domain} has no archive")
        await self._verb("rollback", site.vnode, site.domain, silent, RollbackOptions())
        now = self.status(site)
        self.expect(now is Status.VALIDATED, f"{site.domain} is {now} after the rollback, not validated")
        self.expect((top / "web/index.html").is_file(), f"{top} is not in the old layout again")
        self.expect(
            (top / "web/written-since.txt").is_file(), "what was uploaded since is not there any more"
        )
        same = await self.pages(site) == self.before[site.domain]
        self.expect(same, f"{site.domain} does not answer as before after the rollback")
        if not self.problems:
            self.say(f"  {site.domain} is {now} again; what was uploaded since the migration is still there")

    async def pages(self, site: SeededSite) -> Pages:
        """What the site answers now."""
        vnode = self.app.store.vnode(site.vnode)
        shell = await self.app.connector.shell(vnode)
        found: Pages = {}
        for path in site.pages:
            answer = await shell.http(HttpRequest(site.domain, path))
            self.expect(answer.status == 200, f"{site.domain}{path} answers {answer.status} {answer.error}")
            found[path] = (answer.status, answer.body)
        return found

    def check_secret(self) -> None:
        """The made-up password in the settings must be in nothing that the product keeps."""
        for path in (self.world.directory / "operator").rglob("*"):
            if path.is_file():
                self.expect(not _holds(path, SECRET), f"{path.name} holds a secret of a vhost's settings")

    async def _verb(self, verb: str, vnode: str, domain: str, emit: Any, *options: Any) -> Result | None:
        """One verb of the engine; what it could not do is a problem unless validation is there to say no."""
        try:
            result: Result = await getattr(self.app.engine, verb)(vnode, domain, *options, emit)
        except NsmigError as error:
            self.expect(False, f"{verb} {vnode} {domain}: {error}")
            return None
        if verb != "validate":
            self.expect(result.ok, f"{verb} {vnode} {domain}: {'; '.join(result.errors)} {result.hint}")
        return result


def _holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes()
