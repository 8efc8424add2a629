"""A demo world with one vhost that is validated, and the program on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.settings import load

NODE = "vn1"


@asynccontextmanager
async def one_vhost(events: list) -> AsyncIterator[tuple[DemoWorld, wiring.App, str]]:
    """The world, the program, and the vhost's domain; what both looks told is in ``events``."""
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        place = world.directory / "operator"
        app = wiring.build(demo_settings(world, load({"data_dir": place / "d", "config_dir": place / "c"})))
        try:
            add_vnodes(app.store, world)
            domain = next(site.domain for site in world.sites if site.migrates)
            await app.engine.discover(NODE, events.append)
            judged = await app.engine.validate(NODE, domain, events.append)
            assert judged.ok and judged.vnode_trouble == "", judged
            yield world, app, domain
        finally:
            await app.close()
