"""``mode: batch`` delivers every row exactly once, whatever the sky: see ``tests/batch/sky.py``.

Only in ``make soak``, a thousand examples: a call of the engine takes too long for the suite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina
from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams, RemoteParams
from oumi.core.types.conversation import Conversation

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.batch.delivery import is_delivered
from oumi_fireworks.batch.manifest import Manifest
from oumi_fireworks.errors import FireworksError, IncompleteBatchError
from tests.batch.mortal import forked
from tests.batch.sky import GONE_AFTER, RESULTS_TIMEOUT, ROWS, UnderAnySky
from tests.batch.support import MODEL
from tests.engine.conftest import ask


class EngineUnderAnySky(UnderAnySky):
    """``infer`` and ``infer_partial``, with an output and Oumi's scratch file."""

    @property
    def output(self) -> Path:
        return self.folder / "answers.jsonl"

    @property
    def manifest_path(self) -> Path:
        return Path(f"{self.output}.run") / "run.json"

    def new_engine(self) -> FireworksInferenceEngine:
        return FireworksInferenceEngine(
            ModelParams(model_name=MODEL),
            remote_params=RemoteParams(api_url=self.service.url, api_key=self.service.api_key),
            mode="batch",
            account_id=self.service.account,
            max_shard_rows=2,
            poll_interval=0.01,
            row_retries=self.retries,
            delete_datasets=self.tidy,
            gone_after=GONE_AFTER,
            results_timeout=RESULTS_TIMEOUT,
        )

    def rows(self) -> list[Conversation]:
        marks = self.marks
        return [ask(f"row {row} [[echo]]{marks.get(row, '')}") for row in range(ROWS)]

    def config(self) -> InferenceConfig:
        return InferenceConfig(
            model=ModelParams(model_name=MODEL),
            generation=GenerationParams(),
            output_path=str(self.output),
        )

    def kept(self) -> int:
        """How many rows the scratch file has."""
        files = list((self.folder / "scratch").glob("*.jsonl"))
        return sum(len(path.read_text().splitlines()) for path in files)

    def go(self) -> None:
        """Call ``infer_partial``; it is a wish of its own if the one before it was answered."""
        result = self.new_engine().infer_partial(self.rows(), self.config())
        self.answers = {row: said(answered) for row, answered in result.successful}
        if not self.manifest_path.exists():
            self.deliver()
            self.rounds += 1

    @rule()
    def all_rows_are_wanted(self) -> None:
        with contextlib.suppress(FireworksError):
            try:
                answered = self.new_engine().infer(self.rows(), self.config())
                self.answers = {row: said(each) for row, each in enumerate(answered)}
            except IncompleteBatchError:
                if self.manifest_path.exists():
                    return
            self.deliver()
            self.rounds += 1

    def go_and_die(self, seconds: float) -> None:
        """Be killed by SIGKILL: where the answers were delivered before, that wish has ended."""
        before = self.kept()
        forked(
            lambda: self.new_engine().infer_partial(self.rows(), self.config()),
            killed_after=seconds * 3,
        )
        made = {job.id for job in self.service.jobs} - self.settled
        if self.kept() > before or (made and self.is_over()):
            self.deliver()
            self.rounds += 1

    @property
    def jobs_to_keep(self) -> set[str]:
        """Without those that answered no row: nothing of them goes into the scratch file.

        What their rows failed of is in the run's folder, from which it is told again where the
        process dies as it removes their datasets.
        """
        charges = self.service.ledger.jobs
        return super().jobs_to_keep - {each.job for each in charges if each.rows == each.failed}

    def is_over(self) -> bool:
        """Whether the run has delivered: rows that failed add nothing to the scratch file."""
        manifest = Manifest.load(self.manifest_path)
        return manifest is None or is_delivered(manifest)


def said(conversation: Conversation) -> str:
    """The answer."""
    assert str(conversation.messages[-1].role) == "assistant"
    return str(conversation.messages[-1].content)


@pytest.fixture(autouse=True)
def at_home(home: None) -> Iterator[None]:
    """A home of its own, and no waiting before a call is repeated."""
    with stamina.set_testing(True, attempts=5, cap=True):
        yield


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_engine_under_any_sky() -> None:
    run_state_machine_as_test(
        EngineUnderAnySky, settings=settings(max_examples=1000, stateful_step_count=12)
    )
