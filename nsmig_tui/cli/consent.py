"""Asking the person at the terminal: before what is dangerous, about a new host's key, for a password."""

from __future__ import annotations

import getpass
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..domain.errors import Refused
from ..domain.ports import AskHostKey, AskPassword
from ..domain.text import clean
from .output import Output


def require(out: Output, facts: Sequence[str], *, yes: bool, answer: str = "yes") -> None:
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
    for fact in facts:
        out.tell(fact)
    if _ask(out, f"Type {answer} to go on: ").strip() != answer:
        raise Refused("Not agreed to. Nothing was touched.")


def host_key_asker(out: Output, pause: Callable[[], None]) -> AskHostKey | None:
    """The question about a new host key, or None where nobody could answer it.

    ``pause`` takes moving lines off the terminal first.
    """
    if not out.asks:
        return None

    async def ask(host: str, kind: str, fingerprint: str) -> bool:
        pause()
        out.tell(f"{host} is not known yet. Its {kind} key has the fingerprint\n  {fingerprint}")
        return _ask(out, "Type yes to trust and remember it: ").strip() == "yes"

    return ask


def password_asker(out: Output, pause: Callable[[], None]) -> AskPassword | None:
    """The question for a secret, not shown while typed, or None where nobody could answer it."""
    if not out.asks:
        return None

    async def ask(prompt: str) -> str | None:
        pause()
        try:
            with _ctrl_c_works():
                return getpass.getpass(clean(prompt, 200) + " ")
        except EOFError:
            return None

    return ask


def _ask(out: Output, question: str) -> str:
    """One answer. The end of input is an empty one."""
    sys.stderr.write(question)
    sys.stderr.flush()
    with _ctrl_c_works():
        return sys.stdin.readline()


@contextmanager
def _ctrl_c_works() -> Iterator[None]:
    """Let Ctrl-C end a question: the event loop's own handler would only be looked at after the answer."""
    held = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, held)
