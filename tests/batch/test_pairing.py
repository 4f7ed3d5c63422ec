"""Which lines of an input were sent, told by digests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.batch.pairing import find_sent


@pytest.mark.parametrize(
    ("candidates", "refused", "sent", "chosen"),
    [
        ([1, 2, 3], "000", [1, 2, 3], "111"),
        ([1, 2, 3], "000", [2, 3], "011"),
        ([1, 2, 3], "000", [1, 3], "101"),
        ([1, 2, 3], "000", [1, 2], "110"),
        ([1, 1, 2], "000", [1, 2], "101"),  # the same prompt: either will do
        ([1, 2, 3], "010", [0, 3], "101"),  # row 0 is in no file: the line that can be sent
        ([1, 2, 3], "100", [0, 3], "011"),
        ([1, 2, 3], "110", [0, 3], "101"),  # neither can be sent today, and one was
        ([1, 2, 3], "001", [1, 0], "110"),
        ([1, 2, 3, 4], "0100", [0, 0, 0], "1011"),
        ([1, 2], "11", [2], "01"),  # what was sent counts, not what would be sent today
        ([1, 2], "00", [], "00"),
    ],
)
def test_what_was_sent_is_found(
    candidates: list[int], refused: str, sent: list[int], chosen: str
) -> None:
    found = find_sent(candidates, [int(each) for each in refused], sent)
    assert list(found) == [int(each) for each in chosen]


@pytest.mark.parametrize(
    ("candidates", "sent", "row"),
    [
        ([1, 2, 3], [2, 1], 1),  # in another order
        ([1, 2, 3], [1, 9], 1),  # another prompt
        ([1, 2, 3], [0, 0, 2], 2),  # no room before it
        ([1, 2], [2, 0], 1),  # nor after it
    ],
)
def test_the_row_that_is_not_found_is_told(
    candidates: list[int], sent: list[int], row: int
) -> None:
    with pytest.raises(LookupError) as caught:
        find_sent(candidates, [0] * len(candidates), sent)
    assert caught.value.args == (row,)


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.booleans()), max_size=30))
def test_every_answer_is_put_beside_its_own_prompt(lines: list[tuple[int, bool, bool]]) -> None:
    """Any lines are left out, any rows are in no result file, and prompts may be alike."""
    candidates = [digest for digest, _, _ in lines]
    rows = [(digest, in_a_file) for digest, was_sent, in_a_file in lines if was_sent]
    sent = [digest if in_a_file else 0 for digest, in_a_file in rows]
    chosen = find_sent(candidates, [0] * len(lines), sent)
    found = [digest for digest, is_sent in zip(candidates, chosen, strict=True) if is_sent]
    assert len(found) == len(rows)
    assert all(told in (0, digest) for told, digest in zip(sent, found, strict=True))
