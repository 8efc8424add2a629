"""The terminal application: holds what screens share, and moves between them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import Binding
from textual.filter import LineFilter

from ..domain.errors import NsmigError
from ..domain.options import MigrateOptions
from ..domain.ports import EngineApi
from ..domain.run_state import RunState, totals
from ..engine.controller import CHANGING, RunController
from . import actions
from .actions import Action
from .acts import importing, offering, work
from .all_runs import AllRuns
from .batch_watch import BatchWatch
from .fleet_model import FleetModel, HostLine
from .memory import Memory
from .narrow import NarrowFilter
from .navigation import Navigation
from .options import UiOptions
from .palette import FleetCommands
from .safety import CalmApp
from .selection import Targets
from .theme import THEMES, theme_name
from .words import Line, Signs, plural

FEW = 2
"""Of so many runs each is worth a toast when it ends; of more, those that failed and the sum."""

ONE_BY_ONE, SPELL = 3, 10.0
"""Of runs that fail within so many seconds so many get a toast: hundreds would hide the screen."""


class NsmigApp(Navigation, CalmApp):
    """``parts`` has ``store`` (FleetStore) and ``engine`` (EngineApi). ``clock``: seconds since the epoch."""

    CSS_PATH = "app.tcss"
    TITLE = "nsmig"
    COMMANDS: ClassVar = {FleetCommands}
    BINDINGS: ClassVar = [
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True),
        Binding("ctrl+z", "put_aside", "Suspend", show=False),
    ]

    def __init__(
        self, parts: Any, options: UiOptions | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.options, self.clock = options or UiOptions(), clock
        # Only an app that is ansi from the start gets Textual's filter that sends no colour at all.
        super().__init__(ansi_color=None if self.options.color else True)
        self.store, self.parts = parts.store, parts
        self.signs, self._narrow = Signs(self.options.ascii), NarrowFilter(self.options.charset)
        self.model, self.marks, self.memory = FleetModel(), set(), Memory(self.store)
        self.animation_level, self.wants_demo = "none", False
        limit = self.options.jobs * self.options.per_vnode
        self.controller = RunController(
            parts,
            clock=clock,
            per_vnode=self.options.per_vnode,
            in_all=limit,
            read_only=self.options.read_only,
            ready=self.until_writable,
        )
        self.controller.ended.append(self._run_ended)
        self.batch_watch = BatchWatch(parts, clock)
        self.batch_watch.ended.append(self._batch_run_ended)
        self.batch_watch.news.append(self._batch_news)
        self.all_runs = AllRuns(self.controller, self.batch_watch)
        self._failed_at: deque[float] = deque(maxlen=ONE_BY_ONE)

    def on_mount(self) -> None:
        """Theme, keys, signals, and the fleet as the database knows it."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.theme_for(self.options.theme)
        self.map_keys()
        self.catch_signals()
        self.memory.recall(self)
        self.load_model()
        self.open_first()
        self.set_timer(0.3, self._warm_up)
        if not self.model.nodes and not self.options.read_only:
            welcome = importing.first_start(self, Targets())
            self.run_worker(self.say_trouble("Nothing was added", welcome), group="acts")
        offer = self.say_trouble("What is left could not be read", self._offer_what_is_left())
        self.run_worker(offer, group="acts")

    def theme_for(self, wanted: str) -> str:
        """The theme of this name as far as the terminal can show it; ours where there is none."""
        few = not self.is_headless and self.console.color_system == "standard"
        name = theme_name(wanted, no_color=not self.options.color, few_colors=few)
        return name if name in self.available_themes else theme_name("", no_color=False, few_colors=few)

    def map_keys(self) -> None:
        """Put the settings' keys in the place of the actions' own; unknown names and clashes are said."""
        self.set_keymap({name: keys for name, keys in self.options.keys.items() if name in actions.BY_ID})
        for name in self.options.keys:
            if name not in actions.BY_ID:
                words = f"keys.{name}: there is no such action (, shows their names)."
                self.notify(words, severity="warning", markup=False)
        for words in actions.clashes(self.options.keys):
            self.notify(words, severity="warning", markup=False, timeout=10)

    async def _offer_what_is_left(self) -> None:
        """Batches first; runs that are part of one are its business."""
        await offering.offer(self)

    def _warm_up(self) -> None:
        """Load the engine's libraries in a thread once the first paint is out; a failure shows on use."""
        self.run_worker(lambda: self.engine, thread=True, exit_on_error=False, group="load")

    async def on_unmount(self) -> None:
        """Remember how things were left, and close what the parts hold open."""
        self.memory.keep(self)
        self.release_signals()
        await self.all_runs.leave()
        if hasattr(self.parts, "close"):
            await self.parts.close()

    def get_line_filters(self) -> list[LineFilter]:
        """What every line goes through on its way to the terminal."""
        return [*super().get_line_filters(), *([self._narrow] if self.signs.ascii else [])]

    @property
    def engine(self) -> EngineApi:
        """Made when first asked for: it brings an SSH library that the first paint must not wait for."""
        return self.parts.engine

    # -- what screens ask ------------------------------------------------------------------------

    def keys_of(self, action: Action) -> str:
        """The keys of an action as people read them, re-mapped ones included."""
        return actions.shown_key(self.options.keys.get(action.id, action.key))

    def available(self, targets: Targets, screen: Any = None) -> list[tuple[Action, str]]:
        """The actions of the screen, each with the reason why it cannot run now ("" if it can)."""
        where = getattr(screen or self.screen, "WHERE", "")
        found = [one for one in actions.for_screen(where) if not (self.options.read_only and one.danger)]
        return [(action, self.why_not(action, targets)) for action in found]

    def why_not(self, action: Action, targets: Targets) -> str:
        """Why the action cannot run now; a database that cannot be read is a reason too."""
        try:
            return action.why_not(self, targets)
        except NsmigError as error:
            return error.message

    def title_pieces(self) -> Line:
        """What every screen's title says: who we are, dangers, runs."""
        line: Line = [(" nsmig  ", "head")]
        if self.options.demo:
            line.append(("DEMO  ", "mark"))
        if self.options.read_only:
            line.append(("READ-ONLY  ", "prod"))
        if self.controller.paused:
            line.append(("PAUSED  ", "warn"))
        if self.all_runs.active:
            line.append(
                (f"{self.signs.phase('running')[0][0]} {plural(self.all_runs.active, 'run')}  ", "run")
            )
        return line

    def run_act(self, action: Action, targets: Targets) -> None:
        """Run what an action does; dialogs may be awaited in it."""
        self.run_worker(
            self.say_trouble(action.name, action.run(self, targets)), name=action.id, group="acts"
        )

    def why_not_aside(self) -> str:
        """A run awaits our word on what the site answers; without it, its vnode undoes it."""
        waits = any(not one.ended and one.verb in CHANGING for one in self.controller.snapshot())
        return (
            "Runs of this program need its word at their end: wait for them, or leave them (q)."
            if waits
            else ""
        )

    def _run_ended(self, state: RunState, *, own: bool = True) -> None:
        """A run ended: the fleet shows it, and a toast says it when nobody looks at the runs.

        ``own``: it is one of the controller's, which are summed up when the last has ended.
        """
        if not self.is_running:
            return
        self.forget_plan(state)
        self.reload_vhost(state.vnode, state.vhost)
        sign, _style = self.signs.phase(state.phase)
        if getattr(self.screen, "WHERE", "") == "runs" and state.verb != "discover":
            return
        bad = state.phase in ("failed", "refused", "look", "left")
        alike = tuple(one for one in self.controller.snapshot() if one.verb == state.verb)
        if self._may_be_told() if bad else len(alike) <= FEW:
            found = f"  {plural(state.met, 'vhost')}" if state.verb == "discover" and not bad else ""
            words = f"{sign}  {state.verb} {state.vhost or state.vnode}{found}  {state.error}"
            self.notify(words.strip(), severity="error" if bad else "information", markup=False)
        elif own and not self.controller.active:
            sums = totals(alike, self.clock())
            words = f"{state.verb}: {sums.ok} of {sums.runs} went well: 2 shows them."
            self.notify(words, severity="warning" if sums.failed else "information", markup=False)

    def _may_be_told(self) -> bool:
        """Whether one more failure gets a toast of its own; in a spell of them, 2 shows the rest."""
        now = self.moment()
        if len(self._failed_at) == ONE_BY_ONE and now - self._failed_at[0] < SPELL:
            return False
        self._failed_at.append(now)
        return True

    def _batch_run_ended(self, state: RunState) -> None:
        """A batch's run ended: the fleet shows it; of hundreds only those that failed are worth a toast."""
        if not self.is_running:
            return
        if state.phase in ("failed", "look", "left"):
            self._run_ended(state, own=False)
        else:
            self.forget_plan(state)
            self.reload_vhost(state.vnode, state.vhost)

    def forget_plan(self, state: RunState) -> None:
        """A plan says what nobody has touched yet; a run has touched it."""
        if state.verb in CHANGING and self._fleet is not None:
            self._fleet.detail.forget(state.key)

    def _batch_news(self, words: str, how: str) -> None:
        """What a batch has to say."""
        if self.is_running:
            self.notify(words, severity=how, markup=False, timeout=8)

    def migrate_options(self, chosen: dict[str, str]) -> MigrateOptions:
        """The options that the settings and a question's choices give."""
        return work.options_of(self, chosen)

    def open_rollback(self, host: HostLine, archive: str = "") -> None:
        """The points that this vhost can go back to."""
        from .screens.rollback import RollbackScreen

        self.push_screen(RollbackScreen(host, archive))


def run(settings: Any) -> int:
    """Open the terminal application; answers the exit code."""
    from .start import start

    return start(settings)
