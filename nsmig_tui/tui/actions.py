"""Every action, described once: from here come key bindings, footer, help, palette and the README's table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.binding import Binding

from .acts import again, batches, exporting, half_way, importing, look, nodes, settings, work
from .acts.look import on_screen
from .selection import Targets

if TYPE_CHECKING:
    from .app import NsmigApp


def always(ui: NsmigApp, targets: Targets) -> str:
    """Nothing speaks against it."""
    return ""


@dataclass(frozen=True)
class Action:
    """``danger``: "" reads only, "change" can be taken back, "destroy" needs a typed word somewhere.

    ``where``: the screens it is for, blank-separated; ``footer``: whether the key bar shows it.
    ``waits``: the key bar shows it, first of all, while it can run: something waits for it.
    ``why_not`` answers a reason, or "" when it can run.
    """

    id: str
    key: str
    name: str
    help: str
    run: Callable[[NsmigApp, Targets], Awaitable[None]]
    where: str = "fleet"
    danger: str = ""
    why_not: Callable[[NsmigApp, Targets], str] = always
    footer: bool = False
    waits: bool = False


EVERY = "fleet runs dashboard rollback log settings"

ACTIONS = (
    Action("migrate", "m", "Migrate", "migrate the vhost, or all marked ones, after a question",
           work.migrate, danger="change", why_not=work.no_migrate, footer=True),
    Action("validate", "v", "Validate", "judge the vhost, or all marked ones; changes nothing",
           work.validate, "fleet", why_not=work.no_hosts, footer=True),
    Action("plan", "p", "Plan", "dry run: what a migration would change, with diffs",
           on_screen("make_plan"), why_not=work.no_single, footer=True),
    Action("rollback", "b", "Rollback", "undo the migration, or restore an archive from the list",
           work.rollback, "fleet runs", "destroy", work.no_rollback, True),
    Action("discover", "d", "Discover", "ask the vnode what is there",
           work.discover, why_not=work.no_nodes, footer=True),
    Action("resume", "r", "Resume", "attach to a run that is at work, or finish what was left half-way",
           half_way.resume, "fleet runs", "change", half_way.no_half_way),
    Action("undo", "U", "Undo", "undo what was left half-way, or take a migration or a restore back",
           half_way.undo_half, "fleet runs", "change", half_way.no_half_way),
    Action("pause", "p", "Pause", "begin no further run; again: go on", on_screen("toggle_pause"), "runs",
           footer=True),
    Action("release", "c", "Let the rest go", "of a batch whose first ones are through",
           on_screen("release_batch"), "runs", "change", again.no_waiting_batch, waits=True),
    Action("cancel", "X", "Cancel one", "drop a run that has not begun", on_screen("cancel_run"), "runs",
           why_not=batches.no_cancel, footer=True),
    Action("cancel_all", "Z", "Cancel all waiting", "drop every run that has not begun", batches.cancel_all,
           "runs", "change", batches.no_waiting),
    Action("retry", "R", "Retry failed", "try again what failed; validates first", on_screen("retry_failed"),
           "runs", "change", again.no_failed, True),
    Action("forget", "C", "Clear ended", "take ended runs out of this view", on_screen("clear_ended"),
           "runs"),
    Action("log", "l", "Log", "the log of the run on this vhost", look.log, "fleet runs",
           why_not=look.no_log, footer=True),
    Action("filter", "slash", "Filter", "show what matches; in the pane, find", on_screen("start_filter"),
           "fleet log", footer=True),
    Action("sort", "o", "Sort", "by name, by status, by size", on_screen("next_sort")),
    Action("mark", "space", "Mark", "mark or unmark, and go down; a branch marks all below",
           on_screen("toggle_mark"), footer=True),
    Action("mark_range", "V", "Mark range", "from here; V again ends it", on_screen("mark_range")),
    Action("mark_all", "a", "Mark all", "mark everything that the filter shows", on_screen("mark_all")),
    Action("mark_none", "u", "Unmark all", "forget all marks", on_screen("mark_none")),
    Action("mark_invert", "asterisk", "Invert marks", "of everything that the filter shows",
           on_screen("mark_invert")),
    Action("zoom", "plus", "Zoom", "the pane over the whole width, and back", on_screen("zoom")),
    Action("expand_all", "O", "Unfold all", "open every branch; again: close", on_screen("fold_all")),
    Action("next_tab", "right_square_bracket", "Next tab", "of the pane on the right", on_screen("next_tab")),
    Action("prev_tab", "left_square_bracket", "Previous tab", "of the pane on the right",
           on_screen("prev_tab")),
    Action("shell", "s", "SSH shell", "your own ssh to the vnode; exit comes back", nodes.shell, "fleet runs",
           "change", nodes.no_node),
    Action("copy", "y", "Copy", "domain, path, command, error …", look.copy, "fleet runs",
           why_not=look.no_copy),
    Action("export", "E", "Export", "a report of the vhosts chosen or the last batch: .md, .html, .json",
           exporting.export, "fleet runs", why_not=exporting.no_export),
    Action("check", "c", "Check vnode", "connect and see that all is well", work.check,
           why_not=nodes.no_node),
    Action("add", "n", "New vnode", "add a vnode by hand", nodes.add, danger="change"),
    Action("import", "i", "Import vnodes", "from ~/.ssh/config or an Ansible inventory",
           importing.choose_source, danger="change"),
    Action("edit", "e", "Edit vnode", "its vsite, ssh host, VPATH, production", nodes.edit, danger="change",
           why_not=nodes.no_node),
    Action("remove", "x", "Remove vnode", "out of the fleet; the server is not touched", nodes.remove,
           danger="destroy", why_not=nodes.no_node),
    Action("wrap", "w", "Wrap", "long lines on several lines, or cut", on_screen("wrap_lines"), "log",
           footer=True),
    Action("next_error", "E", "Next error", "the next line that says of trouble", on_screen("next_error"),
           "log", footer=True),
    Action("follow", "G", "Follow", "the end, and what comes after it", on_screen("follow_end"), "log",
           footer=True),
    Action("refresh", "f5", "Refresh", "read the database again", on_screen("refresh_all"),
           "fleet dashboard"),
    Action("fleet", "1", "Fleet", "the tree of vsites, vnodes, vhosts", look.fleet, EVERY),
    Action("runs", "2", "Runs", "what moves now, and what ended in this session", look.runs, EVERY),
    Action("dashboard", "3", "Dashboard", "the whole fleet at a glance", look.dashboard, EVERY),
    Action("settings", "comma", "Settings", "every setting, its value, and where that came from",
           settings.show, "fleet runs dashboard"),
    Action("edit_file", "e", "Edit file", "config.toml in $EDITOR; what it says is judged afterwards",
           settings.edit_file, "settings", "change", settings.no_file, True),
    Action("try_theme", "t", "Try a theme", "the next theme, until the program is left",
           settings.try_theme, "settings", footer=True),
    Action("back", "escape", "Back", "where you came from", on_screen("action_back"),
           "runs dashboard rollback log settings", footer=True),
    Action("help", "question_mark", "Help", "all keys; Enter runs one", look.show_help, EVERY, footer=True),
    Action("quit", "q", "Quit", "asks when runs go on", look.leave, EVERY),
)  # fmt: skip

BY_ID = {action.id: action for action in ACTIONS}

FIRST = frozenset({"filter", "fleet", "runs", "dashboard", "settings"})
"""Their keys come before all others: what is typed fast behind them is meant for where they lead."""

KEY_NAMES = {
    "slash": "/", "space": "space", "asterisk": "*", "question_mark": "?", "plus": "+",
    "comma": ",", "escape": "esc",
    "right_square_bracket": "]", "left_square_bracket": "[",
    **{f"f{number}": f"F{number}" for number in range(1, 25)},
}  # fmt: skip


def for_screen(where: str) -> list[Action]:
    """The actions of one screen, in the order of the tuple."""
    return [action for action in ACTIONS if where in action.where.split()]


def bindings(where: str) -> list[Binding]:
    """The key bindings of one screen. All call ``do``, so that a refusal can say its reason."""
    return [
        Binding(
            action.key,
            f"do('{action.id}')",
            action.name,
            show=False,
            id=action.id,
            priority=action.id in FIRST,
        )
        for action in for_screen(where)
    ]


LIST_KEYS = frozenset(
    {"up", "k", "down", "j", "pageup", "pagedown", "home", "g", "end", "enter", "left", "right", "tab"}
    | {"shift+tab", "ctrl+q", "ctrl+c"}
)
"""What moves in every list or belongs to the whole program: it comes before any action."""


def clashes(keys: Mapping[str, str]) -> list[str]:
    """Which actions of one screen share a key, with ``keys`` (action id -> keys) for those that have some.

    Also which have a key that lists need for themselves.
    """
    taken = [
        f"{shown_key(key)} cannot be the key of {name}: lists need it. Change [keys] in the settings."
        for name, some in keys.items()
        for key in (part.strip() for part in some.split(","))
        if name in BY_ID and key in LIST_KEYS
    ]
    found: dict[tuple[str, ...], str] = {}
    for where in dict.fromkeys(name for action in ACTIONS for name in action.where.split()):
        users: dict[str, list[str]] = {}
        for action in for_screen(where):
            for key in keys.get(action.id, action.key).split(","):
                users.setdefault(key.strip(), []).append(action.id)
        for key, names in users.items():
            if len(names) > 1 and any(name in keys for name in names):
                found.setdefault((key, *names), where)
    return taken + [
        f"{shown_key(key)} is the key of {' and of '.join(names)} on the {where} screen: only one has it."
        " Change [keys] in the settings."
        for (key, *names), where in found.items()
    ]


def markdown_table() -> str:
    """All actions as the README's table; a test compares the two."""
    lines = ["| key | action | what it does | where |", "|---|---|---|---|"]
    for action in ACTIONS:
        mark = (
            " **(asks first)**"
            if action.danger == "destroy"
            or action.id in ("migrate", "resume", "undo", "cancel_all", "release", "retry")
            else ""
        )
        where = "everywhere" if action.where == EVERY else action.where
        lines.append(f"| `{shown_key(action.key)}` | {action.name} | {action.help}{mark} | {where} |")
    return "\n".join(lines) + "\n"


def shown_key(keys: str) -> str:
    """Keys as people read them."""
    return " ".join(KEY_NAMES.get(key, key) for key in keys.split(","))
