"""Time and memory of batches, beside Oumi's own engine: one command, one table a question.

    python benchmarks/batch.py                          # everything, about half an hour
    python benchmarks/batch.py compare --rounds 5       # only the comparison
    python benchmarks/batch.py compare --rows 20000 --size 1000
    python benchmarks/batch.py shared                   # a system message that all rows share
    python benchmarks/batch.py repeats                  # rows that ask the same, sent once
    python benchmarks/batch.py flat                     # up to a million rows: 8 GB of memory

Needs Linux and curl. Every measurement is a process of its own that submits to, or reads from, the
emulator in another; the engines take turns. What the job itself takes is not measured. Each engine
reads its own batch, since the ids of our rows mean nothing to another one; the answers are the
same, as long as the questions. What is run again is a batch with one row that failed.

The limit is what cannot be avoided: sending the same file with curl, fetching the results with
curl, and a bare loop of `orjson.loads` over them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from batch_input import most_tokens, texts
from markdown_table import print_table

from oumi_fireworks.api import DIRECT_UPLOAD_BYTES, Connection, FireworksClient
from oumi_fireworks.batch import Request, ShardLimits, WaitPolicy, take_snapshot, watch
from oumi_fireworks.batch.inputs import collect_inputs
from oumi_fireworks.batch.shards import write_shards
from oumi_fireworks.prompts import digest_of

HERE = Path(__file__).parent
SHARED_ROWS, SHARED_SIZE = 200_000, 500
REPEATS_ROWS = 100_000
CASES = ((100_000, 1_000), (2_000, 100_000))
FLAT_ROWS, FLAT_SIZE = (10_000, 100_000, 1_000_000), 1_000
NAMES = {"ours": "oumi-fireworks", "stock": "Oumi's own engine"}
MB = 1_000_000

SENDS = "curl sends the input"

Times = dict[str, list[float]]
Seen = dict[tuple[str, str], list[dict[str, Any]]]
"""What each phase of each engine has taken, round by round."""


def requests(rows: int, size: int) -> Iterator[Request]:
    """Make the rows that the engine makes of the benchmark's texts."""
    for row, text in enumerate(texts(rows, size)):
        messages = [{"role": "user", "content": text}]
        body = {"messages": messages, "max_tokens": most_tokens(size), "temperature": 0.0}
        yield Request(row, body, digest_of(("user/1", text)))


@contextmanager
def server() -> Iterator[None]:
    """Run the emulator in a process of its own, and let the environment lead to it."""
    command = [sys.executable, str(HERE / "batch_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.environ.update(json.loads(process.stdout.readline()))
        try:
            yield
        finally:
            process.stdin.close()


def measure(
    phase: str,
    engine: str,
    rows: int,
    size: int,
    batch_id: str = "",
    hoist: str | None = None,
    *,
    one_fails: bool = False,
) -> dict[str, Any]:
    """Measure one phase of one engine in a process of its own.

    With ``hoist``, the option of that name, all conversations begin with the same system message.
    With ``one_fails`` the first of them has no answer.
    """
    task = {
        "phase": phase, "engine": engine, "rows": rows, "size": size, "batch_id": batch_id,
        "hoist": hoist, "one_fails": one_fails,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, HERE / "batch_child.py", json.dumps(task)],
        capture_output=True,
        text=True,
        env={**os.environ, "DO_NOT_TRACK": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"{engine}, {phase}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def with_client(use: Any) -> Any:
    """Run a coroutine function with a client of the emulator."""

    async def run() -> Any:
        async with FireworksClient(Connection.from_environment()) as client:
            return await use(client)

    return asyncio.run(run())


def wait_for(batch_id: str) -> None:
    """Wait until a batch has ended, so that nothing else is at work when the next one begins."""
    ended = with_client(lambda client: watch(client, batch_id, WaitPolicy(poll_interval=0.5)))
    if ended.state != "JOB_STATE_COMPLETED":
        raise RuntimeError(f"{batch_id} ended as {ended.state}: {ended.error}")


class Limits:
    """What no engine can avoid, measured with the same bytes.

    Args:
        folder: Where to put them.
        rows: Rows of the file.
        size: Characters of each.
    """

    def __init__(self, folder: Path, rows: int, size: int) -> None:
        self._folder = folder
        limits = ShardLimits(max_bytes=1 << 40)
        (self._shard,) = asyncio.run(write_shards(requests(rows, size), folder, limits))
        self._sent = 0
        self.times: Times = defaultdict(list)

    @property
    def input_bytes(self) -> int:
        """Size of the input."""
        return self._shard.size

    def send(self) -> None:
        """Time curl with the file, by the way that the engine takes for its size."""
        self._sent += 1
        dataset, path = f"limit-{self._shard.rows}-{self._sent}", self._shard.path
        with_client(lambda api: api.datasets.create(dataset, example_count=self._shard.rows))
        if self._shard.size <= DIRECT_UPLOAD_BYTES:
            root, account = os.environ["FIREWORKS_BASE_URL"], os.environ["FIREWORKS_ACCOUNT_ID"]
            url = f"{root}/v1/accounts/{account}/datasets/{dataset}:upload"
            key = f"Authorization: Bearer {os.environ['FIREWORKS_API_KEY']}"
            seconds = curl("-H", key, "-F", f"file=@{path}", url)
        else:
            sizes = {path.name: self._shard.size}
            urls = with_client(lambda api: api.datasets.upload_urls(dataset, sizes))
            length = f"x-goog-content-length-range: {self._shard.size},{self._shard.size}"
            kind = "Content-Type: application/octet-stream"
            seconds = curl("-H", kind, "-H", length, "-T", str(path), urls[path.name])
        self.times[SENDS].append(seconds)

    def fetch(self, batch_id: str) -> None:
        """Time curl with the results, and a loop that only parses them."""
        urls = with_client(lambda api: api.datasets.download_urls(f"{batch_id}-out"))
        url = next(url for name, url in urls.items() if name.endswith(".jsonl"))
        path = self._folder / "results.jsonl"
        curl("-o", str(path), url)  # whoever is first waits for the server to take a checksum
        self.times["curl fetches the results"].append(curl("-o", str(path), url))
        begun = time.perf_counter()
        with path.open("rb") as file:
            for line in file:
                orjson.loads(line)
        self.times["orjson.loads on the results"].append(time.perf_counter() - begun)


def curl(*arguments: str) -> float:
    """Run curl and return its seconds."""
    begun = time.perf_counter()
    command = ["curl", "-sS", "--fail", "-H", "Expect:", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def compare(rows: int, size: int, rounds: int) -> None:
    """Measure both engines and the limit in turns, and print the table."""
    seen: Seen = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, server():
        limits = Limits(Path(folder), rows, size)
        for _ in range(rounds):
            batch_ids = {}
            for engine in NAMES:
                found = measure("submit", engine, rows, size)
                seen["submit", engine].append(found)
                batch_ids[engine] = found["batch_id"]
                wait_for(found["batch_id"])
            limits.send()
            limits.fetch(batch_ids["ours"])
            for phase in ("results", "partial"):
                for engine in NAMES:
                    found = measure(phase, engine, rows, size, batch_ids[engine])
                    seen[phase, engine].append(found)
            failing = measure("submit", "ours", rows, size, one_fails=True)["batch_id"]
            wait_for(failing)
            found = measure("retry", "ours", rows, size, failing, one_fails=True)
            seen["retry", "ours"].append(found)
    print_table(
        f"{rows:,} conversations of {size:,} characters, {limits.input_bytes / MB:.0f} MB "
        f"(median of {rounds} rounds)",
        ("", *NAMES.values(), "ratio", "to reach"),
        [
            *_lines("submit", seen, "at most 0.30"),
            *_lines("results", seen, "at most 0.33"),
            *_lines("partial", seen, "at most 0.33"),
            *_retry_lines(seen),
            *_distances(seen, limits),
        ],
    )


def _lines(phase: str, seen: Seen, to_reach: str) -> Iterator[tuple[str, ...]]:
    for field, name, bound in (
        ("seconds", "seconds", to_reach),
        ("cpu", "CPU seconds", ""),
    ):
        ours, stock = (_median(seen, phase, engine, field) for engine in NAMES)
        yield f"{phase}, {name}", f"{ours:.2f}", f"{stock:.2f}", f"{ours / stock:.2f}", bound
    ours, stock = (max(run["memory"] for run in seen[phase, engine]) / MB for engine in NAMES)
    yield f"{phase}, memory", f"{ours:.0f} MB", f"{stock:.0f} MB", "", "at most 32 MB"


def _retry_lines(seen: Seen) -> Iterator[tuple[str, ...]]:
    """Compare ``retry_batch``, which Oumi's own engine does not have, with our results."""
    for field, name in (("seconds", "seconds"), ("cpu", "CPU seconds")):
        ours, results = (_median(seen, phase, "ours", field) for phase in ("retry", "results"))
        yield f"retry, {name}", f"{ours:.2f}", "", f"{ours / results:.2f} of results", ""


def _distances(seen: Seen, limits: Limits) -> Iterator[tuple[str, ...]]:
    """Compare each limit with what it limits."""
    for name, times in limits.times.items():
        limit = statistics.median(times)
        phase = "submit" if name == SENDS else "results"
        ratio = _median(seen, phase, "ours", "seconds") / limit
        yield f"limit: {name}", f"{limit:.2f}", "", f"{phase} takes {ratio:.1f} times as long", ""


def _median(seen: Seen, phase: str, engine: str, field: str) -> float:
    median: float = statistics.median(run[field] for run in seen[phase, engine])
    return median


def flat() -> None:
    """Measure this engine alone with ever more rows."""
    table = []
    with server():
        for rows in FLAT_ROWS:
            submitted = measure("submit", "ours", rows, FLAT_SIZE)
            wait_for(submitted["batch_id"])
            read = measure("results", "ours", rows, FLAT_SIZE, submitted["batch_id"])
            table.append((rows, submitted, read))
    print_table(
        f"oumi-fireworks with ever more conversations of {FLAT_SIZE:,} characters",
        ("rows", "submit", "a row", "memory", "results", "a row", "memory"),
        (
            (f"{rows:,}", *_cells(submitted, rows), *_cells(read, rows))
            for rows, submitted, read in table
        ),
    )


def _cells(found: dict[str, Any], rows: int) -> tuple[str, str, str]:
    seconds, memory = found["seconds"], found["memory"] / MB
    return f"{seconds:.1f} s", f"{seconds / rows * 1e6:.0f} µs", f"{memory:.0f} MB"


def shared(rounds: int) -> None:
    """Measure what it saves to send a system message of 3 KB once."""
    seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with server():
        for _ in range(rounds):
            for hoist in ("auto", "off"):
                found = measure("submit", "ours", SHARED_ROWS, SHARED_SIZE, hoist=hoist)
                wait_for(found["batch_id"])
                sent = with_client(lambda client, found=found: inputs_of(client, found["batch_id"]))
                seen[hoist].append({**found, "sent": sent})

    def line(name: str, field: str, unit: float, to_reach: str) -> tuple[str, ...]:
        once, each = (statistics.median(run[field] for run in seen[hoist]) for hoist in seen)
        return name, f"{once / unit:.2f}", f"{each / unit:.2f}", f"{once / each:.2f}", to_reach

    print_table(
        f"{SHARED_ROWS:,} conversations of {SHARED_SIZE} characters that share a system message of "
        f"3 KB (median of {rounds} rounds)",
        ("", "sent once", "with each row", "ratio", "to reach"),
        [
            line("MB sent", "sent", MB, "at most 0.3"),
            line("submit, seconds", "seconds", 1, "at most 0.5"),
            line("submit, CPU seconds", "cpu", 1, ""),
            line("submit, memory in MB", "memory", MB, ""),
        ],
    )


def submit_run(rows: int, dedupe: str, share: float) -> dict[str, Any]:
    """Measure the submission by a run, of whose rows a share repeats others."""
    task = {"rows": rows, "size": FLAT_SIZE, "dedupe": dedupe, "share": share}
    done = subprocess.run(
        [sys.executable, HERE / "repeats_child.py", json.dumps(task)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def repeats(rounds: int) -> None:
    """Measure what it costs to look for rows that ask the same, and what it saves."""
    seen: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    with server():
        for _ in range(rounds):
            for share in (0.0, 0.4):
                for dedupe in ("off", "on"):
                    seen[dedupe, share].append(submit_run(REPEATS_ROWS, dedupe, share))
        growing = [(rows, submit_run(rows, "on", 0.0)) for rows in FLAT_ROWS]

    def median(dedupe: str, share: float, field: str) -> float:
        return float(statistics.median(run[field] for run in seen[dedupe, share]))

    def line(share: float, field: str, name: str, to_reach: str) -> tuple[str, ...]:
        on, off = (median(dedupe, share, field) for dedupe in ("on", "off"))
        return f"{share:.0%}, {name}", f"{on:.2f}", f"{off:.2f}", f"{on / off:.2f}", to_reach

    print_table(
        f"{REPEATS_ROWS:,} rows of {FLAT_SIZE:,} characters, of which a share repeats others, from "
        f"the first row to the jobs (median of {rounds} rounds)",
        ("repeats", "dedupe: on", "dedupe: off", "ratio", "to reach"),
        [
            line(0.0, "seconds", "seconds", "at most 1.15"),
            line(0.0, "cpu", "CPU seconds", ""),
            line(0.4, "seconds", "seconds", "at most 0.75"),
            line(0.4, "cpu", "CPU seconds", ""),
        ],
    )
    print_table(
        "dedupe: on, no repeats, ever more rows",
        ("rows", "seconds", "a row", "memory", "bytes a row"),
        (
            (f"{rows:,}", *_cells(found, rows), f"{found['memory'] / rows:.0f}")
            for rows, found in growing
        ),
    )


async def inputs_of(client: FireworksClient, batch_id: str) -> int:
    """Return the bytes of a batch's inputs, as the server has them."""
    snapshot = await take_snapshot(client, batch_id)
    with tempfile.TemporaryDirectory() as folder:
        files = await collect_inputs(client, snapshot.jobs, Path(folder))
        return sum(file.path.stat().st_size for file in files or ())


def main() -> None:
    """Answer the questions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("questions", nargs="*", help="compare, shared, repeats, flat; all")
    parser.add_argument("--rounds", type=int, default=3, help="how often to compare (3)")
    parser.add_argument("--rows", type=int, help="compare with so many conversations instead")
    parser.add_argument("--size", type=int, default=1000, help="characters of each of these (1000)")
    options = parser.parse_args()
    questions = options.questions or ["compare", "shared", "repeats", "flat"]
    if "compare" in questions:
        for rows, size in [(options.rows, options.size)] if options.rows else CASES:
            compare(rows, size, options.rounds)
    if "shared" in questions:
        shared(options.rounds)
    if "repeats" in questions:
        repeats(options.rounds)
    if "flat" in questions:
        flat()


if __name__ == "__main__":
    main()
