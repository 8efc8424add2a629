"""The application on servers that are real enough: engine, store and files are real.

The world's disks are shared, so each test works on vhosts of its own; its database is a copy of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import shutil
from dataclasses import dataclass, field, replace
from typing import Any

from waiting import until

from nsmig_tui import settings as settings_module
from nsmig_tui import wiring
from nsmig_tui.demo.run import add_vnodes, demo_settings
from nsmig_tui.domain.fleet import Vnode
from nsmig_tui.tui import actions
from nsmig_tui.tui.app import NsmigApp
from nsmig_tui.tui.dialogs.confirm import ConfirmDialog
from nsmig_tui.tui.options import from_settings
from nsmig_tui.tui.start import LateAnswers
from nsmig_tui.tui.widgets.virtual_list import VirtualList

GONE, STRANGER = "vn8", "vn9"
"""Vnodes of the tests' own: nobody listens there; its host key is not known yet (it is vn1's server)."""

SECONDS = 120
"""Patience, on a machine that does much else."""


# -- which actions have a test ------------------------------------------------------------------------

COVERED: dict[str, list[str]] = {}
"""Action -> the tests that press its key; filled by ``presses``."""

_pressed: set[str] = set()


def presses(*names):
    """Says which actions a test presses by their keys; the test fails when it did not."""

    def mark(test):
        for name in names:
            COVERED.setdefault(name, []).append(test.__name__)

        @functools.wraps(test)
        async def watched(*args, **kwargs):
            _pressed.clear()
            await test(*args, **kwargs)
            assert set(names) <= _pressed

        return watched

    return mark


# -- the world ----------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A world whose fleet has been discovered and validated once; every test gets a copy of the database."""

    world: Any
    settings: Any
    numbers: Any = field(default_factory=itertools.count)

    def domains(self, vnode: str, kind: str = "") -> list[str]:
        """The domains on this vnode that can migrate, or those of one kind."""
        return [
            site.domain
            for site in self.world.sites
            if site.vnode == vnode and (site.kind == kind if kind else site.migrates)
        ]

    def path(self, key: str):
        """The directory of a vhost, given as vnode/domain."""
        vnode, _slash, domain = key.partition("/")
        return self.world.root(vnode) / "srv" / domain

    def layout(self, key: str) -> str:
        """The layout that stands on the disk."""
        return "ns3" if (self.path(key) / "web/app/public").is_dir() else "ns1"

    def own(self, **changes):
        """Settings with a copy of the prepared database. ``fresh``: with an empty one."""
        place = self.settings.data_dir.with_name(f"data{next(self.numbers)}")
        place.mkdir(mode=0o700)
        if not changes.pop("fresh", False):
            shutil.copy(self.settings.database, place)
        return replace(self.settings, data_dir=place, **changes)


def prepare(world, tmp) -> Scene:
    """Discover and validate all of the world's vhosts, with the engine itself."""
    base = settings_module.load({"data_dir": tmp / "data", "config_dir": tmp / "config"})
    chosen = demo_settings(world, base)
    chosen = replace(chosen, ssh_config=_more_hosts(world, tmp), per_vnode=2)

    async def work():
        parts = wiring.build(chosen)
        add_vnodes(parts.store, world)
        for name in world.names:
            await parts.engine.discover(name, _ignore)
        await asyncio.gather(
            *(parts.engine.validate(one.vnode, one.domain, _ignore) for one in parts.store.vhosts())
        )
        for name in (GONE, STRANGER):
            parts.store.save_vnode(Vnode(name, vsite="away", vpath=f"{world.root('vn1')}/srv"))
        await parts.close()

    asyncio.run(work())
    return Scene(world, chosen)


def _more_hosts(world, tmp):
    text = world.ssh_config.read_text()
    stanza = next(part for part in text.split("\n\n") if part.startswith("Host vn1\n"))
    known = world.ssh_config.with_name("known_hosts")
    lost = ["  Port 1" if line.strip().startswith("Port") else line for line in stanza.splitlines()]
    own = world.ssh_config.with_name("config-of-tests")
    stranger = stanza.replace("Host vn1\n", f"Host {STRANGER}\n").replace(str(known), str(tmp / "known"))
    own.write_text("\n\n".join([text, "\n".join(lost).replace("Host vn1\n", f"Host {GONE}\n"), stranger, ""]))
    return own


def _ignore(_event):
    return None


@contextlib.asynccontextmanager
async def opened(settings, size=(120, 40)):
    """The application for these settings, as ``start`` makes it."""
    answers = LateAnswers()
    parts = wiring.build(settings, ask_host_key=answers.host_key, ask_password=answers.password)
    app = answers.app = NsmigApp(parts, from_settings(settings))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


# -- what hands and eyes do ---------------------------------------------------------------------------


async def do(pilot, *names):
    """Press the keys of these actions."""
    for name in names:
        await pilot.press(actions.BY_ID[name].key)
        _pressed.add(name)


async def wait(pilot, true):
    """Let the application go on until ``true()``."""
    await until(pilot, true, SECONDS)


async def choose(app, pilot, key):
    """Put the fleet's cursor on a line, and let the pane follow."""
    app.reveal(key)
    await wait(pilot, lambda: app.screen.tree.row is not None and app.screen.tree.row.key == key)
    await wait(pilot, lambda: app.screen.detail.line is not None and app.screen.detail.line.key == key)


async def mark(app, pilot, *keys):
    """Mark these vhosts."""
    for key in keys:
        await choose(app, pilot, key)
        await do(pilot, "mark")
    assert app.marks == set(keys)


def said(app):
    """What toasts say."""
    return " | ".join(str(note.message) for note in app._notifications)


async def hears(app, pilot, *words):
    """Wait until toasts say all this; then they are taken away."""
    await wait(pilot, lambda: all(word in said(app) for word in words))
    app.clear_notifications()


async def dialog(app, pilot, kind):
    """Wait until such a dialog is on top and takes keys; answers it."""
    await wait(pilot, lambda: isinstance(app.screen, kind) and app.screen.focused is not None)
    return app.screen


async def agree(app, pilot, *words, first=()):
    """Wait for the question, look for ``words`` in its facts, press ``first`` and then yes."""
    asked = await dialog(app, pilot, ConfirmDialog)
    facts = " ".join(text for _style, text in asked.fact_lines)
    for word in words:
        assert word in facts
    await pilot.press(*first, "y")
    await wait(pilot, lambda: app.screen is not asked)


async def ended(app, pilot, key, verb):
    """Wait until the run that is shown for this vhost has this verb and is over; answers its state."""

    def over():
        state = app.all_runs.state(key)
        return state is not None and state.verb == verb and state.ended

    await wait(pilot, over)
    await app.controller.wait()
    await pilot.pause()
    return app.all_runs.state(key)


def text(app, where):
    """What a list shows."""
    view = app.screen.query_one(where, VirtualList)
    return "\n".join("".join(part for part, _style in view.draw(row, 110)) for row in view.rows)


def words_of(message):
    """What a message dialog says."""
    return " ".join(line for _style, line in message.lines)


def status(app, key):
    """What the database says of a vhost."""
    return app.store.vhost(*key.split("/")).status.value
