"""Telling repeats apart: the first row of each key, whatever the keys are, in little memory."""

from __future__ import annotations

import tracemalloc
from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.batch.repeats import FirstRows, Repeats, RowKeys

KEYS = st.sampled_from([bytes([0, 0, *([byte] * 14)]) for byte in range(4)]) | st.binary(
    min_size=16, max_size=16
)
"""Keys of which many share a bucket, and look alike across the ends of records."""


@given(st.lists(KEYS, max_size=60))
def test_the_first_row_of_each_key_is_found(keys: list[bytes]) -> None:
    table, repeats = FirstRows(), Repeats()
    expected: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        first = table.first(key, row)
        assert first == expected.get(key)
        expected.setdefault(key, row)
        if first is not None:
            repeats.add(row, first)
    assert [repeats.first_of(row) for row in range(len(keys))] == [expected[key] for key in keys]
    assert list(repeats) == [
        (row, expected[key]) for row, key in enumerate(keys) if expected[key] != row
    ]


def test_a_key_is_of_one_request_and_one_prompt_and_nobody_elses_to_work_out() -> None:
    keys = RowKeys()
    key = keys.key(b"{}", 1)
    assert key == keys.key(bytes(bytearray(b"{}")), 1)
    assert len({key, keys.key(b"{} ", 1), keys.key(b"{}", 2), RowKeys().key(b"{}", 1)}) == 4
    assert len(key) == len(keys.key(b"", 2**64 - 1)) == 16


def test_a_row_takes_some_bytes() -> None:
    rows = 200_000
    table = FirstRows()
    tracemalloc.start()
    for row in range(rows):
        table.first(blake2b(row.to_bytes(8, "little"), digest_size=16).digest(), row)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / rows < 60  # of which 20 are the record: small buckets have a large frame
