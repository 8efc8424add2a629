"""The vhosts that a validation refused, out of a fleet in which most are well."""

import pytest

from nsmig_tui.domain.fleet import Layout, Refusal, Status, Vhost, Vnode
from nsmig_tui.store.fleet_store import Store

BAD = ({"severity": "critical", "category": "security", "message": "web is a link"},)


@pytest.fixture
def store(tmp_path):
    """A store with two vnodes."""
    made = Store(tmp_path / "nsmig.db")
    for vnode in ("vn1", "vn2"):
        made.save_vnode(Vnode(vnode))
    yield made
    made.close()


def test_only_what_stands_refused_is_named_in_order(store):
    def save(vnode, domain, status=Status.DISCOVERED, error="web is a link", findings=BAD, **more):
        known = Vhost(vnode, domain, status, Layout.NS1, last_error=error, findings=findings, **more)
        store.save_vhost(known)

    save("vn2", "a")
    save("vn1", "refused")
    save("vn1", "never-judged", error="", findings=())
    save("vn1", "well", Status.VALIDATED, error="")
    save("vn1", "well-but-full", Status.VALIDATED, error="not enough room")
    save("vn1", "failed", Status.FAILED)
    save("vn1", "gone", vanished=True)
    assert store.refusals() == [
        Refusal("vn1", "refused", "web is a link"),
        Refusal("vn2", "a", "web is a link"),
    ]
    assert store.refusals(1) == [Refusal("vn1", "refused", "web is a link")]
    save("vn1", "refused", Status.VALIDATED, error="")
    assert [one.domain for one in store.refusals()] == ["a"]
