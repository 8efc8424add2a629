"""A batch takes up a vhost: what came to its end well is migrated, and nothing else is called done."""

import pytest

from nsmig_tui.domain.events import Result
from nsmig_tui.domain.fleet import Status, Vhost, Vnode
from nsmig_tui.domain.layout import read_journal
from nsmig_tui.domain.options import MigrateOptions
from nsmig_tui.engine.batch import taking_up
from nsmig_tui.engine.desk import Desk
from nsmig_tui.engine.reading import Record
from nsmig_tui.store.fleet_store import Store

FAILED = ("step backup_creation", "step_failed structural_migration no luck", "undo_started no luck")


def journal(verb, operator, *kinds):
    kinds = (f"begin {verb} {operator}", *kinds)
    rows = (f"{n}\t100\tr1\t{k.partition(' ')[0]}\t{k.partition(' ')[2]}\n" for n, k in enumerate(kinds))
    return read_journal("".join(rows).encode())


@pytest.fixture
def take_up(tmp_path, monkeypatch):
    """Take up a vhost with this journal, whose resume ends like this: the result, and what was done."""
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(Vnode("vn1"))
    store.save_vhost(Vhost("vn1", "shop.test", status=Status.VALIDATED))

    class Connector:
        async def shell(self, vnode):
            return None

    desk, done, kept, ends = Desk(store, Connector(), lambda name: name, "me@here"), [], [], []

    async def record(*_words):
        return kept[0]

    async def resume(*_words, undo_it):
        done.append("resume")
        return ends[0]

    async def migrate(*_words):
        done.append("migrate")
        return Result("vn1", "shop.test", ok=True, status="migrated")

    monkeypatch.setattr(taking_up.reading, "record", record)
    monkeypatch.setattr(taking_up.resuming, "resume", resume)
    monkeypatch.setattr(taking_up.migrating, "migrate", migrate)

    async def run(view, **end):
        kept[:], ends[:] = [Record(exists=True, journal=view)], [Result("vn1", "shop.test", **end)]
        result = await taking_up.take_up(desk, "vn1", "shop.test", MigrateOptions(), lambda event: None)
        return result, done

    yield run
    store.close()


async def test_what_is_finished_is_migrated(take_up):
    result, done = await take_up(journal("migrate", "me@here", FAILED[0]), ok=True, status="migrated")
    assert (result.ok, done) == (True, ["resume"])


@pytest.mark.parametrize("verb, more", [("migrate", FAILED), ("undo", (FAILED[0],))])
async def test_what_was_only_undone_to_its_end_is_begun_anew(take_up, verb, more):
    result, done = await take_up(journal(verb, "me@here", *more), ok=True, status="validated")
    assert (result.status, done) == ("migrated", ["resume", "migrate"])


async def test_somebody_elses_rollback_is_not_gone_against(take_up):
    result, done = await take_up(journal("undo", "you@there", FAILED[0]), ok=True, status="validated")
    assert (result.ok, result.exit_code, result.status) == (False, 5, "validated")
    assert "you@there" in result.errors[0] and done == ["resume"]


@pytest.mark.parametrize("code", [5, 6, 75, 130])
async def test_what_cannot_be_finished_is_not_begun_anew(take_up, code):
    result, done = await take_up(journal("migrate", "me@here", *FAILED), ok=False, exit_code=code)
    assert (result.exit_code, done) == (code, ["resume"])


async def test_what_was_never_begun_is_begun(take_up):
    result, done = await take_up(journal("migrate", "me@here"), ok=False, exit_code=4)
    assert (result.ok, done) == (True, ["resume", "migrate"])
