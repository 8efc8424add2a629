"""Opens the application on the made-up fleet in a real terminal: ``python tests/tui/try_it.py [light]``."""

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tui_world

from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.options import UiOptions


class SlowEngine(tui_world.FakeEngine):
    """Takes a second or so at each gate."""

    async def _gate(self, domain):
        await asyncio.sleep(1.5)


def main():
    """Run it."""
    world = tui_world.parts()
    world.engine = SlowEngine(world.store, time.time)
    theme = sys.argv[1] if len(sys.argv) > 1 else ""
    app = NsmigApp(
        world, UiOptions(theme=theme, color=not os.environ.get("NO_COLOR"), ascii="ascii" in sys.argv)
    )
    app.run()
    sys.exit(app.return_code or 0)


if __name__ == "__main__":
    main()
