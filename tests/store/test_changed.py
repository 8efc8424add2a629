"""One program sees that another has written."""

from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.store.fleet_store import Store


def test_what_another_process_wrote_is_noticed_once_and_ones_own_is_not(tmp_path):
    mine, other = Store(tmp_path / "nsmig.db"), Store(tmp_path / "nsmig.db")
    assert not mine.was_changed()
    mine.save_vnode(Vnode("vn1"))
    assert not mine.was_changed()
    other.save_vnode(Vnode("vn2"))
    assert mine.was_changed()
    assert not mine.was_changed()
    mine.close(), other.close()
