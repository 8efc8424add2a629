"""Vnodes from what the operator already has: ~/.ssh/config or an Ansible inventory; and the first start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ...domain.errors import NsmigError, UsageError
from ...domain.fleet import Vnode
from ...domain.vnode_names import checked
from ...engine.inventory.ansible_hosts import read_hosts
from ...engine.inventory.ssh_hosts import read_names
from ..dialogs.pick import PickDialog, PromptDialog
from ..dialogs.prompts import MenuDialog, MessageDialog
from ..selection import Targets
from ..words import plural
from . import nodes

if TYPE_CHECKING:
    from ..app import NsmigApp

SOURCES = (("s", "ssh", "from ~/.ssh/config"), ("a", "ansible", "from an Ansible inventory"))


async def choose_source(ui: NsmigApp, targets: Targets) -> None:
    """Ask where from, then import."""
    chosen = await ui.ask(MenuDialog("Import vnodes", SOURCES))
    if chosen:
        await import_from(ui, chosen)


async def first_start(ui: NsmigApp, targets: Targets) -> None:
    """An empty fleet: offer the ways to fill it."""
    entries = [
        *(("s", "ssh", "import from ~/.ssh/config"), ("a", "ansible", "import from an Ansible inventory")),
        ("n", "add", "add a vnode by hand"),
        ("d", "demo", "try the demo: a made-up fleet, here, gone afterwards"),
    ]
    facts = ["No vnode is known yet. Nothing is asked of any server until you discover it."]
    chosen = await ui.ask(MenuDialog("Welcome to nsmig", entries, facts=facts), unasked=True)
    if chosen in ("ssh", "ansible"):
        await import_from(ui, chosen)
    elif chosen == "add":
        await nodes.add(ui, targets)
    elif chosen == "demo":
        ui.wants_demo = True
        ui.exit(0)


async def import_from(ui: NsmigApp, source: str) -> None:
    """Ask for the file, read it, let the operator pick, and keep what was picked."""
    default = str(ui.options.ssh_config or "~/.ssh/config") if source == "ssh" else "/etc/ansible/hosts"
    label = "OpenSSH configuration:" if source == "ssh" else "Ansible inventory (INI, YAML, JSON):"
    path = await ui.ask(PromptDialog("Import vnodes", label, default))
    if path is None:
        return
    try:
        # Reading may start ansible-inventory, which takes its time: not on the loop that draws.
        found, stanzas, refused = await asyncio.to_thread(read_vnodes, source, Path(path).expanduser())
    except NsmigError as error:
        await ui.show_error("Nothing imported", error)
        return
    for words in refused[:3]:
        ui.notify(f"Not imported: {words}", severity="warning", markup=False)
    fresh = [vnode for vnode in found if ui.store.vnode(vnode.name) is None]
    if not fresh:
        ui.notify(f"{plural(len(found), 'host')} in the file, none of them new.", markup=False)
        return
    names = [(vnode.name, f"{vnode.vsite}  {vnode.ssh_host}".strip()) for vnode in fresh]
    dialog = PickDialog(f"{plural(len(fresh), 'new host')} found", names)
    picked = await ui.ask(dialog, unasked=True)
    for vnode in fresh:
        if vnode.name in (picked or ()):
            await ui.until_writable()
            ui.store.save_vnode(vnode)
    if picked:
        ui.reload_fleet(focus=picked[0])
        ui.notify(f"{plural(len(picked), 'vnode')} imported. Next: discover (d).", markup=False)
        wanted = [stanzas[name] for name in picked if name in stanzas]
        if wanted:
            lines = [
                ("", "The inventory tells ssh more than names. Add to ~/.ssh/config, which rules here:"),
                ("", ""),
            ]
            await ui.ask(MessageDialog("For OpenSSH", [*lines, *(("bold", text) for text in wanted)]))


def read_vnodes(source: str, path: Path) -> tuple[list[Vnode], dict[str, str], list[str]]:
    """The vnodes that the file names, by name what ssh must be told besides, and why others are left out.

    Raises UsageError.
    """
    if source == "ssh":
        found, notes = [Vnode(name) for name in read_names(path)], {}
    else:
        hosts = read_hosts(path)
        found = [Vnode(host.name, host.group or "default", host.alias) for host in hosts]
        notes = {host.name: host.stanza for host in hosts if host.needs_stanza}
    sound, refused = [], []
    for vnode in found:
        try:
            sound.append(checked(vnode))
        except UsageError as error:
            refused.append(error.message)
    return sound, notes, refused
