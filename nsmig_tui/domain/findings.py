"""What validation says: one finding a judgement, in seven categories and four severities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SETTINGS = "settings"
USER = "user_permissions"
STRUCTURE = "directory_structure"
CONFIGURATION = "configuration_files"
COMPLETENESS = "completeness"
SERVICES = "service_health"
SECURITY = "security"
CATEGORIES = (SETTINGS, USER, STRUCTURE, CONFIGURATION, COMPLETENESS, SERVICES, SECURITY)

CRITICAL, ERROR, WARNING, PASSED = "critical", "error", "warning", "passed"


@dataclass(frozen=True)
class Finding:
    """One judgement: critical = unsafe to touch as root, error = migration or serving would fail."""

    severity: str
    category: str
    message: str
    expected: str = ""
    actual: str = ""
    hint: str = ""

    def row(self) -> dict[str, Any]:
        """As a plain dictionary."""
        return asdict(self)

    @property
    def blocks(self) -> bool:
        """Whether it stands in the way of ``validated``."""
        return self.severity in (CRITICAL, ERROR)
