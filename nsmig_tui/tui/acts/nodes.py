"""Acts on vnodes: add, edit, remove, import, and an ssh shell."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..dialogs.confirm import ConfirmDialog
from ..dialogs.vnode_form import VnodeForm
from ..selection import Targets
from ..words import plural

if TYPE_CHECKING:
    from ..app import NsmigApp


def no_node(ui: NsmigApp, targets: Targets) -> str:
    """Exactly one vnode must be meant."""
    return "" if targets.node else "Choose one vnode, or one vhost on it."


async def add(ui: NsmigApp, targets: Targets) -> None:
    """Add a vnode by hand."""
    vnode = await ui.ask(VnodeForm(taken=frozenset(ui.model.nodes)))
    if vnode is not None:
        await ui.until_writable()
        ui.store.save_vnode(vnode)
        ui.reload_fleet(focus=vnode.name)
        ui.notify(f"{vnode.name} added. Next: discover (d).", markup=False)


async def edit(ui: NsmigApp, targets: Targets) -> None:
    """Edit the vnode's settings."""
    vnode = await ui.ask(VnodeForm(targets.node.vnode))
    if vnode is None:
        return
    await ui.until_writable()
    # What a discovery has learnt of the server while the form was open stays.
    now = ui.store.vnode(vnode.name)
    if now is None:
        ui.notify(f"{vnode.name} has left the fleet meanwhile.", severity="warning", markup=False)
    else:
        own = {name: getattr(vnode, name) for name in ("vsite", "ssh_host", "vpath", "production")}
        ui.store.save_vnode(replace(now, **own))
    ui.reload_fleet(focus=vnode.name)


async def remove(ui: NsmigApp, targets: Targets) -> None:
    """Take a vnode out of the fleet; nothing happens on the server."""
    node = targets.node
    runs = [state for state in ui.all_runs.snapshot() if state.vnode == node.name and not state.ended]
    left = [one.vhost for one in ui.store.unfinished() if one.vnode == node.name]
    left = [name for name in dict.fromkeys(left) if not ui.all_runs.is_busy(node.name, name)]
    facts = [
        ("prod", "PRODUCTION" if node.vnode.production else ""),
        (
            "warn",
            f"{plural(len(runs), 'run')} on it not ended: what has begun goes on there, "
            "and its end is not recorded here."
            if runs
            else "",
        ),
        ("warn", f"Left half-way, and to be looked after first (r): {', '.join(left[:8])}." if left else ""),
        ("", f"{plural(len(node.hosts), 'vhost')} and what is known of them leave the fleet."),
        ("", "Nothing changes on the server; archives stay there."),
        ("ok", "Way back: add the vnode again and discover."),
    ]
    dialog = ConfirmDialog(
        f"Remove {node.name} from the fleet?", facts, verb="remove", word=node.name, always_typed=True
    )
    if await ui.ask(dialog) is not None:
        await ui.until_writable()
        ui.store.remove_vnode(node.name)
        ui.marks.difference_update({host.key for host in node.hosts})
        ui.reload_fleet()


async def shell(ui: NsmigApp, targets: Targets) -> None:
    """Step aside for the user's own ssh; runs go on meanwhile."""
    vnode = targets.node.vnode
    command = ui.ssh_command(vnode)
    await run_outside(ui, command, f"ssh {vnode.target}{' (PRODUCTION)' if vnode.production else ''}")


@contextlib.contextmanager
def keys_for_others() -> Iterator[None]:
    """While this lasts, Ctrl-C and Ctrl-\\ are for the program that has the terminal, and end nothing here.

    The terminal sends them to every process of its foreground group. A handler that does nothing, rather
    than a signal that is ignored: that one would be ignored by the program too.
    """
    kept = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


async def run_outside(ui: NsmigApp, command: list[str], title: str) -> None:
    """Give the terminal to ``command`` until it ends. The event loop goes on, so runs do too."""
    try:
        with ui.suspend(), keys_for_others():
            print(f"\n-- {title}; its end returns to nsmig --", flush=True)
            process = await asyncio.create_subprocess_exec(*command)
            with contextlib.suppress(asyncio.CancelledError):
                await process.wait()
    except FileNotFoundError:
        ui.notify(f"There is no {command[0]} on this machine.", severity="error", markup=False)
    except Exception as error:  # suspend is refused where there is no terminal to give away
        if type(error).__name__ != "SuspendNotSupported":
            raise
        ui.notify("This terminal cannot be given away.", severity="error", markup=False)
    ui.refresh(layout=True)
