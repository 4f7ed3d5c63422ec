"""``oumi-fireworks batch list``: the account's batches, newest first."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Callable, Sequence

from rich.table import Table
from rich.text import Text

from oumi_fireworks.api import FireworksClient, Job, Phase
from oumi_fireworks.batch import Snapshot, take_snapshot
from oumi_fireworks.batch.ids import BatchId, attempt_of, batch_of_job, stem_of
from oumi_fireworks.cli.batch.arguments import own_prices
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.snapshots import age, describe, hours, short_model, style_of
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import print_json, say, show, stdout
from oumi_fireworks.display.words import dollars
from oumi_fireworks.engine.costs import prices_for
from oumi_fireworks.money import Prices

_HEAD = ("Batch", "State", "Rows", "Done", "Failed", "Age", "Window")
_WORDS = ("Batch", "State")  # to the left, numbers to the right
_GAP = 2
"""Spaces between columns."""
_LEAST_ROOM = 12
"""Letters of a name or a model below which its column is left out."""
_BELOW = "  "  # stands before the id of a further run of a batch's open rows


def list_batches(
    states: Sequence[str],
    *,
    limit: int | None,
    as_json: bool,
    price_flags: PriceFlags,
) -> ExitCode:
    """List batches."""
    wanted, own = _filter(states), own_prices(price_flags)
    found = with_client(lambda client: _newest(client, wanted, limit))
    if as_json:
        print_json([describe(snapshot, prices_for([snapshot], own)) for snapshot in found])
    else:
        _show(found, limit, own)
    return ExitCode.FINE


def _filter(texts: Sequence[str]) -> Callable[[Snapshot], bool]:
    """Return a test for batches in any of some states: our nine words, or Fireworks' own names."""
    words = [phase.value for phase in Phase]
    wanted = {text if text.startswith("JOB_STATE_") else text.lower() for text in texts}
    for text in wanted:
        if text not in words and not text.startswith("JOB_STATE_"):
            near = difflib.get_close_matches(text, words, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise WrongUseError(
                f"There is no state {text!r}.{hint} The states are {', '.join(words)}; and "
                "Fireworks' own, such as JOB_STATE_PENDING."
            )
    return lambda batch: not wanted or not wanted.isdisjoint({batch.phase.value, batch.state})


async def _newest(
    client: FireworksClient, wanted: Callable[[Snapshot], bool], most: int | None
) -> list[Snapshot]:
    found: list[Snapshot] = []
    async for snapshot in _batches(client):
        if wanted(snapshot):
            found.append(snapshot)
            if len(found) == most:
                break
    return found


async def _batches(client: FireworksClient) -> AsyncIterator[Snapshot]:
    """Yield the account's batches, newest first, each with all of its jobs."""
    told: set[str] = set()
    token = ""
    while True:
        page = await client.jobs.page(token)
        batches: dict[str, dict[str, Job]] = {}
        for job in page.items:
            batches.setdefault(batch_of_job(job.id), {})[job.id] = job
        for batch_id, jobs in batches.items():
            if batch_id in told:
                continue
            told.add(batch_id)
            if batch_id in jobs:  # a batch of one, maybe somebody else's
                yield Snapshot(batch_id, (jobs[batch_id],))
                continue
            ids = BatchId.parse(batch_id).job_ids
            if jobs.keys() == set(ids):
                yield Snapshot(batch_id, tuple(jobs[job_id] for job_id in ids))
            else:  # the others are on the next page, or gone
                yield await take_snapshot(client, batch_id)
        if not page.next_token:
            return
        token = page.next_token


def _show(batches: Sequence[Snapshot], most: int | None, own: Prices | None) -> None:
    if not batches:
        say("There are no batches.")
        return
    console = stdout()
    table, left_out = _table(batches, console.width, own)
    show(table)
    if left_out:
        say(f"The terminal is too narrow for: {', '.join(left_out)}.", "dim")
    if len(batches) == most and console.is_terminal:
        say(f"These are the newest {most}; --all shows all.", "dim")


def _table(
    batches: Sequence[Snapshot], width: int, own: Prices | None
) -> tuple[Table, Sequence[str]]:
    """Make a table that fits: an id that is cut is of no use, so columns are left out instead.

    Returns:
        The table, and the columns that are left out.
    """
    batches = _with_retries_below(batches)
    columns: list[tuple[str, list[Text]]] = [
        (name, list(cells))
        for name, cells in zip(_HEAD, zip(*map(_cells, batches), strict=True), strict=True)
    ]
    costs = [_cost(batch, own) for batch in batches]
    if any(costs):
        columns.insert(_HEAD.index("Age"), ("Cost", [Text(cost or "–") for cost in costs]))
    sizes = [max(len(name), *map(len, cells)) + _GAP for name, cells in columns]
    while sum(sizes) - _GAP > width and len(sizes) > 1:
        sizes.pop()
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [cells for _, cells in columns[: len(sizes)]]
    for name, _ in columns[: len(sizes)]:
        table.add_column(name, no_wrap=True, justify="left" if name in _WORDS else "right")
    room = width - sum(sizes)
    names = [batch.jobs[0].display_name for batch in batches]
    models = [short_model(batch.jobs[0].model) for batch in batches]
    for title, texts in (("Name", names), ("Model", models)):  # they share the rest
        longest = max(map(len, texts))
        if not longest or room < _LEAST_ROOM:
            continue
        table.add_column(title, no_wrap=True, overflow="ellipsis", max_width=min(longest, room))
        shown.append([Text(text, style="dim") for text in texts])
        room -= min(longest, room) + _GAP
    for row in zip(*shown, strict=True):
        table.add_row(*row)
    return table, [name for name, _ in columns[len(sizes) :]]


def _cost(batch: Snapshot, own: Prices | None) -> str:
    """Return what a batch has cost so far; "" where that is not known."""
    tokens = batch.used
    prices = prices_for([batch], own) if tokens else None
    return "" if prices is None else dollars(prices.cost(tokens))


def _with_retries_below(batches: Sequence[Snapshot]) -> list[Snapshot]:
    """Put the further runs of a batch's open rows below it, where the newest of them stands."""
    groups: dict[str, list[Snapshot]] = {}
    for batch in batches:
        groups.setdefault(stem_of(batch.batch_id), []).append(batch)
    return [
        batch
        for group in groups.values()
        for batch in sorted(group, key=lambda batch: attempt_of(batch.batch_id))
    ]


def _cells(batch: Snapshot) -> list[Text]:
    progress = batch.progress
    return [
        Text((_BELOW if attempt_of(batch.batch_id) else "") + batch.batch_id),
        Text(batch.phase.value, style=style_of(batch)),
        Text(f"{progress.total:,}" if progress.total else "–"),
        Text(f"{progress.processed * 100 // progress.total} %" if progress.total else "–"),
        Text(f"{progress.failed:,}", style="yellow") if progress.failed else Text("–"),
        Text(age(batch.created)),
        Text(f"{hours(batch):g} h"),
    ]
