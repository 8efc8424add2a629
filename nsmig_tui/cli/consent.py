"""Asking the person at the terminal: before what is dangerous, about a new host's key, for a password."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from collections.abc import Callable, Iterator, Sequence

from ..domain.errors import Interrupted, Refused
from ..domain.ports import AskHostKey, AskPassword
from ..domain.text import clean
from .output import Output


async def require(out: Output, facts: Sequence[str], *, yes: bool, answer: str = "yes") -> None:
    """Return when the operator agreed to what ``facts`` say, by ``--yes`` or by typing ``answer``.

    Raises Refused otherwise, and when there is nobody to ask.
    """
    if yes:
        return
    if not out.asks:
        raise Refused(
            "This changes something, and there is no terminal to ask on.",
            hint="Add --yes to agree beforehand. Nothing was touched.",
        )
    async with out.question:
        for fact in facts:
            out.tell(fact)
        try:
            said = await _ask(f"Type {answer} to go on: ")
        except asyncio.CancelledError as stop:
            raise Interrupted("Interrupted before it was agreed to. Nothing was touched.") from stop
    if said.strip() != answer:
        raise Refused("Not agreed to. Nothing was touched.")


def host_key_asker(out: Output, pause: Callable[[], None]) -> AskHostKey | None:
    """The question about a new host key, or None where nobody could answer it.

    ``pause`` takes moving lines off the terminal first.
    """
    if not out.asks:
        return None

    async def ask(host: str, kind: str, fingerprint: str) -> bool:
        async with out.question:
            pause()
            out.tell(f"{host} is not known yet. Its {kind} key has the fingerprint\n  {fingerprint}")
            return (await _ask("Type yes to trust and remember it: ")).strip() == "yes"

    return ask


def password_asker(out: Output, pause: Callable[[], None]) -> AskPassword | None:
    """The question for a secret, not shown while typed, or None where nobody could answer it."""
    if not out.asks:
        return None

    async def ask(prompt: str) -> str | None:
        async with out.question:
            pause()
            line = await _ask(clean(prompt, 200) + " ", hidden=True)
        return line.rstrip("\r\n") if line else None

    return ask


async def _ask(question: str, *, hidden: bool = False) -> str:
    """One line from the terminal, "" at the end of input. The event loop goes on meanwhile, Ctrl-C works."""
    try:
        source = sys.stdin.fileno()
    except (OSError, ValueError):
        sys.stderr.write(question)
        return sys.stdin.readline()
    with _echo_off(source) if hidden else contextlib.nullcontext():
        sys.stderr.write(question)
        sys.stderr.flush()
        loop = asyncio.get_running_loop()
        typed = asyncio.Event()
        loop.add_reader(source, typed.set)
        try:
            await typed.wait()
        finally:
            loop.remove_reader(source)
        # A terminal gives one whole line at a time; Python's own buffer would hide what was typed ahead.
        return os.read(source, 65536).decode("utf-8", "replace")


@contextlib.contextmanager
def _echo_off(terminal: int) -> Iterator[None]:
    held = termios.tcgetattr(terminal)
    silent = [*held[:3], held[3] & ~termios.ECHO, *held[4:]]
    termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, held)
        sys.stderr.write("\n")
