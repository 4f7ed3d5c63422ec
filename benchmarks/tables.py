"""Tables in and out: what a row costs without a server, beside JSON Lines and a plain copy.

    python benchmarks/tables.py                         # 10,000 to 1,000,000 rows of 500 characters
    python benchmarks/tables.py --rows 10000 100000
    python benchmarks/tables.py --rows 10000000 --characters 20 --only "Parquet to Parquet"

Each measurement is a process of its own: it reads the input, writes the spool of requests, indexes
a file of results and joins the answers to the rows, as `batch run` does around the service. The
results are made before, and answer each row with 100 characters. The copy reads the Parquet file
with pyarrow, a record batch at a time, and writes it again. Memory is the most that the process has
held beyond what it holds when all is loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from markdown_table import print_table

from oumi_fireworks.batch import BatchResults, ShardLimits
from oumi_fireworks.batch.requests import RowId
from oumi_fireworks.batch.results import ResultIndex
from oumi_fireworks.batch.shards import write_shards
from oumi_fireworks.cli.batch.configuration import load_settings
from oumi_fireworks.engine.conversations import why_unreadable
from oumi_fireworks.options.tables import InputOptions, OutputOptions
from oumi_fireworks.tables import conversation_sink, table_sink  # noqa: F401 - loaded before
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import deliver
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.tables.sinks import open_sink

ANSWER = "x" * 100
ROWS_AT_ONCE = 10_000

CONFIG = """\
engine: FIREWORKS
model: {model_name: accounts/fireworks/models/llama-v3p1-8b-instruct}
"""


def make(folder: Path, rows: int, characters: int) -> None:
    """Write the same rows as Parquet and as conversations, and a result for each."""
    (folder / "config.yaml").write_text(CONFIG)
    schema = pa.schema([("text", pa.string()), ("number", pa.int64()), ("label", pa.string())])
    with (
        pq.ParquetWriter(folder / "in.parquet", schema) as table,
        (folder / "in.jsonl").open("wb") as lines,
        (folder / "results.jsonl").open("wb") as results,
    ):
        for start in range(0, rows, ROWS_AT_ONCE):
            numbers = list(range(start, min(rows, start + ROWS_AT_ONCE)))
            texts = [
                f"{number:010d} ".ljust(characters, "lorem ipsum "[number % 12])
                for number in numbers
            ]
            labels = [f"label {number % 7}" for number in numbers]
            table.write_table(pa.table([texts, numbers, labels], schema=schema))
            for number, text, label in zip(numbers, texts, labels, strict=True):
                line = orjson.dumps(
                    {
                        "messages": [{"role": "user", "content": text}],
                        "number": number,
                        "label": label,
                    }
                )
                lines.write(line + b"\n")
                results.write(_result(number))


def _result(row: int) -> bytes:
    message = {"role": "assistant", "content": ANSWER}
    completion = {
        "id": "chat-0123456789abcdef",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 25, "total_tokens": 145},
    }
    return orjson.dumps({"custom_id": str(RowId(row, row)), "response": completion}) + b"\n"


def pipeline(folder: Path, rows: int, source: str, sink: str) -> None:
    """Do what `batch run` does around the service."""
    settings = load_settings(str(folder / "config.yaml"), [])
    options = InputOptions() if source.endswith(".jsonl") else InputOptions(prompt="{text}")
    given = FileInput([InputFile(folder / source, source)], options)
    reader = ConversationReader(given)
    output = LocalOutput(folder / sink)
    writer = open_sink(output, OutputOptions(), given, {})
    asyncio.run(write_shards(reader.prepared(settings.prepare), folder / "spool", ShardLimits()))
    index = ResultIndex.of([folder / "results.jsonl"], rows, why_unreadable)
    asyncio.run(deliver(reader, BatchResults(index, ()), writer))


def copy(folder: Path) -> None:
    """Read a Parquet file and write it again."""
    with (
        pq.ParquetFile(folder / "in.parquet") as file,
        pq.ParquetWriter(folder / "copy.parquet", file.schema_arrow) as out,
    ):
        for batch in file.iter_batches():
            out.write_table(pa.Table.from_batches([batch]))


WAYS: dict[str, Callable[[Path, int], None]] = {
    "JSON Lines to JSON Lines": lambda f, n: pipeline(f, n, "in.jsonl", "out.jsonl"),
    "Parquet to Parquet": lambda f, n: pipeline(f, n, "in.parquet", "out.parquet"),
    "Parquet to JSON Lines": lambda f, n: pipeline(f, n, "in.parquet", "out.jsonl"),
    "Parquet to CSV": lambda f, n: pipeline(f, n, "in.parquet", "out.csv"),
    "plain copy by pyarrow": lambda f, n: copy(f),
}


def measure(way: str, folder: Path, rows: int) -> tuple[float, float]:
    """Return the CPU of a process for a row, in microseconds, and the memory it took, in MB."""
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder), "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds / rows * 1e6, megabytes


def child(way: str, folder: Path, rows: int) -> None:
    """Go one way, and print what it took."""
    WAYS[way](_small(folder), 10)  # loads whatever is loaded late
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    WAYS[way](folder, rows)
    seconds = time.process_time() - begun
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([seconds, (most - held) / 1024]))


def _small(folder: Path) -> Path:
    small = folder / f"small-{os.getpid()}"
    small.mkdir()
    make(small, 10, 500)
    return small


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--characters", type=int, default=500, help="of a row's text")
    parser.add_argument("--only", choices=WAYS, nargs="+", default=list(WAYS), metavar="WAY")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        child(given.way, given.folder, given.rows[0])
        return
    found: dict[str, list[str]] = {way: [] for way in given.only}
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as temporary:
            make(Path(temporary), rows, given.characters)
            for way in given.only:
                microseconds, megabytes = measure(way, Path(temporary), rows)
                found[way].append(f"{microseconds:.1f} µs, {megabytes:.0f} MB")
    print_table(
        f"CPU for a row of {given.characters} characters, and memory",
        ("", *(f"{rows:,} rows" for rows in given.rows)),
        [(way, *cells) for way, cells in found.items()],
    )


if __name__ == "__main__":
    main()
