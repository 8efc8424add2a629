"""The demo world in a thread of its own, for programs that bring their own event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from .world import DemoWorld

if TYPE_CHECKING:
    from ..settings import Settings


@contextmanager
def running_world(vnodes: int = 3, vhosts_per_vnode: int = 4) -> Iterator[DemoWorld]:
    """A world that is up while the block runs, and gone without trace after it."""
    began: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
    up: Future[DemoWorld] = Future()

    async def live() -> None:
        task = asyncio.current_task()
        assert task is not None
        began.set_result((asyncio.get_running_loop(), task))
        async with DemoWorld(vnodes, vhosts_per_vnode) as world:
            up.set_result(world)
            await asyncio.Event().wait()

    def body() -> None:
        try:
            asyncio.run(live())
        except asyncio.CancelledError:
            return
        except BaseException as error:
            if up.done():
                raise
            up.set_exception(error)
            if not began.done():
                began.set_exception(error)

    thread = threading.Thread(target=body, name="demo world")
    thread.start()
    try:
        loop, task = began.result()
    except BaseException:
        thread.join()
        raise
    try:
        yield up.result()
    finally:
        if thread.is_alive():
            # The thread may end of itself just now; then there is nothing left to cancel.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)
        thread.join()


def open_demo(settings: Settings, open_screen: Callable[[Settings], int]) -> int:
    """`nsmig demo`: the terminal application (``open_screen``) on the demo world; answers its exit code."""
    from .. import wiring
    from .run import add_vnodes, demo_settings

    with running_world() as world:
        asked = settings.read_only and settings.origins.get("read_only") == "option"
        # What config.toml says is for the user's own servers; who says it to the demo means the demo.
        chosen = replace(demo_settings(world, settings), read_only=asked)
        parts = wiring.build(chosen)
        try:
            add_vnodes(parts.store, world)
        finally:
            parts.store.close()
        return open_screen(chosen)
