"""How many sessions one connection may have at a time; learns from a server that allows fewer."""

from __future__ import annotations

import asyncio


class Slots:
    """A counting lock whose limit can shrink, never below one. ``opened`` counts sessions that came up."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = asyncio.Condition()
        self.opened = 0

    async def __aenter__(self) -> Slots:
        async with self._changed:
            await self._changed.wait_for(lambda: self._used < self._limit)
            self._used += 1
        return self

    async def __aexit__(self, *_exc: object) -> None:
        # The slot is free at once, also when this very task is being cancelled.
        self._used -= 1
        await asyncio.shield(self._wake())

    def shrink(self) -> None:
        """The server refused a session: it allows no more than those that are open now."""
        self._limit = max(1, min(self._limit, self.opened))

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()
