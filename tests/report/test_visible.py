"""Text of others in the page: all of it visible, none of it markup."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from oumi_fireworks.report.visible import plain, rich

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_markup_becomes_text() -> None:
    assert rich("<script>'&\"") == Markup("&lt;script&gt;&#39;&amp;&#34;")


@pytest.mark.parametrize("character", [*BIDI, "\0", "\x1b", "\x85", "\u2028", "\ufeff", "\u200b"])
def test_what_cannot_be_seen_is_shown_by_its_code(character: str) -> None:
    code = f"U+{ord(character):04X}"
    assert rich(f"a{character}b") == f"a<b>{code}</b>b"
    assert plain(f"a{character}b") == f"a[{code}]b"


def test_a_run_of_one_unseen_character_is_shown_once() -> None:
    assert plain("\0" * 5000 + "\u202e") == "[U+0000 ×5,000][U+202E]"


def test_lone_surrogates_can_be_written() -> None:
    assert rich("\ud83d!").encode() == b"<b>U+D83D</b>!"


def test_lines_and_tabs_stay() -> None:
    assert plain("a\r\nb\n\tc\rd") == "a\nb\n\tc[U+000D]d"


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦 🏳️‍🌈 ❤️", "می‌خواهم", "שלום", "日本語", "e\u0301", "क्‍ष"])
def test_scripts_and_emoji_are_left_alone(text: str) -> None:
    assert rich(text) == text


@settings(deadline=None)
@given(st.text(st.characters()))
def test_nothing_that_reorders_or_breaks_a_page_is_left(text: str) -> None:
    shown = str(rich(text))
    shown.encode()
    assert not set(shown) & {*BIDI, "\0", "\u2028", "\u2029"}
    assert all(c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"} for c in shown)


@settings(deadline=None)
@given(st.text(st.sampled_from("<>&\"'ab\0\u202e")))
def test_only_our_own_element_is_ever_made(text: str) -> None:
    without_ours = str(rich(text)).replace("<b>", "").replace("</b>", "")
    assert "<" not in without_ours
    assert ">" not in without_ours
