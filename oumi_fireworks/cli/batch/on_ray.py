"""``oumi-fireworks batch run --ray``: a folder of tables with answers, made by a cluster."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from oumi_fireworks.cli.batch.arguments import price_option
from oumi_fireworks.cli.batch.options import OnceFlags, PriceFlags
from oumi_fireworks.cli.batch.ray_flags import ANY_CLUSTER
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.terminal import say, show_logs, stderr
from oumi_fireworks.distributed.cluster import finished_blocks
from oumi_fireworks.distributed.driver import OnTotals
from oumi_fireworks.distributed.reading import connect, read
from oumi_fireworks.distributed.settings import BlockSettings, load_settings
from oumi_fireworks.distributed.totals import Totals
from oumi_fireworks.distributed.writing import WRITERS, Folder, write
from oumi_fireworks.engine.config_reader import read_config
from oumi_fireworks.grammar import form, number
from oumi_fireworks.user_json import dumps

_LINE_EVERY_SECONDS = 30.0
"""Seconds between two lines of progress where there is no terminal."""


def run_on_ray(
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    output: str | None,
    *,
    address: str,
    overwrite: bool,
    skip_bad: bool,
    rows_per_batch: int,
    max_batches: int,
    once: OnceFlags,
    price_flags: PriceFlags,
    max_cost: float | None,
    events: str | None,
    notify: Sequence[str] | None,
) -> ExitCode:
    """Run the rows of tables through the Batch API, on a cluster."""
    show_logs()
    whole = read_config(config, overrides)
    settings = load_settings(
        whole,
        skip_bad=skip_bad,
        **once._asdict(),
        price=price_option(price_flags),
        max_cost=max_cost,
        events=events,
        notify=list(notify) if notify else None,
    )
    names = list(inputs) or list(filter(None, [whole.input_path]))
    target = output or whole.output_path
    if not names:
        raise WrongUseError("There is no input. Name one with --input FILE.")
    if target is None:
        raise WrongUseError("There is no output. Name a folder with --output.")
    kind = settings.options.output_options.format or "parquet"
    if kind not in WRITERS:
        raise WrongUseError(
            f"With --ray an output is {', '.join(WRITERS)}, not {kind}: see --output-format."
        )
    settings.connection()
    folder = Folder.of(target)
    connect(None if address == ANY_CLUSTER else address)
    dataset = read(names, settings.options.input_options.format)
    folder.begin(_digest(settings, names, rows_per_batch), overwrite=overwrite)
    with _progress() as (seen, on_totals), settings.events(folder.name) as told:
        blocks = finished_blocks(
            dataset,
            settings,
            told,
            rows_per_batch=rows_per_batch,
            max_batches=max_batches,
            on_totals=on_totals,
            known=folder.written(),
        )
        write(blocks, folder, kind)
    last = seen[-1]
    say(f"Done:   {last}")
    say(f"Output: {folder.name}")
    if last.over_budget:
        say(
            f"max_cost is ${settings.options.max_cost}: {number(last.over_budget, 'row')} "
            f"{form(last.over_budget, 'was', 'were')} not sent. The same command with a higher "
            "--max-cost goes on, and pays nothing twice.",
            "yellow",
        )
    if last.rejected or last.failed or last.bad_rows or last.over_budget:
        return ExitCode.ROWS_OPEN if last.answered else ExitCode.FAILED
    return ExitCode.FINE


def _digest(settings: BlockSettings, names: Sequence[str], rows_per_batch: int) -> str:
    """Return what differs where a run does, as far as it is known before its rows are read."""
    options = settings.options
    said = [
        *names,
        rows_per_batch,
        settings.spec.model,
        settings.template.shared_fields,
        options.input_options.given(),
        options.output_options.given(),
    ]
    return hashlib.sha256(dumps(said)).hexdigest()[:32]


@contextmanager
def _progress() -> Iterator[tuple[list[Totals], OnTotals]]:
    """Show how the whole stands: a line that changes on a terminal, one now and then in a log."""
    console = stderr()
    seen, next_line = [Totals()], 0.0
    with console.status("Beginning ...") if console.is_terminal else nullcontext() as status:

        def on_totals(totals: Totals) -> None:
            nonlocal next_line
            seen[:] = [totals]
            if status is not None:
                status.update(str(totals))
            elif time.monotonic() >= next_line:
                next_line = time.monotonic() + _LINE_EVERY_SECONDS
                say(str(totals))

        yield seen, on_totals
