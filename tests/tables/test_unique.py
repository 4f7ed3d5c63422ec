"""Texts seen before, in little memory."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.tables.unique import Seen


@given(st.lists(st.text(max_size=3)))
def test_a_text_is_told_from_those_before(texts: list[str]) -> None:
    seen, known = Seen(), set[str]()
    for text in texts:
        assert seen.add(text) is (text in known)
        known.add(text)


def test_it_grows_with_what_it_has_seen_and_stays_small() -> None:
    count = 20_000
    tracemalloc.start()
    seen = Seen()
    assert not any(seen.add(f"conversation-{number}") for number in range(count))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(seen.add(f"conversation-{number}") for number in range(count))
    assert held < 28 * count
