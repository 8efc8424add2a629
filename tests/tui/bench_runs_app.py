"""The application with many runs that tick ten times a second; for bench_terminal.py."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent))
import tui_world

from nsmig_tui.domain import events as ev
from nsmig_tui.domain.fleet import STEPS, Status, Vhost, Vnode
from nsmig_tui.engine.controller import Wish
from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.options import UiOptions

SIZE = 1 << 30


class TickingEngine(tui_world.FakeEngine):
    """Every run ticks for ever."""

    async def migrate(self, vnode, domain, options, emit):
        emit(ev.RunStarted(vnode, domain, domain, verb="migrate"))
        emit(ev.StepFinished(vnode, domain, step=STEPS[0], seconds=1.0))
        emit(ev.StepStarted(vnode, domain, step=STEPS[1]))
        done = hash(domain) % SIZE // 2
        while True:
            done = (done + SIZE // 3000) % SIZE
            emit(ev.StepProgressed(vnode, domain, step=STEPS[1], done=done, total=SIZE))
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    store = tui_world.FakeStore()
    for number in range(int(sys.argv[1])):
        vnode = f"vn{number % 50}"
        store.save_vnode(Vnode(vnode))
        store.save_vhost(
            Vhost(vnode, f"site{number:03d}.example.org", Status.VALIDATED, details={"size": SIZE})
        )
    app = NsmigApp(
        SimpleNamespace(store=store, engine=TickingEngine(store)), UiOptions(jobs=1000, per_vnode=1000)
    )

    def begin():
        """All runs, and the view of them."""
        app.controller.start_many(Wish("migrate", one.vnode, one.domain, size=SIZE) for one in store.vhosts())
        app.open_runs()

    app.call_later(begin)
    app.run()
