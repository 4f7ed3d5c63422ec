"""A run under a budget: what it may cost at the most never exceeds it, and it goes on later."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.batch import Answer, BatchResults, BatchRun, Failure, Request, Snapshot
from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.batch.outcomes import Missing, OverBudget
from oumi_fireworks.batch.requests import encode_row
from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import AuthenticationError, OverBudgetError
from oumi_fireworks.money import Budget, Prices, Usage, most_usage
from oumi_fireworks.prompts import outline_of_request
from tests.batch.run.support import advance, finish, job_ids
from tests.batch.support import a_run, body, require_own_answers, source, still_emulator, texts

DOLLAR_A_TOKEN = Prices(Decimal(10**6), Decimal(10**6))
"""So that dollars are tokens."""


def billed(emulator: Emulator) -> int:
    """Tokens, and so dollars, on the bill."""
    return emulator.ledger.input_tokens + emulator.ledger.output_tokens


def run_under(folder: Path, dollars: int, rows: int = 6, **changes: Any) -> BatchRun:
    marks = changes.pop("marks", None)
    budget = Budget(Decimal(dollars), DOLLAR_A_TOKEN)
    return a_run(folder, source(rows, marks), budget=budget, **changes)


def most(*rows: int, mark: str = "") -> int:
    """The most tokens of some rows."""
    bodies = [body(row, mark) for row in rows]
    requests = [Request(0, each, outline_of_request(each)) for each in bodies]
    usages = [most_usage(each.body, len(encode_row(each))) for each in requests]
    return sum(usage.prompt + usage.completion for usage in usages)


ONE_JOB = most(0, 1)
"""Dollars that allow one job of two rows, and no other one beside it or after it."""


def over_budget(results: BatchResults) -> list[int]:
    return [each.index for each in results.index.outcomes() if isinstance(each, OverBudget)]


def test_a_budget_that_allows_all_changes_nothing(emulator: Emulator, folder: Path) -> None:
    results = advance(emulator, run_under(folder, 10**6))
    require_own_answers(results.index, 6)
    assert job_ids(emulator) == ["x3-0", "x3-1", "x3-2"]
    assert results.is_over


def test_jobs_are_begun_wave_after_wave_as_the_budget_allows(
    emulator: Emulator, folder: Path
) -> None:
    results = advance(emulator, run_under(folder, 7000))
    require_own_answers(results.index, 6)
    assert job_ids(emulator) == ["", "r1", "r2"]  # one job of two rows may take 4,096 and more
    assert [len(snapshot.jobs) for snapshot in results.snapshots] == [1, 1, 1]
    assert billed(emulator) <= 7000
    assert results.is_over
    manifest = Manifest.load(folder / "run.json")
    assert manifest is not None
    used = [attempt.charge.used for attempt in manifest.attempts if attempt.charge]
    total = sum(used, Usage())
    assert total.prompt + total.completion == billed(emulator)
    assert not any(attempt.charge and attempt.charge.unknown for attempt in manifest.attempts)


def test_a_wave_lists_and_reads_its_own_results_alone(emulator: Emulator, folder: Path) -> None:
    seen: list[int] = []

    def note(outcome: Answer | Failure) -> None:
        seen.append(outcome.index)

    results = advance(emulator, run_under(folder, 7000, rows=12, on_outcome=note))
    assert len(results.snapshots) == 6
    require_own_answers(results.index, 12)
    assert sorted(seen) == list(range(12))
    listed = Counter(each.path for each in emulator.requests_to("GET", "getDownloadEndpoint$"))
    assert max(listed.values()) < len(results.snapshots)  # some times, and not in each wave


def test_at_the_budget_the_rest_is_over_it_and_a_larger_one_goes_on(
    emulator: Emulator, folder: Path
) -> None:
    first = run_under(folder, ONE_JOB)
    results = advance(emulator, first)
    assert not results.is_over
    assert over_budget(results) == [2, 3, 4, 5]
    assert results.index.counts.over_budget == 4
    assert results.index.counts.missing == 0
    assert not results.index.counts.is_complete
    said = {results.message(each) for each in results.index.outcomes() if isinstance(each, Missing)}
    assert said == {"not sent: max_cost did not allow it"}
    finish(emulator, first)  # it is kept
    before = billed(emulator)
    results = advance(emulator, run_under(folder, ONE_JOB))
    assert (over_budget(results), billed(emulator)) == ([2, 3, 4, 5], before)
    results = advance(emulator, run_under(folder, ONE_JOB + before))
    assert over_budget(results) == [4, 5]
    last = run_under(folder, 10**6)
    results = advance(emulator, last)
    require_own_answers(results.index, 6)
    finish(emulator, last)
    assert not folder.exists()
    assert emulator.ledger.rows == 6


def test_what_waits_is_written_anew_where_it_was_lost(emulator: Emulator, folder: Path) -> None:
    advance(emulator, run_under(folder, ONE_JOB))
    for file in folder.glob("spool/*/*"):
        file.unlink()
    results = advance(emulator, run_under(folder, ONE_JOB + 1))
    assert over_budget(results) == [2, 3, 4, 5]
    for file in folder.glob("spool/*/*"):
        file.write_bytes(file.read_bytes()[:10])
    require_own_answers(advance(emulator, run_under(folder, 10**6)).index, 6)


def test_without_the_budget_the_rest_goes_at_once(emulator: Emulator, folder: Path) -> None:
    advance(emulator, run_under(folder, ONE_JOB))
    require_own_answers(advance(emulator, a_run(folder, source(6))).index, 6)
    assert job_ids(emulator) == ["", "r1-x2-0", "r1-x2-1"]
    assert emulator.ledger.rows == 6


def test_a_run_that_was_begun_without_a_budget_gets_one(emulator: Emulator, folder: Path) -> None:
    marks = {1: "[[flaky]]", 4: "[[flaky]]"}
    advance(emulator, a_run(folder, source(6, marks), row_retries=0))
    spent = billed(emulator)
    manifest = Manifest.load(folder / "run.json")
    assert manifest is not None
    assert manifest.last.stage == "ended"
    assert all(attempt.charge is None for attempt in manifest.attempts)
    results = advance(emulator, run_under(folder, spent + 100, marks=marks))
    assert results.index.counts.failed == 2
    assert billed(emulator) == spent


def test_failed_rows_are_run_again_only_if_that_fits(emulator: Emulator, folder: Path) -> None:
    marks = {0: "[[flaky]]", 1: "[[flaky]]"}
    dollars = most(0, 1, mark="[[flaky]]")
    results = advance(emulator, run_under(folder, dollars, rows=2, marks=marks))
    assert not results.is_over
    assert (results.index.counts.failed, results.index.counts.over_budget) == (2, 0)
    results = advance(emulator, run_under(folder, 20_000, rows=2, marks=marks))
    require_own_answers(results.index, 2)
    assert emulator.ledger.rows == 4


def test_no_job_fits(emulator: Emulator, folder: Path) -> None:
    with pytest.raises(OverBudgetError, match=r"smallest job may cost \$4,?\d+.*Nothing was sent"):
        advance(emulator, run_under(folder, 100))
    assert not emulator.requests_to("POST", "/datasets$")
    assert not (folder / "run.json").exists()
    require_own_answers(advance(emulator, run_under(folder, 10**6)).index, 6)


def test_a_smaller_budget_than_what_is_under_way_sends_nothing_more(
    emulator: Emulator, folder: Path
) -> None:
    emulator.faults.add(Fault("POST", "/batchInferenceJobs$", status=403))
    with pytest.raises(AuthenticationError):
        advance(emulator, run_under(folder, 10**6))
    with pytest.raises(OverBudgetError, match="was about to begin under a larger max_cost"):
        advance(emulator, run_under(folder, 5000))
    assert not emulator.jobs
    require_own_answers(advance(emulator, run_under(folder, 10**6)).index, 6)


@pytest.mark.parametrize(
    ("mark", "is_unknown"),
    [
        ("", False),
        ("[[duplicate]]", False),
        ("[[fail 400]]", False),  # refused: nothing was generated
        ("[[fail 500]]", True),
        ("[[fail-odd]]", True),
        ("[[drop]]", True),
        ("[[broken]]", True),
    ],
)
def test_what_no_answer_speaks_of_counts_at_its_worst(
    emulator: Emulator, folder: Path, mark: str, is_unknown: bool
) -> None:
    results = advance(
        emulator, run_under(folder, most(0, 1, mark=mark), marks={1: mark}, rows=2, row_retries=0)
    )
    assert results.held_by is None
    manifest = Manifest.load(folder / "run.json")
    assert manifest is not None
    charge, [job] = manifest.last.charge, manifest.last.jobs
    assert charge is not None
    assert charge.unknown == (job.largest if is_unknown else Usage())
    assert charge.used.prompt > 0


def test_an_expired_job_costs_what_it_has_processed(folder: Path) -> None:
    with still_emulator() as emulator:

        def expire(snapshot: Snapshot) -> None:
            if not snapshot.is_terminal:
                emulator.set_job(emulator.jobs[0].id, "JOB_STATE_EXPIRED", rows=1)

        advance(emulator, run_under(folder, 10**6, rows=2, row_retries=0), expire)
        manifest = Manifest.load(folder / "run.json")
        assert manifest is not None
        charge = manifest.last.charge
        assert charge is not None
        assert charge.unknown == Usage()
        assert charge.used.prompt + charge.used.completion == billed(emulator) > 0


def test_nothing_more_begins_when_somebody_has_cancelled_a_job(folder: Path) -> None:
    with still_emulator() as emulator:

        def cancel(snapshot: Snapshot) -> None:
            if not snapshot.is_terminal:
                emulator.set_job(emulator.jobs[0].id, "JOB_STATE_CANCELLED", rows=1)

        results = advance(emulator, run_under(folder, 7000), cancel)
        assert len(emulator.jobs) == 1
        assert len(texts(results.index)) == 1
        assert (results.index.counts.over_budget, results.is_over) == (0, True)
