"""How values look to people: signs with words, sizes, times; each with an ASCII form."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from ..domain import amounts

Piece = tuple[str, str]
"""A stretch of text and the name of its style (see widgets.virtual_list.STYLES); "" is plain."""

Line = list[Piece]

STATUS = {
    "discovered": ("○", "o", "wait"),
    "validated": ("●", "*", "run"),
    "migrated": ("✓", "+", "ok"),
    "failed": ("✗", "x", "fail"),
    "native": ("◆", "=", "dim"),
    "vanished": ("?", "?", "warn"),
}
PHASE = {
    "waiting": ("…", ".", "wait", "WAIT"),
    "running": ("▶", ">", "run", "RUN"),
    "undoing": ("◀", "<", "warn", "UNDO"),
    "ok": ("✓", "+", "ok", "OK"),
    "failed": ("✗", "x", "fail", "FAIL"),
    "look": ("✗", "x", "fail", "LOOK"),
    "refused": ("!", "!", "warn", "NO"),
    "skipped": ("-", "-", "dim", "SKIP"),
    "cancelled": ("-", "-", "dim", "DROP"),
    "left": ("~", "~", "warn", "LEFT"),
}
STEP = {
    "waiting": ("·", ".", "dim"),
    "running": ("▶", ">", "run"),
    "done": ("✓", "+", "ok"),
    "failed": ("✗", "x", "fail"),
    "undone": ("◀", "<", "warn"),
}
SEVERITY = {
    "critical": ("✗", "X", "fail", "CRITICAL"),
    "error": ("✗", "x", "fail", "ERROR"),
    "warning": ("!", "!", "warn", "WARNING"),
    "passed": ("✓", "+", "ok", "PASSED"),
}


@dataclass(frozen=True)
class Signs:
    """Draws signs; ``ascii`` swaps all of them for characters that every terminal has."""

    ascii: bool = False

    def _pick(self, pair: tuple[str, ...]) -> str:
        return pair[1] if self.ascii else pair[0]

    def status(self, status: str, *, vanished: bool = False) -> Piece:
        """The sign and word of a vhost's status."""
        name = "vanished" if vanished else status
        entry = STATUS.get(name, ("?", "?", "warn"))
        return f"{self._pick(entry)} {name}", entry[2]

    def mark(self, status: str) -> Piece:
        """The sign alone, where the word stands in the heading."""
        entry = STATUS.get(status, ("?", "?", "warn"))
        return self._pick(entry), entry[2]

    def phase(self, phase: str) -> Piece:
        """The sign and short word of a run's phase."""
        entry = PHASE.get(phase, ("?", "?", "warn", phase.upper()))
        return f"{self._pick(entry)} {entry[3]}", entry[2]

    def step(self, state: str) -> Piece:
        """The sign of one step."""
        entry = STEP.get(state, ("?", "?", "warn"))
        return self._pick(entry), entry[2]

    def severity(self, severity: str) -> Piece:
        """The sign and word of a finding's severity."""
        entry = SEVERITY.get(severity, ("?", "?", "warn", severity.upper()))
        return f"{self._pick(entry)} {entry[3]}", entry[2]

    def bar(self, fraction: float | None, width: int, style: str = "run") -> Line:
        """A bar of ``width`` cells; of an unknown whole, only its frame."""
        full, rest = ("#", "-") if self.ascii else ("━", "─")
        cells = round(max(0.0, min(1.0, fraction or 0.0)) * width)
        return [(full * cells, style), (rest * (width - cells), "dim")]

    def fold(self, is_open: bool) -> str:
        """The arrow before a branch."""
        return ("v" if is_open else ">") if self.ascii else ("▾" if is_open else "▸")

    @property
    def dot(self) -> str:
        """What stands between facts on one line."""
        return "-" if self.ascii else "·"

    @property
    def arrow(self) -> str:
        """From → to."""
        return "->" if self.ascii else "→"


def size(count: int | float | None) -> str:
    """Bytes as people read them; ``-`` when unknown."""
    return "-" if count is None or count < 0 else amounts.size(count)


def span(seconds: float | None) -> str:
    """A duration, short: ``4 s``, ``3m12``, ``2h05``; ``-`` when unknown."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}"


def lap(seconds: float | None) -> str:
    """How long something took, with a tenth where that says more: ``0.4 s``, ``12 s``, ``3m12``."""
    return f"{seconds:.1f} s" if seconds is not None and seconds < 9.95 else span(seconds)


def about(seconds: float | None) -> str:
    """A guessed duration, as coarse as the guess: it must not flicker with every tick."""
    if seconds is None:
        return ""
    step = 1 if seconds < 20 else 5 if seconds < 120 else 30 if seconds < 1800 else 300
    return span(max(1, round(seconds / step)) * step)


def ago(then: float | None, now: float) -> str:
    """How long since ``then``: ``2 m ago``; ``never`` without one."""
    if not then:
        return "never"
    gone = max(0.0, now - then)
    for limit, unit, per in ((90, "s", 1), (5400, "m", 60), (129600, "h", 3600)):
        if gone < limit:
            return f"{gone / per:.0f} {unit} ago"
    return f"{gone / 86400:.0f} d ago"


def when(at: float | None) -> str:
    """A moment in UTC, to the minute; ``-`` without one."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) if at else "-"


def clock(at: float) -> str:
    """The time of day in UTC, for log lines."""
    return time.strftime("%H:%M:%S", time.gmtime(at))


def percent(fraction: float | None) -> str:
    """A fraction as ``58%``, right-aligned to four cells; blank when unknown."""
    return "    " if fraction is None else f"{int(fraction * 100):3d}%"


def pad(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells; what is cut off ends in an ellipsis, between words if it can."""
    if width <= 0:
        return ""
    shown = shortened(text, width)
    return shown + " " * (width - cell_len(shown))


def shortened(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells; what is cut off ends between words, with an ellipsis."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return set_cell_size(text, max(0, width))
    cut = set_cell_size(text, width - 1)
    if not text[len(cut) : len(cut) + 1].isspace() and " " in cut[len(cut) // 2 :]:
        cut = cut[: cut.rindex(" ")]
    return f"{cut.rstrip()}…"


def sentences(*parts: str) -> str:
    """``parts`` one after the other, each ended as a sentence is; empty ones left out."""
    return " ".join(part if part[-1] in ".!?:…" else f"{part}." for part in parts if part)


def plural(count: int, one: str) -> str:
    """``1 vhost``, ``3 vhosts``."""
    return f"{count:,} {one if count == 1 else one + 's'}"
