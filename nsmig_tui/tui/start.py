"""Starts the application on a terminal: judges the terminal, builds the parts, runs, answers an exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

from .. import wiring
from ..domain.errors import UsageError
from ..settings import need_ssh_config
from .app import NsmigApp
from .options import from_settings
from .safety import terminal_may_go


class LateAnswers:
    """Stands in for the application's dialogs until it exists."""

    app: NsmigApp | None = None

    async def host_key(self, host: str, kind: str, fingerprint: str) -> bool:
        """An AskHostKey."""
        return self.app is not None and await self.app.ask_host_key(host, kind, fingerprint)

    async def password(self, prompt: str) -> str | None:
        """An AskPassword."""
        return await self.app.ask_password(prompt) if self.app is not None else None


def start(settings: Any) -> int:
    """Run the application; answers the exit code. Raises UsageError where it cannot work."""
    need_ssh_config(settings)
    refuse_bad_terminal()
    answers = LateAnswers()
    parts = wiring.build(settings, ask_host_key=answers.host_key, ask_password=answers.password)
    options = from_settings(settings)
    if options.color:
        # Textual takes an empty NO_COLOR for a set one; the convention, and our settings, do not.
        os.environ.pop("NO_COLOR", None)
    app = answers.app = NsmigApp(parts, options)
    with terminal_may_go():
        app.run(mouse=options.mouse)
    if app.wants_demo:
        from ..demo.background import open_demo

        return open_demo(settings, start)
    return app.return_code or 0


def refuse_bad_terminal() -> None:
    """Raise UsageError where a full-screen program cannot work: Textual itself would hang there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("TERM", "") in ("", "dumb"):
        raise UsageError(
            "The terminal application needs a terminal.",
            hint="For scripts use the commands, such as `nsmig list --json`.",
        )
