"""What is sent over one connection goes out in few writes, whole and in order."""

from __future__ import annotations

import asyncio
import logging
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


def test_a_process_whose_end_somebody_else_saw_is_no_news(caplog) -> None:  # type: ignore[no-untyped-def]
    """What asyncio says of a ProxyCommand that ended at once reached the terminal."""
    log = logging.getLogger("asyncio")
    with caplog.at_level(logging.WARNING, "asyncio"):
        log.warning("Unknown child process pid %d, will report returncode 255", 7)
        log.warning("child process pid %d exit status already read:  will report returncode 255", 7)
        log.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]
