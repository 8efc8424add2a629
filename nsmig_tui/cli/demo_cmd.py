"""`nsmig demo`: the whole program over a fleet of throw-away servers on this machine."""

from __future__ import annotations

import asyncio
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..domain.errors import ExitCode
from ..domain.fleet import Status
from ..settings import Settings
from ..wiring import build
from .output import Output

EXPECTED = {"validate": (ExitCode.DONE, ExitCode.PARTIAL)}
"""The demo fleet holds sites that must not be migrated: validating all of them is mixed, as it should be."""


def demo(
    arguments: Namespace,
    settings: Settings,
    out: Output,
    open_screen: Callable[[Settings], int],
    run: Callable[[list[str]], int],
) -> int:
    """Open the terminal application on the demo fleet, or with --run show the commands at work there."""
    with _world() as world:
        inside = replace(
            settings,
            data_dir=world.directory / "operator",
            config_dir=world.directory / "operator",
            ssh_config=world.ssh_config,
        )
        inside.data_dir.mkdir(mode=0o700)
        store = build(inside).store
        for vnode in world.vnodes:
            store.save_vnode(vnode)
        store.close()
        return _tour(inside, out, run) if arguments.run else open_screen(inside)


def _tour(settings: Settings, out: Output, run: Callable[[list[str]], int]) -> int:
    """Discover, validate, migrate all, and take one migration back; answers the first unexpected code."""
    flags = [
        *("--data-dir", str(settings.data_dir), "--config-dir", str(settings.config_dir)),
        *("--ssh-config", str(settings.ssh_config)),
        *(["--json"] if settings.json else []),
        *(["--quiet"] if settings.quiet else []),
        *(["--read-only"] if settings.read_only else []),
    ]

    def show(*words: str) -> int:
        out.talk(f"\n$ nsmig {' '.join(words)}")
        code = run([*words, *flags])
        return ExitCode.DONE if code in EXPECTED.get(words[0], ()) else code

    for words in (("discover",), ("validate", "--all"), ("list",), ("migrate", "--all-validated", "--yes")):
        code = show(*words)
        if code:
            return code
    store = build(settings).store
    migrated = store.vhosts(status=Status.MIGRATED)
    store.close()
    if migrated:
        first = (migrated[0].vnode, migrated[0].domain)
        for words in (("rollback", *first, "--list"), ("rollback", *first, "--yes"), ("history",)):
            code = show(*words)
            if code:
                return code
    return ExitCode.DONE


@contextmanager
def _world() -> Iterator[Any]:
    """The demo fleet, served from a thread: the main one's event loop belongs to whoever uses the fleet."""
    from ..demo.world import DemoWorld

    ready: Future[Any] = Future()
    stop: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        stop.set_result((asyncio.get_running_loop(), over))
        try:
            async with DemoWorld() as world:
                ready.set_result(world)
                await over.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="demo fleet")
    thread.start()
    try:
        yield ready.result()
    finally:
        loop, over = stop.result()
        if not loop.is_closed():
            loop.call_soon_threadsafe(over.set)
        thread.join()
