"""``oumi-fireworks batch retry`` of a batch: submit the rows that it left open as a further one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import download_results, merge_results, take_snapshot
from oumi_fireworks.batch.retry import needed_rows, retry_rows
from oumi_fireworks.cli.batch.configuration import BatchSettings, load_settings
from oumi_fireworks.cli.batch.fetching import require_ended
from oumi_fireworks.cli.batch.paths import choose_inputs, spool_inputs
from oumi_fireworks.cli.batch.submitted import find_submitted
from oumi_fireworks.cli.batch.suggestions import given_to_submit, say_next
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.json_outputs import FurtherBatchOutput
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, print_json, show_logs
from oumi_fireworks.conversion import prompt_of
from oumi_fireworks.display.interruptions import submission_interrupted
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.tables.conversations import ConversationReader, SentRow
from oumi_fireworks.tables.formats import FileInput


def retry_batch(
    batch_ids: Sequence[str],
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    *,
    as_json: bool,
    price: Mapping[str, float] | None,
    max_cost: float | None,
    events: str | None,
    notify: Sequence[str] | None,
) -> ExitCode:
    """Submit the open rows of a batch, and print the further batch's id.

    Args:
        batch_ids: The batch, then the further runs of its rows that there are.
        config: The configuration that it was submitted with.
        overrides: Settings that win.
        inputs: What was submitted.
        as_json: Whether to print JSON.
        price: Dollars for a million tokens; None leaves them to the configuration.
        max_cost: Dollars that all of it must not cost more than; None leaves it to the
            configuration.
        events: As for an output; refused, as other options are that a batch cannot follow.
        notify: The same.

    Raises:
        OptionError: If an option cannot be followed.
    """
    show_logs()
    settings = load_settings(
        config,
        overrides,
        price=price,
        max_cost=max_cost,
        events=events,
        notify=list(notify) if notify else None,
    )
    require_followed(settings.fireworks, Way.RETRY)
    settings.warn()
    connection = settings.connection()
    with settings.scratch() as folder:
        files = choose_inputs(inputs, settings.input_path, leave_out=[], stdin=folder / "stdin")
        spool_inputs(files)
        reader = ConversationReader(
            FileInput(files, settings.fireworks.input_options), skip_bad=True
        )
        ids: list[str] = []
        try:
            with busy("Looking for open rows"):
                with_client(
                    lambda client: _go(client, batch_ids, settings, reader, folder, ids), connection
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(submission_interrupted(ids[0] if ids else None)) from None
    if as_json:
        print_json(FurtherBatchOutput(id=ids[0], retry_of=batch_ids[0]))
    else:
        typer.echo(ids[0])
    say_next([*batch_ids, ids[0]], given_to_submit(settings, config, inputs))
    return ExitCode.FINE


async def _go(
    client: FireworksClient,
    batch_ids: Sequence[str],
    settings: BatchSettings,
    reader: ConversationReader,
    folder: Path,
    ids: list[str],
) -> None:
    require_ended(await take_snapshot(client, batch_ids[0]))
    downloads = await download_results(client, batch_ids, folder / "results", durable=False)
    prompts, repeats = find_submitted(reader, downloads)
    settings.note_tools(reader.conversations())
    results = await merge_results(
        client,
        downloads,
        reader.rows,
        folder / "input",
        settings.check(),
        prompts=prompts,
        repeats=repeats,
    )
    options = settings.options
    is_needed = needed_rows(results, options.again, options.budget)
    rows = (
        item for item in reader.sent_rows() if isinstance(item, SentRow) and is_needed(item.index)
    )
    again, _ = await retry_rows(
        client,
        results,
        (
            settings.prepare(prompt_of(item.conversation()), item.index, item.row.parameters())
            for item in rows
        ),
        settings.spec,
        attempt=len(batch_ids),
        folder=folder / "spool",
        concurrency=options.upload_concurrency,
        hoist=options.limits.hoist,
        again=options.again,
        budget=options.budget,
    )
    ids.append(again)
