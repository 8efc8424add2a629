"""What happens to an exception that nobody foresaw: one line for the person, the rest in a private file."""

from __future__ import annotations

import os
import re
import time
import traceback
from pathlib import Path

LOG_NAME = "errors.log"
EXIT_CODE = 1
"""No code of the contract: the fault is in nsmig itself, and nothing may be concluded from it."""

_SECRETS = re.compile(
    r"(?i)((?:\w*pass(?:wd|word|phrase)?|secret|token)\w*['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|\S+)"
)


def mask(text: str) -> str:
    """``text`` with the value of everything that is named like a secret hidden."""
    return _SECRETS.sub(r"\1***", text)


def record(error: BaseException, data_dir: Path) -> str:
    """Append the masked traceback (without values of variables) to the log; answers a line for people."""
    words = f"nsmig made a mistake: {type(error).__name__}: {mask(str(error))[:300]}."
    path = data_dir / LOG_NAME
    details = mask("".join(traceback.format_exception(error)))
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{stamp} pid {os.getpid()}\n{details}\n")
    except OSError:
        return words + " Its details could not be written."
    return words + f" Details: {path}"
