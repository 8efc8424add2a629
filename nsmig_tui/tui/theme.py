"""The application's own colour themes beside Textual's."""

from __future__ import annotations

from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

THEMES = (
    Theme(
        name="nsmig-dark",
        primary="#5fafd7",
        secondary="#87afaf",
        accent="#d7af5f",
        warning="#d7af5f",
        error="#e06c75",
        success="#87c379",
        foreground="#d4d7dd",
        background="#14171c",
        surface="#1a1e25",
        panel="#242a33",
        dark=True,
    ),
    Theme(
        name="nsmig-light",
        primary="#1f6f9f",
        secondary="#4f6f6f",
        accent="#8f5f00",
        warning="#8f5f00",
        error="#b3261e",
        success="#2f7d32",
        foreground="#1f2328",
        background="#fafafa",
        surface="#f2f3f5",
        panel="#e3e6ea",
        dark=False,
    ),
    Theme(
        name="nsmig-contrast",
        primary="#00d7ff",
        secondary="#ffffff",
        accent="#ffff00",
        warning="#ffff00",
        error="#ff6060",
        success="#00ff5f",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#303030",
        dark=True,
    ),
    Theme(
        name="nsmig-blue-orange",
        primary="#6cb6ff",
        secondary="#9fb8d0",
        accent="#ffb454",
        warning="#ffd28a",
        error="#ff9d3c",
        success="#6cb6ff",
        foreground="#dfe5ec",
        background="#10151c",
        surface="#161c25",
        panel="#222b37",
        dark=True,
    ),
    replace(
        BUILTIN_THEMES["ansi-dark"],
        name="nsmig-16",
        primary="ansi_cyan",
        secondary="ansi_default",
        accent="ansi_yellow",
        # A toast's text has the terminal's own colour, which may be black.
        variables={**BUILTIN_THEMES["ansi-dark"].variables, "ansi-background": "ansi_default"},
    ),
)

NAMES = {"dark": "nsmig-dark", "light": "nsmig-light", "contrast": "nsmig-contrast",
    "blue-orange": "nsmig-blue-orange", "": "nsmig-dark",
}  # fmt: skip


FEW_COLORS = {"nsmig-dark": "nsmig-16", "nsmig-light": "ansi-light"}
"""What stands in where a terminal has 16 colours: the nearest to most of ours is grey there."""


def theme_name(wanted: str, *, no_color: bool, few_colors: bool) -> str:
    """The theme to use; without colour only an ansi theme sends none at all."""
    if no_color:
        return "ansi-dark"
    name = NAMES.get(wanted, wanted)
    return FEW_COLORS.get(name, name) if few_colors else name
