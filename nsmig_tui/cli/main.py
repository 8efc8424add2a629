"""The headless face's one way in and out: words to a command, every ending to an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from ..domain.errors import Interrupted, NsmigError, Refused, UsageError
from ..settings import Settings, load
from . import diagnostics
from .documents import error_line
from .output import Output
from .parser import build_parser
from .registry import COMMANDS

Wire = Callable[..., Any]
"""(settings, ask_host_key=…, ask_password=…) -> the parts; ``wiring.build`` or a test's own."""

FLAGS = ("data_dir", "config_dir", "ssh_config", "json", "read_only", "quiet")


def main(
    argv: Sequence[str] | None = None,
    *,
    wire: Wire | None = None,
    open_screen: Callable[[Settings], int] | None = None,
) -> int:
    """Run one command; answers the process's exit code. Nothing leaves here as a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    out = Output(quiet="--quiet" in words)
    settings: Settings | None = None
    try:
        arguments = build_parser().parse_args(words)
        settings = load({name: getattr(arguments, name, None) for name in FLAGS})
        out.quiet = settings.quiet
        code = _run(arguments, settings, out, wire, open_screen)
    except SystemExit as end:  # --help and --version
        code = int(end.code or 0)
    except NsmigError as error:
        as_json = settings.json if settings else "--json" in words
        code = _tell(error, out, as_json=as_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = _tell(Interrupted("Interrupted; nothing was begun."), out, as_json=False)
    except Exception as error:  # the last line of defence: a fault of ours is told like any other
        said = diagnostics.record(error, settings.data_dir if settings else Path())
        if settings.json if settings else "--json" in words:
            out.json_line({"type": "error", "message": said, "exit_code": diagnostics.EXIT_CODE})
        out.tell(said)
        code = diagnostics.EXIT_CODE
    if out.broken:
        out.tell(f"nsmig: standard output could not be written: {out.broken}.")
        return code or diagnostics.EXIT_CODE
    return code


def _run(
    arguments: Namespace,
    settings: Settings,
    out: Output,
    wire: Wire | None,
    open_screen: Callable[[Settings], int] | None,
) -> int:
    if arguments.command is None:
        return _open(settings, out, open_screen)
    command = COMMANDS[arguments.command]
    trial = any(getattr(arguments, name, False) for name in command.trial)
    if settings.read_only and command.changes and not trial:
        raise Refused(
            f"`{arguments.command}` changes something, and this is a read-only session.",
            hint="Leave out --read-only (or read_only in config.toml). Nothing was touched.",
        )
    if command.whole:
        screen = functools.partial(_open, out=out, open_screen=open_screen)
        return command.load()(arguments, settings, out, screen)
    try:
        return asyncio.run(_session(command.load(), arguments, settings, out, wire))
    except asyncio.CancelledError as stop:
        raise Interrupted("Interrupted; what has begun on a vnode goes on there.") from stop


def _open(settings: Settings, out: Output, open_screen: Callable[[Settings], int] | None) -> int:
    if (
        open_screen is None
        or settings.json
        or settings.dumb_terminal
        or not (out.asks and out.data_is_terminal)
    ):
        raise UsageError(
            "The terminal application needs a terminal.",
            hint="For scripts there are commands with --json; see `nsmig --help`.",
        )
    return open_screen(settings)


async def _session(
    function: Callable[[Any, Any], Awaitable[int]],
    arguments: Namespace,
    settings: Settings,
    out: Output,
    wire: Wire | None,
) -> int:
    """Build the parts, run the command, and let go of the parts whatever happens."""
    from . import consent
    from .session import Session

    if wire is None:
        from ..wiring import build as wire
    printer = _printer(settings, out)
    app = wire(
        settings,
        ask_host_key=consent.host_key_asker(out, printer.pause),
        ask_password=consent.password_asker(out, printer.pause),
    )
    session = Session(settings, app, out, printer)
    _cancel_on_signals()
    try:
        return await function(session, arguments)
    except NsmigError as error:
        return _tell(error, out, as_json=settings.json and not session.reported)
    finally:
        printer.pause()
        with contextlib.suppress(NsmigError):
            await app.close()


def _cancel_on_signals() -> None:
    """A closed terminal or a polite kill ends like Ctrl-C: told, and with the database closed.

    What whoever started us has us ignore, as ``nohup`` does, stays ignored.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            continue
        # Not in the main thread (an embedding program): then its owner deals with signals.
        with contextlib.suppress(ValueError, RuntimeError):
            loop.add_signal_handler(number, task.cancel)


def _printer(settings: Settings, out: Output) -> Any:
    if settings.json:
        from .printer import JsonPrinter

        return JsonPrinter(out)
    from .text_printer import TextPrinter

    if settings.quiet or not settings.color or settings.dumb_terminal or not out.talk_is_terminal:
        return TextPrinter(out)
    from .progress import Bars

    return TextPrinter(out, Bars(sys.stderr))


def _tell(error: NsmigError, out: Output, *, as_json: bool) -> int:
    if as_json:
        out.json_line(error_line(error))
    out.tell(f"nsmig: {error}")
    return int(error.exit_code)
