"""What a row costs on a cluster, but for Ray: bytes and CPU time of each stage of one block.

    oumi-fireworks emulator exec -- python benchmarks/blocks.py
    oumi-fireworks emulator exec -- python benchmarks/blocks.py --rows 50000 --max-cost 100

The rows are reviews of 425 bytes. CPU time is that of this process, which the emulator is not a
part of. docs/scale.md works out from it what a billion rows would take.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from markdown_table import print_table

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import download_results
from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.batch.requests import encode_row
from oumi_fireworks.distributed import stages
from oumi_fireworks.distributed.settings import BlockSettings, load_settings
from oumi_fireworks.distributed.waiter import Waiter

T = TypeVar("T")

CONFIG = """\
engine: FIREWORKS
model:
  model_name: accounts/fireworks/models/toy
  model_kwargs:
    fireworks:
      {poll_interval: 0.2, input: {prompt: "Classify: {text}"}, price: {input: 0.1, output: 0.3}}
generation: {max_new_tokens: 100}
"""


def reviews(rows: int) -> pa.Table:
    """Return rows with a number and a text."""
    words = "The parcel came late and the box was open, yet all that I had ordered was in it. "
    texts = [f"[[words 40]] {n:09} {words * 5}"[:417] for n in range(rows)]
    return pa.table({"n": pa.array(range(rows), pa.int32()), "text": texts})


def timed(step: Callable[[], T]) -> tuple[T, float]:
    """Return what a step returns, and the seconds of CPU time that it has taken."""
    begun = time.process_time()
    result = step()
    return result, time.process_time() - begun


async def wait(settings: BlockSettings, batch: Attempt) -> None:
    """Wait for a batch."""
    waiter = Waiter(settings)
    await waiter.wait(batch)
    await waiter.close()


async def result_bytes(settings: BlockSettings, batch: Attempt, folder: Path) -> int:
    """Return the bytes of a batch's results."""
    async with FireworksClient(settings.connection()) as client:
        downloads = await download_results(client, [batch.batch_id], folder, durable=False)
    return sum(path.stat().st_size for path in downloads.files)


def main(rows: int, max_cost: float | None) -> None:
    """Run a block, and print what its rows cost."""
    table = reviews(rows)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(CONFIG)
        settings = load_settings(config, max_cost=max_cost)
        looked, look = timed(lambda: stages.look(settings, table, "block 0"))
        batch, submit = timed(
            lambda: stages.submit(settings, table, "block 0", f"blocks {looked.digest}")
        )
        asyncio.run(wait(settings, batch))
        (_, out), collect = timed(lambda: stages.collect(settings, table, "block 0", [batch]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        requests = stages.BlockRows(settings, table, "block 0").requests()
        sent = sum(len(encode_row(request)) for request in requests)
        received = asyncio.run(result_bytes(settings, batch, Path(folder) / "results"))
    assert out is not None
    tokens = [pc.sum(out[name]).as_py() / rows for name in ("prompt_tokens", "completion_tokens")]
    amounts = {
        "rows in": f"{table.nbytes / rows:.0f} B",
        "requests": f"{sent / rows:.0f} B",
        "results": f"{received / rows:.0f} B",
        "rows out": f"{out.nbytes / rows:.0f} B",
        "CPU to look": f"{look / rows * 1e6:.1f} µs",
        "CPU to submit": f"{submit / rows * 1e6:.1f} µs",
        "CPU to collect": f"{collect / rows * 1e6:.1f} µs",
        "tokens in, out": f"{tokens[0]:.0f}, {tokens[1]:.0f}",
        "memory at the most, in all": f"{peak:.0f} MB",
    }
    print_table(f"A block of {rows:,} rows", ("for each row", "measured"), amounts.items())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--max-cost", type=float, help="A budget, which is reckoned with then.")
    given = parser.parse_args()
    main(given.rows, given.max_cost)
