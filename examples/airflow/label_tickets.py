"""A DAG with one batch in it: put this file and fireworks_batch.py into the folder of your DAGs."""

from __future__ import annotations

import os

from airflow.sdk import dag
from fireworks_batch import FireworksBatchOperator

HERE = os.environ.get("LABEL_TICKETS", "/data/tickets")


@dag(schedule="@daily", catchup=False, default_args={"retries": 2})
def label_tickets() -> None:
    """Label the tickets of a file."""
    FireworksBatchOperator(
        task_id="label",
        config_path=f"{HERE}/label.yaml",
        input_path=f"{HERE}/tickets.csv",
        output_path=f"{HERE}/labelled.jsonl",
        key="label_tickets/{{ ds }}",
        poll_seconds=float(os.environ.get("LABEL_POLL", "60")),
        command=os.environ.get("OUMI_FIREWORKS", "oumi-fireworks"),
    )


label_tickets_dag = label_tickets()
