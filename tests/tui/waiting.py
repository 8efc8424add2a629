"""Waits for what must become true, however busy the machine is."""

import asyncio


async def until(pilot, true, seconds=20):
    """Let the application go on until ``true()``."""
    async with asyncio.timeout(seconds):
        while not true():
            await pilot.pause(0.02)
