"""The ``nsmig`` command: the headless face, or with no words the terminal application."""

from __future__ import annotations

import sys

from .settings import Settings


def open_screen(settings: Settings) -> int:
    """Run the terminal application; loaded only here, so that headless work never pays for it."""
    from .tui.app import run

    return run(settings)


def main() -> int:
    """Entry point of the console script; answers the exit code."""
    from .cli.main import main as run_command

    return run_command(sys.argv[1:], open_screen=open_screen)


if __name__ == "__main__":
    sys.exit(main())
