"""A service that is down: said of the vnode, whatever else is wrong with the vhost."""

from one_vhost import one_vhost

from nsmig_tui.domain.batch import trouble_of
from nsmig_tui.domain.findings import ERROR, SERVICES, STRUCTURE, Finding
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine import migrating, validating
from nsmig_tui.engine.batch.ending import settled

OWN = Finding(ERROR, STRUCTURE, "the path is too long", hint="Shorten it.")
DOWN = Finding(ERROR, SERVICES, "no running php-fpm uses /etc/x", hint="Start php-fpm.", of_vnode=True)


async def test_a_dead_service_is_told_as_the_vnodes_trouble(monkeypatch):
    told = []
    async with one_vhost(told) as (_world, app, domain):
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
