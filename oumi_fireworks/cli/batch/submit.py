"""``oumi-fireworks batch submit``: make the jobs, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import submit_new
from oumi_fireworks.cli.batch.configuration import BatchSettings, load_settings
from oumi_fireworks.cli.batch.paths import choose_inputs, spool_inputs
from oumi_fireworks.cli.batch.suggestions import given_to_submit, say_next
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, say, show_logs
from oumi_fireworks.display.interruptions import submission_interrupted
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.errors import MOST_NAMED, NoRowsError
from oumi_fireworks.grammar import number
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.formats import FileInput


def submit(
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    *,
    skip_bad: bool,
    key: str | None,
    max_cost: float | None,
) -> ExitCode:
    """Submit conversations, and print the batch's id."""
    show_logs()
    settings = load_settings(config, overrides, key=key, max_cost=max_cost)
    require_followed(settings.fireworks, Way.SUBMIT)
    settings.warn()
    connection = settings.connection()
    with settings.scratch() as folder:
        files = choose_inputs(inputs, settings.input_path, leave_out=[], stdin=folder / "stdin")
        spool_inputs(files)
        reader = ConversationReader(
            FileInput(files, settings.fireworks.input_options), skip_bad=skip_bad
        )
        ids: list[str] = []
        try:
            with busy("Submitting"):
                with_client(lambda client: _go(client, settings, reader, folder, ids), connection)
        except KeyboardInterrupt:
            made = ids[0] if ids else None
            has_key = settings.options.key is not None
            raise KeyboardInterrupt(submission_interrupted(made, has_key=has_key)) from None
        except NoRowsError as error:
            raise WrongUseError(
                "The input has no row to send: nothing was submitted, so there is no id."
            ) from error
        say(f"Submitted {number(reader.rows, 'row')}.")
        for line in reader.cautions.lines():
            say(line, "yellow")
        if reader.bad_lines:
            say(f"Left out {number(reader.bad_lines, 'line')} that cannot be sent:", "yellow")
            for problem, _ in zip(reader.problems(), range(MOST_NAMED), strict=False):
                say(f"  {problem}")
    say_next(ids, given_to_submit(settings, config, inputs))
    return ExitCode.FINE


async def _go(
    client: FireworksClient,
    settings: BatchSettings,
    reader: ConversationReader,
    folder: Path,
    ids: list[str],
) -> None:
    batch_id = await submit_new(
        client,
        reader.prepared(settings.prepare),
        settings.spec,
        folder=folder / "spool",
        limits=settings.options.limits,
        concurrency=settings.options.upload_concurrency,
        key=settings.options.key,
        budget=settings.options.budget,
    )
    # Within the same step as the last job's creation, so that no interruption comes between.
    ids.append(batch_id)
    typer.echo(batch_id)
