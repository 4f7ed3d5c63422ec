"""What is done with the rows of one block, each step for itself, on whichever machine.

Any of them may be repeated, also while an earlier call of the same is still at work elsewhere:
what has been made at Fireworks is found there by the block's key.
"""

from __future__ import annotations

import asyncio
import tempfile
from array import array
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import xxhash

from oumi_fireworks.accept.again import Again
from oumi_fireworks.accept.row_tools import RowTools
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    BatchResults,
    OnOutcome,
    Request,
    ResultIndex,
    download_results,
    merge_results,
    needed_rows,
    retry_rows,
)
from oumi_fireworks.batch.decide import is_worth_another_run
from oumi_fireworks.batch.manifest import Attempt
from oumi_fireworks.batch.plan import PlannedJob
from oumi_fireworks.batch.repeats import Dedupe, Repeats
from oumi_fireworks.batch.requests import encode_row
from oumi_fireworks.batch.retry import rejected_to_run
from oumi_fireworks.batch.settlement import charge_of, most_of
from oumi_fireworks.batch.submit import submit_under_key
from oumi_fireworks.batch.unsent import repeats_in
from oumi_fireworks.conversion import Prompt
from oumi_fireworks.distributed.block_source import BlockInput, MemoryOutput
from oumi_fireworks.distributed.settings import BlockSettings
from oumi_fireworks.engine.answer_check import answer_check, request_body
from oumi_fireworks.engine.wiring import shard_limits
from oumi_fireworks.errors import BatchError, OverBudgetError, ResultsLateError
from oumi_fireworks.grammar import ended, number
from oumi_fireworks.money import AnswerPrices, Budget, Charge, Usage, most_usage
from oumi_fireworks.tables.conversations import ConversationReader, LeftOutRow
from oumi_fireworks.tables.delivery import deliver, not_sent
from oumi_fireworks.tables.sink import Sink
from oumi_fireworks.tables.sinks import open_sink
from oumi_fireworks.tables.submitted_prompts import SubmittedPrompts
from oumi_fireworks.user_json import dumps

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """What a block asks.

    Attributes:
        digest: Of its requests, and of what else its jobs are asked for: 128 bits in hex.
        rows: Requests.
        most: The most tokens that these can take, once each; nothing without a budget.
    """

    digest: str
    rows: int
    most: Usage = Usage()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class Collected:
    """What has become of a block.

    Attributes:
        answered: Rows with an answer that holds.
        rejected: Rows whose answers do not hold.
        failed: Rows without an answer.
        bad_rows: Rows that were not sent.
        over_budget: Rows that were not sent since the budget did not allow it.
        charge: What it has cost; None where no budget asks for that.
        again: A further batch, of the rows that are open; None when the block is done.
    """

    answered: int = 0
    rejected: int = 0
    failed: int = 0
    bad_rows: int = 0
    over_budget: int = 0
    charge: Charge | None = None
    again: Attempt | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it for a file, once the block is done."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Collected:
        """Read what :meth:`to_json` has returned."""
        charge = said.get("charge")
        if charge is not None:
            charge = Charge(**{name: Usage(**tokens) for name, tokens in charge.items()})
        return cls(**{**said, "charge": charge})


class BlockRows:
    """The rows of a block, with the digests of those that are sent.

    Args:
        settings: What all blocks have in common.
        table: The rows.
        name: What to call them.
    """

    def __init__(self, settings: BlockSettings, table: pa.Table, name: str) -> None:
        self._settings = settings
        self._tools = RowTools()
        self.rules = settings.rules()
        self.input = BlockInput(table, name, settings.options.input_options)
        self.reader = ConversationReader(self.input, skip_bad=settings.skip_bad)
        self.digests = array("Q")

    def requests(self) -> Iterator[Request]:
        """Yield what is sent.

        Raises:
            BadLinesError: If there are rows that cannot be sent, unless these are left out.
        """
        self.digests = array("Q")
        for request in self.reader.prepared(self._prepare):
            self.digests.append(request.digest or 0)
            yield request

    def _prepare(self, prompt: Prompt, index: int, own: Mapping[str, Any] | None) -> Request:
        prompt.check()
        body = request_body(self._settings.template, self.rules, prompt, own)
        if self.rules is not None and self.rules.acceptance.needs_tools:
            self._tools.note(index, body.get("tools") or [])
        return Request(index, body, prompt.digest())

    def repeats(self, sent: int) -> Repeats:
        """Return which rows were not sent, of a batch of so many, since another asks the same.

        Raises:
            BatchError: If there are not as many of them.
        """
        rows, model = len(self.digests), self._settings.spec.model
        if rows == sent:
            return Repeats()
        for dedupe in (Dedupe.AUTO, Dedupe.ON):
            repeats = repeats_in(self.requests(), model, dedupe)
            if rows - len(repeats) == sent:
                return repeats
        raise BatchError(
            f"{self.input.name} has {number(rows, 'row')}, and its batch {sent:,}, which are not "
            "all that differ. Its answers are on the account; `oumi-fireworks batch list` names "
            "it."
        )

    @property
    def again(self) -> Again | None:
        """How a row is asked for again whose answer does not hold."""
        return None if self.rules is None else self.rules.again

    def check(self) -> OnOutcome:
        """Return what judges the answers."""
        return answer_check(self.rules, self._tools)

    def sink(self, output: MemoryOutput) -> Sink:
        """Return what puts the answers beside the rows.

        Raises:
            ConfigurationError: If the columns cannot be put together.
        """
        settings = self._settings
        return open_sink(
            output,
            replace(settings.options.output_options, format="arrow"),
            self.input,
            settings.template.shared_fields,
            AnswerPrices(settings.prices),
        )


def look(settings: BlockSettings, table: pa.Table, name: str) -> Look:
    """Find out what a block asks. Nothing is sent.

    Raises:
        BadLinesError: If it has rows that cannot be sent, unless these are left out.
        ConfigurationError: If a column that is named does not exist, or is there already.
    """
    block = BlockRows(settings, table, name)
    block.sink(MemoryOutput())
    digest = xxhash.xxh3_128(dumps([settings.spec.model, settings.spec.precision]))
    rows = prompt = completion = 0
    for request in block.requests():
        line = encode_row(request)
        digest.update(line)
        rows += 1
        if settings.budget is not None:
            most = most_usage(request.body, len(line))
            prompt, completion = prompt + most.prompt, completion + most.completion
    return Look(digest.hexdigest(), rows, Usage(prompt, completion))


def submit(settings: BlockSettings, table: pa.Table, name: str, key: str) -> Attempt:
    """Submit a block under its key, or find that it was submitted; return its batch.

    Raises:
        FireworksError: What stopped it. The same call goes on from there.
    """
    block = BlockRows(settings, table, name)
    options = settings.options

    async def go(client: FireworksClient, folder: Path) -> Attempt:
        return _batch(
            *await submit_under_key(
                client,
                block.requests(),
                settings.spec,
                key,
                folder=folder,
                limits=shard_limits(options),
                concurrency=options.upload_concurrency,
                dedupe=Dedupe(options.dedupe),
            )
        )

    return _with_client(settings, go)


def collect(
    settings: BlockSettings, table: pa.Table, name: str, batches: Sequence[Attempt]
) -> tuple[Collected, pa.Table | None]:
    """Fetch the answers of batches that have ended, and put them beside their rows.

    Rows that are open are run again, as often as the option ``row_retries`` allows: then there is
    a further batch to wait for, and no table yet. Under a budget that has to fit into what the
    first batch could cost at the most, since so much was set aside for the block.

    Args:
        settings: What all blocks have in common.
        table: The rows.
        name: What to call them.
        batches: The block's batch, then the further ones.

    Raises:
        ResultsLateError: If answers that were paid for cannot be fetched yet.
        FireworksError: What stopped it.
    """
    block = BlockRows(settings, table, name)
    rows = sum(1 for _ in block.requests())

    async def go(client: FireworksClient, folder: Path) -> tuple[Collected, pa.Table | None]:
        ids = [batch.batch_id for batch in batches]
        repeats = block.repeats(sum(job.rows for job in batches[0].jobs))
        results = await merge_results(
            client,
            await download_results(client, ids, folder / "results", durable=False),
            rows,
            folder / "input",
            block.check(),
            prompts=SubmittedPrompts(block.reader, block.digests),
            repeats=repeats,
        )
        if results.shortfall is not None:
            raise ResultsLateError(
                f"{name}: {ended(results.shortfall)} Nothing is lost: do the same again later, and "
                "it goes on from here."
            )
        results.index.share()
        allowance = _allowance(settings, batches, results, folder / "results")
        if _runs_again(results, len(batches), settings.options.row_retries, block.again):
            spool = folder / "spool"
            again = await _retry(client, settings, block, results, allowance, spool)
            if again is not None:
                return Collected(again=again), None
        output = MemoryOutput()
        keeps = block.rules is not None and block.rules.keeps_rejected
        sink = block.sink(output)
        delivery = await deliver(block.reader, results, sink, keep_rejected=keeps)
        done = Collected(
            delivery.answered,
            delivery.rejected + delivery.kept,
            delivery.failed + delivery.over_budget,
            delivery.bad_lines,
            charge=None if allowance is None else allowance.spent,
        )
        return done, output.table()

    return _with_client(settings, go)


def leave_out(settings: BlockSettings, table: pa.Table, name: str) -> tuple[Collected, pa.Table]:
    """Return a block of which no row can be sent, as it comes out."""
    block = BlockRows(settings, table, name)
    for _ in block.requests():
        raise AssertionError("there is a row to be sent")
    output = MemoryOutput()
    with block.sink(output).open() as rows:
        for item in block.reader.sent_rows():
            assert isinstance(item, LeftOutRow)
            rows.add(not_sent(item))
    return Collected(bad_rows=block.reader.bad_lines), output.table()


def leave_over(settings: BlockSettings, table: pa.Table, name: str) -> tuple[Collected, pa.Table]:
    """Return a block that the budget does not allow, as it comes out."""
    block = BlockRows(settings, table, name)
    rows = sum(1 for _ in block.requests())
    results = BatchResults(ResultIndex(rows), ())
    results.index.note_over_budget(range(rows))
    output = MemoryOutput()
    delivery = asyncio.run(deliver(block.reader, results, block.sink(output)))
    done = Collected(bad_rows=delivery.bad_lines, over_budget=delivery.over_budget)
    return done, output.table()


@dataclass(frozen=True)
class _Allowance:
    """What was set aside for a block, and what of it was spent.

    Attributes:
        budget: The most that its first batch could cost.
        spent: What its batches have cost.
    """

    budget: Budget
    spent: Charge


def _allowance(
    settings: BlockSettings, batches: Sequence[Attempt], results: BatchResults, folder: Path
) -> _Allowance | None:
    """Return what was set aside for a block whose results are here; None without a budget."""
    if settings.budget is None:
        return None
    rows = len(results.index)
    charges = [
        charge_of(batch, ended, folder / str(number), rows)
        for number, (batch, ended) in enumerate(zip(batches, results.snapshots, strict=True))
    ]
    spent = Charge(
        sum((charge.used for charge in charges), Usage()),
        sum((charge.unknown for charge in charges), Usage()),
    )
    most = settings.budget.cost(most_of(batches[0]))
    return _Allowance(replace(settings.budget, most=most), spent)


def _runs_again(
    results: BatchResults, attempts: int, row_retries: int, again: Again | None
) -> bool:
    """Tell whether the open rows of a block are run again, which costs money.

    Args:
        results: What there is.
        attempts: How often rows of the block were run.
        row_retries: How often rows without an answer are run again.
        again: How rejected rows are, and how often.
    """
    if not is_worth_another_run(results.snapshots[-1]):
        return False
    counts = results.index.counts
    if counts.failed + counts.missing and attempts <= row_retries:
        return True
    rejected = rejected_to_run(results.index, again)
    return again is not None and rejected > 0 and attempts <= row_retries + again.most


async def _retry(
    client: FireworksClient,
    settings: BlockSettings,
    block: BlockRows,
    results: BatchResults,
    allowance: _Allowance | None,
    folder: Path,
) -> Attempt | None:
    """Run the open rows of a block again; None where what was set aside does not allow it."""
    options = settings.options
    budget = None if allowance is None else allowance.budget
    is_needed = needed_rows(results, block.again, budget)
    try:
        further = await retry_rows(
            client,
            results,
            (each for each in block.requests() if is_needed(each.index)),
            settings.spec,
            attempt=len(results.snapshots),
            folder=folder,
            concurrency=options.upload_concurrency,
            hoist=shard_limits(options).hoist,
            again=block.again,
            budget=budget,
            spent=None if allowance is None else allowance.spent,
        )
    except OverBudgetError:
        return None
    return _batch(*further)


def _batch(batch_id: str, jobs: Sequence[PlannedJob]) -> Attempt:
    """Return a batch as it travels: its inputs were on this machine alone."""
    return Attempt(batch_id, tuple(replace(job, path=None) for job in jobs))


def _with_client(
    settings: BlockSettings, use: Callable[[FireworksClient, Path], Coroutine[Any, Any, T]]
) -> T:
    """Run something with a client, and a folder that goes away afterwards."""

    async def run(folder: Path) -> T:
        async with FireworksClient(settings.connection()) as client:
            return await use(client, folder)

    place = settings.options.run_dir
    if place is not None:
        Path(place).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oumi-fireworks-", dir=place) as folder:
        return asyncio.run(run(Path(folder)))
