"""``oumi-fireworks batch report``: a page that shows whether a batch came out well."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oumi_fireworks.accept.probe import Probe
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import Answer, BatchResults, fetch_results, take_snapshot
from oumi_fireworks.batch.failures import MISSING_KIND, kind_of
from oumi_fireworks.batch.inputs import JobInput, collect_inputs, read_requests
from oumi_fireworks.batch.outcomes import Failure
from oumi_fireworks.cli.batch.arguments import batch_ids, own_prices
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.own_lines import own_lines, own_lines_if_any
from oumi_fireworks.cli.batch.page import notes_on, write_page, write_report
from oumi_fireworks.cli.batch.paths import require_report_apart, require_writable
from oumi_fireworks.cli.batch.probing import completion_of
from oumi_fireworks.cli.batch.report_tables import add_results, add_rows, open_row
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import show_logs
from oumi_fireworks.engine.costs import prices_for
from oumi_fireworks.money import Prices
from oumi_fireworks.report import ReportBuilder, Row, RunFacts
from oumi_fireworks.tables.kept_lines import KeptResults
from oumi_fireworks.tables.kept_outputs import kept_output
from oumi_fireworks.tables.output import errors_path


def report(subject: str, output: Path | None, *, price_flags: PriceFlags) -> ExitCode:
    """Write a report."""
    show_logs()
    own = own_prices(price_flags)
    require_writable(output)
    file = Path(subject).expanduser()
    if file.is_file():
        require_report_apart(output, [file, errors_path(file)])
        _of_output(file, output or file.with_name(file.name + ".html"), own)
        return ExitCode.FINE
    require_report_apart(output, [])
    try:
        (batch_id,) = batch_ids([subject])
    except WrongUseError as error:
        raise WrongUseError(f"There is no file {subject}, and {error}") from error
    _of_batch(batch_id, output or Path(f"{batch_id}.html"), own)
    return ExitCode.FINE


def _of_output(file: Path, target: Path, prices: Prices | None) -> None:
    """Report on an output and the failures beside it."""
    builder = ReportBuilder(title=file.name)
    probe = Probe(None, {})  # what was asked of the service is not in an output
    kept = kept_output(file)
    if kept is None:
        bad_lines = _add_conversations(file, builder, probe)
        more: list[str] = []
    elif isinstance(kept, KeptResults):
        bad_lines = add_results(kept, file, builder, probe)
        more = []
    else:
        bad_lines, more = add_rows(kept, file, builder, probe)
    notes = (*notes_on(bad_lines), *more, *probe.advice())
    builder.set_run(RunFacts(prices=prices, notes=notes))
    write_page(builder, target)


def _add_conversations(file: Path, builder: ReportBuilder, probe: Probe) -> int:
    """Add the rows of an output of conversations; return how many lines were left out."""
    failed: set[int] = set()
    bad_lines = 0
    for _, failure in own_lines_if_any(errors_path(file)):
        index, error = failure.get("index"), failure.get("error")
        if isinstance(index, int):
            failed.add(index)
            name = failure.get("conversation_id")
            builder.add(open_row(index, error, failure, name))
        else:
            bad_lines += 1
    index = 0
    for _, conversation in own_lines(file):
        completion = completion_of(conversation)
        if completion is None:
            raise WrongUseError(
                f"{file} is not what run or results write: a line of it has no answer. Name the "
                "output, or the id of the batch."
            )
        while index in failed:
            index += 1
        builder.add(Row.from_oumi(index, conversation))
        if "rejected" not in (conversation.get("metadata") or {}):
            probe.look(completion)
        index += 1
    errors = errors_path(file)
    if not index and not failed and not bad_lines and errors.exists():
        raise WrongUseError(f"{file} has no conversations, and {errors} does not say why.")
    return bad_lines


def _of_batch(batch_id: str, target: Path, own: Prices | None) -> None:
    """Report on a batch that has ended."""
    builder = ReportBuilder(title=batch_id)
    with tempfile.TemporaryDirectory(prefix="oumi-fireworks-") as folder:
        results, advice = with_client(
            lambda client: _gather(client, batch_id, Path(folder), builder)
        )
    prices = prices_for(results.snapshots, own)
    write_report(builder, target, results, prices, advice=advice)


async def _gather(
    client: FireworksClient, batch_id: str, folder: Path, builder: ReportBuilder
) -> tuple[BatchResults, list[str]]:
    before = await take_snapshot(client, batch_id)
    results = await fetch_results(client, [batch_id], before.progress.total, folder / "results")
    files = await collect_inputs(client, before.jobs, folder) or []
    prompts = _prompts(files)
    probe = Probe(None, next((body for _, body in read_requests(files)), {}))
    index, prompt = next(prompts, (-1, []))
    for outcome in results.index.outcomes():
        while -1 < index < outcome.index:
            index, prompt = next(prompts, (-1, []))
        asked = prompt if index == outcome.index else []
        if isinstance(outcome, Answer):
            completion = dict(outcome.completion)
            builder.add(Row.from_completion(outcome.index, completion, prompt=asked))
            probe.look(completion)
            continue
        error = {"kind": MISSING_KIND, "message": results.message(outcome), "code": None}
        if isinstance(outcome, Failure):
            error |= {"kind": kind_of(outcome), "code": outcome.code}
        builder.add(Row.from_failure(outcome.index, error, prompt=asked))
    return results, probe.advice()


def _prompts(files: list[JobInput]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the messages of our own requests, which are in the order of their rows."""
    for name, body in read_requests(files):
        messages = body.get("messages")
        yield name.index, messages if isinstance(messages, list) else []
