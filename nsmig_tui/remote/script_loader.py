"""Puts the remote sh scripts together from their files; each is sent, or runs, as one text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PARTS: dict[str, tuple[str, ...]] = {
    "probe": ("prelude", "capabilities", "probe_main"),
    "discover": ("prelude", "capabilities", "configs", "discover_main"),
    "inspect": (
        *("prelude", "capabilities", "configs", "surroundings"),
        *("walk", "references", "system_refs", "inspect_main"),
    ),
    "points": ("prelude", "archive_pair", "points_main"),
    "launch": ("prelude", "launch_main"),
    "poll": ("prelude", "poll_quick", "poll_main"),
    "compare": ("prelude", "walk", "compare_main"),
    "record": ("prelude", "record_main"),
    "sizes": ("prelude", "sizes_main"),
    "prune": (
        *("prelude", "run_base", "run_notes", "run_look", "run_lock", "run_pins"),
        *("archive_pair", "prune_main"),
    ),
    "runner": (
        *("prelude", "capabilities", "walk", "run_base", "run_notes", "run_look"),
        *("run_hand_program", "run_hand", "run_lock", "run_pins", "run_services", "run_fpm"),
        *("run_config", "run_whose", "run_rescue", "run_group", "run_manifest", "run_again", "run_backup"),
        *("run_tree", "run_owners", "run_hold", "run_keeper", "run_tail", "run_verify"),
        *("run_gate", "run_way", "run_shape", "run_kept", "run_undo", "archive_pair"),
        *("run_unpack", "run_carry", "run_restore", "run_unrestore"),
        *("run_preflight", "run_main"),
    ),
}


@cache
def load_script(name: str) -> str:
    """The whole text of a script. Raises KeyError for a name that is none."""
    folder = files("nsmig_tui.remote") / "scripts"
    return "".join((folder / f"{part}.sh").read_text("ascii") for part in PARTS[name])
