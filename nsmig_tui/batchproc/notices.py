"""Tells people that a batch has ended: a command of theirs, a webhook, or any way that Apprise knows.

A notice that cannot be sent changes nothing about the batch; the reason goes to the batch's log, without
the address, which may hold a token.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from ..domain.batch_report import report, summary_lines
from ..domain.batch_view import BatchView

LIMIT_S = 30.0
"""Seconds that one notice may take."""


async def send_notices(wanted: Mapping[str, str], view: BatchView) -> list[str]:
    """Send what ``[notify]`` in the configuration asks for; answers why something could not be sent."""
    ways = {"command": _by_command, "webhook": _by_webhook, "apprise": _by_apprise}
    problems = []
    for name, way in ways.items():
        if not wanted.get(name):
            continue
        try:
            async with asyncio.timeout(LIMIT_S):
                problem = await way(wanted[name], view)
        except TimeoutError:
            problem = f"no answer within {LIMIT_S:.0f} s"
        except Exception as error:  # whatever a notice does, the batch has ended well without it
            problem = type(error).__name__
        if problem:
            problems.append(f"{name}: {problem}")
    return problems


def title(view: BatchView) -> str:
    """One line for a subject."""
    return next(summary_lines(view))


async def _by_command(command: str, view: BatchView) -> str:
    """Run the operator's command, no shell between; the report is its input, the title its last argument."""
    child = await asyncio.create_subprocess_exec(
        *shlex.split(command),
        title(view),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "NSMIG_BATCH": view.spec.batch, "NSMIG_OUTCOME": view.outcome},
    )
    try:
        await child.communicate(json.dumps(report(view)).encode())
    except BaseException:
        child.kill()
        raise
    return f"it ended with {child.returncode}" if child.returncode else ""


async def _by_webhook(address: str, view: BatchView) -> str:
    """POST a small JSON document, in the shape that most chat systems take (``text``)."""
    import urllib.request  # costs more than all else here, and few want it

    told = report(view)
    body = {"text": "\n".join(summary_lines(view)), **{k: told[k] for k in ("batch", "outcome", "counts")}}
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    if request.type not in ("http", "https"):
        return "the address must begin with http:// or https://"

    def post() -> int:
        with urllib.request.urlopen(request, timeout=LIMIT_S * 0.8) as answer:
            return int(answer.status)

    status = await _aside(post)
    return "" if status < 300 else f"it answered {status}"


async def _aside(post: Callable[[], int]) -> int:
    """What ``post`` gives, from a thread that nobody waits for at the end: an answer may drip for ever."""
    answer: Future[int] = Future()

    def work() -> None:
        answer.set_running_or_notify_cancel()
        try:
            answer.set_result(post())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return await asyncio.wrap_future(answer)


async def _by_apprise(address: str, view: BatchView) -> str:
    """Hand over to Apprise, where it is installed (``pip install 'nsmig[notify]'``)."""
    try:
        import apprise
    except ImportError:
        return "Apprise is not installed: pip install 'nsmig[notify]'"
    sender = apprise.Apprise()
    if not sender.add(address):
        return "Apprise does not know this address"
    sent = await sender.async_notify(body="\n".join(summary_lines(view)), title=title(view))
    return "" if sent else "Apprise could not deliver it"
