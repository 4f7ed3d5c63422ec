"""Oumi's own commands with ``mode: batch``: no other change, and no request online."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from oumi.cli import cli_utils, main
from oumi.cli.main import get_app
from oumi.core.configs import EvaluationTaskParams
from oumi.core.inference import BaseInferenceEngine
from oumi.core.registry import register_evaluation_function
from rich.console import Console
from typer.testing import CliRunner

from oumi_fireworks.emulator import Emulator
from tests.engine.batch_mode.support import at_first_look
from tests.engine.conftest import ask, pressing, questions, read

CONFIGS = Path(__file__).parent / "data"

Oumi = Callable[..., str]


@pytest.fixture
def shell(
    at_emulator: Emulator, home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty folder, and a home of its own."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    # In a second command of the same process Oumi's modules hide its functions of these names.
    for name in ("infer", "evaluate"):
        monkeypatch.setattr(f"oumi.{name}", getattr(import_module(f"oumi.{name}"), name))


@pytest.fixture
def oumi(shell: None) -> Oumi:
    """Runs an Oumi command and returns what it shows."""

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(
            get_app(), [str(argument) for argument in arguments], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return result.output

    return run


def assert_batches(emulator: Emulator, *rows: int) -> None:
    """The commands ran as batches of so many rows, and nothing was asked online."""
    assert [job.rows for job in emulator.jobs] == list(rows)
    assert {job.state for job in emulator.jobs} == {"JOB_STATE_COMPLETED"}
    assert not emulator.requests_to("POST", "chat/completions")


def write_questions(path: Path, count: int) -> None:
    path.write_text("".join(each.to_json() + "\n" for each in questions(count)))


def test_oumi_infer(oumi: Oumi, at_emulator: Emulator, tmp_path: Path) -> None:
    source, output = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    write_questions(source, 4)
    oumi("infer", "-c", CONFIGS / "infer.yaml", "--input_path", source, "--output_path", output)
    for index, row in enumerate(read(output)):
        asked, answered = (message["content"] for message in row["messages"])
        assert asked == f"What is number {index}?"
        assert f"number {index}?" in answered
    assert_batches(at_emulator, 4)


def test_oumi_infer_without_an_output_shows_the_answers(
    oumi: Oumi, at_emulator: Emulator, tmp_path: Path
) -> None:
    source = tmp_path / "questions.jsonl"
    write_questions(source, 2)
    shown = oumi("infer", "-c", CONFIGS / "infer.yaml", "--input_path", source)
    assert shown.count("toy model") == 2
    assert_batches(at_emulator, 2)


@pytest.mark.usefixtures("shell")
def test_oumi_infer_interrupted_exits_with_130_and_the_same_command_goes_on(
    at_emulator: Emulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, output = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    write_questions(source, 3)
    command = ["infer", "-c", str(CONFIGS / "infer.yaml"), f"--input_path={source}",
               f"--output_path={output}"]  # fmt: skip
    with pressing() as press, at_first_look(press):
        interrupted = CliRunner().invoke(get_app(), command)
    assert interrupted.exit_code == 130
    (job,) = at_emulator.jobs
    assert f"Batch {job.id} goes on at Fireworks" in caplog.text
    assert f"`oumi-fireworks batch cancel {job.id}`" in caplog.text
    assert not output.exists()
    assert CliRunner().invoke(get_app(), command).exit_code == 0
    assert len(read(output)) == 3
    assert_batches(at_emulator, 3)


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize(
    ("environment", "overrides", "words"),
    [
        ({"FIREWORKS_API_KEY": ""}, [], "FIREWORKS_API_KEY"),
        ({"FIREWORKS_API_KEY": "fw_wrong"}, [], "The API key you provided is invalid"),
        ({}, ["--model.model_kwargs.fireworks.mod=batch"], "Did you mean 'mode'"),
        ({}, ["--model.model_kwargs.fireworks.poll_interval=[1]"], "got [1]"),
    ],
)
@pytest.mark.parametrize("mode", ["online", "batch"])
def test_a_mistake_under_oumi_infer_is_a_sentence_and_no_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    overrides: list[str],
    words: str,
    mode: str,
) -> None:
    source = tmp_path / "questions.jsonl"
    write_questions(source, 2)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown = io.StringIO()
    monkeypatch.setattr(main, "CONSOLE", Console(file=shown, width=10_000))
    monkeypatch.setattr(sys, "argv", [
        "oumi", "infer", "-c", str(CONFIGS / "infer.yaml"), f"--input_path={source}",
        f"--output_path={tmp_path / 'answers.jsonl'}",
        f"--model.model_kwargs.fireworks.mode={mode}", *overrides,
    ])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 1
    said = shown.getvalue().partition("Error: ")[2]
    assert words in said
    assert "Traceback" not in shown.getvalue()
    assert "issue" not in said
    assert len(said.splitlines()) <= 2


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_oumi_infer_that_keeps_failed_rows_exits_with_3(
    shell: None, tmp_path: Path, mode: str
) -> None:
    source, output = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    source.write_text("".join(each.to_json() + "\n" for each in [ask("[[fail 400]]"), ask("b")]))
    done = CliRunner().invoke(get_app(), [
        "infer", "-c", str(CONFIGS / "infer.yaml"), f"--input_path={source}",
        f"--output_path={output}", f"--model.model_kwargs.fireworks.mode={mode}",
        "--model.model_kwargs.fireworks.on_failed_rows=keep",
    ])  # fmt: skip
    assert done.exit_code == 3
    assert click.get_current_context(silent=True) is None, "the command is over"
    assert len(read(output)) == 1
    assert len(read(Path(f"{output}.errors.jsonl"))) == 1


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_oumi_synth(oumi: Oumi, at_emulator: Emulator, tmp_path: Path, mode: str) -> None:
    output = tmp_path / "dataset.jsonl"
    oumi(
        "synth", "-c", CONFIGS / "synth.yaml", "--output_path", output,
        f"--inference_config.model.model_kwargs.fireworks.mode={mode}",
    )  # fmt: skip
    dataset = read(output)
    assert [row["topic"] for row in dataset] == ["ferns", "tides", "clocks"]
    for row in dataset:
        assert f"Ask about {row['topic']}." in row["question"]
        assert f"Answer this on {row['topic']}:" in row["answer"]
    if mode == "batch":
        assert_batches(at_emulator, 3, 3)
    else:
        assert not at_emulator.jobs


def test_oumi_judge(oumi: Oumi, at_emulator: Emulator, tmp_path: Path) -> None:
    source, output = tmp_path / "pairs.jsonl", tmp_path / "judgments.jsonl"
    pairs = [{"question": f"What is number {index}?", "answer": str(index)} for index in range(5)]
    source.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    oumi("judge", "dataset", "-c", CONFIGS / "judge.yaml", "--input", source, "--output", output)
    judged = read(output)
    assert len(judged) == 5
    assert {type(each["field_values"]["judgment"]) for each in judged} == {bool}
    assert all(each["field_values"]["explanation"] for each in judged)
    assert_batches(at_emulator, 5)


@register_evaluation_function("repeats_the_question")
def repeats_the_question(
    task_params: EvaluationTaskParams, inference_engine: BaseInferenceEngine
) -> dict[str, Any]:
    """A task as users register them: the share of answers that have the question in them."""
    answered = inference_engine.infer(questions(task_params.num_samples or 0))
    hits = [str(each.messages[0].content) in str(each.messages[1].content) for each in answered]
    return {"share": sum(hits) / len(hits)}


def test_oumi_evaluate(oumi: Oumi, at_emulator: Emulator, tmp_path: Path) -> None:
    shown = oumi(
        "evaluate", "-c", CONFIGS / "evaluate.yaml", "--output_dir", tmp_path / "evaluation"
    )
    assert "100.00%" in shown
    (result,) = (tmp_path / "evaluation").rglob("task_result.json")
    assert json.loads(result.read_text())["results"]["repeats_the_question"]["share"] == 1
    assert_batches(at_emulator, 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize(("mode", "sign"), [("batch", "Completed"), ("online", "4 of 4 rows")])
def test_progress_shares_the_display_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, sign: str
) -> None:
    source, output = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    write_questions(source, 4)
    stdout, stderr = Terminal(), Terminal()
    monkeypatch.setattr(cli_utils, "CONSOLE", Console(file=stdout, force_terminal=True, width=80))
    monkeypatch.setattr(sys, "stderr", stderr)
    get_app()(
        ["infer", "-c", str(CONFIGS / "infer.yaml"), f"--input_path={source}",
         f"--output_path={output}", f"--model.model_kwargs.fireworks.mode={mode}"],
        standalone_mode=False,
    )  # fmt: skip
    assert "Running inference..." in stdout.getvalue()
    assert sign in stdout.getvalue()
    assert sign not in stderr.getvalue()  # where a second display would tear the first
