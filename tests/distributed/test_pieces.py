"""Where batches begin depends on the rows alone, and so do their keys."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.distributed.pieces import Keys, Piece, Slice, cut


def slices_of(sizes: list[int]) -> list[Slice[tuple[int, ...]]]:
    """Return the rows 0, 1, 2, ... in blocks of these sizes."""
    ends = [0, *accumulate(sizes)]
    return [Slice(tuple(range(start, stop)), 0, stop - start) for start, stop in pairwise(ends)]


def rows_of(piece: Piece[tuple[int, ...]]) -> list[int]:
    return [row for each in piece.slices for row in each.block[each.start : each.stop]]


@given(sizes=st.lists(st.integers(0, 9)), again=st.lists(st.integers(0, 9)), rows=st.integers(1, 7))
def test_the_same_rows_become_the_same_pieces_however_they_are_in_blocks(
    sizes: list[int], again: list[int], rows: int
) -> None:
    again.append(max(0, sum(sizes) - sum(again)))
    sizes.append(max(0, sum(again) - sum(sizes)))
    pieces = list(cut(slices_of(sizes), rows))
    found = [rows_of(piece) for piece in pieces]
    assert [row for piece in found for row in piece] == list(range(sum(sizes)))
    assert all(len(piece) == rows for piece in found[:-1])
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert [piece.first_row for piece in pieces] == [piece[0] for piece in found]
    assert [rows_of(piece) for piece in cut(slices_of(again), rows)] == found


@given(sizes=st.lists(st.integers(0, 9)))
def test_without_a_number_of_rows_each_block_is_a_piece(sizes: list[int]) -> None:
    pieces = list(cut(slices_of(sizes), None))
    assert [piece.rows for piece in pieces] == [size for size in sizes if size]


def test_pieces_that_ask_the_same_are_batches_of_their_own_in_their_order() -> None:
    asked = ["a", "b", "a", "a"]
    first, second = Keys(), Keys()
    keys = [first.key(digest) for digest in asked]
    assert len(set(keys)) == len(asked)
    assert keys == [second.key(digest) for digest in asked]
    assert keys[0] == Keys().key("a")
