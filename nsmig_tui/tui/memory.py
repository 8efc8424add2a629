"""What the application remembers between starts: cursor, open branches, filter, sort, marks, theme."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..domain.errors import NsmigError
from ..domain.ports import FleetStore
from .fleet_model import SORTS

if TYPE_CHECKING:
    from .app import NsmigApp

KEY = "tui"


class Memory:
    """Reads and writes one entry of the store. A broken or foreign entry is as good as none."""

    def __init__(self, store: FleetStore) -> None:
        self.store = store
        found = store.get(KEY)
        self.values: dict[str, Any] = found if isinstance(found, dict) else {}

    def get(self, name: str, default: Any = None) -> Any:
        """One remembered value."""
        return self.values.get(name, default)

    def recall(self, app: NsmigApp) -> None:
        """Put the application back as it was; without memory, all vsites are open."""
        app.model.query = str(self.get("query", ""))
        sort = self.get("sort")
        app.model.sort = sort if sort in SORTS else SORTS[0]
        app.model.expanded = set(_words(self.get("expanded")))
        app.marks.update(_words(self.get("marks")))

    def keep(self, app: NsmigApp) -> None:
        """Remember how the application is now. Never in the way of quitting."""
        values = {
            "query": app.model.query,
            "sort": app.model.sort,
            "expanded": sorted(app.model.expanded)[:2000],
            "marks": sorted(app.marks)[:20000],
            "cursor": app.cursor_key(),
            "known": True,
        }
        if values != self.values:
            with contextlib.suppress(NsmigError):
                self.store.put(KEY, values)


def _words(value: Any) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
