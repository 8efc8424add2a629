"""Marks on the fleet tree: one, a range, all shown, none, inverted; by vhost, so that they outlive views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fleet_model import FleetLine, HostLine, NodeLine, SiteLine
from ..selection import choose

if TYPE_CHECKING:
    from ..app import NsmigApp
    from ..widgets.virtual_list import VirtualList


class Marking:
    """The marking half of the fleet screen; needs ``app``, ``tree``, ``show_status`` and ``refresh_bars``."""

    app: NsmigApp
    tree: VirtualList
    _range_from: str | None = None

    def toggle_mark(self) -> None:
        """Mark or unmark what is under the cursor, and go down."""
        row = self.tree.row
        if row is None:
            return
        keys = {host.key for host in choose(self.app.model, set(), row).hosts}
        if keys and keys <= self.app.marks:
            self.app.marks -= keys
        else:
            self.app.marks |= keys
            self._say_who_cannot(row)
        self.tree.action_move(1)
        self._marked()

    def _say_who_cannot(self, row: FleetLine) -> None:
        """Marks are of vhosts: a vnode without any is not among them, also not for a discovery."""
        nodes = row.nodes if isinstance(row, SiteLine) else [row] if isinstance(row, NodeLine) else []
        bare = [node.name for node in nodes if not node.hosts]
        if bare:
            words = f"Not marked, for no vhost is known there: {', '.join(bare[:8])}. d on it discovers."
            self.app.notify(words, severity="warning", markup=False)

    def mark_range(self) -> None:
        """Begin a range here, or mark from its beginning to here."""
        row = self.tree.row
        if self._range_from is None:
            self._range_from = row.key if row else None
        else:
            start = self.tree.index_of(self._range_from)
            self._range_from = None
            if start is not None:
                first, last = sorted((start, self.tree.cursor))
                hosts = [line for line in self.tree.rows[first : last + 1] if isinstance(line, HostLine)]
                self.app.marks |= {host.key for host in hosts}
        self._marked()

    def mark_all(self) -> None:
        """Mark all that the filter shows."""
        self.app.marks |= {host.key for host in self.app.model.shown_hosts()}
        self._marked()

    def mark_none(self) -> None:
        """Forget all marks."""
        self.app.marks.clear()
        self._marked()

    def mark_invert(self) -> None:
        """Mark what is not, unmark what is, of all that the filter shows."""
        self.app.marks ^= {host.key for host in self.app.model.shown_hosts()}
        self._marked()

    def _marked(self) -> None:
        self.tree.redraw()
        self.show_status()
        self.refresh_bars()
