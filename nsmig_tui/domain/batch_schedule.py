"""Decides what a batch begins next. No clock, no tasks, no I/O: asked after every change, it answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from .batch import BatchItem, Limits, trouble_of
from .events import Result


class Place(StrEnum):
    """Where one vhost stands in the batch. ASIDE: not begun, for something that is no fault of its own."""

    WAITING = "waiting"
    BACKUP = "backup"
    SWITCH = "switch"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    ASIDE = "aside"
    LEFT = "left"


AGAIN = frozenset({Place.FAILED, Place.ASIDE, Place.LEFT})
"""Places from which a vhost may be tried again."""


@dataclass
class _Lane:
    """One vnode's queue and what is under way there."""

    waiting: deque[BatchItem] = field(default_factory=deque)
    backups: int = 0
    switching: int = 0
    trouble: str = ""
    under_way: dict[str, BatchItem] = field(default_factory=dict)

    @property
    def busy(self) -> int:
        return self.backups + self.switching

    def free(self) -> Iterator[BatchItem]:
        """Those waiting that may be under way together with what is, and with each other."""
        held = {path for item in self.under_way.values() for path in item.files}
        for item in self.waiting:
            if held.isdisjoint(item.files):
                held.update(item.files)
                yield item


class Schedule:
    """The batch's queues and rules.

    ``begin`` gives the items to start now and counts them as under way; the caller reports back with
    ``backed_up`` (the heavy part is over) and ``ended``. One vhost's failure changes nothing for another:
    only trouble of a vnode, a stop, a pause and the canaries' gate do. Vhosts that stand in one configuration
    file follow each other: the plan of the next is made of what the one before has left there. ``agreed``:
    consent was given while the canaries still ran; it holds as long as none of them fails.
    """

    def __init__(self, items: Iterable[BatchItem], limits: Limits) -> None:
        self.limits = limits
        self.places: dict[str, Place] = {}
        self.items: dict[str, BatchItem] = {}
        self.paused = False
        self.stopped = ""
        self.failures = 0
        self._lanes: dict[str, _Lane] = {}
        self._begun = 0
        self.gate_open = limits.canary < 1
        self.agreed = False
        for item in items:
            self.items[item.key] = item
            self.places[item.key] = Place.SKIPPED if item.skip else Place.WAITING
            if not item.skip:
                self._lane(item.vnode).waiting.append(item)

    # -- what to do next ---------------------------------------------------------------------------------

    def begin(self) -> list[BatchItem]:
        """The items to start now; they count as under way from here on."""
        found: list[BatchItem] = []
        if self.paused or self.stopped:
            return found
        self.gate_open = self.gate_open or (self.agreed and self.wants_consent)
        # One from each vnode in turn, so that no lane starves and canaries are spread out.
        active = self.active_vnodes
        while True:
            before = len(found)
            for lane in self._lanes.values():
                if self._may_begin(lane, active):
                    active += not lane.busy
                    item = next(lane.free())
                    lane.waiting.remove(item)
                    lane.under_way[item.key] = item
                    lane.backups += 1
                    self._begun += 1
                    self.places[item.key] = Place.BACKUP
                    found.append(item)
            if len(found) == before:
                return found

    def _may_begin(self, lane: _Lane, active: int) -> bool:
        if not lane.waiting or lane.trouble or (not self.gate_open and self._begun >= self.limits.canary):
            return False
        if lane.backups >= self.limits.per_vnode or lane.busy >= self.limits.per_vnode + self.limits.ahead:
            return False
        if not lane.busy:
            return active < self.limits.vnodes
        return next(lane.free(), None) is not None

    def to_follow(self, vnode: str) -> int:
        """How many more may begin on a vnode, in time, before anything there has to end."""
        lane = self._lane(vnode)
        if self.paused or self.stopped or lane.trouble:
            return 0
        room = self.limits.per_vnode + self.limits.ahead - lane.busy
        if not self.gate_open:
            room = min(room, self.limits.canary - self._begun)
        return sum(1 for _ in islice(lane.free(), max(room, 0)))

    @property
    def active_vnodes(self) -> int:
        """Vnodes on which something is under way."""
        return sum(lane.busy > 0 for lane in self._lanes.values())

    @property
    def under_way(self) -> int:
        """Vhosts begun and not ended."""
        return sum(lane.busy for lane in self._lanes.values())

    @property
    def waiting(self) -> int:
        """Vhosts that would still be begun; those on vnodes set aside do not count."""
        return sum(len(lane.waiting) for lane in self._lanes.values() if not lane.trouble)

    @property
    def wants_consent(self) -> bool:
        """Whether the canaries are through and the rest waits for a word."""
        done = not self.under_way and self._begun >= self.limits.canary
        return not self.gate_open and done and self.waiting > 0 and not self.stopped

    @property
    def over(self) -> bool:
        """Whether nothing is under way and nothing will be begun any more."""
        return not self.under_way and (bool(self.stopped) or not self.waiting)

    # -- what happened ------------------------------------------------------------------------------------

    def backed_up(self, key: str) -> None:
        """A vhost's heavy part is over: the next backup on its vnode may begin."""
        if self.places.get(key) is Place.BACKUP:
            lane = self._lane(self.items[key].vnode)
            lane.backups -= 1
            lane.switching += 1
            self.places[key] = Place.SWITCH

    def ended(self, key: str, result: Result) -> str:
        """A vhost has ended. Answers why its vnode is now set aside, or nothing."""
        self._leave(key)
        item = self.items[key]
        if result.exit_code == 130:
            self.places[key] = Place.LEFT
        elif result.ok:
            self.places[key] = Place.SKIPPED if result.skipped else Place.OK
        elif result.skipped:  # nothing was tried: no failure, and no canary
            self.places[key] = Place.ASIDE
            self._begun -= 1
        else:
            self.places[key] = Place.FAILED
            self._count_failure()
        trouble = trouble_of(result)
        lane = self._lane(item.vnode)
        if not trouble or lane.trouble:
            return ""
        lane.trouble = trouble
        for waiting in lane.waiting:
            self.places[waiting.key] = Place.ASIDE
        return trouble

    def aside(self, vnode: str) -> list[BatchItem]:
        """The items of a vnode in trouble that are not begun."""
        return list(self._lane(vnode).waiting) if self._lane(vnode).trouble else []

    @property
    def troubled(self) -> dict[str, str]:
        """vnode -> why it is set aside."""
        return {name: lane.trouble for name, lane in self._lanes.items() if lane.trouble}

    def not_begun(self) -> list[BatchItem]:
        """What waits, when the batch stops before it was its turn."""
        return [item for lane in self._lanes.values() if not lane.trouble for item in lane.waiting]

    def settle(self, key: str, place: Place) -> None:
        """Take a vhost out of the queue because an earlier process of this batch saw it end."""
        lane = self._lane(self.items[key].vnode)
        lane.waiting = deque(item for item in lane.waiting if item.key != key)
        self.places[key] = place
        self._begun += 1
        if place is Place.FAILED:
            self._count_failure()

    # -- what the operator says ----------------------------------------------------------------------------

    def pause(self) -> bool:
        """Begin nothing new. Answers whether that changed anything."""
        changed, self.paused = not self.paused, True
        return changed

    def go_on(self) -> bool:
        """Begin again; also the consent that the canaries' gate waits for, or will wait for.

        After a pause it only takes the pause back: who paused has not seen yet how the canaries end.
        """
        early = not (self.paused or self.gate_open or self.wants_consent or self.agreed or self.stopped)
        changed = self.paused or self.wants_consent or early
        self.agreed = self.agreed or early
        self.gate_open = self.gate_open or self.wants_consent
        self.paused = False
        return changed

    def stop(self, reason: str) -> bool:
        """Begin nothing any more. Answers False when that was so already."""
        changed = not self.stopped
        self.stopped = self.stopped or reason
        return changed

    def drop(self, key: str) -> BatchItem | None:
        """Take one vhost that waits out of the queue; None when it does not wait."""
        item = self.items.get(key)
        if item is None or self.places[key] not in (Place.WAITING, Place.ASIDE):
            return None
        lane = self._lane(item.vnode)
        if item not in lane.waiting:
            return None
        lane.waiting.remove(item)
        self.places[key] = Place.SKIPPED
        return item

    def retry(self, key: str = "") -> list[BatchItem]:
        """Queue one vhost again, or all that failed or were set aside; their vnodes are trusted again.

        A stop is taken back: who asks for a retry wants work to go on. Failures count from zero.
        """
        keys = [key] if key else list(self.items)
        chosen = [self.items[k] for k in keys if self.places.get(k) in AGAIN]
        self._begun -= sum(self.places[item.key] in (Place.FAILED, Place.LEFT) for item in chosen)
        # while the gate is shut they are the canaries again, before those that have not been tried
        for item in chosen if self.gate_open else reversed(chosen):
            lane = self._lane(item.vnode)
            lane.trouble = ""
            if item not in lane.waiting:
                (lane.waiting.append if self.gate_open else lane.waiting.appendleft)(item)
            for waiting in lane.waiting:
                self.places[waiting.key] = Place.WAITING
        if chosen:
            self.stopped, self.failures = "", 0
        return chosen

    # -- inside --------------------------------------------------------------------------------------------

    def _lane(self, vnode: str) -> _Lane:
        return self._lanes.setdefault(vnode, _Lane())

    def _leave(self, key: str) -> None:
        lane = self._lane(self.items[key].vnode)
        lane.under_way.pop(key, None)
        if self.places[key] is Place.BACKUP:
            lane.backups -= 1
        elif self.places[key] is Place.SWITCH:
            lane.switching -= 1

    def _count_failure(self) -> None:
        self.failures += 1
        self.agreed = False
        most = self.limits.max_failures
        if most is not None and self.failures >= most and not self.stopped:
            self.stopped = f"{self.failures} vhost(s) failed, as many as are allowed"
