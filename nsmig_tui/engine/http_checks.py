"""Looks at a site and its neighbours over HTTP, through the SSH connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..domain.http_answers import Baseline, baseline_of, difference, enough, sound
from ..domain.ports import HttpAnswer, HttpRequest, Shell

SAMPLES = 3
"""Answers to one request before, at most. Two equal ones are enough where nothing made them up just now;
what has given no sound answer by then is asked once more."""

NOTHING: Mapping[HttpRequest, Baseline] = MappingProxyType({})

PAUSE = 0.3
"""Seconds before another look at something that is not as it should be."""


async def take_baseline(shell: Shell, requests: Sequence[HttpRequest]) -> list[Baseline]:
    """Every request a few times, so that what changes by itself is known.

    Two samples of all are asked for in one go: each go costs a connection through the tunnel.
    """
    samples: list[list[HttpAnswer]] = [[] for _ in requests]
    todo = [*range(len(requests))] * 2
    while todo:
        for index, answer in zip(todo, await shell.http_all([requests[i] for i in todo]), strict=True):
            samples[index].append(answer)
        todo = [index for index, found in enumerate(samples) if not _known(found)]
        if not all(sound(samples[index][-1]) for index in todo):
            await asyncio.sleep(PAUSE)  # somebody may be reloading a service just now
    return [baseline_of(request, found) for request, found in zip(requests, samples, strict=True)]


def _known(samples: Sequence[HttpAnswer]) -> bool:
    """Whether one more sample is of no use, or was asked for often enough."""
    most = SAMPLES if any(map(sound, samples)) else SAMPLES + 1
    return len(samples) >= most or enough(samples)


async def differences(
    shell: Shell, before: Sequence[Baseline], also: Mapping[HttpRequest, Baseline] = NOTHING
) -> list[str]:
    """What is not as it was, nor as in ``also``. A difference is looked at twice more: a site is alive."""
    wrong = list(before)
    found: list[str] = []
    for attempt in range(3):
        answers = await shell.http_all([b.request for b in wrong])
        pairs = [(b, _difference(b, also.get(b.request), a)) for b, a in zip(wrong, answers, strict=True)]
        wrong = [b for b, why in pairs if why]
        found = [why for _, why in pairs if why]
        if not wrong:
            break
        if attempt < 2:
            await asyncio.sleep(PAUSE)
    return found


def _difference(was: Baseline, other: Baseline | None, now: HttpAnswer) -> str:
    why = difference(was, now)
    return "" if why and other is not None and not difference(other, now) else why
