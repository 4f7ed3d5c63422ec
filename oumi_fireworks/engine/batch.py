"""Batches: by id, and the whole way for ``mode: batch``.

With ``mode: batch`` Oumi's ``infer`` goes through the Batch API by way of a run that survives
crashes. The run ends when its rows are where the next ``infer`` finds them: in Oumi's scratch file.
Killed at any moment before, the same ``infer`` picks the run up again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from oumi.core.inference.base_inference_engine import BatchResult, FailureDetail
from oumi.core.types.conversation import Conversation
from oumi.inference.remote_inference_engine import BatchInfo

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.api import FireworksClient
from oumi_fireworks.batch import (
    BatchResults,
    BatchRun,
    JobSpec,
    OnProgress,
    Rejected,
    RunOptions,
    Snapshot,
    fetch_results,
    needed_rows,
    retry_rows,
    submit_new,
    watch,
)
from oumi_fireworks.batch.late import SendOnline
from oumi_fireworks.batch.run_files import MANIFEST_NAME
from oumi_fireworks.conversion import Prompt, RequestTemplate, prompt_of
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.display.interruptions import run_interrupted
from oumi_fireworks.engine.answer_check import request_body
from oumi_fireworks.engine.answer_reader import AnswerReader
from oumi_fireworks.engine.conversations import AskedPrompts, request_rows
from oumi_fireworks.engine.costs import cost_of, prices_for
from oumi_fireworks.engine.failures import to_failure
from oumi_fireworks.engine.outcomes import RunOutcome, incomplete, run_others
from oumi_fireworks.engine.progress_feed import ProgressFeed
from oumi_fireworks.engine.rejected_rows import RejectedRow, RejectedRows
from oumi_fireworks.engine.scratch import save_to_scratch
from oumi_fireworks.engine.service import Service
from oumi_fireworks.engine.status import to_batch_info
from oumi_fireworks.engine.wiring import (
    batch_budget,
    own_prices,
    run_options,
    shard_limits,
    wait_policy,
)
from oumi_fireworks.errors import FireworksError, NoRowsError
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.signals import ended_after_cleanup

logger = logger_for(__name__)


def submit(
    service: Service,
    conversations: Iterable[Conversation],
    template: RequestTemplate,
    spec: JobSpec,
    key: str | None,
    rules: AnswerRules | None,
) -> str:
    """Submit a batch, or nothing, and return its id; with a key, the one that it stands for."""
    if isinstance(conversations, Sequence) and not conversations:
        raise NoRowsError("There are no conversations to run. Nothing was submitted.")
    rows = request_rows(conversations, functools.partial(request_body, template, rules))

    async def submit_rows(client: FireworksClient, folder: Path) -> str:
        return await submit_new(
            client,
            rows,
            spec,
            folder=folder,
            limits=shard_limits(service.options),
            concurrency=service.options.upload_concurrency,
            key=key,
            budget=batch_budget(service.options, spec.model),
        )

    return service.call_with_folder(submit_rows)


def wait(
    service: Service,
    batch_id: str,
    poll_interval: float | None,
    timeout: float | None,
    on_progress: Callable[[BatchInfo], None] | None,
) -> BatchInfo:
    """Wait until a batch has ended. None leaves a value to the options."""
    policy = wait_policy(service.options)
    if poll_interval is not None:
        policy = replace(policy, poll_interval=poll_interval)
    if timeout is not None:
        policy = replace(policy, timeout=timeout)

    own = own_prices(service.options)

    def report(snapshot: Snapshot) -> None:
        if on_progress is not None:
            on_progress(to_batch_info(snapshot, own))

    ended = service.call(lambda client: watch(client, batch_id, policy, report))
    return to_batch_info(ended, own)


def all_results(
    service: Service,
    batch_id: str | Sequence[str],
    conversations: Sequence[Conversation],
    rules: AnswerRules | None,
    *,
    unchecked: bool,
) -> list[Conversation]:
    """Return all answered conversations, or raise with those that there are."""
    found = _results_of(service, batch_id, conversations, rules, unchecked=unchecked)
    with found as (results, reader):
        answered, prices = reader.everything(results), _metadata_prices(service, results)
        if answered is not None:
            _note_costs(answered, prices)
            return answered
        partial = reader.partial(results)
        _note_costs((each for _, each in partial.result.successful), prices)
        if not partial.details:  # rejected ones are kept among the others
            return [conversation for _, conversation in partial.result.successful]
        raise incomplete(
            partial,
            "The answered rows are in this error's `partial`; `retry_batch` runs the others again.",
        )


def partial_results(
    service: Service,
    batch_id: str | Sequence[str],
    conversations: Sequence[Conversation],
    rules: AnswerRules | None,
    *,
    unchecked: bool,
) -> BatchResult:
    """Return what there is, unless the batch failed as a whole."""
    found = _results_of(service, batch_id, conversations, rules, unchecked=unchecked)
    with found as (results, reader):
        partial = reader.partial(results)
        answered = (each for _, each in partial.result.successful)
        _note_costs(answered, _metadata_prices(service, results))
    if results.snapshots[-1].is_failed and not partial.result.successful:
        raise incomplete(partial, "Nothing of it was finished.")
    return partial.result


def retry(
    service: Service,
    batch_id: str | Sequence[str],
    conversations: Sequence[Conversation],
    template: RequestTemplate,
    spec: JobSpec,
    rules: AnswerRules | None,
    *,
    unchecked: bool,
) -> str:
    """Submit the rows without an answer as a further batch, and return its id."""
    ids = _as_ids(batch_id)
    body_of = functools.partial(request_body, template, rules)
    again = None if rules is None else rules.again
    budget = batch_budget(service.options, spec.model)
    reader = AnswerReader(conversations, rules)

    async def retry_open_rows(client: FireworksClient, folder: Path) -> str:
        results = await fetch_results(
            client,
            ids,
            len(conversations),
            folder / "results",
            reader.take,
            durable=False,
            prompts=AskedPrompts(conversations),
            unchecked=unchecked,
        )
        further, _ = await retry_rows(
            client,
            results,
            request_rows(conversations, body_of, needed_rows(results, again, budget)),
            spec,
            attempt=len(ids),
            folder=folder / "spool",
            concurrency=service.options.upload_concurrency,
            hoist=shard_limits(service.options).hoist,
            again=again,
            budget=budget,
        )
        return further

    return service.call_with_folder(retry_open_rows)


@contextmanager
def _results_of(
    service: Service,
    batch_id: str | Sequence[str],
    conversations: Sequence[Conversation],
    rules: AnswerRules | None,
    *,
    unchecked: bool,
) -> Iterator[tuple[BatchResults, AnswerReader]]:
    """Give a batch's results, on the disk for as long as the context lasts, and read."""
    ids, rows, reader = _as_ids(batch_id), len(conversations), AnswerReader(conversations, rules)
    prompts = AskedPrompts(conversations)
    with service.temporary_folder() as folder:
        results = service.call(
            lambda client: fetch_results(
                client,
                ids,
                rows,
                folder,
                reader.take,
                durable=False,
                prompts=prompts,
                unchecked=unchecked,
            )
        )
        results.index.share()
        yield results, reader


def _metadata_prices(service: Service, results: BatchResults) -> AnswerPrices | None:
    """Return what is written into the metadata of a batch's answers; None where it is not."""
    options = service.options
    if not options.cost_in_metadata:
        return None
    return AnswerPrices(prices_for(results.snapshots, own_prices(options)))


def _note_costs(answered: Iterable[Conversation], prices: AnswerPrices | None) -> None:
    if prices is not None:
        for each in answered:
            prices.note(each.metadata)


def _as_ids(batch_id: str | Sequence[str]) -> list[str]:
    ids = [batch_id] if isinstance(batch_id, str) else list(batch_id)
    if not ids:
        raise ValueError("There is no batch id: give the one that infer_batch has returned.")
    return ids


def run(
    service: Service,
    conversations: Sequence[Conversation],
    template: RequestTemplate,
    spec: JobSpec,
    folder: Path,
    scratch: Path | None,
    feed: ProgressFeed,
    key: str | None,
    events: RunEvents,
    rules: AnswerRules | None,
    earlier: Mapping[str | None, RejectedRow],
    send_online: SendOnline,
    prices: AnswerPrices | None,
) -> RunOutcome:
    """Take conversations all the way through the Batch API, or go on where that stopped.

    The run is over when its answers are safe: in Oumi's scratch file where there is an output,
    else in the caller's hands. An incomplete one without an output is kept, for the same call to
    run the rest.

    Args:
        service: The way to the account.
        conversations: What to run.
        template: Makes the requests.
        spec: What the jobs have in common.
        folder: The run's own folder.
        scratch: Oumi's scratch file; None without an output.
        feed: Oumi's progress file.
        key: What the batch's id is derived from; None makes a batch of its own.
        events: Told what happens.
        rules: What the answers have to be.
        earlier: Rows that were rejected before, by their ids. They are asked for once more.
        send_online: Sends rows online, after a deadline.
        prices: What answers cost, where their metadata are to say that.
    """
    reader = AnswerReader(conversations, rules)

    def body_of(prompt: Prompt) -> Mapping[str, Any]:
        body = request_body(template, rules, prompt)
        before = earlier.get(prompt.conversation_id)
        again = None if before is None or rules is None else before.request(body, rules)
        return body if again is None else again

    options = replace(run_options(service.options, rules, spec.model), key=key)
    batch_run = BatchRun(
        folder,
        lambda: request_rows(conversations, body_of),
        spec,
        template.shared_fields,
        # What was rejected before has no further attempt in this run: its number would be wrong.
        replace(options, again=None) if earlier else options,
        reader.take,
        scratch,
        send_online,
    )
    with (
        ended_after_cleanup(),
        batch_run.lock(wait=True),
        BatchProgress(
            len(conversations), cost_of=lambda each: cost_of(each, own_prices(service.options))
        ) as display,
    ):
        results = _advance(service, batch_run, display, feed, events)
        partial = reader.partial(results)
        answered = [conversation for _, conversation in partial.result.successful]
        _note_costs(answered, prices)
        if not results.is_over:
            logger.warning(
                "The run in %s is kept: the same call goes on. To give up what is missing, and "
                "pay anew, remove that folder.",
                folder,
            )
        elif scratch is not None:
            _deliver(batch_run, scratch, answered)
            # Between the two: what is not remembered would be paid again, and what is remembered
            # too early would make this run another one.
            RejectedRows(scratch).add(_rejected(conversations, results, earlier))
            service.call(batch_run.finish)
        elif partial.details and (answered or results.index.counts.rejected):
            batch_run.keep_for_open_rows()
        else:
            service.call(batch_run.finish)
    return RunOutcome(partial.outcomes(), batch=partial)


def _rejected(
    conversations: Sequence[Conversation],
    results: BatchResults,
    earlier: Mapping[str | None, RejectedRow],
) -> list[tuple[str | None, RejectedRow]]:
    """Return what is known of the rows whose answers do not hold, with their ids."""
    found = []
    for outcome in results.index.outcomes(results.index.rejected()):
        assert isinstance(outcome, Rejected)
        name = conversations[outcome.index].conversation_id
        before = earlier.get(name)
        times = outcome.times + (0 if before is None else before.times)
        found.append((name, RejectedRow(outcome.completion, outcome.rejection, times)))
    return found


def run_sendable(
    conversations: Sequence[Conversation],
    body_of: Callable[[Prompt], Mapping[str, Any]],
    run_rows: Callable[[Sequence[Conversation]], RunOutcome],
) -> RunOutcome:
    """Run conversations without those that cannot be sent: these are failures of their own."""
    unsendable: dict[int, FailureDetail] = {}
    for index, conversation in enumerate(conversations):
        try:
            prompt = prompt_of(conversation)
            prompt.check(index)
            body_of(prompt)
        except ValueError as error:
            unsendable[index] = to_failure(error)
    return run_others(conversations, unsendable, run_rows)


def _deliver(batch_run: BatchRun, scratch: Path, answered: Sequence[Conversation]) -> None:
    """Put the answers into Oumi's scratch file, unless a call before this one has done so."""
    delivered = batch_run.delivered_file
    if delivered is None or not delivered.is_in_place():
        save_to_scratch(scratch, answered, batch_run.begin_delivery)


def forget_delivered_run(service: Service, folder: Path, spec: JobSpec) -> None:
    """Forget a run whose rows are in the scratch file, and that was killed before it was forgotten.

    Args:
        service: The way to the account.
        folder: The run's own folder.
        spec: What its jobs have in common.
    """
    if not (folder / MANIFEST_NAME).exists():
        return
    options = RunOptions(delete_datasets=service.options.delete_datasets)
    batch_run = BatchRun(folder, lambda: iter(()), spec, {}, options)
    try:
        with batch_run.lock():
            service.call(batch_run.finish_delivered)
    except FireworksError as error:
        logger.info("The run in %s is not removed: %s", folder, error)


def _advance(
    service: Service,
    batch_run: BatchRun,
    display: OnProgress,
    feed: ProgressFeed,
    events: RunEvents,
) -> BatchResults:
    """Wait for a run's results, showing how it goes."""

    def report(snapshot: Snapshot) -> None:
        display(snapshot)
        feed.saw(snapshot)
        events.saw_batch(snapshot)

    try:
        return service.call(lambda client: batch_run.advance(client, report))
    except KeyboardInterrupt:
        logger.warning(run_interrupted(batch_run.current))
        raise
