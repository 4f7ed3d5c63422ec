"""``oumi-fireworks batch clean``: remove datasets that batches have left on the account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from oumi_fireworks.cli.batch.options import Yes, duration
from oumi_fireworks.cli.exit_codes import ExitCode, reports_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from oumi_fireworks.batch.cleanup import Leftover


@reports_errors
def clean(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Only those made longer ago: 7d, 36h, 90m, 0.")
    ] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
    yes: Yes = False,
) -> None:
    """Remove input and result datasets of this tool that no batch at work uses.

    They are listed first. Results that have not been fetched are lost with their dataset.
    """
    from oumi_fireworks.batch.cleanup import delete_by_id, find_leftovers
    from oumi_fireworks.cli.service import with_client
    from oumi_fireworks.cli.terminal import confirm, say, show, show_logs
    from oumi_fireworks.display.words import number

    show_logs()
    before = datetime.now(UTC) - duration(older_than)
    found = with_client(lambda client: find_leftovers(client, before))
    if not found:
        say(f"There are no datasets to remove that are older than {older_than}.")
        return
    show(_table(found))
    results = sum(_is_result(leftover) for leftover in found)
    count = number(len(found), "dataset")
    say(f"\n{count}, {results:,} of them with results.")
    if dry_run:
        say("Nothing was removed (--dry-run).")
        return
    if not yes and not confirm(f"Remove {count}?"):
        say("Nothing was removed.")
        raise typer.Exit(ExitCode.FAILED)
    ids = [leftover.dataset.id for leftover in found]
    gone = with_client(lambda client: delete_by_id(client, ids))
    say(f"Removed {number(gone, 'dataset')}.")
    if gone < len(ids):
        raise typer.Exit(ExitCode.FAILED)


def _is_result(leftover: Leftover) -> bool:
    from oumi_fireworks.batch.ids import output_dataset_id

    return leftover.dataset.id == output_dataset_id(leftover.job_id)


def _table(leftovers: Sequence[Leftover]) -> Table:
    from rich.table import Table

    from oumi_fireworks.cli.batch.snapshots import age

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Dataset", overflow="fold")
    table.add_column("Holds", no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    table.add_column("Age", justify="right", no_wrap=True)
    for leftover in leftovers:
        dataset = leftover.dataset
        holds = "results" if _is_result(leftover) else "input"
        rows = f"{dataset.example_count:,}" if dataset.example_count else "–"
        table.add_row(dataset.id, holds, rows, age(dataset.created))
    return table
