"""``oumi-fireworks batch submit``: make the jobs, and no more."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from oumi_fireworks.cli.batch.options import ConfigPath, InputPaths, SkipBad
from oumi_fireworks.cli.batch.overrides import read_extras
from oumi_fireworks.cli.exit_codes import reports_errors


@reports_errors
def submit(
    context: typer.Context,
    config: ConfigPath,
    inputs: InputPaths = None,
    skip_bad: SkipBad = False,
) -> None:
    """Submit conversations, and print the batch's id.

    All of them or nothing: when it fails or is interrupted, no job is left behind. Settings of the
    configuration can be replaced as with [cyan]oumi infer[/cyan].
    """
    extras = read_extras(context)

    from oumi_fireworks.batch import submit_new
    from oumi_fireworks.cli.batch.configuration import load_settings
    from oumi_fireworks.cli.batch.paths import choose_inputs, spool_inputs
    from oumi_fireworks.cli.service import with_client
    from oumi_fireworks.cli.terminal import say, show_logs
    from oumi_fireworks.display.words import number
    from oumi_fireworks.errors import MOST_NAMED
    from oumi_fireworks.tables.conversations import ConversationReader

    show_logs()
    settings = load_settings(config, extras.overrides)
    settings.warn()
    connection = settings.connection()
    if settings.run_dir is not None:
        Path(settings.run_dir).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oumi-fireworks-", dir=settings.run_dir) as temporary:
        folder = Path(temporary)
        files = choose_inputs(
            [*(inputs or []), *extras.files],
            settings.input_path,
            leave_out=[],
            stdin=folder / "stdin",
        )
        spool_inputs(files)
        reader = ConversationReader(files, settings.prepare, skip_bad=skip_bad)
        try:
            batch_id = with_client(
                lambda client: submit_new(
                    client,
                    reader.prepared(),
                    settings.spec,
                    folder=folder / "spool",
                    limits=settings.options.limits,
                    concurrency=settings.options.upload_concurrency,
                ),
                connection,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Interrupted. Nothing was submitted.") from None
        typer.echo(batch_id)
        say(f"Submitted {number(reader.rows, 'row')}.")
        if reader.bad_lines:
            say(f"Left out {number(reader.bad_lines, 'line')} that cannot be sent:", "yellow")
            for problem, _ in zip(reader.problems(), range(MOST_NAMED), strict=False):
                say(f"  {problem}")
    say(f"Wait:  oumi-fireworks batch status {batch_id} --watch", "dim")
    say(f"Fetch: oumi-fireworks batch results {batch_id} --input FILE --output FILE", "dim")
