"""Rows that fail: what ``infer`` does with the others, and that nothing is paid for twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import InferenceConfig, ModelParams, RemoteParams
from oumi.core.inference.base_inference_engine import InferenceErrorType
from oumi.core.types.conversation import Conversation
from oumi.utils.http import APIStatusError

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import FireworksError, InvalidRequestError
from tests.engine.conftest import CHAT, MODEL, EngineFactory, ask, read, sent

pytestmark = pytest.mark.usefixtures("home")

ROWS = 20
BAD = 13


def rows(reason: str = "fail 400") -> list[Conversation]:
    """Twenty questions, one of which fails."""
    return [
        ask(f"[[{reason}]]" if index == BAD else f"What is number {index}?",
            conversation_id=f"row-{index}")
        for index in range(ROWS)
    ]  # fmt: skip


def to(output: Path) -> InferenceConfig:
    return InferenceConfig(model=ModelParams(model_name=MODEL), output_path=str(output))


def test_a_refused_row_ends_nothing_and_is_named_at_the_end(
    make: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    with pytest.raises(FireworksError) as caught:
        make().infer(rows(), to(output))
    said = str(caught.value)
    assert f"1 of {ROWS} rows has no answer: row {BAD} (row-{BAD}): " in said
    assert "refused ones are not sent again" in said
    assert "on_failed_rows" in said
    assert len(said) < 600
    (scratch,) = (output.parent / "scratch").glob("*.jsonl")
    assert len(read(scratch)) == ROWS - 1
    assert not output.exists()

    before = sent(at_emulator)
    with pytest.raises(InvalidRequestError, match=f"row {BAD} \\(row-{BAD}\\)"):
        make().infer(rows(), to(output))
    assert sent(at_emulator) == before, "a refused row is paid for by repeating"

    kept = make(on_failed_rows="keep").infer(rows(), to(output))
    assert sent(at_emulator) == before
    assert [row["conversation_id"] for row in read(output)] == [
        f"row-{index}" for index in range(ROWS) if index != BAD
    ]
    assert len(kept) == ROWS - 1

    with pytest.raises(FireworksError):
        make(resend_refused=True).infer(rows(), to(output))
    assert sent(at_emulator) == before + 1


def test_keep_writes_the_others_and_the_failures_beside_them(
    make: EngineFactory, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make(on_failed_rows="keep")
    kept = engine.infer(rows(), to(output))
    assert [each.conversation_id for each in kept] == [
        row["conversation_id"] for row in read(output)
    ]
    (failed,) = read(Path(f"{output}.errors.jsonl"))
    assert (failed["index"], failed["conversation_id"]) == (BAD, f"row-{BAD}")
    assert failed["error"]["code"] == "400"
    assert failed["error"]["message"]
    assert f"1 of {ROWS} rows" in caplog.text
    assert f"{output}.errors.jsonl" in caplog.text


def test_keep_without_failures_leaves_the_output_alone(make: EngineFactory, output: Path) -> None:
    Path(f"{output}.errors.jsonl").write_text("of an earlier run\n")
    good = [row for index, row in enumerate(rows()) if index != BAD]
    assert len(make(on_failed_rows="keep").infer(good, to(output))) == ROWS - 1
    assert [path.name for path in output.parent.glob("answers*")] == ["answers.jsonl"]
    assert not list((output.parent / "scratch").iterdir())


def test_keep_without_an_output_gives_the_others_back(make: EngineFactory) -> None:
    kept = make(on_failed_rows="keep").infer(rows())
    assert len(kept) == ROWS - 1


def test_keep_leaves_a_row_out_that_cannot_be_sent(make: EngineFactory, output: Path) -> None:
    conversations = rows()
    conversations[BAD] = Conversation(messages=[], conversation_id="empty")
    assert len(make(on_failed_rows="keep").infer(conversations, to(output))) == ROWS - 1
    (failed,) = read(Path(f"{output}.errors.jsonl"))
    assert (failed["index"], failed["conversation_id"]) == (BAD, "empty")
    assert "no messages" in failed["error"]["message"]


def test_keep_still_raises_what_concerns_every_row(
    make: EngineFactory, at_emulator: Emulator, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREWORKS_API_KEY", "fw_wrong")
    with pytest.raises(FireworksError, match="invalid"):
        make(on_failed_rows="keep").infer(rows(), to(output))
    assert not output.exists()


def test_a_service_that_is_away_ends_a_run_that_wants_all_rows(
    make_engine: EngineFactory, at_emulator: Emulator, output: Path
) -> None:
    engine = make_engine(remote=RemoteParams(num_workers=2, max_retries=0))
    at_emulator.faults.add(Fault(path=CHAT, status=503, after=5, times=None))
    with pytest.raises(APIStatusError) as caught:
        engine.infer(rows(), to(output))
    assert caught.value.status_code == 503
    assert sent(at_emulator) < ROWS


@pytest.mark.parametrize(
    ("model", "key", "words"),
    [("llama", "fw_key", "accounts/fireworks/models/"), (MODEL, "", "FIREWORKS_API_KEY")],
)
def test_infer_partial_raises_nothing(
    make: EngineFactory, monkeypatch: pytest.MonkeyPatch, model: str, key: str, words: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("FIREWORKS_API_KEY", key)
    progress = tmp_path / "progress.json"
    result = make(model=model).infer_partial(rows(), progress_path=str(progress))
    assert result.failed_indices == list(range(ROWS))
    for failure in result.failures.values():
        assert failure.error_type is InferenceErrorType.CONFIG
        assert not failure.is_retryable
        assert words in failure.error_message
    assert json.loads(progress.read_text())["failed"] == ROWS


def test_infer_partial_has_the_reason_of_each_row(make: EngineFactory) -> None:
    conversations = rows()
    conversations[2] = Conversation(messages=[])
    result = make().infer_partial(conversations)
    assert len(result.successful) == ROWS - 2
    empty, refused = (result.failures[index] for index in (2, BAD))
    assert empty.error_type is InferenceErrorType.CONFIG
    assert refused.error_type is InferenceErrorType.API_STATUS
    assert (refused.status_code, refused.is_retryable) == (400, False)


def test_a_finished_batch_is_not_paid_for_again(
    make_engine: EngineFactory, at_emulator: Emulator, output: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def infer(**options: Any) -> list[Conversation]:
        engine = make_engine(mode="batch", poll_interval=0.02, **options)
        return engine.infer(rows("echo"), to(output))

    caplog.set_level("INFO", logger="oumi_fireworks")
    first = infer()
    written = output.read_bytes()
    before = sent(at_emulator)
    assert infer() == first
    assert sent(at_emulator) == before
    assert output.read_bytes() == written
    assert f"{output} has the answers of this batch already" in caplog.text
    infer(extra_body={"top_k": 5})  # other requests, other answers
    assert sent(at_emulator) == before + ROWS
    output.unlink()
    infer()
    assert sent(at_emulator) == before + 2 * ROWS
