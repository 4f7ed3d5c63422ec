"""Excerpts: the two ends of a long text, and how long it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oumi_fireworks.report.excerpt import Excerpt, level


def test_a_text_that_fits_is_whole() -> None:
    excerpt = Excerpt.of("short", 5)
    assert (excerpt.head, excerpt.tail, excerpt.length, excerpt.hidden) == ("short", "", 5, 0)


def test_a_long_text_keeps_its_beginning_and_its_end_and_says_how_long_it_was() -> None:
    excerpt = Excerpt.of("a" * 500_000 + "z" * 500_000, 90)
    assert (excerpt.head, excerpt.tail) == ("a" * 60, "z" * 30)
    assert (excerpt.length, excerpt.hidden) == (1_000_000, 999_910)


@settings(deadline=None)
@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_shortening_an_excerpt_keeps_the_ends_of_the_text(text: str, first: int, then: int) -> None:
    excerpt = Excerpt.of(text, first).shortened(then)
    assert excerpt.kept == min(len(text), first, then)
    assert text.startswith(excerpt.head)
    assert text.endswith(excerpt.tail)
    assert excerpt.length == len(text)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000)), st.integers(0, 5000))
def test_the_level_fits_the_budget_and_wastes_none_of_it(sizes: list[int], budget: int) -> None:
    cap = level(sizes, budget)
    assert sum(min(size, cap) for size in sizes) <= budget
    if any(size > cap for size in sizes):
        assert sum(min(size, cap + 1) for size in sizes) > budget


def test_small_sizes_stay_whole_and_large_ones_share_the_rest() -> None:
    assert level([10, 1000, 1000], 110) == 50
