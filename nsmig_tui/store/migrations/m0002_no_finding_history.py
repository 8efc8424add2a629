"""Schema 2: of findings only a vhost's last ones are kept, in its row; nothing ever showed the older ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def up(execute: Callable[[str], Any]) -> None:
    """Drop the table, with its index and triggers. The copy that an upgrade leaves still has it."""
    execute("DROP TABLE finding")
