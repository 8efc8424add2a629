"""Process that outlives the tests and cleans up after them: ``python reaper.py LEDGER_DIRECTORY``.

Its standard input is a pipe whose other end only the test process holds. End of file means that process is
gone, whatever killed it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab import owned


def main() -> None:
    """Wait for end of file on standard input, then take the lab away."""
    while os.read(0, 4096):
        pass
    owned.teardown(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
