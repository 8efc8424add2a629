"""What `validate` says of a vhost that something is half-way on."""

from types import SimpleNamespace

import pytest

from nsmig_tui.domain.fleet import Status, Vhost, Vnode
from nsmig_tui.domain.layout import read_journal
from nsmig_tui.domain.nginx_sites import Site
from nsmig_tui.engine import validating
from nsmig_tui.engine.desk import Desk
from nsmig_tui.engine.reading import Record
from nsmig_tui.store.fleet_store import Store

HALF = b"0\t100\tr1\tbegin\tmigrate you@there\n1\t101\tr1\tstep\tbackup_creation\n"
WHOLE = HALF + b"2\t102\tr1\tcommitted\t-\n3\t103\tr1\tend\tok\n"


@pytest.fixture
def validate(tmp_path, monkeypatch):
    """Validate where the journal is HALF when it is looked at: the result, and the status that is kept."""
    store = Store(tmp_path / "nsmig.db")
    store.save_vnode(Vnode("vn1"))
    store.save_vhost(Vhost("vn1", "shop.test", status=Status.VALIDATED))

    class Connector:
        async def shell(self, vnode):
            return None

    async def inspect(*_words, test):
        seen = SimpleNamespace(capabilities=None, places={}, entries={}, journal=HALF)
        return seen, SimpleNamespace(site=Site("shop.test", "/srv/shop.test"))

    monkeypatch.setattr(validating.reading, "inspect", inspect)
    monkeypatch.setattr(validating, "same_machine", lambda *words: None)
    monkeypatch.setattr(Desk, "saw", lambda *words: None)
    desk = Desk(store, Connector(), lambda name: name, "me@here")

    async def run(*, alive, then=HALF):
        async def is_alive(*_words):
            return alive

        async def record(*_words):
            return Record(exists=True, journal=read_journal(then))

        monkeypatch.setattr(validating.reading, "is_alive", is_alive)
        monkeypatch.setattr(validating.reading, "record", record)
        result = await validating.validate(desk, "vn1", "shop.test", lambda event: None)
        return result, store.vhost("vn1", "shop.test").status

    yield run
    store.close()


@pytest.mark.parametrize("alive, then", [(True, HALF), (False, WHOLE)], ids=["at work", "ended meanwhile"])
async def test_a_run_at_work_is_not_called_stopped(validate, alive, then):
    result, kept = await validate(alive=alive, then=then)
    assert (result.exit_code, result.skipped, kept) == (75, True, Status.VALIDATED)
    assert result.errors == ("another run works on shop.test: migrate by you@there",)
    assert result.hint == "Attach to it with: nsmig resume vn1 shop.test"


async def test_a_run_that_stopped_is_finished_or_undone(validate):
    result, kept = await validate(alive=False)
    assert (result.exit_code, kept) == (4, Status.FAILED)
    assert result.errors == ("a migrate stopped in backup_creation",)
    assert "--undo" in result.hint
