"""Tables that are larger than memory should become: run by `make soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.soak

READ = """
import resource, sys
from pathlib import Path
from oumi_fireworks.options.tables import InputOptions, OutputOptions
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.files import InputFile
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.output import LocalOutput
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.tables.sinks import open_sink

path = Path(sys.argv[1])
rows = FileInput([InputFile(path, path.name)], InputOptions(prompt="{text}"))
output = LocalOutput(path.with_name("out.parquet"))
sink = open_sink(output, OutputOptions(), rows, {})
reader = ConversationReader(rows)
for _ in reader.prepared(lambda *_: None):
    pass
completion = {"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}
with sink.open() as writer:
    for item in reader.sent_rows():
        writer.add(FinishedRow(item.row, "answered", sent=item, completion=completion))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_megabytes(path: Path) -> int:
    """Return the most memory that reading and writing a table takes, in MB."""
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def table(path: Path, rows: int) -> Path:
    with pq.ParquetWriter(path, pa.schema([("n", pa.int64()), ("text", pa.string())])) as writer:
        for start in range(0, rows, 100_000):
            numbers = range(start, min(rows, start + 100_000))
            writer.write_table(pa.table({"n": numbers, "text": [f"row {n}" for n in numbers]}))
    return path


def test_memory_stays_flat_for_millions_of_rows(tmp_path: Path) -> None:
    few = peak_megabytes(table(tmp_path / "few.parquet", 200_000))
    many = peak_megabytes(table(tmp_path / "many.parquet", 4_000_000))
    assert many < few + 120  # some bytes for each row: what became of it
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 4_000_000


def test_texts_of_fifty_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    schema = pa.schema([("text", pa.string()), ("long", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for number in range(12):
            long = str(number) * (50 << 20)
            writer.write_table(pa.table({"text": ["t"], "long": [long]}, schema=schema))
    assert peak_megabytes(path) < 1500  # 600 MB of texts in all, of which some are there at once
    out = pq.ParquetFile(tmp_path / "out.parquet")
    assert out.metadata.num_rows == 12
    assert out.read_row_group(out.num_row_groups - 1, ["long"])["long"][-1].as_py()[:2] == "11"
