"""A batch on Fireworks as a Dagster asset: labelled tickets, made anew when the tickets are.

The key is made of the input's own bytes. So a retry, or a second run of the same tickets on another
machine, is the same batch, and other tickets are another one. Dagster and Oumi need not share an
environment: the asset calls the command `oumi-fireworks`.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import dagster

HERE = Path(os.environ.get("LABEL_TICKETS", "."))
COMMAND = os.environ.get("OUMI_FIREWORKS", "oumi-fireworks")


@dagster.asset(retry_policy=dagster.RetryPolicy(max_retries=2))
def labelled_tickets(context: dagster.AssetExecutionContext) -> dagster.MaterializeResult:
    """Every ticket with its label."""
    source, output = HERE / "tickets.csv", HERE / "labelled.jsonl"
    digest = hashlib.sha256(source.read_bytes() + (HERE / "label.yaml").read_bytes()).hexdigest()
    key = f"labelled_tickets/{digest[:16]}"
    done = subprocess.run(
        [
            COMMAND, "batch", "run", "-c", HERE / "label.yaml", "--input", source,
            "--output", output, "--overwrite", "--key", key, "--events", HERE / "events.jsonl",
        ],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    context.log.info(done.stderr)
    if done.returncode:
        raise dagster.Failure(f"oumi-fireworks exited with {done.returncode}: {done.stderr}")
    rows = len(output.read_text("utf-8").splitlines())
    return dagster.MaterializeResult(metadata={"rows": rows, "key": key, "path": str(output)})


defs = dagster.Definitions(assets=[labelled_tickets])
