"""What validation says: one finding a judgement, in seven categories and four severities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

SETTINGS = "settings"
USER = "user_permissions"
STRUCTURE = "directory_structure"
CONFIGURATION = "configuration_files"
COMPLETENESS = "completeness"
SERVICES = "service_health"
SECURITY = "security"

CRITICAL, ERROR, WARNING, PASSED = "critical", "error", "warning", "passed"


@dataclass(frozen=True)
class Finding:
    """One judgement: critical = unsafe to touch as root, error = migration or serving would fail.

    ``of_vnode``: it is no fault of the vhost's; every vhost of the vnode that needs the same service has it.
    """

    severity: str
    category: str
    message: str
    expected: str = ""
    actual: str = ""
    hint: str = ""
    of_vnode: bool = False

    def row(self) -> dict[str, Any]:
        """What is shown and kept of it, as a plain dictionary."""
        row = asdict(self)
        del row["of_vnode"]
        return row

    @property
    def blocks(self) -> bool:
        """Whether it stands in the way of ``validated``."""
        return self.severity in (CRITICAL, ERROR)


def vnode_trouble(findings: Iterable[Finding]) -> str:
    """What stands in the way and concerns the vnode itself, or nothing."""
    return next((f.message for f in findings if f.blocks and f.of_vnode), "")
