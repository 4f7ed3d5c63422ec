"""What users have in their lines: it comes out as it went in, whatever it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oumi_fireworks.emulator import Emulator
from tests.cli.batch.support import Command, read_lines

LINES = b"".join(
    b"{%s}\n" % fields
    for fields in (
        b'"messages": [{"role": "user", "content": "zero"}],'
        b'"metadata": {"id": 123456789012345678901}, "label": "gold-4"',
        b'"messages": [{"role": "user", "content": "one", "weight": 1}],'
        b'"metadata": {"a": NaN, "b": 1e400}, "n": 18446744073709551616',
        b'"messages": [{"role": "user", "content": "two [[fail]]"}],"metadata": {"c": -Infinity}',
    )
)


@pytest.fixture
def answered(fireworks: Command, config: Path, at_emulator: Emulator) -> Path:
    """The output of a run of these lines."""
    Path("in.jsonl").write_bytes(LINES)
    ended = fireworks("batch", "run", "-c", config, "-i", "in.jsonl", "-o", "out.jsonl")
    assert ended.code == 3, ended.err  # one of them fails on purpose
    return Path("out.jsonl")


def test_numbers_and_unknown_fields_are_kept(answered: Path) -> None:
    first, second = read_lines(answered)
    assert first["metadata"]["id"] == 123456789012345678901
    assert first["label"] == "gold-4"
    assert second["n"] == 18446744073709551616
    assert second["messages"][0]["weight"] == 1
    # As Oumi's own engines write them: JSON has no such numbers.
    assert (second["metadata"].get("a"), second["metadata"].get("b")) == (None, None)


def test_results_are_the_same_as_those_of_a_run(
    fireworks: Command, answered: Path, at_emulator: Emulator
) -> None:
    batch = at_emulator.jobs[0].id
    ended = fireworks("batch", "results", batch, "-i", "in.jsonl", "-o", "again.jsonl")
    assert ended.code == 3, ended.err
    assert Path("again.jsonl").read_bytes() == answered.read_bytes()
    assert fireworks("batch", "report", answered).code == 0


def test_check_takes_them_and_says_what_is_not_sent(fireworks: Command, config: Path) -> None:
    Path("in.jsonl").write_bytes(LINES)
    ended = fireworks("batch", "check", "-c", config, "-i", "in.jsonl", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["dropped_fields"] == {"label": 1, "messages.weight": 1, "n": 1}


def test_what_cannot_be_sent_is_said_with_its_line_or_setting(
    fireworks: Command, config: Path
) -> None:
    tool = '{"type": "function", "function": {"name": "f", "parameters": {"minimum": NaN}}}'
    asked = '"messages": [{"role": "user", "content": "hi"}]'
    Path("in.jsonl").write_text(f'{{{asked}}}\n{{{asked}, "tools": [{tool}]}}\n')
    ended = fireworks("batch", "check", "-c", config, "-i", "in.jsonl")
    assert ended.code == 1
    assert "in.jsonl:2: tools.parameters.minimum is NaN" in ended.out
    for setting in ("generation.max_new_tokens=0", "generation.tool_choice=f"):
        refused = fireworks("batch", "check", "-c", config, "-i", "in.jsonl", setting)
        assert refused.code == 2
        assert setting.partition("=")[0] in refused.err


def test_an_unknown_request_field_is_a_note(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    Path("in.jsonl").write_bytes(LINES)
    setting = "model.model_kwargs.fireworks.extra_body={top_kk: 4}"
    ended = fireworks("batch", "check", "-c", config, "-i", "in.jsonl", "--json", setting)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert "top_kk" not in found["requests"]["fields"]
    assert "Did you mean 'top_k'?" in found["warnings"][0]
