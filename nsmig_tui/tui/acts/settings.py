"""Settings: look at them, try a theme, edit the file in the user's editor, let hold what can."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from ... import settings as settings_module
from ...domain.errors import NsmigError, Refused
from ..options import from_settings
from ..panes.settings_lines import SETTINGS, template
from ..selection import Targets
from ..words import Signs
from . import nodes
from .look import at_once

if TYPE_CHECKING:
    from ..app import NsmigApp

TRIED = ("dark", "light", "contrast", "blue-orange")


@at_once
async def show(ui: NsmigApp, targets: Targets) -> None:
    """The settings screen."""
    ui.open_settings()


async def try_theme(ui: NsmigApp, targets: Targets) -> None:
    """The next of our themes, until the program is left."""
    if not ui.options.color:
        ui.notify("NO_COLOR is set: there is nothing to see.", severity="warning", markup=False)
        return
    names = [ui.theme_for(name) for name in TRIED]
    at = names.index(ui.theme) + 1 if ui.theme in names else 0
    ui.theme = names[at % len(names)]
    words = (
        f'Theme {TRIED[at % len(names)]}, for now. theme = "{TRIED[at % len(names)]}" in the file keeps it.'
    )
    ui.clear_notifications()
    ui.notify(words, markup=False, timeout=4)


def no_file(ui: NsmigApp, targets: Targets) -> str:
    """There must be a place for the file."""
    return "" if ui.options.config_file else "This session was started without a settings file."


async def edit_file(ui: NsmigApp, targets: Targets) -> None:
    """Step aside for the user's editor on config.toml, then judge and take over what it holds."""
    path = ui.options.config_file
    try:
        make_file(ui)
    except OSError as error:
        await ui.show_error("No settings file", Refused(f"{path} cannot be made: {error.strerror}."))
        return
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        command = [*shlex.split(editor), str(path)]
    except ValueError:
        command = [editor, str(path)]
    await nodes.run_outside(ui, command, f"{command[0]} {path}")
    try:
        words = take_over(ui)
    except NsmigError as error:
        hint = f"{error.hint} What held until now still holds; e edits it again.".strip()
        await ui.show_error("The settings file is wrong", Refused(error.message, hint=hint))
        return
    ui.notify(words, markup=False, timeout=8)


def make_file(ui: NsmigApp) -> None:
    """A file in which every line is a comment, if there is none. Raises OSError."""
    path = ui.options.config_file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(template())


def take_over(ui: NsmigApp) -> str:
    """Read the file again, let hold what can, answer what to say. Raises NsmigError for a wrong file."""
    old = ui.options.source
    places = {"data_dir": old.data_dir, "config_dir": old.config_dir}
    fresh = settings_module.load(places)
    # What the command line said rules over the file, also over a file that was changed since.
    ruled = {name for name, origin in old.origins.items() if origin == "option"}
    # The demo has its own ssh_config, whatever the file says.
    ruled |= {"ssh_config"} if old.demo else set()
    names = [one.name for one in SETTINGS if one.name not in ruled]
    changed = [
        name for name in (*names, "keys", "services", "notify") if getattr(old, name) != getattr(fresh, name)
    ]
    if not changed:
        return "The settings are as they were."
    later = {one.name for one in SETTINGS if not one.now} | {"services", "notify"}
    now = {name: getattr(fresh, name) for name in changed if name not in later}
    origins = {**old.origins, **{name: fresh.origins.get(name, "") for name in now}}
    ui.options = from_settings(replace(old, **now, origins=origins))
    ui.signs = Signs(ui.options.ascii)
    if "theme" in now and ui.options.color:
        ui.theme = ui.theme_for(ui.options.theme)
    if "keys" in now:
        ui.map_keys()
    waiting = [name for name in changed if name in later]
    words = [f"In force now: {', '.join(now)}."] if now else []
    return " ".join([*words, *([f"From the next start: {', '.join(waiting)}."] if waiting else [])])
