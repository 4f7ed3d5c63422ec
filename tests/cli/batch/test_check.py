"""``batch check``: what a batch would be, told without a key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import MODEL, Command, question, write_lines


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no account."""
    for name in ("FIREWORKS_API_KEY", "FIREWORKS_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)


def test_counts_bytes_jobs_roles_tokens_and_costs(
    fireworks: Command, config: Path, at_emulator: Emulator, offline: None
) -> None:
    system = {"role": "system", "content": "s" * 80}
    asked = [f"{row}" + "u" * 399 for row in range(9)]
    rows = [{"messages": [system, {"role": "user", "content": text}]} for text in asked]
    rows.append(question("x" * 4000, label=1, conversation_id="long"))
    write_lines(Path("in.jsonl"), rows)
    ended = fireworks(
        "batch", "check", "-c", config, "--input", "in.jsonl", "--json",
        "--price-in", "1", "--price-out", "2", "--generation.max_new_tokens", "100",
        "--generation.stop_token_ids=[7]", "--model.model_kwargs.fireworks.max_shard_rows=4",
    )  # fmt: skip
    told = json.loads(ended.out)
    assert ended.code == 0
    assert (told["rows"], told["bad_lines"], told["problems"]) == (10, 0, [])
    assert told["requests"]["jobs"] == 4  # three of rows with a system message, one without
    assert told["requests"]["split_by"] == {"max_shard_rows": 2}
    assert told["requests"]["output_bytes_at_most"] == 10 * (100 * 8 + 1000)
    shared = told["requests"]["shared_system_message"]
    assert shared["rows"] == 9
    assert 9 * 80 < shared["saved_bytes"] < 9 * 160
    assert told["requests"]["bytes"] > told["requests"]["largest"] > 4000
    assert told["requests"]["fields"]["max_tokens"] == 100
    assert told["messages"] == {"system": 9, "user": 10}
    assert told["tokens"]["input"] == 9 * (480 // 4 + 8) + 4000 // 4 + 4
    assert told["tokens"]["output_at_most"] == 1000
    assert told["cost"] == {
        "input": pytest.approx(told["tokens"]["input"] / 1e6),
        "output_at_most": pytest.approx(2 * 1000 / 1e6),
        "at_most": pytest.approx(_most(told["requests"]) / 1e6),
    }
    assert told["prices"]["source"] == "your own prices"
    assert told["longest"][0] == {"file": "in.jsonl", "line": 10, "tokens": 1004}
    assert told["dropped_fields"] == {"label": 1}
    assert told["dropped_settings"] == {"stop_token_ids": [7]}
    assert told["model"] == MODEL
    assert not at_emulator.requests


def _most(requests: dict[str, Any]) -> int:
    """The most dollars for ten requests, at 1 and 2 dollars for a token, if bytes are tokens."""
    saved = requests["shared_system_message"]["saved_bytes"]
    return int(requests["bytes"]) + int(saved) + 10 * (256 + 2 * 100)


def test_what_is_shared_and_what_decided_the_jobs_is_said(
    fireworks: Command, config: Path, offline: None
) -> None:
    system = {"role": "system", "content": "s" * 3000}
    rows = [{"messages": [system, {"role": "user", "content": f"{n}"}]} for n in range(9)]
    write_lines(Path("in.jsonl"), rows)
    check = ("batch", "check", "-c", config, "--input", "in.jsonl")
    options = "--model.model_kwargs.fireworks"
    told = " ".join(fireworks(*check, f"{options}.max_shard_output_bytes=20000").out.split())
    assert "the system message of 9 rows travels with the job: 27" in told
    assert "by max_shard_output_bytes: " in told
    assert "full by what may come out" in told
    told = " ".join(fireworks(*check, f"{options}.hoist_system_prompt=off").out.split())
    assert "travels with the job" not in told
    assert "in 1 job" in told


def test_all_bad_lines_are_counted_and_twenty_are_named(
    fireworks: Command, config: Path, offline: None
) -> None:
    write_lines(Path("in.jsonl"), [question("good"), *[b"{"] * 50])
    ended = fireworks("batch", "check", "-c", config, "--input", "in.jsonl")
    assert ended.code == 1
    assert "50 lines cannot be sent. The first 20:" in ended.out
    assert "in.jsonl:2: not JSON" in ended.out
    assert "in.jsonl:21: " in ended.out
    assert "in.jsonl:22: " not in ended.out
    left_out = fireworks("batch", "check", "-c", config, "--input", "in.jsonl", "--skip-bad")
    assert left_out.code == 0


def test_a_row_that_no_job_can_take_is_named(
    fireworks: Command, config: Path, offline: None
) -> None:
    write_lines(Path("in.jsonl"), [question("short"), question("long" * 100)])
    ended = fireworks(
        "batch", "check", "-c", config, "--input", "in.jsonl",
        "--model.model_kwargs.fireworks.max_shard_bytes=200",
    )  # fmt: skip
    assert ended.code == 1
    assert "in.jsonl:2: Conversation 1 makes a request of" in ended.out


def test_what_a_person_reads(fireworks: Command, config: Path, offline: None) -> None:
    write_lines(Path("in.jsonl"), [question("good", mood="sunny")])
    ended = fireworks("batch", "check", "-c", config, "-i", "in.jsonl", "--generation.min_p=0.5")
    assert ended.code == 0
    assert "about 5 in" in ended.out
    assert "UTF-8 bytes of text ÷ 4" in ended.out
    assert "mood, in 1 row: no part of a conversation" in ended.out
    assert "Ready to be sent." in ended.out
    assert re.search(r"Cost +about <\$0.0001 in, at most <?\$", ended.out)
    assert "a million tokens (genai-prices" in ended.out
    unset = "--model.model_kwargs.fireworks.extra_body={max_tokens: null}"
    ended = fireworks("batch", "check", "-c", config, "-i", "in.jsonl", unset)
    assert "at most 2,048 out" in ended.out
    assert "max_new_tokens is not set: Fireworks stops at 2,048 in 1 row" in ended.out


def test_a_schema_is_shown_as_yaml(fireworks: Command, config: Path, offline: None) -> None:
    write_lines(Path("in.jsonl"), [question("good")])
    ended = fireworks(
        "batch", "check", "-c", config, "-i", "in.jsonl",
        "generation.guided_decoding={json: {type: object, properties: {größe: {type: number}}}}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "temperature 0.0" in ended.out
    lines = [line.strip() for line in ended.out.splitlines()]
    assert "größe:" in lines
    assert "type: number" in lines
    assert "{" not in ended.out
