"""A migration that is finished by `resume` waits for its verdict as long as it was told to when it began."""

from one_vhost import one_vhost

from nsmig_tui.domain.options import MigrateOptions


async def test_a_resumed_migration_waits_as_long_as_was_asked_for():
    events = []
    async with one_vhost(events) as (world, app, domain):
        options = MigrateOptions(confirm_wait=345, crash_at=6)
        assert (await app.engine.migrate("vn1", domain, options, events.append)).exit_code == 6
        assert (await app.engine.resume("vn1", domain, events.append)).ok
        journal = (world.root("vn1") / "var/lib/nsmig" / domain / "journal").read_text()
        awaited = [line.split("\t")[4] for line in journal.splitlines() if line.split("\t")[3] == "await"]
        assert awaited == ["345"]
