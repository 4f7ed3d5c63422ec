"""What the tests of the batch commands share."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oumi_fireworks.api import Connection, FireworksClient
from oumi_fireworks.batch import JobSpec, Request, ShardLimits, submit_new
from oumi_fireworks.emulator import Emulator

MODEL = "accounts/fireworks/models/llama-v3p1-8b-instruct"

CONFIG = f"""\
engine: FIREWORKS
model:
  model_name: {MODEL}
  model_kwargs:
    fireworks:
      poll_interval: 0.05
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


class Keyboard(io.TextIOWrapper):
    """Somebody at a terminal, who types."""

    def __init__(self, typed: str) -> None:
        super().__init__(io.BytesIO(typed.encode()))

    def isatty(self) -> bool:
        return True


def question(text: str, **fields: Any) -> dict[str, Any]:
    """A conversation of one question, as JSON."""
    return {"messages": [{"role": "user", "content": text}], **fields}


def write_lines(path: Path, rows: list[Any]) -> Path:
    """Write JSON Lines; bytes stay as they are."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def questions(path: Path, count: int, **fields: object) -> Path:
    """Write conversations of one question each, "Number 0?" and so on."""
    return write_lines(path, [question(f"Number {index}?", **fields) for index in range(count)])


def asked(path: Path) -> list[str]:
    """Return the first message of each row."""
    return [row["messages"][0]["content"] for row in read_lines(path)]


def submit(
    emulator: Emulator,
    texts: list[str],
    rows_a_job: int | None = None,
    model: str = MODEL,
) -> str:
    """Submit a batch; returns its id."""
    rows = [
        Request(index, {"messages": [{"role": "user", "content": text}]})
        for index, text in enumerate(texts)
    ]

    async def run() -> str:
        async with FireworksClient(Connection.from_environment(environ=emulator.env)) as client:
            return await submit_new(
                client,
                rows,
                JobSpec(model, display_name="a trial"),
                folder=Path("spool"),
                limits=ShardLimits(max_rows=rows_a_job),
                concurrency=2,
            )

    return asyncio.run(run())
