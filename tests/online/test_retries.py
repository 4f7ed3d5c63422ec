"""What becomes of a row after a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oumi_fireworks.api.refusals import error_from_answer
from oumi_fireworks.errors import ConfigurationError, ConnectionFailedError, MalformedAnswerError
from oumi_fireworks.online.retries import Next, RetryBudget, after_failure


@pytest.mark.parametrize(
    ("statuses", "step"),
    [
        ([401, 402, 403, 412], Next.STOP),
        ([400, 404, 409, 413, 418, 422], Next.GIVE_UP),
        ([429], Next.WHEN_LET_IN),
        ([405, 408, 425, 500, 501, 502, 503, 504, 520, 599], Next.AGAIN),
    ],
)
def test_the_status_decides(statuses: list[int], step: Next) -> None:
    answer = {"error": {"message": "the service's own words"}}
    for status in statuses:
        assert after_failure(error_from_answer("POST /chat", status, answer)) is step, status


def test_a_deployment_that_is_starting_is_waited_for() -> None:
    body = {"error": {"message": "Deployment is scaling up", "code": "DEPLOYMENT_SCALING_UP"}}
    assert after_failure(error_from_answer("POST /chat", 503, body)) is Next.WHEN_STARTED


def test_what_did_not_arrive_is_tried_again() -> None:
    assert after_failure(ConnectionFailedError("reset")) is Next.AGAIN
    assert after_failure(MalformedAnswerError("half of it")) is Next.AGAIN


def test_a_url_that_cannot_work_stops() -> None:
    assert after_failure(ConfigurationError("redirects")) is Next.STOP


def test_waits_grow_tenfold_as_oumi_documents() -> None:
    budget = RetryBudget(retries=5, base=1.0, longest=30.0)
    waits = [budget.delay(failures, None, 0.0) for failures in range(1, 7)]
    assert waits == [1.0, 10.0, 30.0, 30.0, 30.0, None]


def test_what_the_service_asks_for_takes_precedence() -> None:
    budget = RetryBudget(longest=30.0)
    assert budget.delay(1, 90.0, 0.5) == 90.0
    assert budget.delay(5, 0.0, 0.5) == 0.0


def test_without_retries_there_is_none() -> None:
    assert RetryBudget(retries=0).delay(1, 5.0, 0.0) is None


@given(st.integers(1, 10_000), st.floats(0.001, 100.0), st.floats(0, 1))
def test_chance_spreads_waits_but_not_far(failures: int, base: float, chance: float) -> None:
    budget = RetryBudget(retries=10_000, base=base, longest=base * 30)
    wait = budget.delay(failures, None, chance)
    assert wait is not None
    assert base <= wait <= base * 30 * 1.25 * 1.001
