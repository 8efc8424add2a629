"""Acts that only look: help, copy, log, screens."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..dialogs.help import HelpDialog, HelpLine
from ..dialogs.prompts import MenuDialog
from ..fleet_model import HostLine, SiteLine
from ..panes.fleet_lines import legend
from ..safe import one_line
from ..selection import Targets

if TYPE_CHECKING:
    from ..app import NsmigApp


def nothing(ui: NsmigApp, targets: Targets) -> str:
    """Nothing is under the cursor."""
    return "" if targets.line is not None or targets.run is not None else "Nothing is selected."


def no_log(ui: NsmigApp, targets: Targets) -> str:
    """Runs are on vnodes and vhosts."""
    if isinstance(targets.line, SiteLine):
        return "Choose a vnode or a vhost first."
    return nothing(ui, targets)


def no_copy(ui: NsmigApp, targets: Targets) -> str:
    """Nothing of what is under the cursor can be copied."""
    reason = nothing(ui, targets)
    return reason or ("" if copyable(ui, targets) else "Choose a vnode or a vhost first.")


def on_screen(method: str):
    """An act that the current screen does itself."""

    async def act(ui: NsmigApp, targets: Targets) -> None:
        # By now another screen may be on top, which knows nothing of this.
        result = getattr(ui.screen, method, lambda: None)()
        if hasattr(result, "__await__"):
            await result

    act.method = method
    return act


def at_once(act):
    """An act that asks nothing and waits for nothing: the next key must meet the screen that it opens."""
    act.at_once = True
    return act


async def show_help(ui: NsmigApp, targets: Targets) -> None:
    """All keys; Enter runs one."""
    lines = [
        HelpLine(action.id, ui.keys_of(action), action.name, action.help, bool(action.danger), why)
        for action, why in ui.available(targets)
    ]
    chosen = await ui.ask(HelpDialog(lines, legend(ui.signs)))
    if chosen:
        await ui.screen.run_action(f"do('{chosen}')")


async def copy(ui: NsmigApp, targets: Targets) -> None:
    """A menu of what can be copied."""
    texts = copyable(ui, targets)
    entries = [(key, key, f"{label}: {text}") for key, (label, text) in texts.items()]
    chosen = await ui.ask(MenuDialog("Copy", entries))
    if chosen:
        ui.copy_to_clipboard(texts[chosen][1])
        ui.notify(f"Copied: {texts[chosen][1][:80]}", markup=False, timeout=3)


def copyable(ui: NsmigApp, targets: Targets) -> dict[str, tuple[str, str]]:
    """key -> (label, text) for the selection; text is clean."""
    found: dict[str, tuple[str, str]] = {}
    host, node = targets.line if isinstance(targets.line, HostLine) else None, targets.node
    if host:
        known = ui.store.vhost(host.node.name, host.domain)
        found["d"] = ("domain", host.domain)
        found["p"] = ("path", f"{host.vnode.vpath}/{host.domain}")
        found["c"] = ("command", f"nsmig show {shlex.quote(host.node.name)} {shlex.quote(host.domain)}")
        error = (targets.run.error if targets.run else "") or (known.last_error if known else "")
        if error:
            found["e"] = ("error", error)
        if known and known.backup_archive:
            found["a"] = ("archive", known.backup_archive)
    if node:
        found["h"] = ("vnode", node.name)
        found["s"] = ("ssh", shlex.join(ui.ssh_command(node.vnode)))
        if node.vnode.unreachable:
            found["u"] = ("reason", node.vnode.unreachable)
    return {key: (label, one_line(text)) for key, (label, text) in found.items()}


@at_once
async def log(ui: NsmigApp, targets: Targets) -> None:
    """The log of the run on the selection, or of its last one."""
    ui.open_log(targets)


@at_once
async def fleet(ui: NsmigApp, targets: Targets) -> None:
    """The fleet screen."""
    ui.open_fleet()


@at_once
async def runs(ui: NsmigApp, targets: Targets) -> None:
    """The runs screen."""
    ui.open_runs()


@at_once
async def dashboard(ui: NsmigApp, targets: Targets) -> None:
    """The dashboard."""
    ui.open_dashboard()


async def leave(ui: NsmigApp, targets: Targets) -> None:
    """Quit, after asking when runs go on."""
    await ui.leave()
