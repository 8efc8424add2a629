"""nginx is asked about files on disk only by who keeps others from writing them: a half-written change of
another vhost is no fault of this one's."""

from one_vhost import one_vhost

from nsmig_tui.domain.options import MigrateOptions, RollbackOptions

ASKING = """#!/bin/sh
lock={root}/var/lib/nsmig/node.lock
if [ "$1" = -t ] && [ -e "$lock" ] && flock -n "$lock" true; then echo "$PPID" >>{told}; fi
exec {nginx} "$@"
"""


async def test_nginx_is_tested_under_the_vnodes_lock_on_every_way(tmp_path):
    events = []
    async with one_vhost(events) as (world, app, domain):
        nginx, told = world.root("vn1") / "bin/nginx", tmp_path / "told"
        real = nginx.rename(nginx.with_name("nginx.real"))
        nginx.write_text(ASKING.format(root=world.root("vn1"), told=told, nginx=real))
        nginx.chmod(0o755)

        async def unlocked(verb, *args, **options):
            told.write_text("")
            result = await verb("vn1", domain, *args, events.append, **options)
            assert result.ok, result
            return len(told.read_text().splitlines())

        engine = app.engine
        assert await unlocked(engine.migrate, MigrateOptions()) == 0
        assert await unlocked(engine.rollback, RollbackOptions()) == 0
        (point,) = await engine.points("vn1", domain)
        assert await unlocked(engine.rollback, RollbackOptions(archive=point.filename)) == 0
        assert await unlocked(engine.resume, undo=True) == 0
