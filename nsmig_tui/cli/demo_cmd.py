"""`nsmig demo`: the whole program over a fleet of throw-away servers on this machine."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable

from ..settings import Settings
from .output import Output


def demo(
    arguments: Namespace, settings: Settings, out: Output, open_screen: Callable[[Settings], int]
) -> int:
    """Open the terminal application on the demo fleet, or with --run show headless what it does there."""
    if arguments.run:
        from ..demo.run import run_demo

        # The account is for people; with --json stdout is for machines only.
        return asyncio.run(run_demo(out.talk if settings.json else out.line, settings))
    from ..demo.background import open_demo

    return open_demo(settings, open_screen)
