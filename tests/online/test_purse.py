"""What requests may cost: set aside before, settled after, and remembered through a crash."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api.request_json import encode_request
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import FireworksError, OverBudgetError, WriteError
from oumi_fireworks.money import Budget, Prices, Usage, most_usage
from oumi_fireworks.online import Purse
from tests.online.conftest import CHAT, Drive, Harvest, request

DOLLAR_A_TOKEN = Prices(Decimal(10**6), Decimal(10**6))
ENDS = st.sampled_from(["settled", "given back", "written off", "killed"])


def budget(dollars: int) -> Budget:
    return Budget(Decimal(dollars), DOLLAR_A_TOKEN)


@given(
    dollars=st.integers(0, 60),
    wants=st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20), ENDS), max_size=12),
)
def test_nothing_exceeds_the_budget_and_a_crash_forgets_nothing(
    dollars: int, wants: list[tuple[int, int, str]]
) -> None:
    async def go(journal: Path) -> None:
        at_most, purse = 0, Purse(budget(dollars), journal)  # what a bill may say at the most
        for most, used, end in wants:
            number = await purse.take(Usage(completion=most))
            if number is None:
                assert at_most + most > dollars
                continue
            if end == "settled":
                purse.settle(number, Usage(completion=min(used, most)))
                at_most += min(used, most)
            elif end == "given back":
                purse.settle(number, Usage())
            else:
                at_most += most
                if end == "written off":
                    purse.write_off(number)
                else:
                    purse = Purse(budget(dollars), journal)
            assert purse.spent == at_most <= dollars
        assert Purse(budget(dollars), journal).spent == at_most

    with TemporaryDirectory() as folder:
        asyncio.run(go(Path(folder) / "spent"))


def test_who_does_not_fit_waits_for_what_is_under_way() -> None:
    async def go() -> None:
        purse = Purse(budget(10), None)
        first = await purse.take(Usage(completion=8))
        assert first is not None
        waiting = [asyncio.create_task(purse.take(Usage(completion=8))) for _ in range(2)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        purse.settle(first, Usage(completion=1))
        second = await waiting[0]
        assert second is not None
        assert not waiting[1].done()
        purse.settle(second, Usage(completion=2))
        assert await waiting[1] is None  # 3 are spent, and nothing is under way
        assert purse.spent == 3

    asyncio.run(go())


def test_half_a_line_at_the_end_is_left_out_and_anything_else_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "spent"
    journal.write_bytes(b'{"begun":0,"most":[1,4]}\n{"ended":0,"us')
    assert Purse(budget(10), journal).spent == 5
    journal.write_bytes(b'{"ended":7,"used":[1,1,0]}\n')
    with pytest.raises(WriteError, match="what was spent is not known"):
        Purse(budget(10), journal)


def used(harvest: Harvest) -> int:
    """Tokens of all answers."""
    answers = (each for each in harvest.outcomes.values() if not isinstance(each, FireworksError))
    usages = (Usage.parse(answer["usage"]) for answer in answers)
    return sum(usage.prompt + usage.completion for usage in usages if usage)


@pytest.mark.parametrize(
    ("status", "is_at_worst"), [(500, True), (504, True), (429, False), (503, False)]
)
def test_what_may_have_been_carried_out_counts_at_its_worst(
    emulator: Emulator, drive: Drive, status: int, is_at_worst: bool
) -> None:
    emulator.faults.add(Fault("POST", CHAT, status=status))
    purse = Purse(budget(10**6), None)
    harvest = drive(["[[echo]] a row"], purse=purse)
    assert harvest.report is not None
    assert harvest.report.done == 1
    body = request("[[echo]] a row")
    most = most_usage(body, len(encode_request(body)))
    worst = most.prompt + most.completion if is_at_worst else 0
    assert purse.spent == used(harvest) + worst


def test_rows_that_do_not_fit_fail_alone_and_the_others_are_answered(
    emulator: Emulator, drive: Drive
) -> None:
    purse = Purse(budget(12_000), None)
    texts = [f"[[echo]] {'word ' * 300}{index}" for index in range(20)]
    harvest = drive(texts, purse=purse, workers=16)
    errors = harvest.errors()
    assert 0 < len(errors) < 20
    assert all(isinstance(error, OverBudgetError) for error in errors.values())
    assert "not sent: it may cost $" in str(errors[max(errors)])
    assert purse.spent == used(harvest) <= 12_000
    assert len(emulator.requests_to("POST", CHAT)) == 20 - len(errors)
