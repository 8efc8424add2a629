"""Looks at a site and its neighbours over HTTP, through the SSH connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..domain.http_answers import Baseline, baseline_of, difference
from ..domain.ports import HttpAnswer, HttpRequest, Shell

SAMPLES = 3
AT_ONCE = 4


async def ask_all(shell: Shell, requests: Sequence[HttpRequest]) -> list[HttpAnswer]:
    """One answer a request, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(request: HttpRequest) -> HttpAnswer:
        async with gate:
            return await shell.http(request)

    return list(await asyncio.gather(*(one(r) for r in requests)))


async def take_baseline(shell: Shell, requests: Sequence[HttpRequest]) -> list[Baseline]:
    """Every request a few times, so that what changes by itself is known."""
    rounds = [await ask_all(shell, requests) for _ in range(SAMPLES)]
    return [baseline_of(request, samples) for request, *samples in zip(requests, *rounds, strict=True)]


async def differences(shell: Shell, before: Sequence[Baseline]) -> list[str]:
    """What is not as it was. A difference is looked at twice more: a site is alive."""
    wrong = list(before)
    found: list[str] = []
    for attempt in range(3):
        answers = await ask_all(shell, [b.request for b in wrong])
        pairs = [(b, difference(b, a)) for b, a in zip(wrong, answers, strict=True)]
        wrong = [b for b, why in pairs if why]
        found = [why for _, why in pairs if why]
        if not wrong:
            break
        if attempt < 2:
            await asyncio.sleep(0.3)
    return found
