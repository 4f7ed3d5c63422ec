"""Splitting a batch: by bytes, by rows, exactly."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.batch import ShardLimits
from oumi_fireworks.batch.output_size import most_output_bytes
from oumi_fireworks.batch.requests import Request, encode_row
from oumi_fireworks.batch.shards import Bound, Shard, write_shards
from oumi_fireworks.errors import RowError, SpoolError
from oumi_fireworks.money import most_usage
from tests.disk import full_disk


def write(rows: Sequence[Request], folder: Path | None, limits: ShardLimits) -> list[Shard]:
    return asyncio.run(write_shards(rows, folder, limits))


def of_length(index: int, length: int) -> Request:
    """A row whose line has exactly this many bytes."""
    empty = len(encode_row(Request(index, {"t": ""})))
    return Request(index, {"t": "x" * (length - empty)})


def test_no_rows_make_no_shard(tmp_path: Path) -> None:
    assert write([], tmp_path / "spool", ShardLimits()) == []
    assert not (tmp_path / "spool").exists()


def test_a_shard_says_what_is_in_it(tmp_path: Path) -> None:
    rows = [Request(index, {"n": index}) for index in range(5)]
    shards = write(rows, tmp_path, ShardLimits(max_rows=2))
    assert [shard.rows for shard in shards] == [2, 2, 1]
    assert [shard.path.name for shard in shards] == [f"shard-{n}.jsonl" for n in range(3)]
    for shard in shards:
        content = shard.path.read_bytes()
        assert shard.size == len(content)
        assert shard.digest == xxhash.xxh3_128(content).hexdigest()
        assert content.count(b"\n") == shard.rows
    assert b"".join(shard.path.read_bytes() for shard in shards) == b"".join(
        encode_row(row) for row in rows
    )


@pytest.mark.parametrize(("rows", "expected"), [(4, [4]), (5, [4, 1]), (8, [4, 4]), (9, [4, 4, 1])])
def test_rows_split_exactly(tmp_path: Path, rows: int, expected: list[int]) -> None:
    shards = write([Request(n, {}) for n in range(rows)], tmp_path, ShardLimits(max_rows=4))
    assert [shard.rows for shard in shards] == expected


@pytest.mark.parametrize(
    ("most", "expected"), [(200, [2, 2]), (199, [1, 1, 1, 1]), (299, [2, 2]), (300, [3, 1])]
)
def test_bytes_split_exactly(tmp_path: Path, most: int, expected: list[int]) -> None:
    rows = [of_length(index, 100) for index in range(4)]
    shards = write(rows, tmp_path, ShardLimits(max_bytes=most))
    assert [shard.rows for shard in shards] == expected
    assert max(shard.size for shard in shards) <= most


def test_the_first_limit_that_is_met_counts(tmp_path: Path) -> None:
    rows = [of_length(index, 100 if index < 3 else 250) for index in range(5)]
    shards = write(rows, tmp_path, ShardLimits(max_bytes=300, max_rows=2))
    assert [shard.rows for shard in shards] == [2, 1, 1, 1]


def test_a_row_as_large_as_a_shard_fits_and_one_byte_more_names_its_index(tmp_path: Path) -> None:
    limits = ShardLimits(max_bytes=1000)
    rows = [of_length(0, 10_00), of_length(1, 1000)]
    assert [shard.size for shard in write(rows, tmp_path, limits)] == [1000, 1000]
    with pytest.raises(RowError, match=r"Conversation 7 .* 1,001 bytes.*max_shard_bytes") as caught:
        write([of_length(6, 100), of_length(7, 1001)], tmp_path, limits)
    assert caught.value.index == 7


@given(
    lengths=st.lists(st.integers(40, 400), max_size=30),
    most=st.integers(400, 1200),
    most_rows=st.none() | st.integers(1, 7),
)
def test_measuring_finds_the_same_as_writing(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], most: int, most_rows: int | None
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    rows = [of_length(index, length) for index, length in enumerate(lengths)]
    limits = ShardLimits(most, most_rows)
    written, measured = write(rows, folder, limits), write(rows, None, limits)
    assert [(s.rows, s.size, s.digest) for s in written] == [
        (s.rows, s.size, s.digest) for s in measured
    ]
    assert all(s.size <= most and s.rows <= (most_rows or len(rows)) for s in written)
    assert b"".join(s.path.read_bytes() for s in written) == b"".join(encode_row(r) for r in rows)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    with pytest.raises(SpoolError, match=f"Cannot write the batch's requests to {in_the_way}"):
        write([Request(0, {})], in_the_way / "spool", ShardLimits())


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with full_disk(10), pytest.raises(SpoolError, match="File too large"):
        write([Request(0, {})], tmp_path, ShardLimits())
    with full_disk(2 << 20), pytest.raises(SpoolError, match="File too large"):
        write([of_length(0, 3 << 20)], tmp_path, ShardLimits())


def test_an_error_of_the_input_is_the_input_s_own(tmp_path: Path) -> None:
    def rows() -> Iterator[Request]:
        yield Request(0, {})
        raise OSError("the input broke off")

    with pytest.raises(OSError, match="the input broke off") as caught:
        asyncio.run(write_shards(rows(), tmp_path, ShardLimits()))
    assert not isinstance(caught.value, SpoolError)


@pytest.mark.parametrize("is_measured", [False, True])
def test_the_memory_that_writing_takes_does_not_grow_with_the_rows(
    tmp_path: Path, is_measured: bool
) -> None:
    def peak(rows: int) -> int:
        lines = (of_length(index, 10_000) for index in range(rows))
        tracemalloc.start()
        try:
            shards = asyncio.run(
                write_shards(lines, None if is_measured else tmp_path, ShardLimits(10_000_000))
            )
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sum(shard.rows for shard in shards) == rows
        return most

    few, many = peak(400), peak(4_000)
    assert many < few + (1 << 20)  # of 36 MB more


def test_writing_lets_the_loop_run(tmp_path: Path) -> None:
    async def run() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await write_shards((Request(n, {}) for n in range(10_000)), tmp_path, ShardLimits())
        counting.cancel()
        return turns

    assert asyncio.run(run()) > 10


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, 2048 * 8 + 1000),
        ({"max_tokens": 100}, 1800),
        ({"max_completion_tokens": 100, "n": 3}, 3400),
        ({"max_tokens": 10, "logprobs": True, "top_logprobs": 4}, 10 * (8 + 750) + 1000),
    ],
)
def test_what_may_come_out_follows_from_the_tokens(body: dict[str, object], expected: int) -> None:
    tokens = most_usage(body, 0).completion
    assert most_output_bytes(body, tokens) == expected


def test_a_shard_is_bounded_by_what_may_come_out() -> None:
    rows = [Request(index, {"max_tokens": 100 if index < 6 else 10_000}) for index in range(8)]
    shards = write(rows, None, ShardLimits(max_output_bytes=5400))
    assert [shard.rows for shard in shards] == [3, 3, 1, 1]  # a row alone may have more
    assert [shard.ended_by for shard in shards] == [*[Bound.OUTPUT] * 3, None]
    by_bytes = write(rows, None, ShardLimits(max_bytes=100, max_output_bytes=5400))
    assert Bound.BYTES in {shard.ended_by for shard in by_bytes}
