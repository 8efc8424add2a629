"""Rows for people: a drawn table on a terminal, plain aligned columns for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..domain.text import clean
from .output import Output


def print_table(
    out: Output, columns: Sequence[str], rows: Sequence[Sequence[object]], *, color: bool
) -> None:
    """Print ``rows`` under ``columns``. Nothing is ever cut: a table that is too wide is not drawn."""
    cells = [[clean(_words(value), 500) for value in row] for row in rows]
    if out.data_is_terminal and _draw(out, columns, cells, color):
        return
    widths = [max(len(line[index]) for line in [columns, *cells]) for index in range(len(columns))]
    for line in [columns, *cells]:
        pairs = zip(line, widths, strict=True)
        out.line("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())


def _words(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_words(inner)}" for name, inner in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(inner) for inner in value) or "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _draw(out: Output, columns: Sequence[str], cells: Sequence[Sequence[str]], color: bool) -> bool:
    """Draw the table; False when the terminal is too narrow for it."""
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold" if color else "")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    console = Console(file=out.data, markup=False, highlight=False, emoji=False, no_color=not color)
    wide = console.options.update(max_width=10_000)
    if Measurement.get(console, wide, table).maximum > console.width:
        return False
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        out.line(line.rstrip())
    return True
