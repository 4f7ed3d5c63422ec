"""The check of a job's input: one bad row fails all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator.wire.chat_request import BadRequest
from oumi_fireworks.emulator.work.scan import Block, Stopped, row_key, scan
from tests.emulator.service import MODEL, Service, jsonl, row

GOOD = row(0)
USER = {"role": "user", "content": "hi"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}


def with_body(**body: Any) -> dict[str, Any]:
    return {"custom_id": "request-1", "body": {"messages": [USER], **body}}


def with_messages(*messages: Any) -> dict[str, Any]:
    return {"custom_id": "request-1", "body": {"messages": list(messages)}}


TEXT = {"type": "text", "text": "x"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def scanned(folder: Path, content: bytes) -> tuple[list[Block], int]:
    path = folder / "input.jsonl"
    path.write_bytes(content)
    return scan([path], set(), lambda: False)


def refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        scanned(folder, content)
    return caught.value.message


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (with_messages(USER, {"role": "bananas", "content": "x"}), "invalid role bananas in mess"),
        (with_messages(), "at least one message"),
        ({"custom_id": "request-1", "body": {}}, "at least one message"),
        ({"custom_id": "request-1"}, "valid dictionary"),
        ({"body": {"messages": [USER]}}, "custom_id is required"),
        ({"custom_id": 1, "body": {"messages": [USER]}}, "custom_id is required"),
        ({"custom_id": "request-0", "body": {"messages": [USER]}}, "duplicate custom_id"),
        ({**GOOD, "custom_id": "request-1", "extra": 1}, "field: 'extra'"),
        (with_messages("hi"), "not an object"),
    ],
)
def test_a_row_without_structure_fails_them_all(tmp_path: Path, bad: Any, reason: str) -> None:
    message = refusal(tmp_path, jsonl([GOOD, bad, row(2)]))
    assert message.startswith(
        "Dataset has a syntax error: chat dataset validation failed on input.jsonl:1: "
    )
    assert reason in message


FAULTY = [
    (with_messages({"role": "user"}), "content is required"),
    (with_messages({"role": "user", "content": None}), "content is required"),
    (with_messages({**USER, "weight": 1}), "field: 'messages[0].weight'"),
    (with_messages({"role": "tool", "content": "x"}), "tool_call_id is required"),
    (with_messages({"role": "user", "content": [{"type": "audio"}]}), "invalid content part"),
    (with_messages({"role": "user", "content": [{"type": "text"}]}), "no text"),
    (
        with_messages({"role": "user", "content": [{**IMAGE, "image_url": {"url": "cat.png"}}]}),
        "needs a url",
    ),
    (
        with_messages(
            {"role": "user", "content": [{**IMAGE, "image_url": {"url": "data:image/png,xx"}}]}
        ),
        "not base64",
    ),
    (with_messages({"role": "assistant", "content": "", "tool_calls": [1]}), "tool_calls"),
    (with_body(stop_token_ids=[1]), "Extra inputs are not permitted, field: 'stop_token_ids'"),
    (with_body(max_tokens=1, max_completion_tokens=1), "cannot be specified together"),
    (with_body(thinking={"type": "enabled"}, reasoning_effort="low"), "together"),
    (with_body(temperature=2.5), "'temperature'"),
    (with_body(top_p=-1), "'top_p'"),
    (with_body(n=0), "'n'"),
    (with_body(n=True), "'n'"),
    (with_body(max_tokens="10"), "'max_tokens'"),
    (with_body(stop=["a"] * 5), "'stop'"),
    (with_body(stop=[1]), "'stop'"),
    (with_body(reasoning_effort="hard"), "'reasoning_effort'"),
    (with_body(service_tier="gold"), "'service_tier'"),
    (with_body(logit_bias={"1": 1000}), "'logit_bias'"),
    (with_body(response_format={"type": "xml"}), "'response_format'"),
    (with_body(response_format={"type": "json_schema"}), "'response_format'"),
    (with_body(tools=[{"type": "retrieval"}]), "'tools'"),
    (with_body(tools=[TOOL], tool_choice="maybe"), "'tool_choice'"),
    (with_body(tool_choice="required"), "needs tools"),
    (with_body(tools=[TOOL], tool_choice={"function": {"name": "g"}}), "not in tools"),
    (
        with_messages(
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}
        ),
        "field: 'messages[0].content[0].cache_control'",
    ),
    (with_body(tools=[{**TOOL, "cache_control": {}}]), "field: 'tools[0].cache_control'"),
    (
        with_body(tools=[{**TOOL, "function": {"name": "f", "version": 1}}]),
        "field: 'tools[0].function.version'",
    ),
    (with_body(prompt_token_ids=[1, 2]), "messages and prompt_token_ids"),
    ({"custom_id": "request-1", "body": {"prompt_token_ids": ["a"]}}, "'prompt_token_ids'"),
    (with_body(thinking={"type": "enabled", "budget_tokens": 1000}), "'thinking'"),
    (with_body(reasoning_effort=-1), "'reasoning_effort'"),
]
"""Rows whose body has something wrong, and what the service says of it."""


def test_a_bad_body_fails_its_row_alone_as_it_would_online(service: Service) -> None:
    rows = [{**bad, "custom_id": f"request-{number}"} for number, (bad, _) in enumerate(FAULTY)]
    job = service.finished_job([{**GOOD, "custom_id": "good"}, *rows])
    assert job["state"] == "JOB_STATE_COMPLETED"
    assert [each["custom_id"] for each in service.results()] == ["good"]
    assert job["jobProgress"]["failedRequests"] == len(rows)
    errors = {each["custom_id"]: each["error"] for each in service.errors()}
    for number, (bad, reason) in enumerate(FAULTY):
        error = errors[f"request-{number}"]
        assert error["code"] == 400
        assert reason in error["message"]
        body = {"model": MODEL, **bad["body"]}
        online = service.http.post("/inference/v1/chat/completions", json=body)
        assert online.status_code == 400
        assert online.json()["error"]["message"] == error["message"]


def test_one_bad_row_fails_the_whole_job(service: Service) -> None:
    job = service.finished_job([GOOD, with_messages({"role": "bananas", "content": ""}), row(2)])
    assert job["state"] == "JOB_STATE_FAILED"
    assert job["status"]["code"] == "INVALID_ARGUMENT"
    assert "invalid role bananas in message 1" in job["status"]["message"]
    assert set(job["jobProgress"].values()) == {0}
    assert job["lifecycle"]["endTime"] is not None
    assert service.get("/datasets/output").status_code == 404


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not json\n", "invalid JSON"),
        (b"[]\n", "must be a JSON object"),
        (b"\n \n", "the dataset is empty"),
        (b"\xff\xfe\n", "invalid JSON"),
    ],
)
def test_what_is_no_jsonl_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "good",
    [
        with_body(max_tokens=None, temperature=None, stop=None),
        with_body(max_tokens=5, temperature=0, top_p=1, top_k=40, seed=-1, n=2, stop=["a", "b"]),
        with_body(reasoning_effort=True),
        with_body(reasoning_effort="xhigh"),
        with_body(
            chat_template_kwargs={"enable_thinking": False}, min_tokens=1, guided_choice=["a"]
        ),
        with_body(response_format={"type": "json_schema", "json_schema": '{"type": "string"}'}),
        {"custom_id": "request-1", "body": {"prompt_token_ids": [1, 2, 3], "user": "u"}},
        with_body(reasoning_effort=512, reasoning_history="preserved"),
        with_body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
        with_body(response_format={"type": "json_schema", "json_schema": {"schema": {}}}),
        with_body(response_format={"type": "json_schema", "json_schema": {"type": "string"}}),
        with_body(model="whatever", stream=True, user="u", metadata={"a": "b"}),
        with_messages({"role": "system", "content": "x"}, USER),
        with_messages({"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}),
        with_messages(
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
        ),
        with_messages({"role": "assistant", "content": "x", "reasoning_content": "y"}, USER),
        {**with_body(), "method": "POST", "url": "/v1/chat/completions"},
    ],
)
def test_a_good_row_passes(tmp_path: Path, good: Any) -> None:
    assert scanned(tmp_path, jsonl([good]))[1] == 1


def test_blank_lines_and_a_missing_last_newline_do_no_harm(service: Service) -> None:
    content = b"\n" + jsonl([row(0)]) + b"   \n" + jsonl([row(1)]).rstrip()
    service.finished_job(content)
    assert len(service.results()) == 2


def test_a_duplicate_is_found_among_many(tmp_path: Path) -> None:
    rows = [row(number) for number in range(3000)] + [row(1500)]
    assert "duplicate custom_id 'request-1500'" in refusal(tmp_path, jsonl(rows))


@pytest.mark.parametrize("count", [1, 100, 2000])
def test_blocks_cover_every_row_once(tmp_path: Path, count: int) -> None:
    content = jsonl([row(number) for number in range(count)])
    blocks, rows = scanned(tmp_path, content)
    assert rows == count
    assert sum(block.rows for block in blocks) == count
    assert b"".join(content[b.offset : b.offset + b.size] for b in blocks) == content


def test_small_jobs_are_cut_by_row_and_large_ones_coarsely(tmp_path: Path) -> None:
    small, _ = scanned(tmp_path, jsonl([row(number) for number in range(100)]))
    assert {block.rows for block in small} == {1}
    large, _ = scanned(tmp_path, jsonl([row(number) for number in range(5000)]))
    assert len(large) < 1500


def test_finished_rows_are_left_out(tmp_path: Path) -> None:
    done = {row_key("request-1"), row_key("request-3")}
    content = jsonl([row(number) for number in range(5)])
    (tmp_path / "input.jsonl").write_bytes(content)
    blocks, rows = scan([tmp_path / "input.jsonl"], done, lambda: False)
    assert rows == 3
    assert sum(block.rows for block in blocks) == 3


def test_a_scan_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "input.jsonl").write_bytes(jsonl([row(0), row(1)]))
    with pytest.raises(Stopped):
        scan([tmp_path / "input.jsonl"], set(), lambda: True)


def test_unicode_line_separators_do_not_end_a_row(service: Service) -> None:
    content = json.dumps(row(0, "a\u2028b\u2029c\x85d"), ensure_ascii=False).encode() + b"\n"
    assert service.finished_job(content)["state"] == "JOB_STATE_COMPLETED"
    assert len(service.results()) == 1
