"""The command palette: every action with its key or its reason, and every vnode and vhost by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from .safe import one_line

if TYPE_CHECKING:
    from .app import NsmigApp

IN_ACTION, IN_NAME = 2000.0, 1000.0
"""Far above what letters score that are only scattered over a help text: Enter takes the first."""

MOST = 30
"""Names offered at once; more are found by typing on."""


class FleetCommands(Provider):
    """Searches the actions of the screen below, then the fleet."""

    @property
    def _ui(self) -> NsmigApp:
        return self.app

    def _actions(self):
        for action, why in self._ui.available(self.screen.targets(), self.screen):
            tail = f"not now: {why}" if why else action.help
            yield action, f"{action.name}  ({self._ui.keys_of(action)})", one_line(tail)

    async def discover(self) -> Hits:
        """Before anything is typed: the actions."""
        if hasattr(self.screen, "action_do"):
            for action, label, tail in self._actions():
                yield DiscoveryHit(label, partial(self.screen.action_do, action.id), help=tail)

    async def search(self, query: str) -> Hits:
        """Actions by fuzzy match, names by substring; what holds the very words comes before what may."""
        if not hasattr(self.screen, "action_do"):
            return
        matcher, wanted = self.matcher(query), query.strip().lower()
        for action, label, tail in self._actions():
            score = matcher.match(f"{action.name} {action.help}")
            if wanted in action.name.lower():
                score += IN_ACTION
            if score > 0:
                yield Hit(score, label, partial(self.screen.action_do, action.id), help=tail)
        found = 0
        model = self._ui.model
        for key, kind in [
            *((name, "vnode") for name in model.nodes),
            *((name, "vhost") for name in model.hosts),
        ]:
            if wanted in key.lower():
                yield Hit(IN_NAME, f"Go to {one_line(key)}", partial(self._ui.open_fleet, key), help=kind)
                found += 1
                if found == MOST:
                    return
