"""A service that is down: said of the vnode, whatever else is wrong with the vhost."""

from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.batch import trouble_of
from nsmig_tui.domain.findings import ERROR, SERVICES, STRUCTURE, Finding
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine import migrating, validating
from nsmig_tui.engine.batch.ending import settled
from nsmig_tui.settings import load

OWN = Finding(ERROR, STRUCTURE, "the path is too long", hint="Shorten it.")
DOWN = Finding(ERROR, SERVICES, "no running php-fpm uses /etc/x", hint="Start php-fpm.", of_vnode=True)


async def test_a_dead_service_is_told_as_the_vnodes_trouble(monkeypatch):
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        place = world.directory / "operator"
        app = wiring.build(demo_settings(world, load({"data_dir": place / "d", "config_dir": place / "c"})))
        add_vnodes(app.store, world)
        domain = next(site.domain for site in world.sites if site.migrates)
        told = []
        await app.engine.discover("vn1", told.append)
        assert (await app.engine.validate("vn1", domain, told.append)).vnode_trouble == ""
        for found, trouble in (([OWN, DOWN], DOWN.message), ([OWN], "")):
            monkeypatch.setattr(migrating, "judge", lambda *_args, found=found: found)
            monkeypatch.setattr(validating, "judge", lambda *_args, found=found: found)
            migrated = await app.engine.migrate("vn1", domain, MigrateOptions(), told.append)
            assert (migrated.exit_code, migrated.vnode_trouble) == (4, trouble), migrated
            assert migrated.errors == (trouble or OWN.message,)
            judged = await app.engine.validate("vn1", domain, told.append)
            for result in (migrated, judged):
                assert (trouble_of(result), settled(result)) == (trouble, not trouble), result
            monkeypatch.undo()
            assert (await app.engine.validate("vn1", domain, told.append)).ok
        await app.close()
