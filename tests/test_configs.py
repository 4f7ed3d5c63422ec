"""The examples in configs/: each does, through Oumi and against the emulator, what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict

from oumi_fireworks.emulator import Emulator

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))

Run = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def environment(at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place and the variables that the examples are run with."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DO_NOT_TRACK", "1")


@pytest.fixture
def run(environment: None, tmp_path: Path) -> Run:
    """Run an example as it is, but for the place of its output, and read that back."""

    def run_config(name: str) -> list[dict[str, Any]]:
        from oumi.core.configs import InferenceConfig
        from oumi.infer import infer

        config = InferenceConfig.from_yaml(str(ROOT / "configs" / f"{name}.yaml"))
        assert Path(config.output_path or "").parts[0] == "output"
        config.output_path = str(tmp_path / "answers.jsonl")
        config.finalize_and_validate()
        infer(config)
        return read_answers(tmp_path / "answers.jsonl", name)

    return run_config


def read_answers(output: Path, name: str) -> list[dict[str, Any]]:
    """The last message of each conversation, in the order of the example's input."""
    asked = _conversations(ROOT / OmegaConf.load(ROOT / "configs" / f"{name}.yaml").input_path)
    answered = _conversations(output)
    assert [each["conversation_id"] for each in answered] == [
        each["conversation_id"] for each in asked
    ]
    for before, after in zip(asked, answered, strict=True):
        assert len(after["messages"]) == len(before["messages"]) + 1
        assert after["messages"][-1]["role"] == "assistant"
    return [each["messages"][-1] for each in answered]


def _conversations(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def chat_requests(emulator: Emulator) -> list[dict[str, Any]]:
    """The bodies of the chat completions that were asked for."""
    return [each.body for each in emulator.requests_to("POST", r"/chat/completions$")]


@pytest.mark.parametrize("name", CONFIGS)
def test_header_says_what_is_needed_and_how_to_run_it(name: str) -> None:
    text = (ROOT / "configs" / f"{name}.yaml").read_text()
    header = text[: text.index("\nengine: FIREWORKS")]
    assert "# Needs:   FIREWORKS_API_KEY" in header
    command = f"oumi infer -c configs/{name}.yaml"
    assert f"# Run:     {command}\n" in header
    assert f"# Try it:  oumi-fireworks emulator exec -- {command}\n" in header


def test_every_config_has_a_test_of_its_own() -> None:
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(CONFIGS) <= tests


def test_chat(run: Run, emulator: Emulator) -> None:
    answers = run("chat")
    assert all("toy model in place of accounts/fireworks" in each["content"] for each in answers)
    requests = chat_requests(emulator)
    assert len(requests) == len(answers)
    for request in requests:
        assert request.pop("messages")[0]["role"] == "system"
        assert request == {
            "model": "accounts/fireworks/models/llama-v3p1-8b-instruct",
            "max_tokens": 256,
            "temperature": 0.7,
            "top_p": 0.95,
        }


def test_batch(run: Run, emulator: Emulator) -> None:
    answers = run("batch")
    assert all(each["content"] for each in answers)
    assert chat_requests(emulator) == []
    (job,) = emulator.jobs
    assert job.state == "JOB_STATE_COMPLETED"
    assert job.model == "accounts/fireworks/models/llama-v3p1-8b-instruct"


class Ticket(BaseModel):
    """What the schema in structured_output.yaml describes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    summary: str
    product: Literal["app", "card", "account", "other"]
    urgent: bool
    amounts: list[float]


def test_structured_output(run: Run) -> None:
    for answer in run("structured_output"):
        Ticket.model_validate_json(answer["content"])


def test_tools(run: Run) -> None:
    calling, called = run("tools")
    (call,) = calling["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]).keys() == {"city", "unit"}
    assert "tool_calls" not in called or not called["tool_calls"]
    assert "temperature" in called["content"]  # it has read the tool's result


def test_vision(run: Run, emulator: Emulator) -> None:
    answers = run("vision")
    assert all("was shown 1 image" in each["content"] for each in answers)
    for request in chat_requests(emulator):
        image, text = request["messages"][-1]["content"]
        assert image["image_url"]["url"].startswith("data:image/png;base64,")
        assert text["type"] == "text"


def test_reasoning(run: Run, emulator: Emulator) -> None:
    for answer in run("reasoning"):
        assert "pretends to think" in answer["reasoning_content"]
        assert "pretends to think" not in answer["content"]
    assert {each["reasoning_effort"] for each in chat_requests(emulator)} == {"medium"}


def test_deployment(run: Run, emulator: Emulator) -> None:
    assert all(each["content"] for each in run("deployment"))
    (model,) = {each["model"] for each in chat_requests(emulator)}
    assert model.endswith("#accounts/my-account/deployments/my-deployment")


def test_high_throughput(run: Run, emulator: Emulator) -> None:
    answers = run("high_throughput")
    assert all(each["content"] for each in answers)
    assert len(chat_requests(emulator)) == len(answers)
