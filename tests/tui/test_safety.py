"""Hostile text, crash reports, signals: the terminal and the secrets stay whole."""

import io
import os
import re
import sys
import threading
from dataclasses import replace

import pytest
from rich.console import Console
from test_actions import said
from textual.drivers._writer_thread import WriterThread
from textual.worker import WorkerFailed
from waiting import until

from nsmig_tui.domain import events as ev
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.safe import content, one_line
from nsmig_tui.tui.safety import crash_report, terminal_may_go

EVIL = "\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07[/x][bold]php_value[memory_limit]\u202e\x9b31m\x00"


def drawn(app):
    """All that the screen would send, styles apart."""
    return "".join(segment.text for line in app.screen._compositor.render_strips() for segment in line)


async def test_hostile_text_reaches_no_screen(world, open_app, at_rest):
    host = world.store.vhost("vn1.example.net", "shop.example.org")
    finding = {
        "severity": EVIL,
        "category": EVIL,
        "message": EVIL,
        "expected": EVIL,
        "actual": EVIL,
        "hint": EVIL,
    }
    bad = replace(
        host, last_error=EVIL, last_hint=EVIL, uuser=EVIL, findings=(finding,), details={"docroot": EVIL}
    )
    world.store.save_vhost(bad)
    node = world.store.vnode("vn8.example.net")
    world.store.save_vnode(replace(node, unreachable=EVIL, facts={"os": EVIL}))
    async with open_app(world) as (app, pilot):
        app.reveal("vn1.example.net/shop.example.org")
        seen = []
        for _ in range(5):
            await pilot.press("right_square_bracket")
            await pilot.pause(0.1)
            seen.append(drawn(app))
        app.reveal("vn8.example.net")
        await pilot.pause(0.1)
        seen.append(drawn(app))
        await pilot.press("3")
        await pilot.pause()
        seen.append(drawn(app))
        app.notify(one_line(EVIL), markup=False)
        await pilot.pause()
        seen.append(drawn(app))
    assert "memory_limit" in "".join(seen), "the text is shown, made safe"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", "".join(seen))


async def test_hostile_events_reach_no_screen(world, open_app):
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        app.reveal("vn1.example.net/shop.example.org")
        await pilot.press("m")
        await pilot.pause()
        await pilot.press("y")
        await pilot.pause()
        emit = app.controller._emitter("vn1.example.net/shop.example.org")
        emit(ev.LogLine("vn1.example.net", "shop.example.org", message=EVIL))
        emit(ev.Warned("vn1.example.net", "shop.example.org", message=EVIL))
        emit(
            ev.StepFailed(
                "vn1.example.net", "shop.example.org", step="backup_creation", message=EVIL, hint=EVIL
            )
        )
        app.screen.look(force=True)
        await pilot.pause()
        text = drawn(app)
        await pilot.press("l")
        await pilot.pause()
        text += drawn(app)
    assert "memory_limit" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


@pytest.mark.parametrize("text", ["[/x]", "[bold]", "a[b]c", EVIL])
def test_brackets_are_just_brackets(text):
    assert "[" in content(text).plain
    assert "\x1b" not in content(text).plain


def test_a_crash_report_holds_no_values():
    def crash(password):
        raise ValueError(password)

    try:
        crash("hunter2")
    except ValueError as error:
        report = crash_report(error)
    sink = io.StringIO()
    Console(file=sink).print(report)
    assert "hunter2" not in sink.getvalue()
    assert "test_safety.py" in sink.getvalue()
    assert "ValueError" in sink.getvalue()


def test_a_crash_in_a_worker_tells_the_place_and_not_the_wrapping():
    try:
        {}["gone"]
    except KeyError as error:
        report = crash_report(WorkerFailed(error))
    assert "KeyError" in report.plain and "test_safety.py" in report.plain and "gone" not in report.plain


def test_drawing_on_a_terminal_that_is_gone_holds_nobody_up(monkeypatch):
    ours, theirs = os.openpty()
    os.close(ours)
    with open(theirs, "w", encoding="utf-8", closefd=True) as gone:
        with pytest.raises(OSError):
            os.write(theirs, b"x")
        monkeypatch.setattr(sys, "__stderr__", gone)
        with terminal_may_go():
            writer = WriterThread(sys.__stderr__)
            writer.start()
            drawing = threading.Thread(
                target=lambda: [writer.write("x" * 9000) for _ in range(100)], daemon=True
            )
            drawing.start()
            drawing.join(20)
            assert not drawing.is_alive(), "the queue is full and nobody empties it"
            writer.stop()
        assert sys.__stderr__ is gone


async def test_ctrl_c_says_what_quits(world, open_app):
    async with open_app(world) as (app, pilot):
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "q quits" in said(app))
        assert app.is_running


async def test_ctrl_z_goes_back_to_a_shell_that_can_bring_it_back(world, open_app, monkeypatch):
    stopped = []
    world.engine.hold()
    async with open_app(world) as (app, pilot):
        monkeypatch.setattr(app, "action_suspend_process", lambda: stopped.append(1))
        monkeypatch.setattr("nsmig_tui.tui.safety.has_shell_above", lambda: False)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "nobody could bring it back" in said(app))
        monkeypatch.setattr("nsmig_tui.tui.safety.has_shell_above", lambda: True)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: stopped == [1])
        app.controller.start(Wish("migrate", "vn1.example.net", "shop.example.org"))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "need its word at their end" in said(app))
        assert stopped == [1]
