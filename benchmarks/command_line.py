"""What the command line costs: the time to start, and the memory of a large run.

    python benchmarks/command_line.py               # all, about ten minutes
    python benchmarks/command_line.py start         # light commands beside `oumi --help`
    python benchmarks/command_line.py first         # what `check`, `submit` and `run` say first
    python benchmarks/command_line.py rows          # `batch run` with ever more rows

Needs Linux, and 4 GB of disk for the largest run. CPU is what the client itself takes, user and
system; a row's share is the difference between two runs, so that starting up is not in it. Memory
is the peak of the process.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from batch import server, with_client
from batch_input import texts
from markdown_table import print_table

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import JobSpec, Request, ShardLimits, submit_new

BIN = Path(sys.executable).parent
MODEL = "accounts/fireworks/models/toy-chat"
ROWS, SIZE = (2_000, 200_000, 1_000_000), 500
ROUNDS = 7
QUESTIONS = ("start", "first", "rows")


class Run(NamedTuple):
    """What a command has taken.

    Attributes:
        seconds: From its start to its end.
        cpu: Seconds of the processor, user and system.
        peak: Most memory, in MB.
        code: Its exit code.
    """

    seconds: float
    cpu: float
    peak: float
    code: int


def run(*command: str) -> Run:
    """Run a command to its end."""
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
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds, cpu, usage.ru_maxrss * 1024 / 1e6, process.returncode)


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
                ended = run(*command)
                if ended.code:
                    raise RuntimeError(f"{' '.join(command)} ended with {ended.code}")
                seen[command].append(ended.seconds)
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


def first() -> None:
    """Time the first line that a command says, and the second one, with which its work begins."""
    table = []
    for verb in ("check", "submit", "run"):
        times = [words_of(verb) for _ in range(ROUNDS)]
        medians = [statistics.median(each) for each in zip(*times, strict=True)]
        table.append((f"`batch {verb}`", *(f"{seconds:.2f} s" for seconds in medians)))
    print_table(
        f"First words, 100 rows (median of {ROUNDS} rounds); to reach: within 1 s and 3 s",
        ("", "first line", "work begun"),
        table,
    )


def words_of(verb: str) -> tuple[float, float]:
    """Run a command; return the seconds until its first and its second line on stderr."""
    with server(), a_task(100) as (config, questions, answers):
        command = ["batch", verb, "-c", config, "--input", questions]
        if verb == "run":
            command += ["--output", answers]
        begun = time.perf_counter()
        with subprocess.Popen(
            [BIN / "oumi-fireworks", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            process.stderr.readline()
            first_line = time.perf_counter() - begun
            process.stderr.readline()
            second_line = time.perf_counter() - begun
            process.stderr.read()
        if process.returncode:
            raise RuntimeError(f"{verb} ended with {process.returncode}")
    return first_line, second_line


def rows(counts: Sequence[int]) -> None:
    """Measure `batch run` from file to file."""
    seen: list[tuple[int, Run]] = []
    for count in counts:
        with server(), a_task(count) as (config, questions, answers):
            command = ("batch", "run", "-c", config, "--input", questions, "--output", answers)
            ended = run("oumi-fireworks", *command)
            if ended.code:
                raise RuntimeError(f"{count} rows ended with {ended.code}")
            require_answers(Path(questions), Path(answers))
        seen.append((count, ended))
    table = []
    for number, (count, ended) in enumerate(seen):
        share = ""
        if number:
            before, earlier = seen[number - 1]
            share = f"{(ended.cpu - earlier.cpu) / (count - before) * 1e6:.1f} µs"
        table.append(
            (f"{count:,} rows", f"{ended.seconds:.1f} s", f"{ended.cpu:.2f} s", share,
             f"{ended.peak:.0f} MB")
        )  # fmt: skip
    print_table(
        f"`batch run` from file to file, {SIZE} characters a row; to reach: at most 25 µs a row "
        "above the line before, and 250 MB",
        ("", "time", "CPU", "CPU a row", "peak"),
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
    parser.add_argument("questions", nargs="*", help=f"{', '.join(QUESTIONS)}; default: all")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="how many rows to run")
    arguments = parser.parse_args()
    # Bytecode is part of what makes a start quick, for Oumi's commands as for these.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in arguments.questions or QUESTIONS:
        if name == "start":
            start()
        elif name == "first":
            first()
        else:
            rows(arguments.rows)


if __name__ == "__main__":
    main()
