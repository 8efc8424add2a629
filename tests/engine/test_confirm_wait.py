"""A migration that is finished by `resume` waits for its verdict as long as it was told to when it began."""

from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.settings import load


async def test_a_resumed_migration_waits_as_long_as_was_asked_for():
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        place = world.directory / "operator"
        app = wiring.build(demo_settings(world, load({"data_dir": place / "d", "config_dir": place / "c"})))
        add_vnodes(app.store, world)
        domain = next(site.domain for site in world.sites if site.migrates)
        events = []
        await app.engine.discover("vn1", events.append)
        assert (await app.engine.validate("vn1", domain, events.append)).ok
        options = MigrateOptions(confirm_wait=345, crash_at=6)
        assert (await app.engine.migrate("vn1", domain, options, events.append)).exit_code == 6
        assert (await app.engine.resume("vn1", domain, events.append)).ok
        journal = (world.root("vn1") / "var/lib/nsmig" / domain / "journal").read_text()
        awaited = [line.split("\t")[4] for line in journal.splitlines() if line.split("\t")[3] == "await"]
        assert awaited == ["345"]
        await app.close()
