"""Where the time of `batch run` goes: CPU of each step for a row, without a server.

    python benchmarks/run_stages.py                  # 50,000 rows of 500 characters
    python benchmarks/run_stages.py --rows 200000

The three passes over all rows are the ones that `batch run` makes; below each, what the largest of
its steps take by themselves. Times are the least of three rounds, CPU of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import xxhash
from command_line import SIZE, a_task
from markdown_table import print_table

from oumi_fireworks.api.lenient_json import lenient_loads
from oumi_fireworks.batch import BatchResults, OnOutcome, Request, ShardLimits
from oumi_fireworks.batch.outcomes import parse_line
from oumi_fireworks.batch.requests import encode_row
from oumi_fireworks.batch.results import ResultIndex
from oumi_fireworks.batch.shards import write_shards
from oumi_fireworks.cli.batch.configuration import load_settings
from oumi_fireworks.cli.batch.probing import ProbeFeed, probe_of
from oumi_fireworks.engine.conversations import why_unreadable
from oumi_fireworks.engine.wiring import answer_rules
from oumi_fireworks.tables.conversation_sink import ConversationSink
from oumi_fireworks.tables.conversations import ConversationReader, SentRow
from oumi_fireworks.tables.delivery import RowObserver, deliver
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.json_lines import JsonLine, JsonLines, prompt_in
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.user_json import dumps

ROUNDS = 3

Costs = Iterator[tuple[str, float]]


def least(action: Callable[[], object], rows: int) -> float:
    """Return the CPU of an action, in microseconds a row."""
    times = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        action()
        times.append(time.process_time() - begun)
    return min(times) / rows * 1e6


def each(function: Callable[..., object], items: Iterable[object]) -> Callable[[], None]:
    """Return an action that calls a function with each item."""

    def act() -> None:
        for item in items:
            function(item)

    return act


def stages(folder: Path, config: str, questions: Path, rows: int) -> Costs:
    """Yield each step with its microseconds a row."""
    settings = load_settings(config, [])
    reader = ConversationReader(JsonLines([InputFile(questions, questions.name)]))
    lines = questions.read_bytes().splitlines()

    def write() -> Path:
        shards = write_shards(reader.prepared(settings.prepare), folder / "spool", ShardLimits())
        return asyncio.run(shards)[0].path

    yield "**lines into requests**", least(write, rows)
    yield "fingerprint of the line", least(each(xxhash.xxh3_128().update, lines), rows)
    yield "what the line asks", least(each(prompt_in, lines), rows)
    asked = list(map(prompt_in, lines))
    yield "body of the request", least(each(settings.template.body, asked), rows)
    yield "digest of the prompt", least(each(lambda prompt: prompt.digest(), asked), rows)
    requests = [settings.prepare(prompt, row) for row, prompt in enumerate(asked)]
    yield "request into JSON", least(each(encode_row, requests), rows)

    answers = [answer(request) for request in requests]
    file = folder / "results.jsonl"
    file.write_bytes(b"".join(answers))
    yield (
        "**index of the results**",
        least(lambda: ResultIndex.of([file], rows, why_unreadable), rows),
    )
    yield "`orjson.loads`", least(each(lenient_loads, answers), rows)
    outcomes = [parse_line(line, rows) for line in answers]
    yield "whether it can be read", least(each(why_unreadable, outcomes), rows)

    write()
    sink = ConversationSink(LocalOutput(folder / "answers.jsonl"))
    results = BatchResults(ResultIndex.of([file], rows, why_unreadable), ())
    yield (
        "**delivery**",
        least(lambda: asyncio.run(deliver(reader, results, sink)), rows),
    )
    sent = [
        SentRow(JsonLine(questions.name, row + 1, line), row, reader.changed)
        for row, line in enumerate(lines)
    ]
    completions = [lenient_loads(line)["response"] for line in answers]
    pairs = list(zip(sent, completions, strict=True))
    yield "answer into the line", least(each(lambda pair: pair[0].answered(pair[1]), pairs), rows)
    written = [line.answered(completion) for line, completion in pairs]
    yield "conversation into JSON", least(each(dumps, written), rows)


def answer(request: Request) -> bytes:
    """Make the line of a result file that answers a request with its question, as JSON."""
    (message,) = request.body["messages"]
    said = {"role": "assistant", "content": dumps({"answer": message["content"]}).decode()}
    completion = {
        "id": "chat-0123456789abcdef",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 120, "total_tokens": 240},
    }
    name = orjson.loads(encode_row(request))["custom_id"]
    return orjson.dumps({"custom_id": name, "response": completion}) + b"\n"


RULES = (
    ("nothing: cut off and empty are counted", None),
    ("`json: true`", {"json": True}),
    ("`finish_reason`, `not_empty`, `json`", {
        "finish_reason": ["stop"], "not_empty": True, "json": True,
    }),
    ("`schema` of one field", {"schema": {
        "type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"],
    }}),
)  # fmt: skip
"""What answers are held against."""


def rule_costs(folder: Path, config: str, questions: Path, rows: int) -> Iterator[tuple[str, ...]]:
    """Yield what rules cost: the CPU of a row from file to file, and how much more it is."""
    reader = ConversationReader(JsonLines([InputFile(questions, questions.name)]))
    plain = load_settings(config, [])
    requests = list(reader.prepared(plain.prepare))
    file = folder / "results.jsonl"
    file.write_bytes(b"".join(map(answer, requests)))
    sink = ConversationSink(LocalOutput(folder / "answers.jsonl"))

    def write() -> None:
        asyncio.run(write_shards(reader.prepared(plain.prepare), folder / "spool", ShardLimits()))

    def index(check: OnOutcome) -> ResultIndex:
        return ResultIndex.of([file], rows, check)

    def give(found: ResultIndex, *observers: RowObserver) -> None:
        asyncio.run(deliver(reader, BatchResults(found, ()), sink, observers))

    unchecked = index(why_unreadable)
    shared = least(write, rows)
    before = shared + least(lambda: index(why_unreadable), rows)
    before += least(lambda: give(unchecked), rows)
    yield "no look at them at all", f"{before:.1f} µs", ""
    for name, accept in RULES:
        options = replace(plain.fireworks, accept=accept)
        settings = replace(plain, rules=answer_rules(options, plain.template), fireworks=options)
        check = settings.check()
        found = index(check)
        assert found.counts.is_complete
        cpu = shared + least(partial(index, check), rows)
        cpu += least(partial(give, found, ProbeFeed(probe_of(settings))), rows)
        yield name, f"{cpu:.1f} µs", f"{cpu / before - 1:+.0%}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="how many rows (50000)")
    rows = parser.parse_args().rows
    with a_task(rows) as (config, questions, answers):
        found = list(stages(Path(answers).parent, config, Path(questions), rows))
        ruled = list(rule_costs(Path(answers).parent, config, Path(questions), rows))
    table = [(name, f"{microseconds:.1f} µs") for name, microseconds in found]
    print_table(
        f"CPU of `batch run` for a row, {rows:,} rows of {SIZE} characters", ("", "CPU"), table
    )
    print_table("CPU for a row where answers are held against rules", ("accept", "CPU", ""), ruled)


if __name__ == "__main__":
    main()
