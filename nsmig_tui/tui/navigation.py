"""Moving between screens, and keeping the fleet model in step with the store."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..domain.errors import LockHeld
from ..engine.controller import CHANGING
from .asking import Asking
from .dialogs.base import Dialog
from .dialogs.prompts import MenuDialog
from .screens.fleet import FleetScreen
from .screens.runs import RunsScreen
from .selection import Targets
from .words import plural

if TYPE_CHECKING:
    from ..domain.fleet import VhostBrief, Vnode
    from ..domain.ports import FleetStore
    from ..engine.controller import RunController
    from .all_runs import AllRuns
    from .batch_watch import BatchWatch
    from .fleet_model import FleetModel, HostLine
    from .memory import Memory
    from .options import UiOptions


FIRST_PAGE, PAGE = 1000, 2000
"""Vhosts read at once: before the first paint, and after it, when keys want to be answered."""

HELD = 10.0
"""Seconds that another program may hold the database before what wants to write gives up."""


class Navigation(Asking):
    """The half of the application that knows the screens. The fleet is always the lowest."""

    store: FleetStore
    model: FleetModel
    controller: RunController
    all_runs: AllRuns
    batch_watch: BatchWatch
    options: UiOptions
    parts: Any
    memory: Memory
    marks: set[str]
    _fleet: FleetScreen | None = None
    _left_before = False
    _leaving = 0

    def open_first(self) -> None:
        """The fleet, as the first thing that is seen."""
        self._fleet = FleetScreen()
        self.push_screen(self._fleet)

    def _go(self, name: str, make: Callable[[], Any]) -> Any:
        """To the screen of this name, above the fleet; all others close."""
        while self.screen is not self._fleet and self.screen.id != name and len(self.screen_stack) > 2:
            self.leave_screen()
        if self.screen.id == name:
            return self.screen
        screen = make()
        self.push_screen(screen)
        return screen

    def open_fleet(self, focus: str = "") -> None:
        """The fleet, with the cursor on ``focus``."""
        if not self.is_way_free(partial(self.open_fleet, focus)):
            return
        while self.screen is not self._fleet and len(self.screen_stack) > 1:
            self.leave_screen()
        if focus:
            self.reveal(focus)

    def open_runs(self, focus: str = "") -> None:
        """The runs, with the cursor on ``focus``."""
        if not self.is_way_free(partial(self.open_runs, focus)):
            return
        screen = self._go("runs", RunsScreen)
        if focus:
            self.call_after_refresh(screen.focus_run, focus)

    def open_dashboard(self) -> None:
        """The dashboard."""
        from .screens.dashboard import DashboardScreen

        if not self.is_way_free(self.open_dashboard):
            return
        self._go("dashboard", lambda: DashboardScreen(id="dashboard"))

    def open_settings(self) -> None:
        """The settings, above whatever is there."""
        from .screens.settings import SettingsScreen

        if not isinstance(self.screen, SettingsScreen):
            self.push_screen(SettingsScreen())

    def open_log(self, targets: Targets) -> None:
        """The log of the run that moves on the selection, or of its last kept one."""
        line = targets.run or targets.line
        key = line.key if line is not None else ""
        if self.all_runs.state(key) is not None:
            self.show_log(key, lambda: self.all_runs.log_lines(key))
            return
        vnode, _slash, vhost = key.partition("/")
        found = self.store.runs(vnode or None, vhost or None, limit=1)
        if found:
            self.show_log(f"{found[0].verb} {key}", lambda: self.store.log_lines(found[0].run))
        else:
            self.notify(f"No run on {key} is recorded.", severity="warning", markup=False)

    def show_log(self, title: str, read: Callable[[], list[tuple[float, str]]]) -> None:
        """A log over all else."""
        from .screens.log import LogScreen

        self.push_screen(LogScreen(title, read))

    # -- the database ----------------------------------------------------------------------------

    async def until_writable(self) -> None:
        """Return when nobody else is writing into the database: a write waits for that, and keys with it.

        Raises LockHeld when that takes as long as a write would wait.
        """
        began, is_told = time.monotonic(), False
        while not self.store.is_free():
            if time.monotonic() - began > HELD:
                raise LockHeld(
                    f"Another program has held the database for more than {HELD:.0f} s.",
                    hint="Wait for the other program to end, then try again.",
                )
            if not is_told and time.monotonic() - began > 1:
                is_told = True
                self.notify("Another program holds the database: waiting for it …", markup=False)
            await asyncio.sleep(0.1)

    # -- the model -------------------------------------------------------------------------------

    def load_model(self) -> None:
        """Read the fleet from the store."""
        # Only what an earlier reading left can be garbage among the lines.
        self._left_before = bool(self.model.hosts)
        self.model.load(self.store.vnodes())
        page = self.store.brief(limit=FIRST_PAGE)
        self.model.add(page)
        if len(page) == FIRST_PAGE:
            begin = partial(self.run_worker, self._load_rest(page[-1]), group="rest", exclusive=True)
            self.set_timer(0.05, begin)
        else:
            self._loaded()
        if not self.model.expanded:
            self.model.expanded = {site.key for site in self.model.sites}

    async def _load_rest(self, last: VhostBrief) -> None:
        """The rest of a big fleet, page by page, while keys are answered."""
        page = [last]
        while page:
            await asyncio.sleep(0.001)
            if not self._fleet.is_attached:
                return
            page = self.store.brief((page[-1].vnode, page[-1].domain), PAGE)
            self.model.add(page)
            gc.freeze()
            self._fleet.show_status()
        self._loaded()
        self._fleet.show_tree(keep=self.memory.get("cursor") if not self._fleet.was_moved else None)

    def _loaded(self) -> None:
        """The whole fleet is here."""
        self.marks.intersection_update(self.model.hosts)
        if len(self.model.hosts) >= FIRST_PAGE:
            # Python's look for garbage among so many lines would hold up a key now and then: it leaves out
            # what is frozen. So what an earlier reading left must go first.
            if self._left_before:
                gc.unfreeze()
                gc.collect()
            gc.freeze()

    def reload_fleet(self, focus: str = "") -> None:
        """Read all again and show it."""
        self.load_model()
        self._fleet.show_tree()
        if focus:
            self.reveal(focus)
        self._fleet.detail.show_line(self._fleet.tree.row)

    def reload_vnode(self, name: str) -> None:
        """Read one vnode and its vhosts again."""
        vnode = self.store.vnode(name)
        if vnode is None or name not in self.model.nodes:
            self.reload_fleet()
            return
        self.model.update_vnode(vnode, self.store.vhosts(name))
        self._fleet.show_tree()
        self._fleet.detail.show_line(self._fleet.tree.row)

    def reload_vhost(self, vnode: str, domain: str) -> None:
        """Read one vhost again; without a domain, its vnode."""
        found = self.store.vhost(vnode, domain) if domain else None
        if found is None:
            self.reload_vnode(vnode)
            return
        self.model.update_vhost(found)
        self._fleet.refresh_lines(moved=bool(self.model.query) or self.model.sort != "name")

    def unmark(self, hosts: Iterable[HostLine]) -> None:
        """Forget the marks of these: what they were marked for has begun."""
        self.marks.difference_update([host.key for host in hosts])
        self._fleet.refresh_lines()

    def reveal(self, key: str) -> None:
        """Open the branches above this line and put the cursor there; a filter that hides it is cleared."""
        node = self.model.nodes.get(key.partition("/")[0])
        if node is not None:
            self.model.expanded.add(f"site:{node.vnode.vsite}")
            if "/" in key:
                self.model.expanded.add(node.key)
        self._fleet.show_tree(keep=key)
        row = self._fleet.tree.row
        if node is not None and self.model.query and (row is None or row.key != key):
            # The next key must not meet a line that nobody chose.
            self._fleet.drop_filter()
            self._fleet.show_tree(keep=key)
            self.notify(f"The filter is off: it hid {key}.", markup=False, timeout=4)

    def cursor_key(self) -> str:
        """The line that the fleet's cursor is on, or was on last."""
        return self._fleet.last_key if self._fleet is not None else ""

    def ssh_command(self, vnode: Vnode) -> list[str]:
        """The command that opens a shell on the vnode, with the same configuration as the engine's."""
        config = ["-F", str(self.options.ssh_config)] if self.options.ssh_config else []
        if self.options.demo:
            # Its servers give no terminal: without -T their shell would wait for an Enter that never comes.
            return ["ssh", "-T", *config, "--", vnode.target, "exec sh -i"]
        return ["ssh", *config, "--", vnode.target]

    # -- leaving ---------------------------------------------------------------------------------

    async def action_leave(self) -> None:
        """Quit, from the key that Textual holds for it."""
        self.run_worker(self.leave(), group="acts")

    async def leave(self) -> None:
        """Quit; when runs go on, say how, and ask what to do."""
        facts = self.leaving_facts()
        if facts:
            goes = "all of it ends with the demo" if self.options.demo else "what has begun goes on there"
            entries = [
                ("l", "leave", f"leave: {goes}"),
                ("w", "wait", "wait until all have ended, then quit"),
                ("s", "stay", "stay"),
            ]
            chosen = await self.ask(MenuDialog("Quit while runs go on?", entries, facts=facts))
            self._leaving += 1
            if chosen == "wait":
                if not await self._waited(self._leaving):
                    return
            elif chosen != "leave":
                return
        await self.all_runs.leave()
        self.exit(0)

    async def _waited(self, asked: int) -> bool:
        """Wait until all runs have ended; False where another word was given since, the ``asked``-th."""
        self.notify("Quits when all runs have ended; q again to think better of it.", markup=False)
        while True:
            await self.all_runs.wait()
            # Nobody is thrown out in the middle of an answer, which may begin more.
            if self._leaving != asked or not (self.all_runs.active or isinstance(self.screen, Dialog)):
                return self._leaving == asked
            await asyncio.sleep(0.2)

    def leaving_facts(self) -> list[str]:
        """What goes on when the program is left, and what does not; nothing when all is quiet."""
        facts = []
        if self.options.demo:
            # Its servers, its database and the processes of its batches are one throw-away world.
            if self.all_runs.active:
                facts.append(f"{plural(self.all_runs.active, 'run')} not ended yet.")
                facts.append("The demo's servers stop with this program, and nothing of the demo is kept.")
            return facts
        for view in self.batch_watch.live():
            left = sum(not run.ended for run in view.runs.values())
            if left:  # without any, it is about to say that it has ended
                facts.append(
                    f"Batch {view.spec.batch} goes on without this terminal: {left} left of {len(view.runs)}."
                )
                facts.append("Start nsmig again, or `nsmig attach`, to watch it.")
        if self.controller.active:
            waiting = sum(state.phase == "waiting" for state in self.controller.snapshot())
            begun = [one for one in self.controller.snapshot() if not one.ended and one.phase != "waiting"]
            looks = sum(one.verb not in CHANGING for one in begun)
            if len(begun) > looks or not looks:
                count = plural(len(begun) - looks, "run")
                facts.append(f"{count} under way: each goes on by itself on its vnode.")
            if any(one.verb in ("migrate", "resume") for one in begun):
                facts.append(
                    "A migration that nobody looks after is undone there: it waits "
                    f"{self.options.confirm_wait} s at its end for our word on what the site answers."
                )
            if looks:
                facts.append(f"{plural(looks, 'look')} (discover, validate): ends when you leave.")
            if waiting:
                facts.append(f"{plural(waiting, 'run')} not begun: those are dropped when you leave.")
            facts.append("Start nsmig again, or `nsmig resume`, to see how they ended.")
        return facts
