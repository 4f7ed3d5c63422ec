"""``oumi-fireworks batch``: batches from the command line.

Building the group imports typer and nothing heavy; what a command needs it imports when it runs.
"""

from __future__ import annotations

from collections.abc import Callable

import typer

from oumi_fireworks.cli.batch.cancel import cancel
from oumi_fireworks.cli.batch.check import check
from oumi_fireworks.cli.batch.clean import clean
from oumi_fireworks.cli.batch.listing import list_batches
from oumi_fireworks.cli.batch.report import report
from oumi_fireworks.cli.batch.results import results
from oumi_fireworks.cli.batch.run import run
from oumi_fireworks.cli.batch.status import status
from oumi_fireworks.cli.batch.submit import submit

#: Whatever is not an option of the command is an override of the configuration.
_WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=(
        "Run conversations through the Batch API, at half the price.\n\n"
        "[cyan]run[/cyan] goes the whole way and can be repeated after any interruption; "
        "[cyan]submit[/cyan], [cyan]status[/cyan] and [cyan]results[/cyan] are its steps one by "
        "one.\n\n"
        "Exit codes: 0 all rows answered, 1 failed, 2 wrong use, 3 finished with failed rows, "
        "130 interrupted."
    ),
)


def _add(
    command: Callable[..., None], name: str | None = None, *, with_overrides: bool = False
) -> None:
    """Add a command, its docstring as help: a paragraph of it is one, however it is wrapped."""
    paragraphs = (command.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    context = _WITH_OVERRIDES if with_overrides else None
    app.command(name, help=text, context_settings=context)(command)


_add(run, with_overrides=True)
_add(check, with_overrides=True)
_add(submit, with_overrides=True)
_add(status)
_add(list_batches, "list")
_add(results)
_add(cancel)
_add(clean)
_add(report)
