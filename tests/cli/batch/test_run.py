"""``batch run``: from conversations to answered conversations, and what stands in the way."""

from __future__ import annotations

import gzip
import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from oumi_fireworks.batch.run_files import MANIFEST_NAME
from oumi_fireworks.emulator import Emulator, Fault
from tests.cli.batch.support import (
    MODEL,
    Command,
    asked,
    question,
    questions,
    read_lines,
    write_lines,
)

if TYPE_CHECKING:
    from oumi.core.inference import BaseInferenceEngine
    from oumi.core.types.conversation import Conversation


def an_echo() -> BaseInferenceEngine:
    """An engine of Oumi's that answers nothing, but does all that Oumi does around it."""
    from oumi.core.configs import ModelParams
    from oumi.core.inference import BaseInferenceEngine

    class Echo(BaseInferenceEngine):
        def get_supported_params(self) -> set[str]:
            return set()

        def _infer_online(
            self, input: list[Conversation], inference_config: object = None
        ) -> list[Conversation]:
            return input

    return Echo(ModelParams(model_name="echo"))


def test_every_row_is_answered_in_the_order_of_the_input(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    questions(Path("in.jsonl"), 300)
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    rows = read_lines(Path("out.jsonl"))
    assert ended.code == 0
    assert ended.out == ""
    assert "300 rows, all answered." in ended.err
    assert asked(Path("out.jsonl")) == [f"Number {index}?" for index in range(300)]
    assert all(
        f"Number {index}?" in row["messages"][1]["content"] for index, row in enumerate(rows)
    )
    assert [row["messages"][1]["role"] for row in rows] == ["assistant"] * 300
    assert not list(Path().glob("out.jsonl*run*"))
    assert not Path("out.jsonl.errors.jsonl").exists()
    assert len(at_emulator.jobs) == 1
    assert not at_emulator.requests_to("POST", "chat/completions")


def test_what_the_user_should_know_of_a_row_is_said_once(fireworks: Command, config: Path) -> None:
    ends_with_an_answer = question("Tell me [[fail]]")
    ends_with_an_answer["messages"].append({"role": "assistant", "content": "Well"})
    write_lines(Path("in.jsonl"), [question("a"), ends_with_an_answer])
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 3  # so the rows were read twice
    assert ended.err.count("in.jsonl:2: it ends with an assistant message") == 1


def test_conversations_keep_what_they_have_and_get_the_ids_that_oumi_gives(
    fireworks: Command, config: Path
) -> None:
    write_lines(
        Path("in.jsonl"),
        [
            question("Grüße an \u2028 alle 🙂", metadata={"n": [1, None]}, label="kept"),
            question("second", conversation_id="mine"),
        ],
    )
    fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    first, second = read_lines(Path("out.jsonl"))
    assert first["messages"][0]["content"] == "Grüße an \u2028 alle 🙂"
    assert first["metadata"]["n"] == [1, None]
    assert first["metadata"]["finish_reason"] == "stop"
    assert first["metadata"]["usage"]["completion_tokens"] > 0
    assert first["label"] == "kept"
    from oumi.core.types.conversation import Conversation

    lines = Path("in.jsonl").read_text().split("\n")[:2]
    by_oumi = an_echo().infer([Conversation.from_json(line) for line in lines])
    assert [first["conversation_id"], second["conversation_id"]] == [
        conversation.conversation_id for conversation in by_oumi
    ]


def test_failed_rows_are_written_beside_the_output_and_the_exit_code_is_3(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(
        Path("in.jsonl"),
        [
            question("good"),
            question("bad [[fail]]", conversation_id="b"),
            question("lost [[drop]]", conversation_id="l"),
            question("fine"),
        ],
    )
    ended = fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl",
        "--model.model_kwargs.fireworks.row_retries=0",
    )  # fmt: skip
    assert ended.code == 3
    assert asked(Path("out.jsonl")) == ["good", "fine"]
    failed, missing = read_lines(Path("out.jsonl.errors.jsonl"))
    assert failed == {
        "index": 1,
        "conversation_id": "b",
        "error": {"kind": "500", "message": "the prompt asked for a failure", "code": "500"},
    }
    assert (missing["index"], missing["conversation_id"]) == (2, "l")
    assert missing["error"]["kind"] == "missing"
    assert "no result from oumi-" in missing["error"]["message"]
    assert missing["error"]["code"] is None
    assert "4 rows: 2 answered, 2 failed." in ended.err
    assert "1 × the prompt asked for a failure (code 500; row 1)" in ended.err
    assert "out.jsonl.errors.jsonl" in ended.err
    assert len(at_emulator.jobs) == 1


def test_failed_rows_are_run_once_more_by_default(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    write_lines(Path("in.jsonl"), [question("good"), question("bad [[fail]]")])
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 3
    assert len(at_emulator.jobs) == 2
    assert "Running the rest again" in ended.err


def test_an_answer_that_cannot_be_read_is_run_again(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    def write(job: Any, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        if not job.id.endswith("-r1"):
            rows[0]["response"]["choices"][0]["message"]["tool_calls"] = [{"id": 3}]
        return {"BIJOutputSet.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in rows)}

    at_emulator.output_writer = write
    questions(Path("in.jsonl"), 3)
    arguments = ["batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"]
    assert fireworks(*arguments).code == 0
    assert [job.rows for job in at_emulator.jobs] == [3, 1]
    assert len(read_lines(Path("out.jsonl"))) == 3


def test_an_output_that_exists_is_not_paid_for_twice(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    questions(Path("in.jsonl"), 2)
    Path("out.jsonl").write_text("precious")
    Path("out.jsonl.errors.jsonl").write_text("of the time before")
    arguments = ["batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"]
    refused = fireworks(*arguments)
    assert refused.code == 2
    assert "out.jsonl exists already" in refused.err
    assert "--overwrite" in refused.err
    assert Path("out.jsonl").read_text() == "precious"
    assert not at_emulator.jobs
    assert fireworks(*arguments, "--overwrite").code == 0
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert not Path("out.jsonl.errors.jsonl").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["--generation.max_new_tokens", "5", "--model.model_name", f"{MODEL}-other"],
        ["--generation.max_new_tokens=5", f"--model.model_name={MODEL}-other"],
        ["generation.max_new_tokens=5", f"model.model_name={MODEL}-other",
         "--generation.frequency_penalty", "-1.5"],
        ["--input_path", "in.jsonl", "--output_path=out.jsonl", "--engine", "FIREWORKS",
         "--generation.max_new_tokens", "5", "--model.model_name", f"{MODEL}-other"],
    ],
)  # fmt: skip
def test_settings_can_be_replaced_as_with_oumi_infer(
    fireworks: Command, config: Path, at_emulator: Emulator, overrides: list[str]
) -> None:
    questions(Path("in.jsonl"), 1)
    paths = [] if "--input_path" in overrides else ["--input", "in.jsonl", "--output", "out.jsonl"]
    ended = fireworks("batch", "run", "-c", config, *paths, *overrides)
    assert ended.code == 0, ended.err
    (job,) = at_emulator.jobs
    assert job.model == f"{MODEL}-other"
    (row,) = read_lines(Path("out.jsonl"))
    assert row["metadata"]["usage"]["completion_tokens"] == 5
    assert row["metadata"]["finish_reason"] == "length"


def test_an_output_that_appears_while_the_batch_runs_is_not_replaced(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    def write(job: Any, rows: list[dict[str, Any]]) -> dict[str, bytes]:
        Path("out.jsonl").write_text("precious")
        return {"BIJOutputSet.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in rows)}

    at_emulator.output_writer = write
    questions(Path("in.jsonl"), 2)
    arguments = ["batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"]
    for _ in range(2):
        refused = fireworks(*arguments)
        assert refused.code == 2
        assert "out.jsonl has appeared while the batch ran" in refused.err
        assert Path("out.jsonl").read_text() == "precious"
    Path("out.jsonl").unlink()
    assert fireworks(*arguments).code == 0
    assert len(read_lines(Path("out.jsonl"))) == 2
    assert len(at_emulator.jobs) == 1


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.jsonl.zst"])
def test_output_is_packed_by_its_name(fireworks: Command, config: Path, name: str) -> None:
    questions(Path("in.jsonl"), 20)
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", name)
    assert ended.code == 0, ended.err
    content = Path(name).read_bytes()
    plain = gzip.decompress(content) if name.endswith("gz") else unpacked(content)
    rows = [json.loads(line) for line in plain.splitlines()]
    assert [row["messages"][0]["content"] for row in rows] == asked(Path("in.jsonl"))
    assert fireworks("batch", "report", name).code == 0


def unpacked(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


def test_output_may_go_to_standard_output(
    fireworks: Command, config: Path, at_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    content = write_lines(Path("in.jsonl"), [question("a"), question("b [[fail]]")]).read_bytes()
    command = ["batch", "run", "-c", config, "--input", "-", "--output", "-"]
    ended = fireworks(*command, stdin=content)
    assert ended.code == 3, ended.err
    (row,) = [json.loads(line) for line in ended.out.splitlines()]
    assert row["messages"][0]["content"] == "a"
    assert "2 rows: 1 answered, 1 failed." in ended.err
    assert not list(Path("cache").rglob(MANIFEST_NAME))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ouput", "x"], "There is no option --ouput. Did you mean --output?"),
        (["--genration.max_new_tokens", "5"], "no setting genration. Did you mean generation?"),
        (["--generation.max_new_tokns", "5"], "Did you mean generation.max_new_tokens?"),
        (["--generation.max_new_tokens", "five"], "generation.max_new_tokens: Value 'five'"),
        (["--generation.max_new_tokens"], "--generation.max_new_tokens has no value."),
        (["nowhere.jsonl"], "'nowhere.jsonl' is neither"),
        (["-x"], "There is no option -x."),
        (["--model.model_kwargs.fireworks.row_retires=2"], "Did you mean 'row_retries'?"),
        (["--model.model_kwargs.fireworks.extra_body.top_p=2"], "top_p"),
        (["--model.model_name", "llama-v3p1-8b-instruct"], "is not a Fireworks model"),
        (["--engine", "OPENAI"], "engine: OPENAI"),
        (["--input", "nowhere.jsonl"], "There is no file nowhere.jsonl."),
        (["--input", "*.nothing"], "No file matches *.nothing."),
        (["--input", "."], "is a folder"),
        (["--input", "-"], "cannot be mixed"),
        (["--price-in", "1"], "Give both"),
        (["-c", "nowhere.yaml"], "There is no configuration file nowhere.yaml."),
        (["--output", "in.jsonl", "--overwrite"], "both an input and the output"),
        (["--output", "."], "is not a regular file"),
        (["-c", "broken.yaml"], "broken.yaml cannot be used: it is no YAML: "),
        (
            ["--generation.stop_strings=[a"],
            "--generation.stop_strings=[a cannot be used: it is no YAML: ",
        ),
        (["--remote_params.num_workers", "0"], "num_workers must be greater than or equal to 1."),
        (["--report", "in.jsonl"], "would replace a file of the batch"),
        (["--report", "out.jsonl"], "Call it out.jsonl.html"),
        (["--report", "out.jsonl.errors.jsonl"], "would replace a file of the batch"),
        (["--report", "."], "The report . is a folder."),
    ],
)
def test_wrong_use_is_told_in_a_sentence_and_does_nothing(
    fireworks: Command, config: Path, at_emulator: Emulator, arguments: list[str], message: str
) -> None:
    questions(Path("in.jsonl"), 1)
    Path("broken.yaml").write_text("engine: [FIREWORKS\n")
    usual = {"-c": str(config), "--output": "out.jsonl"}
    given = [part for pair in usual.items() if pair[0] not in arguments for part in pair]
    ended = fireworks("batch", "run", "--input", "in.jsonl", *given, *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert not at_emulator.requests_to("POST")


def test_without_an_input_an_output_or_a_key_nothing_begins(
    fireworks: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions(Path("in.jsonl"), 1)
    no_output = fireworks("batch", "run", "-c", config, "--input", "in.jsonl")
    no_input = fireworks("batch", "run", "-c", config, "--output", "out.jsonl")
    monkeypatch.delenv("FIREWORKS_API_KEY")
    no_key = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert (no_output.code, no_input.code, no_key.code) == (2, 2, 2)
    assert "--output" in no_output.err
    assert "--input" in no_input.err
    assert "FIREWORKS_API_KEY" in no_key.err


def end_first_job(emulator: Emulator, message: str) -> None:
    """Let the first job fail as a whole as soon as it is made."""
    while not emulator.jobs:
        threading.Event().wait(0.002)
    emulator.set_job(emulator.jobs[0].id, state="JOB_STATE_FAILED", message=message)


def test_a_batch_that_fails_as_a_whole_says_why_and_is_forgotten(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    questions(Path("in.jsonl"), 2)
    config.write_text(config.read_text() + "generation:\n  max_new_tokens: 3\n")
    ended_so = threading.Thread(target=end_first_job, args=(at_emulator, "the model is on holiday"))
    ended_so.start()
    ended = fireworks("batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl")
    assert ended.code == 1
    assert "JOB_STATE_FAILED" in ended.err
    assert "the model is on holiday" in ended.err
    assert not Path("out.jsonl").exists()
    assert not Path("out.jsonl.run").exists()


def test_an_unfinished_run_of_something_else_is_not_touched(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    questions(Path("in.jsonl"), 2)
    at_emulator.faults.add(
        Fault(method="GET", path=r"/batchInferenceJobs/", kind="status", status=403, times=10)
    )
    arguments = ["batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl"]
    assert fireworks(*arguments).code == 1
    at_emulator.faults.clear()
    other = fireworks(*arguments, "--generation.max_new_tokens", "7")
    assert other.code == 2
    assert "max_tokens was 1024 and is now 7" in other.err
    assert fireworks(*arguments).code == 0
    assert len(at_emulator.jobs) == 1


def test_a_run_whose_pipe_is_gone_goes_on_with_what_was_piped_in_then(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    content = questions(Path("in.jsonl"), 2).read_bytes()
    at_emulator.faults.add(
        Fault(method="GET", path=r"/batchInferenceJobs/", kind="status", status=403, times=10)
    )
    arguments = ["batch", "run", "-c", config, "--input", "-", "--output", "out.jsonl"]
    assert fireworks(*arguments, stdin=content).code == 1
    at_emulator.faults.clear()
    other = fireworks(*arguments, stdin=b"{}")
    assert other.code == 2
    assert "not what the unfinished run was begun with" in other.err
    assert fireworks(*arguments, stdin=b"").code == 0
    assert asked(Path("out.jsonl")) == ["Number 0?", "Number 1?"]
    assert len(at_emulator.jobs) == 1


def test_a_large_input_becomes_several_jobs_and_one_output(
    fireworks: Command, config: Path, at_emulator: Emulator
) -> None:
    questions(Path("in.jsonl"), 25)
    ended = fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl",
        "--model.model_kwargs.fireworks.max_shard_rows=10",
    )  # fmt: skip
    assert ended.code == 0
    assert len(at_emulator.jobs) == 3
    assert asked(Path("out.jsonl")) == [f"Number {index}?" for index in range(25)]


def test_a_report_can_be_written_with_the_results(fireworks: Command, config: Path) -> None:
    write_lines(Path("in.jsonl"), [question("good"), question("bad [[fail]]")])
    fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl",
        "--report", "pages/out.html", "--price-in", "10", "--price-out", "20",
    )  # fmt: skip
    page = Path("pages/out.html").read_text()
    assert "the prompt asked for a failure" in page
    assert "out.jsonl" in page
    fireworks("batch", "report", "out.jsonl")
    assert "the prompt asked for a failure" in Path("out.jsonl.html").read_text()


def test_a_report_tells_rows_that_failed_from_rows_that_came_back_in_no_file(
    fireworks: Command, config: Path
) -> None:
    write_lines(Path("in.jsonl"), [question("bad [[fail]]"), b"no JSON", question("lost [[drop]]")])
    fireworks(
        "batch", "run", "-c", config, "--input", "in.jsonl", "--output", "out.jsonl", "--skip-bad",
        "--report", "run.html", "--model.model_kwargs.fireworks.row_retries=0",
    )  # fmt: skip
    fireworks("batch", "report", "out.jsonl")
    for page in (Path("run.html").read_text(), Path("out.jsonl.html").read_text()):
        legend = " ".join(re.sub(r"<[^>]*>", " ", page.partition('<h2 id="verdict"')[2]).split())
        assert "Failed 1 50.0% Missing 1 50.0%" in legend
        assert "1 line of the input could not be sent" in legend
