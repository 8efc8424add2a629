"""One batch, conducted in a process that no terminal, connection or screen can take down.

It holds the batch's lock as long as it lives. SIGHUP is ignored; SIGTERM and SIGINT end it in order: it
begins nothing more, leaves what runs on the vnodes alone, and writes ``batch_ended`` with ``interrupted``.
It asks nobody anything: host keys must be known, and passwords come once, through its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

from .. import wiring
from ..domain.batch_view import BatchView
from ..domain.errors import ExitCode, NsmigError
from ..domain.text import clean
from ..engine.batch.conductor import Conductor
from ..engine.batch.journal import Journal, JournalTail
from ..engine.batch.mailbox import collect
from ..engine.batch.measuring import keep_speed, kept_speed
from ..engine.batch.places import BatchDir
from ..settings import Settings, load
from .notices import send_notices

FAULT = 1
"""Exit code for a mistake of ours; the log says which."""


def main(words: Sequence[str]) -> int:
    """Run one batch to its end; answers its exit code."""
    arguments = _parser().parse_args(words)
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        fcntl.flock(arguments.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        flags = {name: getattr(arguments, name) for name in ("data_dir", "config_dir", "ssh_config")}
        settings = load(flags)
        place = BatchDir(settings.data_dir / "batches", arguments.batch)
        return asyncio.run(conduct(settings, place, _secrets(), retry=arguments.retry, leave=arguments.leave))
    except NsmigError as error:
        _log(str(error))
        return int(error.exit_code)
    except Exception:
        _log(traceback.format_exc())
        return FAULT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nsmig-batch", allow_abbrev=False)
    parser.add_argument("--data-dir")
    parser.add_argument("--config-dir")
    parser.add_argument("--ssh-config")
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--leave", action="append", default=[])
    parser.add_argument("--lock", type=int, required=True)
    parser.add_argument("batch")
    return parser


def _secrets() -> dict[str, str]:
    """What the operator typed before: one JSON object on standard input, which is closed then."""
    try:
        given = json.loads(sys.stdin.buffer.read() or b"{}")
    except ValueError:
        given = {}
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return dict(given.get("secrets") or {}) if isinstance(given, dict) else {}


async def conduct(
    settings: Settings, place: BatchDir, secrets: dict[str, str], *, retry: bool, leave: Sequence[str] = ()
) -> int:
    """Conduct the batch in this loop; answers its exit code. ``secrets``: prompt -> answer, used once."""

    async def answer(prompt: str) -> str | None:
        # Each answer once: a wrong one must lead to a refusal, not to a locked account.
        return secrets.pop(prompt, None)

    app = wiring.build(settings, None, answer if secrets else None, place.batch)
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
    place.note_process(facts)
    journal = Journal(place, time.time)
    spec = place.spec()
    before = BatchView(spec)
    for at, event in JournalTail(place).events():
        before.take(event, at)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        conductor = Conductor(
            app.engine,
            spec,
            journal,
            before=before,
            retry=retry,
            leave=leave,
            mailbox=lambda: collect(place),
            speeds={name: kept_speed(app.store, name) for name in {item.vnode for item in spec.work}},
            measured=lambda vnode, speed: keep_speed(app.store, vnode, speed),
            pid=os.getpid(),
        )
        code = await conductor.run()
        if code != ExitCode.INTERRUPTED:
            await _notify(settings, conductor.view)
        return code
    finally:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = round(used.ru_utime + used.ru_stime, 3)
        with contextlib.suppress(OSError):
            place.note_process({**facts, "ended": time.time(), "max_rss_kb": used.ru_maxrss, "cpu_s": cpu})
        journal.close()
        await _close(app)


async def _notify(settings: Settings, view: BatchView) -> None:
    for problem in await send_notices(settings.notify, view):
        _log(f"notice: {problem}")


async def _close(app: Any) -> None:
    try:
        async with asyncio.timeout(10):
            await app.close()
    except (NsmigError, TimeoutError) as error:
        _log(f"closing: {error}")


def _log(words: str) -> None:
    sys.stderr.write(clean(words, 20000, newlines=True) + "\n")
    sys.stderr.flush()
