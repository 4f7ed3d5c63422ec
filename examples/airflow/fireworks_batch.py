"""A batch on Fireworks as an Airflow task that waits without a worker.

The task submits its rows under a key and defers; a trigger looks at the batch now and then; when
it has ended the task fetches the answers. A retry of the task, on whatever worker, finds the batch
of its key: it makes no second one.

Airflow and Oumi need not share an environment: the operator calls the command `oumi-fireworks`,
whose path may be given.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

ROWS_OPEN = 3
"""The exit code of `batch run` when rows have no answer."""


class FireworksBatchOperator(BaseOperator):
    """Run the rows of a file through the Batch API.

    Args:
        config_path: Oumi's configuration, YAML.
        input_path: The rows: JSON Lines, Parquet, CSV.
        output_path: Where the answers go.
        key: Stands for these rows, so that they are one batch however often the task runs. By
            default the task's own coordinates, the same for every try.
        allow_open_rows: Whether a batch is fine in which some rows have no answer.
        poll_seconds: How long the trigger waits between two looks.
        command: The command `oumi-fireworks`.
    """

    template_fields: Sequence[str] = ("config_path", "input_path", "output_path", "key")

    def __init__(
        self,
        *,
        config_path: str,
        input_path: str,
        output_path: str,
        key: str = "{{ dag.dag_id }}/{{ task.task_id }}/{{ run_id }}",
        allow_open_rows: bool = False,
        poll_seconds: float = 60.0,
        command: str = "oumi-fireworks",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config_path, self.key = config_path, key
        self.input_path, self.output_path = input_path, output_path
        self.allow_open_rows = allow_open_rows
        self.poll_seconds = poll_seconds
        self.command = command

    def execute(self, context: Any) -> None:
        """Submit the rows, or find the batch that an earlier try has submitted, and wait."""
        done = self._run(
            "submit", "-c", self.config_path, "--input", self.input_path, "--key", self.key
        )
        if done.returncode:
            raise RuntimeError(f"The batch was not submitted: {done.stderr}")
        self.defer(
            trigger=FireworksBatchTrigger(
                batch_id=done.stdout.strip(), poll_seconds=self.poll_seconds, command=self.command
            ),
            method_name="fetch",
        )

    def fetch(self, context: Any, event: dict[str, Any]) -> str:
        """Write the answers of the batch that has ended.

        That is `batch run` with the same key, which finds the batch; rows that have failed it runs
        again, as often as the option `row_retries` says.
        """
        done = self._run(
            "run", "-c", self.config_path, "--input", self.input_path, "--key", self.key,
            "--output", self.output_path, "--overwrite",
        )  # fmt: skip
        self.log.info("%s", done.stderr)
        if done.returncode and not (done.returncode == ROWS_OPEN and self.allow_open_rows):
            raise RuntimeError(f"Batch {event['id']}, {event['state']}: {done.stderr}")
        return str(event["id"])

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, "batch", *arguments], capture_output=True, text=True, check=False
        )


class FireworksBatchTrigger(BaseTrigger):
    """Looks at a batch until it has ended; in Airflow's triggerer, so no worker waits."""

    def __init__(self, batch_id: str, poll_seconds: float, command: str) -> None:
        super().__init__()
        self.batch_id, self.poll_seconds, self.command = batch_id, poll_seconds, command

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer needs to go on."""
        arguments = {
            "batch_id": self.batch_id,
            "poll_seconds": self.poll_seconds,
            "command": self.command,
        }
        return (f"{type(self).__module__}.{type(self).__qualname__}", arguments)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the batch, as `batch status --json` describes it."""
        while True:
            process = await asyncio.create_subprocess_exec(
                self.command, "batch", "status", self.batch_id, "--json",
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await process.communicate()
            # A look that fails is only a look: the batch goes on.
            if process.returncode == 0 and (batch := json.loads(out))["ended"]:
                yield TriggerEvent({"id": batch["id"], "state": batch["state"]})
                return
            await asyncio.sleep(self.poll_seconds)
