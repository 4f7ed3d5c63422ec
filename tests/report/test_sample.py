"""Which rows a report shows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from functools import partial

from oumi_fireworks.report import OutcomeKind, Row
from oumi_fireworks.report.sample import Lowest, Sample
from oumi_fireworks.report.sampled_row import SampledRow


def complete(index: int) -> Row:
    return Row.from_completion(index, {"choices": [{"message": {"content": "Yes."}}]})


def failed(index: int) -> Row:
    return Row.from_failure(index, "no")


def picked(rows: Iterable[Row], size: int = 100) -> list[SampledRow]:
    sample = Sample(size)
    for row in rows:
        sample.add(row, row.failure.kind if row.failure else "")
    return sample.pick()


def test_the_lowest_keys_are_kept_and_values_are_made_only_for_them() -> None:
    made: list[int] = []
    lowest: Lowest[int] = Lowest(3)

    def make(key: int) -> int:
        made.append(key)
        return key

    for key in [5, 1, 4, 1, 9, 0, 8]:
        lowest.offer(key, partial(make, key))
    assert lowest.values() == [0, 1, 1]
    assert made == [5, 1, 4, 1, 0]


def test_a_small_batch_is_shown_whole() -> None:
    shown = picked([complete(0), failed(1), Row(2), complete(3)])
    assert [row.index for row in shown] == [0, 1, 2, 3]


def test_the_sample_has_its_size_and_the_order_of_the_input() -> None:
    shown = picked(complete(index) for index in range(5000))
    indices = [row.index for row in shown]
    assert len(indices) == 100
    assert indices == sorted(indices)
    assert max(indices) - min(indices) > 4000  # from all over the batch


def test_the_same_rows_are_shown_in_whatever_order_they_arrive() -> None:
    rows = [failed(index) if index % 7 == 0 else complete(index) for index in range(3000)]
    assert picked(rows) == picked(random.Random(1).sample(rows, len(rows)))


def test_rare_outcomes_are_shown_and_do_not_crowd_out_the_others() -> None:
    rows = [complete(index) for index in range(5000)]
    rows[17] = Row(17)
    for index in range(1000, 2000):
        rows[index] = failed(index)
    kinds = Counter(row.kind for row in picked(rows))
    assert kinds == {OutcomeKind.COMPLETE: 74, OutcomeKind.FAILED: 25, OutcomeKind.MISSING: 1}


def test_every_kind_of_failure_has_its_place() -> None:
    sample = Sample(20)
    for index in range(2600):
        sample.add(failed(index), f"kind {index % 26}")
    assert {row.label for row in sample.pick()} == {f"kind {n}" for n in range(26)}


def test_memory_is_kept_for_the_shown_part_of_a_text_only() -> None:
    long = Row(0, prompt=[{"role": "user", "content": "x" * 10**6}] * 50)
    [row] = picked([long])
    assert sum(passage.text.kept for passage in row.passages) <= 6000
    assert row.passages[0].text.length == 10**6
    assert len(row.passages) + row.skipped == 50
