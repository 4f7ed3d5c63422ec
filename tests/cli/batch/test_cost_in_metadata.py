"""``--cost-in-metadata``: each answer says what it has cost, whichever way it came."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator, Pace
from oumi_fireworks.money import Prices, Usage, price_of
from tests.cli.batch.support import MODEL, Command, question, read_lines, write_lines

ASKED = ("--cost-in-metadata",)
RUN = ("batch", "run", "--input", "in.jsonl", "--output", "out.jsonl")


def listed(*, batch: bool) -> Prices:
    prices = price_of(MODEL, batch=batch)
    assert prices is not None
    return prices


def cost(row: dict[str, Any], prices: Prices) -> float:
    """What a row has cost by the usage that it states."""
    usage = Usage.parse(row["metadata"]["usage"])
    assert usage is not None
    return float(prices.cost(usage))


@pytest.mark.parametrize("mode", ["batch", "online"])
def test_a_run_says_it_at_the_price_of_its_mode_and_once_for_rows_that_ask_the_same(
    fireworks: Command, config: Path, mode: str
) -> None:
    texts = ["one", "two two", "one"]
    write_lines(Path("in.jsonl"), [question(text, metadata={"cost": "old"}) for text in texts])
    ended = fireworks(*RUN, "-c", config, "--mode", mode, *ASKED)
    assert ended.code == 0, ended.err
    rows = read_lines(Path("out.jsonl"))
    prices = listed(batch=mode == "batch")
    assert [row["metadata"]["cost"] for row in rows] == [
        cost(rows[0], prices),
        cost(rows[1], prices),
        0,
    ]
    assert all(row["metadata"]["cost"] > 0 for row in rows[:2])


def test_it_is_left_out_unless_it_is_asked_for_and_where_no_price_is_known(
    fireworks: Command, config: Path
) -> None:
    write_lines(Path("in.jsonl"), [question("one", metadata={"cost": "mine"})])
    assert fireworks(*RUN, "-c", config).code == 0
    assert read_lines(Path("out.jsonl"))[0]["metadata"]["cost"] == "mine"
    toy = "--model.model_name=accounts/fireworks/models/toy-chat"
    assert fireworks(*RUN, "-c", config, "--overwrite", toy, *ASKED).code == 0
    assert "cost" not in read_lines(Path("out.jsonl"))[0]["metadata"]


def test_results_and_a_retry_say_it_too_by_the_option_of_the_configuration(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    config.write_text(config.read_text() + "      cost_in_metadata: true\n")
    write_lines(Path("in.jsonl"), [question("one"), question("[[flaky]] two")])
    batch = fireworks("batch", "submit", "-c", config, "--input", "in.jsonl").out.strip()
    at_emulator.clock.advance(3600)
    files = ("--input", "in.jsonl", "--output", "out.jsonl")
    prices = Prices(Decimal(1), Decimal(3))
    flags = ("--price-in", "1", "--price-out", "3")
    assert fireworks("batch", "results", batch, *files, *flags, *ASKED).code == 3
    (row,) = read_lines(Path("out.jsonl"))
    assert row["metadata"]["cost"] == cost(row, prices) > 0
    assert fireworks("batch", "results", batch, *files, "--overwrite", "-c", config).code == 3
    (row,) = read_lines(Path("out.jsonl"))
    assert row["metadata"]["cost"] == cost(row, listed(batch=True))
    retry = ("batch", "retry", "out.jsonl", "-c", config, "--input", "in.jsonl")
    ended = fireworks(*retry, *flags)
    assert ended.code == 0, ended.err
    row, again = read_lines(Path("out.jsonl"))
    assert again["metadata"]["cost"] == cost(again, prices)


class TestAfterADeadline:
    @pytest.fixture
    def emulator(self) -> Iterator[Emulator]:
        """One whose jobs begin, and go on for ever."""
        with Emulator(speed=2_000, pace=Pace(running=80_000_000, per_row=80_000_000)) as emulator:
            yield emulator

    def test_a_late_row_costs_what_it_does_online_in_metadata_and_in_a_table(
        self, fireworks: Command, config: Path
    ) -> None:
        write_lines(Path("in.jsonl"), [question("one")])
        late = ("-c", config, "--deadline", "1s")
        ended = fireworks(*RUN, *late, *ASKED)
        assert ended.code == 0, ended.err
        (row,) = read_lines(Path("out.jsonl"))
        online = cost(row, listed(batch=False))
        assert row["metadata"]["cost"] == online > 0
        assert row["metadata"]["ran_online"] is True
        table = ("batch", "run", "--input", "in.jsonl", "--output", "rows.jsonl", *late)
        assert fireworks(*table, "--output-format", "rows").code == 0
        assert read_lines(Path("rows.jsonl"))[0]["cost"] == online
