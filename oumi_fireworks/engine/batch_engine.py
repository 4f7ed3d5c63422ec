"""Batch inference in Oumi's terms: submit, follow, fetch, retry and cancel by id."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams, RemoteParams
from oumi.core.inference.base_inference_engine import BatchResult
from oumi.core.types.conversation import Conversation
from oumi.inference.remote_inference_engine import (
    BatchInfo,
    BatchListResponse,
    RemoteInferenceEngine,
)
from typing_extensions import override

from oumi_fireworks.api import KEY_VARIABLE, Connection, FireworksClient, check_model_name
from oumi_fireworks.batch import (
    BatchResults,
    JobSpec,
    RunOptions,
    ShardLimits,
    Snapshot,
    WaitPolicy,
    cancel,
    fetch_results,
    retry_rows,
    submit_new,
    take_snapshot,
    watch,
)
from oumi_fireworks.conversion import RequestTemplate
from oumi_fireworks.engine.batch_conversations import (
    AnswerReader,
    incomplete,
    request_rows,
    why_unreadable,
)
from oumi_fireworks.engine.batch_info import to_batch_info
from oumi_fireworks.engine.batch_list import BatchLister
from oumi_fireworks.errors import NoRowsError
from oumi_fireworks.loop import BackgroundLoop
from oumi_fireworks.params import FireworksParams

T = TypeVar("T")


class FireworksBatchEngine(RemoteInferenceEngine):
    """The half of the engine that speaks to the control plane.

    Attributes:
        options: The engine's options.
    """

    def __init__(
        self,
        model_params: ModelParams,
        *,
        generation_params: GenerationParams | None = None,
        remote_params: RemoteParams | None = None,
        options: FireworksParams,
    ) -> None:
        self.options = options
        super().__init__(
            model_params, generation_params=generation_params, remote_params=remote_params
        )
        self._loop = BackgroundLoop()
        self._lister = BatchLister()

    @override
    def infer_batch(
        self,
        conversations: Iterable[Conversation],
        inference_config: InferenceConfig | None = None,
    ) -> str:
        """Submit conversations to the Batch API, or nothing.

        The conversations are read once, as they are written to disk, and split into several jobs
        where they are too large for one; it is one batch all the same.

        Args:
            conversations: What to run; any iterable.
            inference_config: Replaces the engine's generation and model parameters.

        Returns:
            The batch's id. It says everything, so any machine can follow the batch.

        Raises:
            ValueError: If something is wrong with the input, the model's name, the key, the
                account or the URL. Nothing was uploaded.
            FireworksError: If Fireworks refuses. No dataset and no job is left behind.
        """
        generation, model = self._params_of(inference_config)
        spec = self._spec(model)
        rows = request_rows(conversations, self._template(generation))

        async def submit(client: FireworksClient, folder: Path) -> str:
            return await submit_new(
                client,
                rows,
                spec,
                folder=folder,
                limits=self._limits,
                concurrency=self.options.upload_concurrency,
            )

        if isinstance(conversations, Sequence) and not conversations:
            raise NoRowsError("There are no conversations to run. Nothing was submitted.")
        return self._with_folder(submit)

    @override
    def get_batch_status(self, batch_id: str) -> BatchInfo:
        """Return how a batch stands, as the sum of its jobs.

        Raises:
            NotFoundError: If the account has no such batch.
        """
        return to_batch_info(self._with_client(lambda client: take_snapshot(client, batch_id)))

    def wait_for_batch(
        self,
        batch_id: str,
        poll_interval: float | None = None,
        timeout: float | None = None,
        on_progress: Callable[[BatchInfo], None] | None = None,
    ) -> BatchInfo:
        """Wait until a batch has ended, well or badly. Failing polls are waited out.

        Args:
            batch_id: The batch's id.
            poll_interval: Longest wait between two looks, in seconds; the first ones are shorter.
                Default: the option of that name.
            timeout: Seconds until a WaitTimeoutError (a ``TimeoutError``); the batch goes on.
                Default: the option ``batch_timeout``.
            on_progress: Called after each look.

        Raises:
            WaitTimeoutError: If it takes longer than ``timeout``.
            NotFoundError: If the account has no such batch.
            ValueError: If ``poll_interval`` is not more than 0.
        """
        wait_policy = self._wait_policy
        if poll_interval is not None:
            wait_policy = replace(wait_policy, poll_interval=poll_interval)
        if timeout is not None:
            wait_policy = replace(wait_policy, timeout=timeout)

        def report(snapshot: Snapshot) -> None:
            if on_progress is not None:
                on_progress(to_batch_info(snapshot))

        return to_batch_info(
            self._with_client(lambda client: watch(client, batch_id, wait_policy, report))
        )

    @override
    def list_batches(self, after: str | None = None, limit: int | None = None) -> BatchListResponse:
        """Return batch jobs, newest first. The shards of one batch are jobs of their own here.

        Args:
            after: ``last_id`` of the page before, or Fireworks' own page token, which is in each
                job's ``metadata["next_page_token"]``.
            limit: Jobs at the most; 50 by default.
        """
        return self._with_client(lambda client: self._lister.page(client, after, limit))

    @override
    def get_batch_results(
        self, batch_id: str | Sequence[str], conversations: Sequence[Conversation]
    ) -> list[Conversation]:
        """Return the answered conversations of a batch, in the order of the input.

        This only reads: it never starts a job or a request that costs something.

        Args:
            batch_id: The batch's id; or several, the batch's and those that
                :meth:`retry_batch` gave, whose results are merged.
            conversations: What was submitted.

        Raises:
            NotFinishedError: If the batch is still at work.
            IncompleteBatchError: If rows have no answer. It carries those that have one.
        """
        with self._results_of(batch_id, conversations) as (results, reader):
            answered = reader.everything(results)
            if answered is not None:
                return answered
            raise incomplete(
                results,
                *reader.partial(results),
                "The answered rows are in this error's `partial`; `retry_batch` runs the others "
                "again.",
            )

    @override
    def get_batch_results_partial(
        self, batch_id: str | Sequence[str], conversations: Sequence[Conversation]
    ) -> BatchResult:
        """Return what a batch has answered, and why each other row has no answer.

        Batches that expired, stopped early or were cancelled give the rows that they finished.

        Args:
            batch_id: As for :meth:`get_batch_results`.
            conversations: What was submitted.

        Raises:
            NotFinishedError: If the batch is still at work.
            IncompleteBatchError: If it failed as a whole, with the service's message.
        """
        with self._results_of(batch_id, conversations) as (results, reader):
            partial, failures = reader.partial(results)
        if results.snapshots[-1].is_failed and not partial.successful:
            raise incomplete(results, partial, failures, "Nothing of it was finished.")
        return partial

    def retry_batch(
        self,
        batch_id: str | Sequence[str],
        conversations: Sequence[Conversation],
        inference_config: InferenceConfig | None = None,
    ) -> str:
        """Run the rows of an ended batch again that have no answer, as a further batch.

        The further batch's id follows from the first one's, so calling this twice pays once.

        Args:
            batch_id: The batch's id; or several, with earlier retries.
            conversations: What was submitted.
            inference_config: As it was given to :meth:`infer_batch`.

        Returns:
            The further batch's id, for ``get_batch_results([batch_id, retry_id], ...)``.

        Raises:
            NoRowsError: If every row has an answer.
        """
        ids = _as_ids(batch_id)
        generation, model = self._params_of(inference_config)
        spec = self._spec(model)
        rows = request_rows(conversations, self._template(generation))

        async def retry(client: FireworksClient, folder: Path) -> str:
            results = await fetch_results(
                client,
                ids,
                len(conversations),
                folder / "results",
                why_unreadable,
                durable=False,
            )
            return await retry_rows(
                client,
                results,
                rows,
                spec,
                attempt=len(ids),
                folder=folder / "spool",
                limits=self._limits,
                concurrency=self.options.upload_concurrency,
            )

        return self._with_folder(retry)

    @override
    def cancel_batch(self, batch_id: str) -> BatchInfo:
        """Stop a batch; the rows that it has finished are kept, and billed.

        Raises:
            NotFoundError: If the account has no such batch.
        """
        return to_batch_info(self._with_client(lambda client: cancel(client, batch_id)))

    @contextmanager
    def _results_of(
        self, batch_id: str | Sequence[str], conversations: Sequence[Conversation]
    ) -> Iterator[tuple[BatchResults, AnswerReader]]:
        """Give a batch's results, on the disk for as long as the context lasts, and read."""
        ids, rows, reader = _as_ids(batch_id), len(conversations), AnswerReader(conversations)
        with tempfile.TemporaryDirectory(prefix="oumi-fireworks-", dir=self._temporary) as folder:
            yield (
                self._with_client(
                    lambda client: fetch_results(
                        client, ids, rows, Path(folder), reader.take, durable=False
                    )
                ),
                reader,
            )

    def _params_of(
        self, inference_config: InferenceConfig | None
    ) -> tuple[GenerationParams, ModelParams]:
        if inference_config is None:
            return self._generation_params, self._model_params
        return (
            inference_config.generation or self._generation_params,
            inference_config.model or self._model_params,
        )

    def _template(self, generation: GenerationParams, model: str | None = None) -> RequestTemplate:
        return RequestTemplate(
            generation,
            model=model,
            extra_body=self.options.extra_body,
            user=self._remote_params.user_id,
        )

    def _spec(self, model: ModelParams) -> JobSpec:
        return JobSpec(
            model=check_model_name(model.model_name),
            display_name=self.options.display_name or "",
            precision=self.options.precision,
        )

    @property
    def _limits(self) -> ShardLimits:
        return ShardLimits(self.options.max_shard_bytes, self.options.max_shard_rows)

    @property
    def _wait_policy(self) -> WaitPolicy:
        options = self.options
        return WaitPolicy(options.poll_interval, options.batch_timeout, options.pending_warning)

    @property
    def _run_options(self) -> RunOptions:
        options = self.options
        return RunOptions(
            limits=self._limits,
            upload_concurrency=options.upload_concurrency,
            wait_policy=self._wait_policy,
            row_retries=options.row_retries,
            delete_datasets=options.delete_datasets,
        )

    @property
    def _temporary(self) -> str | None:
        """Where temporary folders go: the option's place, else the system's."""
        if self.options.run_dir is not None:
            Path(self.options.run_dir).mkdir(parents=True, exist_ok=True)
        return self.options.run_dir

    def _connection(self, remote: RemoteParams | None = None) -> Connection:
        """Find the server, the key and the account, or say what is missing."""
        remote = remote or self._remote_params
        return Connection.from_environment(
            api_url=remote.api_url,
            api_key=remote.api_key,
            account=self.options.account_id,
            key_variable=remote.api_key_env_varname or KEY_VARIABLE,
        )

    def _with_client(self, use: Callable[[FireworksClient], Coroutine[Any, Any, T]]) -> T:
        """Run something with a client, on the engine's own loop."""
        connection = self._connection()

        async def run() -> T:
            async with FireworksClient(connection) as client:
                return await use(client)

        return self._loop.run(run())

    def _with_folder(self, use: Callable[[FireworksClient, Path], Coroutine[Any, Any, T]]) -> T:
        """Run something with a client and a folder that goes away afterwards."""
        with tempfile.TemporaryDirectory(prefix="oumi-fireworks-", dir=self._temporary) as folder:
            return self._with_client(lambda client: use(client, Path(folder)))


def _as_ids(batch_id: str | Sequence[str]) -> list[str]:
    ids = [batch_id] if isinstance(batch_id, str) else list(batch_id)
    if not ids:
        raise ValueError("There is no batch id: give the one that infer_batch has returned.")
    return ids
