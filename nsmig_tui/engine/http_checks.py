"""Looks at a site and its neighbours over HTTP, through the SSH connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..domain.errors import Refused
from ..domain.http_answers import Baseline, baseline_of, difference, enough, remark, sound
from ..domain.http_questions import (
    further_requests,
    live_strays,
    neighbour_requests,
    requests_for,
    stray_requests,
    unseen,
)
from ..domain.path_map import PathMap
from ..domain.ports import HttpAnswer, HttpRequest, Shell
from ..domain.surroundings import Serving

SAMPLES = 2
"""Sound answers to one request before."""

MOST_SAMPLES = 4
"""Answers to what gives no sound one, at most."""

NOTHING: Mapping[HttpRequest, Baseline] = MappingProxyType({})

PAUSE = 0.3
"""Seconds before another look at something that is not as it should be."""

LONG_PAUSE = 1.1
"""Seconds before the last look: what shows the time has changed by then."""

HOPS = 2
"""How often the site's own redirects are followed by who has seen no page."""


@dataclass(frozen=True)
class Looked:
    """What is not as it was (``wrong``, of ``hosts``), and what is well but worth a word (``remarks``)."""

    wrong: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()


async def witness(shell: Shell, serving: Serving, entries: Sequence[str]) -> tuple[list[Baseline], str]:
    """The baseline of a site and its neighbours, and why it says nothing of the site's pages, if so."""
    asked = requests_for(serving, entries)
    found = await take_baseline(shell, [*asked, *neighbour_requests(serving)])
    own, others = found[: len(asked)], found[len(asked) :]
    for _ in range(HOPS):
        more = further_requests(serving, own) if unseen(own) else []
        if not more:
            break
        own += await take_baseline(shell, more)
    return [*own, *others], unseen(own)


async def refuse_live_strays(shell: Shell, serving: Serving) -> None:
    """Raises Refused where another site is served only by what the migration changes."""
    asked = stray_requests(serving)
    live = live_strays(await take_baseline(shell, asked)) if asked else []
    if live:
        raise Refused(
            f"nginx serves {live[0]} by the server block of {serving.site.domain}, as no block names it:"
            " it would not be found after the migration",
            hint=f"Give {live[0]} a server block of its own; or, if it is to be off, give nginx a"
            " default_server that answers for nobody (return 444).",
        )


async def take_baseline(shell: Shell, requests: Sequence[HttpRequest]) -> list[Baseline]:
    """Every request a few times, so that what changes by itself is known.

    Two samples of all are asked for in one go: each go costs a connection through the tunnel.
    """
    samples: list[list[HttpAnswer]] = [[] for _ in requests]
    todo = [*range(len(requests))] * SAMPLES
    while todo:
        for index, answer in zip(todo, await shell.http_all([requests[i] for i in todo]), strict=True):
            samples[index].append(answer)
        todo = [index for index, found in enumerate(samples) if not _known(found)]
        if todo:
            await asyncio.sleep(PAUSE)  # somebody may be reloading a service just now
    return [baseline_of(request, found) for request, found in zip(requests, samples, strict=True)]


def _known(samples: Sequence[HttpAnswer]) -> bool:
    """Whether one more sample is of no use, or was asked for often enough."""
    most = SAMPLES + 1 if any(map(sound, samples)) else MOST_SAMPLES
    return len(samples) >= most or enough(samples)


async def differences(
    shell: Shell,
    before: Sequence[Baseline],
    also: Mapping[HttpRequest, Baseline] = NOTHING,
    paths: Sequence[PathMap] = (),
) -> Looked:
    """What is not as it was, nor as in ``also``. A difference is looked at twice more: a site is alive.

    The last look comes late enough to tell what changes by itself; see ``difference``.
    """
    todo = list(before)
    looks: dict[HttpRequest, list[HttpAnswer]] = {b.request: [] for b in before}
    wrong: dict[HttpRequest, str] = {}
    for pause in (0.0, PAUSE, LONG_PAUSE):
        if pause:
            await asyncio.sleep(pause)
        for was, answer in zip(todo, await shell.http_all([b.request for b in todo]), strict=True):
            looks[was.request].append(answer)
        wrong = {b.request: _difference(b, also.get(b.request), looks[b.request], paths) for b in todo}
        todo = [b for b in todo if wrong[b.request]]
        if not todo:
            break
    well = (b for b in before if not wrong.get(b.request) and b.request not in also)
    remarks = (remark(b, looks[b.request], paths) for b in well)
    hosts = frozenset(b.request.host for b in todo)
    return Looked(tuple(wrong[b.request] for b in todo), tuple(r for r in remarks if r), hosts)


def _difference(
    was: Baseline, other: Baseline | None, looks: Sequence[HttpAnswer], paths: Sequence[PathMap]
) -> str:
    why = difference(was, looks, paths)
    return "" if why and other is not None and not difference(other, looks, paths) else why
