"""The pages of briefs that lists are made of."""

import pytest

from nsmig_tui.domain.fleet import Layout, Status, Vhost, VhostBrief, Vnode
from nsmig_tui.store.fleet_store import Store


@pytest.fixture
def store(tmp_path):
    """A store with two vnodes and five vhosts."""
    made = Store(tmp_path / "nsmig.db")
    for vnode in ("vn1", "vn2"):
        made.save_vnode(Vnode(vnode))
    details = {"size": 7, "php": "/etc/php/8.2/fpm/php-fpm.conf"}
    for vnode, domain in (("vn2", "a"), ("vn1", "c"), ("vn1", "a"), ("vn2", "b"), ("vn1", "b")):
        made.save_vhost(
            Vhost(vnode, domain, Status.FAILED, Layout.NS1, vanished=domain == "c", details=details)
        )
    yield made
    made.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_pages_give_every_vhost_once_and_in_order(store, limit):
    found, after = [], ("", "")
    while page := store.brief(after, limit):
        assert len(page) <= limit
        found += page
        after = page[-1][:2]
    assert [one[:2] for one in found] == [
        ("vn1", "a"),
        ("vn1", "b"),
        ("vn1", "c"),
        ("vn2", "a"),
        ("vn2", "b"),
    ]
    assert found[2] == VhostBrief("vn1", "c", "failed", "ns1", True, 7, "/etc/php/8.2/fpm/php-fpm.conf")


def test_what_was_not_found_out_is_empty(store):
    store.save_vhost(Vhost("vn2", "z"))
    assert store.brief(("vn2", "b"))[0] == VhostBrief("vn2", "z", "discovered", "unknown")
