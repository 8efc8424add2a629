"""Keeps keys that were meant for something else from answering a dialog that has just opened."""

from __future__ import annotations

import math

GRACE = 0.7
"""Seconds for which a dialog that nobody asked for is only read."""

GAP = 0.4
"""Whoever goes on typing with shorter pauses than this has not looked up yet."""


class Grace:
    """The time in which a dialog takes no keys; it begins when the dialog can be seen. Moments in seconds."""

    def __init__(self) -> None:
        self.until = math.inf

    def seen(self, now: float) -> None:
        """The dialog has been drawn."""
        self.until = now + GRACE

    def lets(self, pressed: float) -> bool:
        """Whether a key that was pressed at this moment is meant for the dialog."""
        if pressed >= self.until:
            return True
        self.until = max(self.until, pressed + GAP)
        return False
