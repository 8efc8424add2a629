"""Secrets that the operator typed: kept in memory only, printed as stars, asked for one at a time."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from nsmig_tui.domain.ports import AskPassword


class Secret:
    """A secret text. Nothing that prints, logs, copies or pickles it shows what it is."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('********')"

    def __str__(self) -> str:
        return "********"

    def __format__(self, spec: str) -> str:
        return "********"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never stored")


class Secrets:
    """What was asked in this process, by purpose, so that nobody is asked twice for the same."""

    def __init__(self, ask: AskPassword | None = None) -> None:
        self._ask = ask
        self._held: dict[tuple[str, str], Secret] = {}
        self._one_at_a_time = asyncio.Lock()

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask."""
        return self._ask is not None

    async def get(self, purpose: str, name: str, prompt: str) -> Secret | None:
        """The held secret for ``purpose`` of ``name``, or the answer to ``prompt``; None if there is none."""
        if self._ask is None:
            return None
        async with self._one_at_a_time:
            held = self._held.get((purpose, name))
            if held is not None:
                return held
            answer = await self._ask(prompt)
            if answer is None:
                return None
            self._held[purpose, name] = Secret(answer)
            return self._held[purpose, name]

    async def ask_once(self, prompt: str) -> Secret | None:
        """The answer to ``prompt``, not held: one-time codes."""
        if self._ask is None:
            return None
        async with self._one_at_a_time:
            answer = await self._ask(prompt)
        return None if answer is None else Secret(answer)

    def forget(self, purpose: str, name: str, wrong: Secret) -> None:
        """Drop a secret that turned out wrong, unless it was replaced meanwhile."""
        if self._held.get((purpose, name)) is wrong:
            del self._held[purpose, name]
