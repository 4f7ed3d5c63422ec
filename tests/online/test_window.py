"""How many requests at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.online.window import Window


def opened(workers: int, *, adaptive: bool = True) -> Window:
    """A window after the first answer."""
    window = Window(workers, adaptive=adaptive)
    window.answered(0.0, full=False)
    return window


def answers(window: Window, count: int, *, full: bool = True, now: float = 0.0) -> None:
    for _ in range(count):
        window.answered(now, full=full)


def fail(window: Window, count: int) -> None:
    for _ in range(count):
        window.failed(0.0, sent_size=window.size)


@pytest.mark.parametrize("workers", [1, 7, 256])
def test_a_given_size_is_the_size(workers: int) -> None:
    assert opened(workers).size == workers


@pytest.mark.parametrize("seek", [False, True])
def test_until_the_first_answer_it_is_small(seek: bool) -> None:
    assert Window(2000, seek=seek).size == 32
    assert Window(5, seek=seek).size == 5


def test_a_given_size_comes_with_the_first_answer() -> None:
    assert opened(2000).size == 2000


def test_a_size_that_is_sought_grows_only_while_it_holds_requests_back() -> None:
    window = Window(2000, seek=True)
    answers(window, 1)
    before = window.size
    answers(window, 2000, full=False)
    assert window.size == before


def test_one_bad_row_is_not_trouble() -> None:
    window = opened(100)
    answers(window, 20)
    fail(window, 1)
    assert window.size == 100


def test_trouble_shrinks_it_and_answers_bring_it_back() -> None:
    window = opened(100)
    fail(window, 5)
    assert window.size < 80
    answers(window, 200)
    assert window.size == 100


def test_failures_of_one_moment_shrink_it_once() -> None:
    window = opened(100)
    for _ in range(100):
        window.failed(0.0, sent_size=100)
    assert window.size == 70


def test_it_does_not_shrink_to_nothing() -> None:
    for workers in (1, 5, 200):
        window = opened(workers)
        fail(window, 1000)
        assert 1 <= window.size <= max(1, workers // 4)


def test_a_fixed_window_stays() -> None:
    window = opened(100, adaptive=False)
    fail(window, 100)
    assert window.size == 100


def test_room_is_made_only_by_a_window_that_looks_for_its_size() -> None:
    given, own = opened(1000), Window(2000, seek=True)
    answers(own, 1)
    before = given.size
    given.widen(1500)
    own.widen(1500)
    assert (given.size, own.size) == (before, 1500)


def test_no_room_is_made_for_a_service_in_trouble() -> None:
    window = Window(2000, seek=True)
    fail(window, 10)
    before = window.size
    window.widen(1500)
    assert window.size == before


def test_a_search_that_brings_nothing_ends_and_is_tried_again_later() -> None:
    """A service that gives 100 answers a second, whatever is under way."""
    window = Window(1000, seek=True)
    now = 0.0
    sizes = []
    for _ in range(12_000):
        now += 0.01
        window.answered(now, full=True)
        sizes.append(window.size)
    settled = sizes[500]
    assert settled <= 256
    assert sizes[600] == sizes[1500] == settled
    assert max(sizes[2500:]) > settled
    assert sizes[-1] <= 2 * settled


@given(
    st.integers(1, 2000),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from("af"), st.floats(0.0, 5.0), st.booleans()), max_size=200),
)
def test_it_stays_between_one_and_the_ceiling(
    ceiling: int, seek: bool, adaptive: bool, events: list[tuple[str, float, bool]]
) -> None:
    window = Window(ceiling, seek=seek, adaptive=adaptive)
    now = 0.0
    for kind, seconds, full in events:
        now += seconds
        if kind == "a":
            window.answered(now, full=full)
        else:
            window.failed(now, sent_size=window.size)
        assert 1 <= window.size <= ceiling
