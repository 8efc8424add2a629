"""A vhost that our database calls migrated, on which another operator has been at work since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.demo.world import DemoWorld
from nsmig_tui.domain.errors import Refused
from nsmig_tui.domain.options import MigrateOptions, RollbackOptions
from nsmig_tui.settings import load


def _ignore(_event: Any) -> None:
    return


def _operator(world: DemoWorld, name: str) -> Any:
    """One with a database of their own."""
    place = world.directory / name
    base = load({"data_dir": place, "config_dir": place / "config"})
    app = wiring.build(replace(demo_settings(world, base), data_dir=place))
    add_vnodes(app.store, world)
    return app


async def test_migrated_already_is_what_the_vnode_says_not_our_memory():
    """The database is a cache: what another has undone is not called migrated, and "nothing to do"."""
    async with DemoWorld(vnodes=1, vhosts_per_vnode=1) as world:
        ours, theirs = _operator(world, "ours"), _operator(world, "theirs")
        vhost = ("vn1", next(site.domain for site in world.sites if site.migrates))
        native = ("vn1", next(site.domain for site in world.sites if site.kind == "native"))
        try:
            await ours.engine.discover("vn1", _ignore)
            await ours.engine.validate(*vhost, _ignore)
            assert (await ours.engine.migrate(*vhost, MigrateOptions(), _ignore)).ok
            for settled, word in ((vhost, "migrated"), (native, "native")):
                await ours.engine.nothing_to_migrate(*settled)
                again = await ours.engine.migrate(*settled, MigrateOptions(), _ignore)
                assert (again.ok, again.skipped, again.exit_code) == (True, True, 0)
                assert again.warnings == (f"{settled[1]} is {word} already; nothing was changed",)

            await theirs.engine.discover("vn1", _ignore)
            assert (await theirs.engine.rollback(*vhost, RollbackOptions(), _ignore)).ok
            with pytest.raises(Refused, match="does not have the new layout now"):
                await ours.engine.nothing_to_migrate(*vhost)
            refused = await ours.engine.migrate(*vhost, MigrateOptions(), _ignore)
            assert (refused.ok, refused.skipped, refused.exit_code) == (False, False, 4)
            assert "nsmig discover vn1" in refused.hint

            await ours.engine.discover("vn1", _ignore)
            await ours.engine.validate(*vhost, _ignore)
            assert (await ours.engine.migrate(*vhost, MigrateOptions(), _ignore)).status == "migrated"
        finally:
            await ours.close()
            await theirs.close()
