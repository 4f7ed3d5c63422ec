"""``oumi-fireworks batch clean``: remove datasets that batches have left on the account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from rich.table import Table

from oumi_fireworks.batch.cleanup import Leftover, delete_by_id, find_leftovers
from oumi_fireworks.batch.ids import output_dataset_id
from oumi_fireworks.cli.batch.arguments import parse_duration
from oumi_fireworks.cli.batch.snapshots import age
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.json_outputs import CleanOutput, DatasetOutput
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import confirm, print_json, say, show, show_logs
from oumi_fireworks.grammar import number


def clean(older_than: str, *, dry_run: bool, yes: bool, as_json: bool) -> ExitCode:
    """Remove datasets."""
    show_logs()
    before = datetime.now(UTC) - parse_duration(older_than)
    found = with_client(lambda client: find_leftovers(client, before))
    if not found:
        say(f"There are no datasets to remove that are older than {older_than}.")
    elif not as_json:
        show(_table(found))
    removed = 0
    code = ExitCode.FINE
    if found:
        results = sum(_is_result(leftover) for leftover in found)
        count = number(len(found), "dataset")
        say(f"{count}, {results:,} of them with results.")
        if dry_run:
            say("Nothing was removed (--dry-run).")
        elif yes or confirm(f"Remove {count}?"):
            ids = [leftover.dataset.id for leftover in found]
            removed = with_client(lambda client: delete_by_id(client, ids))
            say(f"Removed {number(removed, 'dataset')}.")
            code = ExitCode.FINE if removed == len(ids) else ExitCode.FAILED
        else:
            say("Nothing was removed.")
            code = ExitCode.FAILED
    if as_json:
        print_json(CleanOutput(datasets=[_as_json(each) for each in found], removed=removed))
    return code


def _as_json(leftover: Leftover) -> DatasetOutput:
    dataset = leftover.dataset
    return {
        "id": dataset.id,
        "job": leftover.job_id,
        "holds": _holds(leftover),
        "rows": dataset.example_count or None,
        "created_at": dataset.created.isoformat() if dataset.created else None,
    }


def _holds(leftover: Leftover) -> Literal["input", "results", "key"]:
    if leftover.is_claim:
        return "key"
    return "results" if _is_result(leftover) else "input"


def _is_result(leftover: Leftover) -> bool:
    return leftover.dataset.id == output_dataset_id(leftover.job_id)


def _table(leftovers: Sequence[Leftover]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Dataset", overflow="fold")
    table.add_column("Holds", no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    table.add_column("Age", justify="right", no_wrap=True)
    for leftover in leftovers:
        dataset = leftover.dataset
        rows = f"{dataset.example_count:,}" if dataset.example_count else "–"
        table.add_row(dataset.id, _holds(leftover), rows, age(dataset.created))
    return table
