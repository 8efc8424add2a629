"""Whatever a server says comes out harmless."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsmig_tui.domain.text import clean


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        (b"plain", "plain"),
        ("grüße 日本 ✓", "grüße 日本 ✓"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]52;c;ZXZpbA==\x1b\\after", "after"),
        (b"\x1bPq#0\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        (b"\x1b(Bx", "x"),
        (b"\x1b", "\\x1b"),
        (b"\x1b]0;never ended", "\\x1b]0;never ended"),
        (b"a\x00b\x07c\x7fd", "a\\x00b\\x07c\\x7fd"),
        (b"a\tb\r\nc", "a b\\x0d\\x0ac"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\ud800", "\\ud800"),
        ("a\u202eb\u200bc\ufeff", "a\\u202eb\\u200bc\\ufeff"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\x85\u2028", "\\x85\\u2028"),
    ],
)
def test_hostile_text_is_shown_harmless(given_text: bytes | str, shown: str) -> None:
    assert clean(given_text) == shown


@given(st.one_of(st.text(), st.binary()))
def test_nothing_that_is_not_plainly_visible_comes_through(value: str | bytes) -> None:
    for char in clean(value):
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(alphabet="\x1b[]0;ABm\x07\\x9b\n"), st.integers(1, 30))
def test_length_is_capped(value: str, limit: int) -> None:
    assert len(clean(value, limit)) <= limit


def test_a_cut_is_visible_and_newlines_stay_on_request() -> None:
    assert clean("x" * 50, 10) == "x" * 9 + "…"
    assert clean("a\nb", newlines=True) == "a\nb"
    assert len(clean("\x1b[31m" * 10_000 + "x", 100)) <= 100
