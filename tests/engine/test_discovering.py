"""What a discovery makes of what it read: live runs, lost records, vhosts and disks that have gone."""

from dataclasses import replace

import pytest

from nsmig_tui.domain.errors import Refused
from nsmig_tui.domain.fleet import Layout, RunRecord, Status, Vhost, Vnode
from nsmig_tui.domain.readings import Capabilities, Discovery, FoundVhost, Recorded
from nsmig_tui.engine import discovering
from nsmig_tui.engine.desk import Desk
from nsmig_tui.store.fleet_store import Store

DOMAIN = "shop.test"
OLD = {"web": "1:1:755", "var": "0:0:755", "var/log": "1:1:755", "var/run": "1:1:755"}
NEW = {name: "1:1:755" for name in ("web", "web/app", "web/app/public", "web/log", "web/run")}
BEGUN = b"1\t100\tr1\tbegin\tmigrate you@there\n2\t100\tr1\tstep\tbackup_creation\n"
DONE = BEGUN + b"3\t100\tr1\tcommitted\ta\n4\t100\tr1\tend\tok\n"
UNDONE = BEGUN + b"3\t100\tr1\tstep_failed\tverification no luck\n4\t100\tr1\tend\tundone\n"


class Scene:
    def __init__(self, desk):
        self.desk, self.seen, self.meanwhile = desk, None, lambda: None

    def sees(self, flags, journal=b"", *, vpath="ok", names=(DOMAIN,), **more):
        found = tuple(FoundVhost(name, "dir", 1, 1, "", flags) for name in names)
        journals = {DOMAIN: journal} if journal else {}
        self.seen = Discovery(Capabilities(vpath=vpath), found, journals, {}, {}, {}, None, (), **more)

    async def discover(self):
        self.told = []
        return await discovering.discover(self.desk, "vn1", self.told.append)

    @property
    def vhost(self):
        return self.desk.store.vhost("vn1", DOMAIN)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(Vnode("vn1"))

    class Connector:
        async def shell(self, vnode):
            return None

    made = Scene(Desk(store, Connector(), lambda name: name, "me@here", clock=lambda: 1000.0))

    async def read(*_words):
        made.meanwhile()
        return made.seen

    async def probe(*_words):
        return made.seen.capabilities

    monkeypatch.setattr(discovering.reading, "discover", read)
    monkeypatch.setattr(discovering.reading, "probe", probe)
    yield made
    store.close()


async def test_a_run_at_work_is_not_called_stopped(scene):
    scene.desk.store.save_vhost(Vhost("vn1", DOMAIN, status=Status.VALIDATED, layout=Layout.NS1))
    scene.sees(OLD, BEGUN, runners={DOMAIN: "r1"})
    (result,) = await scene.discover()
    assert (scene.vhost.status, scene.vhost.last_error) == (Status.VALIDATED, "")
    said = " ".join(result.warnings)
    assert "migrate of you@there is running" in said and f"nsmig resume vn1 {DOMAIN}" in said
    assert "--undo" not in said and "stopped" not in said


@pytest.mark.parametrize("runners, kept", [({DOMAIN: "r1"}, None), ({}, "a.tar.gz")])
async def test_what_a_run_has_archived_counts_when_it_has_ended(scene, runners, kept):
    journal = BEGUN + b"3\t100\tr1\tarchive\ta.tar.gz 0 1 1\n"
    scene.sees(OLD, journal if runners else journal + UNDONE[len(BEGUN) :], runners=runners)
    scene.seen = replace(scene.seen, archives={DOMAIN: 1})
    await scene.discover()
    assert (scene.vhost.backup_archive, scene.vhost.rollback_available) == (kept, kept is not None)


async def test_a_run_at_work_on_what_nobody_here_knew(scene):
    scene.sees(OLD, BEGUN, runners={DOMAIN: "r1"})
    await scene.discover()
    assert scene.vhost.status is Status.FAILED and "is running" in scene.vhost.last_error
    assert "--undo" not in scene.vhost.last_hint
    scene.sees(OLD, UNDONE)
    await scene.discover()
    assert (scene.vhost.status, scene.vhost.last_error) == (Status.FAILED, "no luck")


async def test_a_run_that_is_gone_did_stop(scene):
    scene.sees(OLD, BEGUN)
    (result,) = await scene.discover()
    assert scene.vhost.status is Status.FAILED and "stopped in backup_creation" in scene.vhost.last_error
    assert result.warnings == (scene.vhost.last_error,)
    assert result.hint == scene.vhost.last_hint and f"nsmig resume vn1 {DOMAIN}" in result.hint


async def test_who_has_told_its_end_and_is_about_to_leave_is_taken_at_its_word(scene):
    scene.sees(NEW, DONE, runners={DOMAIN: "r1"})
    (result,) = await scene.discover()
    assert (result.status, result.warnings) == ("migrated", ())


@pytest.mark.parametrize("finished, status", [(1000.0, "migrated"), (999.0, "failed")])
async def test_what_a_run_recorded_meanwhile_is_not_overwritten(scene, finished, status):
    done = Vhost("vn1", DOMAIN, status=Status.MIGRATED, layout=Layout.NS3)
    record = RunRecord("r1", "migrate", "vn1", DOMAIN, "me", 900.0, finished, "ok")
    scene.meanwhile = lambda: scene.desk.store.save_run(record, done)
    scene.sees(OLD, BEGUN)
    (result,) = await scene.discover()
    assert (result.status, str(scene.vhost.status)) == (status, status)


async def test_a_record_beside_the_archives_is_a_migration(scene):
    lost = {DOMAIN: Recorded(500.0, "pre-migration-x.tar.gz")}
    scene.sees(NEW, recorded=lost)
    (result,) = await scene.discover()
    assert (scene.vhost.status, scene.vhost.migrated_at) == (Status.MIGRATED, 500.0)
    assert (scene.vhost.backup_archive, scene.vhost.rollback_available) == ("pre-migration-x.tar.gz", False)
    assert "record" in scene.vhost.last_error and "/var/lib/nsmig" in scene.vhost.last_hint
    assert result.warnings == (scene.vhost.last_error,)
    scene.sees(NEW, DONE, recorded=lost)
    (result,) = await scene.discover()
    assert (scene.vhost.last_error, scene.vhost.rollback_available, result.warnings) == ("", True, ())


@pytest.mark.parametrize("state", ["missing", "other", "unreadable", ""])
async def test_a_parent_that_cannot_be_looked_into_makes_nothing_vanish(scene, state):
    scene.desk.store.save_vhost(Vhost("vn1", DOMAIN, status=Status.MIGRATED))
    scene.sees(OLD, vpath=state, names=())
    (result,) = await scene.discover()
    assert (result.ok, result.exit_code, bool(result.hint)) == (False, 4, True)
    assert "/srv" in result.errors[0] and not scene.vhost.vanished
    with pytest.raises(Refused, match="/srv"):
        await discovering.check(scene.desk, "vn1")


async def test_each_vhost_that_has_gone_is_told_once(scene):
    scene.desk.store.save_vhost(Vhost("vn1", DOMAIN, status=Status.MIGRATED))
    scene.sees(OLD, names=("other.test",))
    other, gone = await scene.discover()
    assert (gone.vhost, gone.ok, gone.skipped, scene.vhost.vanished) == (DOMAIN, True, True, True)
    assert "vanished" in gone.warnings[0] and not other.skipped
    assert [e.note for e in scene.told if e.type == "found" and e.vhost == DOMAIN] == list(gone.warnings)
    assert len(await scene.discover()) == 1
