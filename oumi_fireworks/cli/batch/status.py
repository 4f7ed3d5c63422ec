"""``oumi-fireworks batch status``: one batch on one screen."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from oumi_fireworks.batch import Snapshot, WaitPolicy, take_snapshot, watch
from oumi_fireworks.cli.batch.arguments import batch_ids, own_prices
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.snapshots import age, code_of, describe, hours, local_time, style_of
from oumi_fireworks.cli.batch.suggestions import Given, suggested
from oumi_fireworks.cli.costs import no_price
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.facts import facts_table
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import print_json, say_command, show, show_logs, stdout
from oumi_fireworks.display.batch_progress import BatchProgress, state_words
from oumi_fireworks.display.interruptions import watch_interrupted
from oumi_fireworks.display.words import dollars, roughly
from oumi_fireworks.engine.costs import cost_of, prices_for
from oumi_fireworks.grammar import number
from oumi_fireworks.money import Prices


def status(batch_id: str, *, wait: bool, as_json: bool, price_flags: PriceFlags) -> ExitCode:
    """Show how a batch stands."""
    (chosen,), own = batch_ids([batch_id]), own_prices(price_flags)
    if wait:
        snapshot = _watched(chosen, own)
    else:
        snapshot = with_client(lambda client: take_snapshot(client, chosen))
    prices = prices_for([snapshot], own)
    if as_json:
        print_json(describe(snapshot, prices))
    else:
        _show(snapshot, prices, price_flags)
    return code_of(snapshot) if wait else ExitCode.FINE


def _watched(batch_id: str, own: Prices | None) -> Snapshot:
    show_logs()
    wait_policy = WaitPolicy()
    try:
        with BatchProgress(cost_of=lambda each: cost_of(each, own)) as on_progress:
            return with_client(lambda client: watch(client, batch_id, wait_policy, on_progress))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(watch_interrupted(batch_id)) from None


def _show(snapshot: Snapshot, prices: Prices | None, price_flags: PriceFlags) -> None:
    show(*_screen(snapshot, prices))
    if stdout().is_terminal and (step := _next_step(snapshot, price_flags)):
        show("")
        say_command(*step, "dim")


def _screen(snapshot: Snapshot, prices: Prices | None) -> Iterator[RenderableType]:
    head = Text(snapshot.batch_id, style="bold")
    head.append("  ")
    head.append(state_words(snapshot), style=style_of(snapshot))
    yield head
    yield ""
    yield facts_table(_facts(snapshot, prices))
    if len(snapshot.jobs) > 1:
        yield ""
        yield _jobs(snapshot)


def _facts(snapshot: Snapshot, prices: Prices | None) -> Iterator[tuple[str, str]]:
    progress, first = snapshot.progress, snapshot.jobs[0]
    if snapshot.error:
        yield "Error", snapshot.error
    if progress.processed or not progress.total:
        failed = f", {progress.failed:,} failed" if progress.failed else ""
        percent = f" ({progress.processed * 100 // progress.total} %)" if progress.total else ""
        yield "Rows", f"{progress.processed:,} of {progress.total:,} done{percent}{failed}"
    else:
        yield "Rows", f"{progress.total:,}"
    if progress.input_tokens or progress.output_tokens:
        cached = f" ({progress.cached_tokens:,} cached)" if progress.cached_tokens else ""
        tokens = f"{progress.input_tokens:,} in{cached}, {progress.output_tokens:,} out"
        yield "Tokens", tokens
        if prices is not None:
            so_far = "" if snapshot.is_terminal else " so far"
            yield "Cost", f"{dollars(prices.cost(snapshot.used))}{so_far}"
            yield "Prices", prices.source
        elif first.model:
            yield "Cost", no_price(first.model)
    if first.model:
        yield "Model", first.model
    if first.display_name:
        yield "Name", first.display_name
    if snapshot.created:
        yield "Created", f"{local_time(snapshot.created)}, {age(snapshot.created)} ago"
    if snapshot.created and snapshot.started:
        waited = (snapshot.started - snapshot.created).total_seconds()
        yield "Started", f"{local_time(snapshot.started)}, after {roughly(waited)}"
    if snapshot.ended and (begun := snapshot.started or snapshot.created):
        took = (snapshot.ended - begun).total_seconds()
        yield "Ended", f"{local_time(snapshot.ended)}, after {roughly(took)}"
    elif snapshot.expires and not snapshot.is_terminal:
        yield "Expires", local_time(snapshot.expires)
    yield "Window", f"{hours(snapshot):g} h"
    yield (
        "State",
        snapshot.state
        + (f", of {number(len(snapshot.jobs), 'job')}" if len(snapshot.jobs) > 1 else ""),
    )


def _jobs(snapshot: Snapshot) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Job", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    table.add_column("Failed", justify="right", no_wrap=True)
    for job in snapshot.jobs:
        done, total = job.progress.processed, job.progress.total
        state = job.state.removeprefix("JOB_STATE_").lower().replace("_", " ")
        table.add_row(job.id, state, f"{done:,}/{total:,}", f"{job.progress.failed:,}")
    return table


def _next_step(snapshot: Snapshot, price_flags: PriceFlags) -> tuple[str, str] | None:
    """Return what may come next, and the command for it; None where there is nothing to do."""
    given, ids = Given(prices=price_flags), [snapshot.batch_id]
    if snapshot.is_failed and not snapshot.progress.succeeded:
        return None
    if snapshot.is_terminal:
        return "Fetch:", f"{suggested('results', ids, given)} --input FILE --output FILE"
    return "Wait:", f"{suggested('status', ids, given)} --watch"
