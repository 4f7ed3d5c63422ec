"""What the command line costs: the time to start, and the memory of a large run.

    python benchmarks/command_line.py               # both, about ten minutes
    python benchmarks/command_line.py start         # light commands beside `oumi --help`
    python benchmarks/command_line.py memory        # `batch run` with ever more rows

Needs Linux, and 4 GB of disk for the largest run. Memory is the peak of a process above the peak of
one that only imports what the command needs of Oumi.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch import server, with_client
from batch_input import texts
from markdown_table import print_table

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import JobSpec, Request, ShardLimits, submit_new

BIN = Path(sys.executable).parent
MODEL = "accounts/fireworks/models/toy-chat"
ROWS, SIZE = (10_000, 100_000, 1_000_000), 500
ROUNDS = 7
OUMI = "import oumi.core.configs, oumi.core.types.conversation"


def run(*command: str) -> tuple[float, float, int]:
    """Run a command and return its seconds, its peak of memory in MB, and its exit code."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "DO_NOT_TRACK": "1"},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            print(said.read().decode()[-2000:], file=sys.stderr)
    return seconds, usage.ru_maxrss * 1024 / 1e6, process.returncode


def start() -> None:
    """Time the commands that only look, in turns with Oumi's help."""
    with server():
        batch_id = a_batch()
        commands = [
            ("oumi", "--help"),
            ("oumi-fireworks", "--help"),
            ("oumi-fireworks", "batch", "run", "--help"),
            ("oumi-fireworks", "batch", "list"),
            ("oumi-fireworks", "batch", "status", batch_id),
            ("oumi-fireworks", "batch", "cancel", batch_id, "--yes"),
            ("oumi-fireworks", "batch", "clean", "--dry-run"),
            ("oumi-fireworks", "models"),
        ]
        seen: dict[tuple[str, ...], list[float]] = {command: [] for command in commands}
        for _ in range(ROUNDS):
            for command in commands:
                seconds, _, code = run(*command)
                if code:
                    raise RuntimeError(f"{' '.join(command)} ended with {code}")
                seen[command].append(seconds)
    medians = {command: statistics.median(times) for command, times in seen.items()}
    print_table(
        f"Start-up (median of {ROUNDS} rounds); to reach: below 0.6",
        ("command", "seconds", "x oumi --help"),
        (
            (
                f"`{' '.join(command).replace(batch_id, 'ID')}`",
                f"{seconds:.2f}",
                f"{seconds / medians[commands[0]]:.2f}",
            )
            for command, seconds in medians.items()
        ),
    )


def a_batch() -> str:
    """Submit a batch of one row."""
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}

    async def submit(client: FireworksClient) -> str:
        with tempfile.TemporaryDirectory() as folder:
            return await submit_new(
                client,
                [Request(0, body)],
                JobSpec(model=MODEL),
                folder=Path(folder),
                limits=ShardLimits(),
                concurrency=1,
            )

    batch_id: str = with_client(submit)
    return batch_id


def memory() -> None:
    """Measure `batch run` from file to file."""
    _, oumi, _ = run("python", "-c", OUMI)
    table = [("importing Oumi", "", f"{oumi:.0f} MB", "")]
    for rows in ROWS:
        with server(), a_task(rows) as (config, questions, answers):
            command = ("batch", "run", "-c", config, "--input", questions, "--output", answers)
            seconds, peak, code = run("oumi-fireworks", *command)
            if code:
                raise RuntimeError(f"{rows} rows ended with {code}")
            require_answers(Path(questions), Path(answers))
        table.append(
            (f"{rows:,} rows", f"{seconds:.0f} s", f"{peak:.0f} MB", f"{peak - oumi:.0f} MB")
        )
    print_table(
        f"Memory of `batch run`, {SIZE} characters a row; to reach: at most 64 MB above",
        ("", "time", "peak", "above importing Oumi"),
        table,
    )


@contextmanager
def a_task(rows: int) -> Iterator[tuple[str, str, str]]:
    """Write a configuration and an input. Yields their paths and the output's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(
            f"engine: FIREWORKS\nmodel:\n  model_name: {MODEL}\n"
            "  model_kwargs:\n    fireworks:\n      poll_interval: 1\n"
            "generation:\n  max_new_tokens: 1000\n"
        )
        questions = folder / "questions.jsonl"
        with questions.open("w", encoding="utf-8") as file:
            for text in texts(rows, SIZE):
                file.write(json.dumps({"messages": [{"role": "user", "content": text}]}) + "\n")
        yield str(config), str(questions), str(folder / "answers.jsonl")


def require_answers(questions: Path, answers: Path) -> None:
    """Check that each question has its answer, which is the question itself, in its place."""
    with questions.open("rb") as asked, answers.open("rb") as answered:
        for question, answer in zip(asked, answered, strict=True):
            (said,) = json.loads(question)["messages"]
            first, last = json.loads(answer)["messages"]
            if first["content"] != said["content"] or last["content"] != said["content"]:
                raise RuntimeError("An answer is missing, cut short, or another row's.")


def main() -> None:
    """Answer the questions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("questions", nargs="*", help="start, memory; default: both")
    questions = parser.parse_args().questions or ["start", "memory"]
    # Bytecode is part of what makes a start quick, for Oumi's commands as for these.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if "start" in questions:
        start()
    if "memory" in questions:
        memory()


if __name__ == "__main__":
    main()
