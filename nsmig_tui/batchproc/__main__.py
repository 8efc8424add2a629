"""Entry of the batch's process. Not for people: ``nsmig migrate --all-validated`` and the screen start it."""

from __future__ import annotations

import sys

from .process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
