"""What is sent over one connection goes out in few writes, whole and in order."""

from __future__ import annotations

import asyncio
import logging
import os
from types import SimpleNamespace

from nsmig_tui.remote.dial import _sending_together


async def test_what_is_sent_in_one_turn_is_one_write() -> None:
    written: list[bytes] = []
    connection = SimpleNamespace(_send=written.append)
    _sending_together(connection)  # type: ignore[arg-type]
    for piece in (b"one ", b"two ", b"three"):
        connection._send(piece)
    assert written == []
    await asyncio.sleep(0)
    connection._send(b"four")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert written == [b"one two three", b"four"]


async def test_a_process_whose_end_somebody_else_saw_is_no_news(caplog) -> None:  # type: ignore[no-untyped-def]
    """What asyncio says of a ProxyCommand that ended at once reached the terminal."""
    with caplog.at_level(logging.WARNING, "asyncio"):
        process = await asyncio.create_subprocess_exec("sleep", "0.2")
        os.waitpid(process.pid, 0)
        await process.wait()
        logging.getLogger("asyncio").warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]
