"""``--events`` and ``--notify``, and the options of the same name, through whole runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from oumi.core.configs import InferenceConfig, ModelParams

from oumi_fireworks import FireworksInferenceEngine
from oumi_fireworks.cli.schemas import schema_of
from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import MODEL, Command, question, write_lines
from tests.cli.batch.test_schemas import strict
from tests.sink import sink

PRICES = ("--price-in", "1000000", "--price-out", "1000000")
"""A dollar a token."""

SECRET = "a prompt that is nobody else's"


def events_in(path: Path) -> list[dict[str, Any]]:
    """The events of a file; each follows the schema and has nothing else."""
    schema = strict(schema_of("events"))
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    for each in found:
        jsonschema.validate(each, schema)
    return found


def rows_of(**counts: int) -> dict[str, int]:
    """The counts of rows at the end of a run."""
    names = ("answered", "rejected", "failed", "over_budget")
    return {"total": sum(counts.values()), **dict.fromkeys(names, 0), **counts}


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in events if each["event"] != "progress"]


def test_a_run_is_told_from_its_begin_to_its_end(
    fireworks: Command, at_emulator: Emulator, config: Path, tmp_path: Path
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [question(SECRET), question("[[fail]]")])
    given = ["-c", config, "--input", source]
    told = [*PRICES, "--events", "events.jsonl", "--notify"]
    with sink() as where:
        url = f"json://127.0.0.1:{where.port}/hook"
        ended = fireworks("batch", "run", *given, "--output", "out.jsonl", *told, url)
        assert ended.code == 3, ended.err
        (message,) = [json.loads(body) for body in where.bodies("/hook")]
    events = events_in(tmp_path / "events.jsonl")
    assert kinds(events) == [
        "run_started",
        "batch_under_way",
        "batch_ended",
        "batch_under_way",  # the failed row again
        "batch_ended",
        "run_ended",
    ]
    first, last = events[0], events[-1]
    assert (first["model"], first["mode"], first["output"]) == (MODEL, "batch", "out.jsonl")
    assert last["outcome"] == "rows_open"
    assert last["rows"] == rows_of(answered=1, failed=1)
    assert last["tokens"]["output"] > 0
    ledger = at_emulator.ledger
    assert last["tokens"]["input"] + last["tokens"]["output"] == last["cost"]
    assert last["cost"] == ledger.input_tokens + ledger.output_tokens
    assert sum(each["cost"] for each in events if each["event"] == "batch_ended") == last["cost"]
    assert message["title"] == "A Fireworks run has ended: rows are open"
    assert "1 of 2 rows answered, 1 failed." in message["message"]
    everything = (tmp_path / "events.jsonl").read_text("utf-8") + json.dumps(message)
    assert SECRET not in everything
    assert at_emulator.api_key not in everything

    again = fireworks("batch", "retry", "out.jsonl", *given, "--events", "events.jsonl")
    assert again.code == 3
    assert kinds(events_in(tmp_path / "events.jsonl"))[6:] == kinds(events)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--notify", "slakc://token-of-somebody"],
            "Apprise cannot use the notification URL slakc",
        ),
        (["--events", "/"], "Cannot write the events to /"),
    ],
)
def test_what_cannot_be_told_is_refused_before_anything_is_sent(
    fireworks: Command,
    at_emulator: Emulator,
    config: Path,
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [question("one")])
    ended = fireworks(
        "batch", "run", "-c", config, "--input", source, "--output", "out.jsonl", *arguments
    )
    assert ended.code in (1, 2)
    assert said in ended.err
    assert "token-of-somebody" not in ended.err
    assert at_emulator.requests_to("POST") == []


def test_a_batch_that_fails_as_a_whole_is_told_with_the_words_of_the_service(
    fireworks: Command, at_emulator: Emulator, config: Path, tmp_path: Path
) -> None:
    source = write_lines(tmp_path / "in.jsonl", [question("one")])
    unknown = "--model.model_name=accounts/fireworks/models/does-not-exist"
    ended = fireworks(
        "batch", "run", "-c", config, unknown, "--input", source, "--output", "out.jsonl",
        "--events", "events.jsonl",
    )  # fmt: skip
    assert ended.code == 1
    last = events_in(tmp_path / "events.jsonl")[-1]
    assert last["outcome"] == "failed"
    assert "does-not-exist" in last["error"]


@pytest.mark.parametrize(
    ("how", "outcomes"),
    [
        (["--mode", "batch"], {"rejected": 1}),
        (["--mode", "online"], {"rejected": 1}),
        (["--mode", "online", "--max-cost", "5"], {"over_budget": 2}),
    ],
)
def test_the_end_tells_each_outcome_apart_and_what_all_has_cost(
    fireworks: Command, config: Path, tmp_path: Path, how: list[str], outcomes: dict[str, int]
) -> None:
    config.write_text(config.read_text() + "      accept: {json: true}\n      row_retries: 0\n")
    good = '[[reply {"ok": true}]]'
    source = write_lines(tmp_path / "in.jsonl", [question(good), question(f"[[bad 9]]{good}")])
    ended = fireworks(
        "batch", "run", "-c", config, "--input", source, "--output", "out.jsonl",
        "--events", "events.jsonl", *PRICES, *how,
    )  # fmt: skip
    assert ended.code == 3, ended.err
    last = events_in(tmp_path / "events.jsonl")[-1]
    answered = 0 if "over_budget" in outcomes else 1
    assert last["rows"] == rows_of(answered=answered, **outcomes)
    assert last["outcome"] == "rows_open"
    tokens = last["tokens"]["input"] + last["tokens"]["output"]
    assert last["cost"] == (tokens or None)
    assert (tokens > 0) == (answered > 0)


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_the_engine_tells_by_its_options(at_emulator: Emulator, tmp_path: Path, mode: str) -> None:
    source = write_lines(tmp_path / "in.jsonl", [question(SECRET), question("[[fail 400]]")])
    engine = FireworksInferenceEngine(
        ModelParams(model_name=MODEL),
        mode=mode,
        events=str(tmp_path / "events.jsonl"),
        on_failed_rows="keep",
        poll_interval=0.05,
        row_retries=0,
    )
    output = str(tmp_path / "out.jsonl")
    engine.infer(
        inference_config=InferenceConfig(
            model=ModelParams(model_name=MODEL), input_path=str(source), output_path=output
        )
    )
    events = events_in(tmp_path / "events.jsonl")
    of_batch = ["batch_under_way", "batch_ended"] if mode == "batch" else []
    assert kinds(events) == ["run_started", *of_batch, "run_ended"]
    assert (events[0]["mode"], events[0]["rows"], events[0]["output"]) == (mode, 2, output)
    assert events[-1]["rows"] == rows_of(answered=1, failed=1)
    assert events[-1]["tokens"]["output"] > 0
    assert 0 < events[-1]["cost"] < 0.001
    assert SECRET not in (tmp_path / "events.jsonl").read_text("utf-8")
