"""The ``nsmig`` command: the headless face, or with no words the terminal application."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .settings import Settings


def open_screen(settings: Settings) -> int:
    """Run the terminal application; loaded only here, so that headless work never pays for it."""
    from .tui.app import run

    return run(settings)


def main() -> int:
    """Entry point of the console script; answers the exit code."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:  # Ctrl-C while modules load would end in a traceback
        signal.signal(signal.SIGINT, _not_begun)
    from .cli.main import main as run_command

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_command(sys.argv[1:], open_screen=open_screen)


def _not_begun(*_: object) -> NoReturn:
    os.write(2, b"nsmig: Interrupted; nothing was begun.\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
