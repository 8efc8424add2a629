"""Every command once: where its function is, and whether it changes something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """``function`` of the module ``cli/{module}.py``, loaded when run. ``changes``: refused when read-only.

    ``trial``: option names that turn a changing command into one that only looks. ``whole``: the function
    is not a coroutine over a session, but drives whole commands or the terminal application itself.
    """

    module: str
    function: str
    changes: bool = False
    trial: tuple[str, ...] = ()
    whole: bool = False

    def load(self) -> Callable[..., Any]:
        """The function: ``async (session, arguments) -> exit code``, except for ``whole``."""
        return getattr(import_module(f".{self.module}", __package__), self.function)


COMMANDS = {
    "node add": Command("node_cmd", "add", changes=True),
    "node list": Command("node_cmd", "list_vnodes"),
    "node remove": Command("node_cmd", "remove", changes=True),
    "node check": Command("node_cmd", "check"),
    "node import": Command("import_cmd", "import_vnodes", changes=True),
    "discover": Command("discover_cmd", "discover"),
    "list": Command("query_cmd", "list_vhosts"),
    "show": Command("query_cmd", "show"),
    "history": Command("query_cmd", "history"),
    "validate": Command("validate_cmd", "validate"),
    "migrate": Command("migrate_cmd", "migrate", changes=True, trial=("dry_run",)),
    "rollback": Command("rollback_cmd", "rollback", changes=True, trial=("dry_run", "list")),
    "resume": Command("resume_cmd", "resume", changes=True),
    "archives verify": Command("archives_cmd", "verify"),
    "archives prune": Command("archives_cmd", "prune", changes=True, trial=("dry_run",)),
    "attach": Command("attach_cmd", "attach"),
    "report": Command("attach_cmd", "report"),
    "demo": Command("demo_cmd", "demo", whole=True),
}
