"""``oumi-fireworks batch results``: fetch what a batch has answered."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oumi_fireworks.cli.batch.options import (
    Overwrite,
    PriceIn,
    PriceOut,
    ReportPath,
    SkipBad,
    batch_ids,
    prices_of,
)
from oumi_fireworks.cli.batch.paths import (
    STDOUT,
    choose_inputs,
    require_free,
    require_report_apart,
    require_usable,
    spool_inputs,
)
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError, reports_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oumi.core.types.conversation import Conversation

    from oumi_fireworks.api import FireworksClient
    from oumi_fireworks.batch import BatchResults, Snapshot
    from oumi_fireworks.cli.batch.delivery import Delivery
    from oumi_fireworks.report import ReportBuilder
    from oumi_fireworks.tables.conversations import ConversationReader


@reports_errors
def results(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The batch, then further runs of its rows.")
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="What was submitted, the same files in the same order. - for standard input.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where they go; stdout by default."),
    ] = None,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = False,
    report: ReportPath = None,
    price_in: PriceIn = None,
    price_out: PriceOut = None,
) -> None:
    """Fetch the results of a batch that has ended.

    With [cyan]--input[/cyan], what was submitted, they are conversations in the same order, and
    the failures are in OUTPUT.errors.jsonl; without it they are the rows as the service gives
    them. Several ids are merged: a batch, and the further runs of its failed rows.
    """
    from oumi_fireworks.cli.terminal import show_logs

    show_logs()
    chosen, prices = batch_ids(ids), prices_of(price_in, price_out)
    if output == Path(STDOUT):
        output = None
    if output is not None:
        require_usable(output)
        require_free(output, overwrite=overwrite)
    if not inputs:
        if report is not None:
            raise WrongUseError("A report of the results needs their --input; see `batch report`.")
        raise typer.Exit(_fetch_raw(chosen, output))
    from oumi_fireworks.cli.batch.conclusion import conclude, write_report
    from oumi_fireworks.report import ReportBuilder

    page = None if report is None else ReportBuilder(title=inputs[0])
    delivery, found = _fetch(chosen, inputs, output, skip_bad, report, page)
    outcome = conclude(delivery, found, output, prices)
    if report is not None and page is not None:
        write_report(page, report, found.snapshots, prices, delivery.bad_lines)
    raise typer.Exit(outcome)


def _fetch(
    ids: Sequence[str],
    inputs: Sequence[str],
    output: Path | None,
    skip_bad: bool,
    report: Path | None,
    page: ReportBuilder | None,
) -> tuple[Delivery, BatchResults]:
    from oumi_fireworks.cli.batch.writing import errors_path
    from oumi_fireworks.cli.service import with_client
    from oumi_fireworks.cli.terminal import busy
    from oumi_fireworks.tables.conversations import ConversationReader

    with _folder(output) as folder:
        hidden = [] if output is None else [output, errors_path(output)]
        files = choose_inputs(inputs, None, leave_out=hidden, stdin=folder / "stdin")
        require_report_apart(report, [*hidden, *(file.path for file in files)])
        spool_inputs(files)
        reader = ConversationReader(files, _checked, skip_bad=skip_bad)
        with busy("Fetching results"):
            return with_client(lambda client: _go(client, ids, reader, folder, output, page))


async def _go(
    client: FireworksClient,
    ids: Sequence[str],
    reader: ConversationReader,
    folder: Path,
    output: Path | None,
    report: ReportBuilder | None,
) -> tuple[Delivery, BatchResults]:
    from oumi_fireworks.batch import fetch_results, take_snapshot
    from oumi_fireworks.cli.batch.delivery import deliver, require_answers

    first = await take_snapshot(client, ids[0])
    _require_ended(first)
    for _ in reader.prepared():
        pass
    _require_same_size(first, reader.rows)
    found = await fetch_results(client, ids, reader.rows, folder)
    require_answers(found)
    return await deliver(reader, found, output, report), found


def _checked(conversation: Conversation, index: int) -> dict[str, object]:
    """Refuse the conversations that were refused when they were submitted."""
    from oumi_fireworks.conversion import check_conversation

    check_conversation(conversation, index)
    return {}


def _require_ended(batch: Snapshot) -> None:
    from oumi_fireworks.errors import NotFinishedError

    if not batch.is_terminal:
        raise NotFinishedError(
            f"Batch {batch.batch_id} has not ended yet ({batch.state}). Wait for it with "
            f"`oumi-fireworks batch status {batch.batch_id} --watch`."
        )


def _require_same_size(batch: Snapshot, rows: int) -> None:
    submitted = batch.progress.total
    if submitted and submitted != rows:
        raise WrongUseError(
            f"The input has {rows:,} conversations, and batch {batch.batch_id} has {submitted:,} "
            "rows: it is not what was submitted. Where lines were skipped then, say --skip-bad."
        )


def _fetch_raw(ids: Sequence[str], output: Path | None) -> ExitCode:
    from oumi_fireworks.cli.batch.status import outcome_of
    from oumi_fireworks.cli.batch.writing import replacing
    from oumi_fireworks.cli.service import with_client
    from oumi_fireworks.cli.terminal import say

    with _folder(output) as folder, ExitStack() as stack:
        files, last = with_client(lambda client: _collect(client, ids, folder))
        target = sys.stdout.buffer if output is None else stack.enter_context(replacing(output))
        for file in files:
            with file.open("rb") as rows:
                shutil.copyfileobj(rows, target, 1 << 20)
        target.flush()
    if last.error:
        say(f"Batch {last.batch_id} ended as {last.state}: {last.error}", "yellow")
    return outcome_of(last)


async def _collect(
    client: FireworksClient, ids: Sequence[str], folder: Path
) -> tuple[list[Path], Snapshot]:
    from oumi_fireworks.batch import take_snapshot
    from oumi_fireworks.batch.collect import collect

    files: list[Path] = []
    for number, batch_id in enumerate(ids):
        snapshot = await take_snapshot(client, batch_id)
        _require_ended(snapshot)
        files += await collect(client, snapshot.jobs, folder / str(number))
    return files, snapshot


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """Give a place for what is downloaded: beside the output, where it outlives a failure.

    So the same command goes on with what has arrived.
    """
    if output is None:
        with tempfile.TemporaryDirectory(prefix="oumi-fireworks-") as temporary:
            yield Path(temporary)
        return
    folder = output.with_name(output.name + ".fetch")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):
            folder.rmdir()  # when nothing has arrived
        raise
    shutil.rmtree(folder, ignore_errors=True)
