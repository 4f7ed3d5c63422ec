"""``oumi-fireworks batch run``: from conversations to answered conversations, resumable."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import BatchResults, BatchRun
from oumi_fireworks.cli.batch.arguments import prices_of
from oumi_fireworks.cli.batch.conclusion import conclude
from oumi_fireworks.cli.batch.configuration import load_settings
from oumi_fireworks.cli.batch.delivery import Delivery, deliver, require_answers
from oumi_fireworks.cli.batch.page import write_report
from oumi_fireworks.cli.batch.paths import (
    choose_inputs,
    require_free,
    require_report_apart,
    require_usable,
    require_writable,
    spool_inputs,
)
from oumi_fireworks.cli.batch.writing import errors_path
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, show_logs
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.engine.conversations import why_unreadable
from oumi_fireworks.engine.run_folder import run_folder
from oumi_fireworks.errors import BatchError
from oumi_fireworks.report import ReportBuilder
from oumi_fireworks.tables.conversations import ConversationReader


def run(
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    output: Path | None,
    *,
    overwrite: bool,
    skip_bad: bool,
    report: Path | None,
    price_in: float | None,
    price_out: float | None,
) -> ExitCode:
    """Run conversations through the Batch API, all the way."""
    prices = prices_of(price_in, price_out)
    show_logs()
    settings = load_settings(config, overrides)
    settings.warn()
    target = output or settings.output_path
    if target is None:
        raise WrongUseError("There is no output. Name one with --output FILE.")
    require_usable(target)
    connection = settings.connection()
    run_dir = None if settings.run_dir is None else str(settings.run_dir)
    folder = run_folder(str(target), run_dir, "")
    files = choose_inputs(
        inputs,
        settings.input_path,
        leave_out=[target, errors_path(target)],
        stdin=folder / "stdin",
    )
    require_writable(target, errors_path(target), report)
    require_report_apart(report, [target, errors_path(target), *(file.path for file in files)])
    reader = ConversationReader(files, skip_bad=skip_bad)
    fields = settings.template.shared_fields
    batch = BatchRun(
        folder,
        lambda: reader.prepared(settings.prepare),
        settings.spec,
        fields,
        settings.options,
        why_unreadable,
    )
    page = None if report is None else ReportBuilder(title=target.name)
    with _held(batch, target, overwrite):
        spool_inputs(files, keep=batch.manifest_path.exists())
        delivery, results = with_client(
            lambda client: _go(client, batch, reader, target, page), connection
        )
    code = conclude(delivery, results, target, prices)
    if report is not None and page is not None:
        write_report(page, report, results.snapshots, prices, delivery.bad_lines)
    return code


@contextmanager
def _held(batch: BatchRun, output: Path, overwrite: bool) -> Iterator[None]:
    """Hold a run while it is at work. One that has not begun when it fails leaves nothing behind.

    Raises:
        WrongUseError: If there is nothing to go on with, and an output to be lost.
    """
    if not batch.manifest_path.exists():
        require_free(output, overwrite=overwrite)
    with batch.lock():
        if not batch.manifest_path.exists():
            # Again: another process may have finished the run in this very moment.
            require_free(output, overwrite=overwrite)
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_on_interruption(batch)) from None
        finally:
            if not batch.manifest_path.exists():
                shutil.rmtree(batch.folder, ignore_errors=True)


async def _go(
    client: FireworksClient,
    batch: BatchRun,
    reader: ConversationReader,
    output: Path,
    report: ReportBuilder | None,
) -> tuple[Delivery, BatchResults]:
    """Go all the way, from wherever the run stands, and forget the run at the end."""
    with BatchProgress() as on_progress:
        results = await batch.advance(client, on_progress)
    try:
        require_answers(results)
    except BatchError:
        await batch.finish(client)
        raise
    with busy(f"Writing {output}"):
        delivery = await deliver(reader, results, output, report)
    await batch.finish(client)
    return delivery, results


def _on_interruption(batch: BatchRun) -> str:
    if not batch.manifest_path.exists():
        return "Interrupted. Nothing was submitted."
    if batch.batch_id is None:
        return (
            "Interrupted while the batch was being submitted. The same command goes on from "
            "there; `oumi-fireworks batch list` shows what there is."
        )
    return (
        f"Interrupted. Batch {batch.batch_id} goes on at Fireworks.\n"
        "  Resume: the same command again\n"
        f"  Stop:   oumi-fireworks batch cancel {batch.batch_id}"
    )
