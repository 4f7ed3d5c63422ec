"""Texts of the service that want to be more than texts, in every command that shows some."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.safe_text import UNSEEN
from tests.cli.batch.support import MODEL, Command

EVIL = "\x1b]0;owned\x07\x1b]52;c;cm0=\x07\x1b[2J\x9b2J\u202egnp\nforged line\r\x1b[31m"
NAME = "accounts/emulator/batchInferenceJobs/a-job"
JOB = {
    "name": NAME,
    "displayName": EVIL,
    "state": f"JOB_STATE_FAILED{EVIL}",
    "status": {"code": "INTERNAL", "message": EVIL},
    "model": MODEL + EVIL,
    "inputDatasetId": "accounts/emulator/datasets/in",
    "outputDatasetId": "accounts/emulator/datasets/out",
    "createTime": "2026-08-30T03:48:56.029803417Z",
}
REFUSAL = {"code": 3, "message": EVIL, "details": []}


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (["batch", "list"], "batchInferenceJobs$", {"batchInferenceJobs": [JOB]}),
        (["batch", "list", "--json"], "batchInferenceJobs$", {"batchInferenceJobs": [JOB]}),
        (["batch", "status", "a-job"], "a-job$", JOB),
        (["batch", "status", "a-job", "--json"], "a-job$", JOB),
        (["models"], "models$", {"data": [{"id": EVIL, "supports_chat": True}]}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_for_is_shown_without_them(
    fireworks: Command,
    at_emulator: Emulator,
    arguments: list[str],
    path: str,
    body: Mapping[str, object],
) -> None:
    at_emulator.faults.add(Fault("GET", path, "garbage", body=dict(body), times=None))
    ended = fireworks(*arguments)
    assert "owned" in ended.out
    assert not UNSEEN.search(ended.out + ended.err)
    assert not [line for line in ended.out.splitlines() if line.startswith("forged")]


@pytest.mark.parametrize(
    "arguments",
    [
        ["batch", "list"],
        ["batch", "status", "a-job"],
        ["batch", "cancel", "a-job"],
        ["models"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("status", [400, 503])
def test_an_error_is_told_without_them(
    fireworks: Command, at_emulator: Emulator, arguments: list[str], status: int
) -> None:
    key = at_emulator.api_key
    body = {**REFUSAL, "message": f"{EVIL} {key}"}
    headers = {"Retry-After": "0.001"}
    at_emulator.faults.add(Fault(status=status, body=body, headers=headers, times=None))
    ended = fireworks(*arguments)
    assert ended.code == 1
    assert "owned" in ended.err
    assert key not in ended.out + ended.err
    assert not UNSEEN.search(ended.out + ended.err)
    assert not [line for line in ended.err.splitlines() if line.startswith("forged")]
