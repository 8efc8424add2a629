"""Looks at a site and its neighbours over HTTP, through the SSH connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..domain.http_answers import Baseline, baseline_of, difference, enough, sound
from ..domain.ports import HttpAnswer, HttpRequest, Shell

SAMPLES = 3
"""Answers to one request before, at most. Two equal ones are enough where nothing made them up just now."""

PAUSE = 0.3
"""Seconds before another look at something that is not as it should be."""


async def take_baseline(shell: Shell, requests: Sequence[HttpRequest]) -> list[Baseline]:
    """Every request a few times, so that what changes by itself is known."""
    samples: list[list[HttpAnswer]] = [[] for _ in requests]
    todo = list(range(len(requests)))
    for number in range(SAMPLES):
        if number and not all(sound(samples[index][-1]) for index in todo):
            await asyncio.sleep(PAUSE)  # somebody may be reloading a service just now
        answers = await shell.http_all([requests[index] for index in todo])
        for index, answer in zip(todo, answers, strict=True):
            samples[index].append(answer)
        todo = [index for index in todo if not enough(samples[index])]
    return [baseline_of(request, found) for request, found in zip(requests, samples, strict=True)]


async def differences(shell: Shell, before: Sequence[Baseline]) -> list[str]:
    """What is not as it was. A difference is looked at twice more: a site is alive."""
    wrong = list(before)
    found: list[str] = []
    for attempt in range(3):
        answers = await shell.http_all([b.request for b in wrong])
        pairs = [(b, difference(b, a)) for b, a in zip(wrong, answers, strict=True)]
        wrong = [b for b, why in pairs if why]
        found = [why for _, why in pairs if why]
        if not wrong:
            break
        if attempt < 2:
            await asyncio.sleep(PAUSE)
    return found
