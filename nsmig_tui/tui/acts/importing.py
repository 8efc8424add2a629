"""Vnodes from what the operator already has: ~/.ssh/config or an Ansible inventory; and the first start."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...domain.errors import NsmigError
from ...domain.fleet import Vnode
from ...engine.inventory.ansible_hosts import InventoryHost, read_hosts
from ...engine.inventory.ssh_hosts import read_names
from ..dialogs.pick import PickDialog, PromptDialog
from ..dialogs.prompts import MenuDialog, MessageDialog
from ..dialogs.vnode_form import NAME
from ..selection import Targets
from ..words import plural
from . import nodes

if TYPE_CHECKING:
    from ..app import NsmigApp

ALIAS = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9._:%\[\]@-]{0,252}")
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
        found, stanzas = await asyncio.to_thread(read_vnodes, source, Path(path).expanduser())
    except NsmigError as error:
        await ui.show_error("Nothing imported", error)
        return
    fresh = [vnode for vnode in found if ui.store.vnode(vnode.name) is None]
    if not fresh:
        ui.notify(f"{plural(len(found), 'host')} in the file, none of them new.", markup=False)
        return
    names = [(vnode.name, f"{vnode.vsite}  {vnode.ssh_host}".strip()) for vnode in fresh]
    dialog = PickDialog(f"{plural(len(fresh), 'new host')} found", names, verb="Import")
    picked = await ui.ask(dialog, unasked=True)
    for vnode in fresh:
        if vnode.name in (picked or ()):
            ui.store.save_vnode(vnode)
    if picked:
        ui.reload_fleet(focus=picked[0])
        ui.notify(f"{plural(len(picked), 'vnode')} imported. Next: discover (d).", markup=False)
        wanted = [stanzas[name] for name in picked if name in stanzas]
        if wanted:
            lines = [
                ("", "The inventory names users, ports or keys. Add to ~/.ssh/config, which rules here:"),
                ("", ""),
            ]
            await ui.ask(MessageDialog("For OpenSSH", [*lines, *(("bold", text) for text in wanted)]))


def read_vnodes(source: str, path: Path) -> tuple[list[Vnode], dict[str, str]]:
    """The vnodes that the file names, and by name what ssh must be told besides. Raises UsageError."""
    if source == "ssh":
        return [Vnode(name) for name in read_names(path) if NAME.fullmatch(name)], {}
    hosts = [host for host in read_hosts(path) if NAME.fullmatch(host.name) and _is_sound(host)]
    vnodes = [Vnode(host.name, host.group or "default", host.alias) for host in hosts]
    return vnodes, {host.name: host.stanza for host in hosts if host.needs_stanza}


def _is_sound(host: InventoryHost) -> bool:
    return not host.address or bool(ALIAS.fullmatch(host.address))
