"""What is said after Ctrl-C."""

from __future__ import annotations

import pytest

from oumi_fireworks.batch import Stage
from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.display.interruptions import (
    online_interrupted,
    run_interrupted,
    submission_interrupted,
    watch_interrupted,
)

STOP = "stop it with `oumi-fireworks batch cancel oumi-x`."


def attempt(stage: Stage) -> Attempt:
    return Attempt("oumi-x", (), stage)


def test_what_was_not_submitted_costs_nothing() -> None:
    assert run_interrupted(None) == submission_interrupted(None)
    assert run_interrupted(None) == "Interrupted. Nothing was submitted."


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.PLANNED])
def test_a_run_at_work_is_resumed_or_stopped(stage: Stage) -> None:
    said = run_interrupted(attempt(stage))
    assert said == watch_interrupted("oumi-x")
    assert said.startswith("Interrupted. Batch oumi-x goes on at Fireworks. Run the same again")
    assert said.endswith(STOP)


def test_a_run_may_be_half_submitted() -> None:
    said = run_interrupted(attempt(Stage.PLANNED))
    assert "while batch oumi-x was being submitted" in said
    assert said.endswith(STOP)


def test_a_submission_is_not_to_be_repeated() -> None:
    said = submission_interrupted("oumi-x")
    assert "the same again" not in said
    assert "`oumi-fireworks batch status oumi-x --watch`" in said
    assert said.endswith(STOP)


@pytest.mark.parametrize(("is_kept", "fate"), [(True, "They are kept"), (False, "none of them is")])
def test_online_says_what_is_kept(is_kept: bool, fate: str) -> None:
    said = online_interrupted(1200, 5000, is_kept=is_kept)
    assert said.startswith("Interrupted with 1,200 of 5,000 rows answered.")
    assert fate in said
