"""The settings as lines: each with its value, where that came from, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..words import pad
from . import wrap
from .wrap import Row

ORIGIN = {"file": "file", "environment": "environment", "option": "command line", "": "default"}


@dataclass(frozen=True)
class Setting:
    """``example`` is a value as config.toml has it; ``now`` says whether a new value holds at once."""

    name: str
    example: str
    help: str
    table: str = ""
    now: bool = False


SETTINGS = (
    Setting("theme", '"dark"', "dark, light, contrast, blue-orange, or a name of Textual's", now=True),
    Setting("ascii", "true", "signs that every terminal has", now=True),
    Setting("mouse", "false", "without it the terminal's own selecting works as ever"),
    Setting("read_only", "true", "all that changes something is switched off"),
    Setting("quiet", "true", "the commands say less"),
    Setting("json", "true", "the commands answer in JSON"),
    Setting("jobs", "4", "vnodes worked on at once"),
    Setting("per_vnode", "2", "vhosts at once on each of them"),
    Setting("max_failures", "5", "after so many a batch begins nothing more", now=True),
    Setting("confirm_wait", "120", "seconds until a vnode that hears nothing undoes by itself", now=True),
    Setting("owners", '"foreign"', "whose entries get the account: foreign, keep, all", now=True),
    Setting("compat", '"auto"', "links at old paths: auto, never, always", now=True),
    Setting("nice", "10", "how far heavy work on a vnode stands back, 0 to 19", now=True),
    Setting("ionice", '"best-effort"', "and on its disks: none, best-effort, idle", now=True),
    Setting("ssh_config", '"~/.ssh/config"', "not set: OpenSSH's own files"),
    Setting("keep_days", "90", "younger archives are never pruned", "retention"),
    Setting("keep_count", "3", "so many of a vhost are never pruned", "retention"),
)
TABLES = """
#[keys]
#migrate = "f6"            # an action's name, and its keys with commas between

#[vnode."vn1".service]     # where neither systemd, OpenRC nor sysvinit rules
#manager = "command"
#nginx = "sv reload nginx"
#php-fpm = "sv reload php-fpm"

#[notify]                  # told when a batch ends
#command = "mail -s nsmig root"
"""


def template() -> str:
    """A settings file in which nothing holds yet."""
    lines = [
        "# The settings of nsmig. Take the # away, and the line holds; what is not here is at its default."
    ]
    lines += ["", *(_example(one) for one in SETTINGS if not one.table)]
    lines += ["", "#[retention]", *(_example(one) for one in SETTINGS if one.table)]
    return "\n".join(lines) + "\n" + TABLES


def _example(one: Setting) -> str:
    return f"#{one.name} = {one.example}".ljust(28) + f"# {one.help}"


def lines(
    settings: Any, path: str, there: bool, actions: list[tuple[str, str, str, bool]], width: int
) -> list[Row]:
    """All settings. ``settings`` has their names, ``origins``; ``actions``: (id, keys, name, re-mapped)."""
    origins = getattr(settings, "origins", {})
    rows = wrap.fact("file", path if there else f"{path} (not there yet: e makes it)", width)
    for label, name in (("database", "data_dir"), ("you are", "operator")):
        if getattr(settings, name, ""):
            rows += wrap.fact(label, str(getattr(settings, name)), width)
    rows += [wrap.blank(), Row([(pad("setting", 15) + pad("value", 18) + "from", "head")])]
    for one in SETTINGS:
        rows += _line(one.name, shown(getattr(settings, one.name, None)), origins, one.help, width)
    services = getattr(settings, "services", {})
    rows += _line("vnode services", ", ".join(services) or "detected", origins, "", width, "services")
    # Addresses of webhooks may hold tokens: their kinds are enough.
    notify = ", ".join(getattr(settings, "notify", {}))
    rows += _line("notify", notify or "nobody", origins, "when a batch ends", width)
    rows += [wrap.blank(), wrap.heading("Keys, by the names for [keys]")]
    for name, keys, words, mapped in actions:
        tail = f"{words}{'  (re-mapped)' if mapped else ''}"
        rows.append(Row([(pad(name, 15), "bold" if mapped else ""), (pad(keys, 18), "key"), (tail, "dim")]))
    return wrap.number(rows)


def _line(name: str, value: str, origins: Any, words: str, width: int, key: str = "") -> list[Row]:
    origin = ORIGIN.get(origins.get(key or name, ""), "")
    head = [(pad(name, 15), "dim"), (pad(value, 18), "" if origin == "default" else "bold")]
    if len(words) + 47 <= width:
        return [Row([*head, (pad(origin, 14), "dim"), (words, "dim")], name)]
    return [Row([*head, (origin, "dim")], name), *wrap.text(words, width, "dim", indent=15)]


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
