"""Entry of the batch's process. Not for people: ``nsmig migrate --all-validated`` and the screen start it."""

from __future__ import annotations

import gc
import sys

YOUNG = 20_000
"""Objects after which the collector looks again. Nearly all we build, loaded modules most of all, lives on or
goes by its count; at Python's own pace the search for cycles is a fifteenth of all we compute."""

if __name__ == "__main__":
    gc.set_threshold(YOUNG)
    from .process import main

    sys.exit(main(sys.argv[1:]))
