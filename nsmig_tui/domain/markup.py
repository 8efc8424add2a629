"""Words from servers put into documents: in Markdown and HTML they are words, and never markup."""

from __future__ import annotations

from typing import Any

from .text import clean

STYLE = (
    "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse;margin:.6em 0}"
    "td,th{border:1px solid #888;padding:.3em .6em;text-align:left;vertical-align:top}"
    "tr.ok,tr.passed{background:#eef7ee}tr.failed,tr.critical,tr.error{background:#fbeaea}"
    "tr.skipped,tr.warning,tr.undone{background:#f6f3e4}"
)


def md_text(value: Any) -> str:
    """``value`` as plain words in Markdown."""
    text = clean(str(value), 500)
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#|!~" else c for c in text)


def html_text(value: Any) -> str:
    """``value`` as plain words in HTML."""
    text = clean(str(value), 2000)
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(sign, name)
    return text


def html_page(title: str, body: str) -> str:
    """A page that needs nothing else. ``title`` is plain words, ``body`` is markup."""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html_text(title)}</title>"
        f"<style>{STYLE}</style><h1>{html_text(title)}</h1>{body}</html>\n"
    )


def md_table(head: tuple[str, ...], rows: list[list[Any]]) -> list[str]:
    """The lines of a Markdown table; cells are plain words."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(md_text(cell) for cell in row) + " |" for row in rows]


def html_table(head: tuple[str, ...], rows: list[tuple[str, list[Any]]]) -> str:
    """An HTML table; each row is (class, cells), cells are plain words."""
    names = "".join(f"<th>{name}</th>" for name in head)
    return f"<table><tr>{names}</tr>{''.join(_html_row(kind, cells) for kind, cells in rows)}</table>"


def _html_row(kind: str, cells: list[Any]) -> str:
    name = kind if kind.isascii() and kind.isalpha() else "other"
    return f"<tr class={name}>{''.join(f'<td>{html_text(cell)}</td>' for cell in cells)}</tr>"
