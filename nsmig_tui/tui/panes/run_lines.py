"""How runs look while they move: a row each, the seven steps of one, and the totals of all."""

from __future__ import annotations

import re

from rich.cells import cell_len

from ...domain.batch_view import BatchView
from ...domain.fleet import STEPS
from ...domain.run_state import QUIET, RunState, StepState, Totals
from ..words import Line, Signs, about, clock, lap, pad, percent, size, span
from . import wrap
from .wrap import Row

ORDER = {
    "look": -1,
    "failed": 0,
    "refused": 0,
    "undoing": 1,
    "running": 2,
    "left": 3,
    "waiting": 4,
    "skipped": 5,
}


TELLING = ("look", "failed", "refused", "undoing", "left", "skipped", "cancelled")
"""Of a run in one of these phases the reason says more than a bar."""


TROUBLE = re.compile(r"(?<![\w./-])(?:fail(?:ed|s|ure|ures)?|errors?)(?![\w-]|\.\w)|_failed\b")
"""Words of trouble in a line of a log, not those in the name of a host or a file."""


def in_order(states: tuple[RunState, ...]) -> list[RunState]:
    """Failures first, then what moves, what waits, and what is done."""
    return sorted(states, key=lambda state: (ORDER.get(state.phase, 6), state.queued))


def row(state: RunState, width: int, signs: Signs, now: float) -> Line:
    """One run on one line; columns fall away from the right as it narrows."""
    word, style = signs.phase(state.phase)
    steps = [signs.step(step.state) for step in state.steps]
    tail_room = 0 if width < 72 else 12
    bar_room = 8 if width < 100 else 24
    node_room = 18 if width >= 110 and state.vhost else 0
    room = max(16, min(56, width - 8 - node_room - 9 - bar_room - 6 - 6 - tail_room))
    name = state.vhost or state.vnode
    if state.verb != "migrate":
        name = f"{state.verb} {name}"
    line: Line = [
        (pad(word, 8), style),
        (pad(name, room), "bold" if state.phase == "running" else ""),
        (" ", ""),
        (pad(state.vnode, node_room - 1) + " " if node_room else "", "dim"),
        *steps,
        (" " * max(1, 8 - len(steps)), ""),
    ]
    if state.phase in TELLING and state.error:
        return [*line, (pad(state.error, max(8, width - 17 - node_room - room)), style)]
    line += [*signs.bar(state.fraction(), bar_room, style), (f" {percent(state.fraction())} ", "")]
    line.append((f"{span(state.elapsed(now)) if state.started is not None else '':>6}", "dim"))
    if tail_room:
        left = about(state.remaining(now))
        words, style = (f"  {left} left", "dim") if left else ("", "")
        if state.lost is not None and not state.ended:
            words, style = "  no link", "warn"
        line.append((pad(words, tail_room), style))
    return line


def totals_line(sums: Totals, signs: Signs, *, paused: bool, width: int) -> Line:
    """What all runs come to, on one line."""
    if not sums.runs:
        return [("No runs in this session. They begin in the fleet: m migrates, v validates.", "dim")]
    line: Line = [(f" {sums.ok}/{sums.runs} done", "ok")]
    for count, word, style in (
        (sums.failed, "failed", "fail"),
        (sums.running, "running", "run"),
        (sums.left, "left", "warn"),
        (sums.waiting, "waiting", "wait"),
        (sums.skipped, "skipped", "dim"),
    ):
        if count:
            line.append((f"  {count} {word}", style))
    if paused:
        line.append(("  PAUSED" if signs.ascii else "  ‖ PAUSED", "warn"))
    line += [
        ("  ", ""),
        *signs.bar(sums.fraction, 10 if width < 100 else 30),
        (f" {percent(sums.fraction)}", ""),
    ]
    line.append((f"  {span(sums.elapsed)}", "dim"))
    if sums.remaining is not None and not paused and sums.running:
        line.append((f"  {about(sums.remaining)} left", ""))
    if sums.rate and width >= 100:
        line.append((f"  {size(sums.rate)}/s", "dim"))
    return line


def batch_pieces(views: list[BatchView], width: int) -> Line:
    """The last batch for a title: its name where there is room, how it stands and why, who is set aside."""
    if not views:
        return []
    view = views[-1]
    words, style = view.phase, "run"
    if view.phase == "ended":
        words, style = view.outcome, "ok" if view.exit_code == 0 else "warn"
    elif view.phase != "running":
        words, style = (
            {"waiting": "waits for you (c)", "died": "its process is gone (R)"}.get(words, words),
            "warn",
        )
    name = f"batch {view.spec.batch}  " if width >= 100 else "batch  "
    line: Line = [(name, "dim"), (f"{words}  ", style)]
    if view.aside:
        line.append((f"set aside: {', '.join(sorted(view.aside))}", "warn"))
    elif view.reason and not view.over:
        line.append((view.reason, "dim"))
    return line


def steps(state: RunState, signs: Signs, now: float, width: int) -> list[Row]:
    """The steps of one run, each with its bar, percentage, bytes and time."""
    word, style = signs.phase(state.phase)
    title = f"{state.verb} {state.vhost or state.vnode}"
    rows = [
        Row([(title, "head"), (f"  on {state.vnode}   " if state.vhost else "   ", "dim"), (word, style)])
    ]
    times = f"elapsed {span(state.elapsed(now))}" if state.started is not None else "not begun"
    left = state.remaining(now)
    if left is not None:
        times += f"   about {about(left)} left"
    if state.quiet(now) > QUIET and state.lost is None:
        times += f"   nothing counted for {span(state.quiet(now))}"
    if state.met:
        times += f"   {state.met:,} {'found' if state.verb == 'discover' else 'findings'}"
    rows.append(Row([(times, "dim")]))
    if state.lost is not None and not state.ended:
        gone = f"No connection for {span(now - state.lost)}: trying again. The run goes on there."
        rows += wrap.text(gone, width, "warn")
    at = state.finished if state.ended and state.finished is not None else now
    rows += [Row(_step(step, signs, at, width)) for step in state.steps]
    if state.error:
        rows += wrap.fact("error" if state.phase != "left" else "note", state.error, width, style, room=8)
    if state.hint:
        rows += wrap.fact("do", state.hint, width, "key", room=8)
    for warning in state.warnings:
        rows += wrap.fact("warning", warning, width, "warn", room=8)
    if state.phase == "ok" and state.archive:
        rows += wrap.fact("archive", state.archive, width, room=8)
    return wrap.number(rows)


def _step(step: StepState, signs: Signs, now: float, width: int) -> Line:
    sign, style = signs.step(step.state)
    name_room = max(len(name) for name in STEPS) + 1
    line: Line = [(f"{sign} ", style), (pad(step.name, name_room), "bold" if step.state == "running" else "")]
    bar_room = max(8, min(30, width - name_room - 2 - 35))
    line += [*signs.bar(step.fraction(), bar_room, style), (f" {percent(step.fraction())} ", "")]
    if step.state == "running":
        line.append((f"{span(now - (step.started or now)):>6}", "dim"))
        room = width - sum(cell_len(text) for text, _style in line)
        # A number that is cut off is another number: what has no room whole is left out.
        told = (f"  {size(step.done)} of {size(step.total)}" if step.total else "", f"  {size(step.done)}")
        if step.total or step.done:
            line.append((next((words for words in told if 0 < len(words) <= room), ""), "dim"))
    elif step.seconds:
        line.append((f"{lap(step.seconds):>6}", "dim"))
    return line


def log(lines: list[tuple[float, str]], width: int, *, query: str = "", wrapped: bool = True) -> list[Row]:
    """Log lines with their time; those with trouble stand out."""
    rows = []
    for at, text in lines:
        if query and query.lower() not in text.lower():
            continue
        low = text.lower()
        style = "fail" if TROUBLE.search(low) else "warn" if low.startswith("warning") else ""
        parts = wrap.text(text, max(20, width - 10), style) if wrapped else [Row([(text, style)])]
        rows.append(Row([(f"{clock(at)}  ", "dim"), *parts[0].pieces]))
        rows += [Row([(" " * 10, ""), *part.pieces]) for part in parts[1:]]
    return wrap.number(rows)
