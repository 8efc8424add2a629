"""Amounts in words, the same in both faces."""

from __future__ import annotations


def size(count: int | float) -> str:
    """A number of bytes, short, in powers of 1024: ``12 B``, ``3.4 MiB``, ``120 GiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.0f} TiB" if value >= 100 else f"{value:.1f} TiB"
