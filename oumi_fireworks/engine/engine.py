"""The engine: Oumi's contract on Fireworks' online and batch inference.

It is one long file, because Oumi takes one class: every public method with its documentation, and
what Oumi calls between them. What the methods do is in the modules beside this one.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from omegaconf import MISSING
from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams, RemoteParams
from oumi.core.inference.base_inference_engine import (
    BatchResult,
    FailureDetail,
    _PreparedInferenceRun,
)
from oumi.core.inference.progress_reporter import ProgressFileReporter
from oumi.core.types.conversation import Conversation
from oumi.inference.remote_inference_engine import (
    BatchInfo,
    BatchListResponse,
    RemoteInferenceEngine,
)
from typing_extensions import override

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.api import KEY_VARIABLE, resolve_root
from oumi_fireworks.batch import JobSpec, cancel, take_snapshot
from oumi_fireworks.conversion import (
    SUPPORTED_PARAMS,
    RequestTemplate,
    prompt_of,
    to_conversation,
)
from oumi_fireworks.engine import batch, finished
from oumi_fireworks.engine.failed_rows import report_failed_rows, write_failed_rows
from oumi_fireworks.engine.failures import to_failure
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.engine.infer_run import InferRun
from oumi_fireworks.engine.logs import join_oumi_logging
from oumi_fireworks.engine.oumi_errors import speaks_oumi
from oumi_fireworks.engine.outcomes import (
    RowOutcome,
    RunOutcome,
    failed_rows,
    failed_rows_error,
)
from oumi_fireworks.engine.progress_feed import ProgressFeed
from oumi_fireworks.engine.pump_wiring import pump_settings
from oumi_fireworks.engine.refused_rows import RefusedRows
from oumi_fireworks.engine.rejected_rows import RejectedRows
from oumi_fireworks.engine.run_folder import run_folder
from oumi_fireworks.engine.scratch import spending_of
from oumi_fireworks.engine.service import Service
from oumi_fireworks.engine.status import BatchLister, to_batch_info
from oumi_fireworks.engine.wiring import (
    OPTIONS_KEY,
    answer_prices,
    answer_rules,
    connection,
    is_for_batch,
    job_spec,
    own_prices,
    read_options,
    request_template,
)
from oumi_fireworks.errors import ConfigurationError, FireworksError
from oumi_fireworks.files import cut_unfinished_line
from oumi_fireworks.logs import logger_for
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.online import Pump
from oumi_fireworks.options.tables import with_table_options
from oumi_fireworks.tables.ids import give_ids

logger = logger_for(__name__)

T = TypeVar("T")

_places: ContextVar[Mapping[str | None, int]] = ContextVar(
    "oumi_fireworks_places", default=MappingProxyType({})
)
"""Where the conversations of the ``infer`` at work are in its input, by their ids."""


class FireworksInferenceEngine(RemoteInferenceEngine):
    """Runs inference on Fireworks AI, request by request or through the half-price Batch API.

    The options are read from ``model_params.model_kwargs["fireworks"]`` and from keyword
    arguments, which win; see :class:`~oumi_fireworks.FireworksParams`. The key is read from
    ``remote_params.api_key``, else from the environment variable ``FIREWORKS_API_KEY`` (or the
    one that ``remote_params.api_key_env_varname`` names); the server is
    ``remote_params.api_url``, else ``FIREWORKS_BASE_URL``, else https://api.fireworks.ai.

    Every method works inside a running event loop, as in Jupyter. Errors of the service are
    :class:`~oumi_fireworks.FireworksError`, a ``RuntimeError``.

    Args:
        model_params: ``model_name`` is a resource name: ``accounts/fireworks/models/<model>``, or
            ``<model>#accounts/<account>/deployments/<id>`` for a deployment.
        generation_params: How to generate; see :meth:`get_supported_params`.
        remote_params: Where and how fast.
        **options: Options, as in YAML.

    Attributes:
        options: The engine's options.

    Raises:
        OptionError: If an option does not exist, or has a value that it does not take.
    """

    @speaks_oumi
    def __init__(
        self,
        model_params: ModelParams,
        *,
        generation_params: GenerationParams | None = None,
        remote_params: RemoteParams | None = None,
        **options: Any,
    ) -> None:
        self.options = read_options(model_params.model_kwargs, **options)
        super().__init__(
            model_params, generation_params=generation_params, remote_params=remote_params
        )
        # Oumi names its scratch file after these. What is answered stays answered when an option
        # changes that shapes no answer, such as how to wait or whether to use the Batch API.
        self._model_params.model_kwargs[OPTIONS_KEY] = {
            "extra_body": self.options.extra_body,
            "precision": self.options.precision,
        }
        join_oumi_logging()
        for warning in self.options.warnings:
            logger.warning(warning)
        self._service = Service(self._remote_params, self.options)
        self._lister = BatchLister()
        self._finished_scratch: set[str] = set()
        self._pump: Pump | None = None

    @property
    @override
    def base_url(self) -> str | None:  # type: ignore[override]  # as Oumi's own engines do
        """The chat completions URL; None when the environment's is unusable.

        Then the first use of the engine says why.
        """
        try:
            return resolve_root().chat_url
        except ConfigurationError:
            return None

    @property
    @override
    def api_key_env_varname(self) -> str | None:  # type: ignore[override]
        """The environment variable that holds the key."""
        return KEY_VARIABLE

    @override
    def get_supported_params(self) -> set[str]:
        """Return the generation parameters that reach Fireworks."""
        return set(SUPPORTED_PARAMS)

    @override
    @speaks_oumi
    def list_models(self, chat_only: bool = True) -> list[str]:
        """Return the ids of the models that Fireworks serves, in their order.

        Args:
            chat_only: Whether to leave out models without chat completions.
        """
        models = self._service.call(lambda client: client.models.list())
        return [model.id for model in models if model.chat or not chat_only]

    @override
    def get_models_api_url(self) -> str:
        """Return the URL at which the inference API lists its models."""
        chat_url = resolve_root(self._remote_params.api_url).chat_url
        return chat_url.removesuffix("/chat/completions") + "/models"

    @override
    @speaks_oumi
    def infer(
        self,
        input: list[Conversation] | None = None,
        inference_config: InferenceConfig | None = None,
    ) -> list[Conversation]:
        """Run inference, online or with ``mode: batch`` through the Batch API.

        A row that fails does not end it: the others are run to their end, and kept in Oumi's
        scratch file where there is an ``output_path``, so that the same call asks for them no
        more. Then the option ``on_failed_rows`` decides. A row that Fireworks has refused for
        good is not sent again either, unless the option ``resend_refused`` is set.

        Args:
            input: The conversations, unless ``inference_config.input_path`` names a file.
            inference_config: Replaces the engine's parameters; says where the input and the
                output are.

        Returns:
            The answered conversations, in the order of the input: all of them, or with
            ``on_failed_rows: keep`` those that have an answer. The others are then in
            ``OUTPUT.errors.jsonl``.

        Raises:
            ValueError: If something is wrong with the input, the parameters or the key.
            FireworksError: What ended it; or, with ``on_failed_rows: raise``, that rows failed.
        """
        if self.options.on_failed_rows == "keep":
            return self._infer_keeping(input, inference_config)
        return super().infer(input, inference_config)

    @speaks_oumi
    def infer_table(
        self, table: T, inference_config: InferenceConfig | None = None, **options: Any
    ) -> T:
        """Ask for each row of a table, and return the table with the answers beside its columns.

        What is given is what comes back: a DataFrame of pandas (with its index) or of polars, a
        Table or a RecordBatch of pyarrow. The new columns are ``answer``, ``finish_reason``,
        ``reasoning``, ``tool_calls``, ``prompt_tokens``, ``completion_tokens``, ``cached_tokens``,
        ``cost`` (dollars), ``outcome`` and ``error``: a row that fails raises nothing. The rows are
        run in the mode of the options; see docs/tables.md.

        Args:
            table: The table.
            inference_config: Replaces the engine's generation, model and remote parameters.
            **options: ``prompt``, ``prompt_column``, ``messages_column``, ``system``,
                ``image_column``, ``id_column``, ``prefix`` and ``expand``. They win over the
                options ``input`` and ``output`` of the engine.

        Raises:
            OptionError: If there is no such option.
            ConfigurationError: If a column does not exist, or a new one is there already.
            TypeError: If it is no table.
            FireworksError: What ended the run.
        """
        asked, written = with_table_options(
            self.options.input_options, self.options.output_options, options
        )
        generation, model = self._params_of(inference_config)
        fields = self._template(generation).shared_fields

        def prices(rows: int) -> AnswerPrices:
            is_batch = is_for_batch(self.options, rows)
            return answer_prices(self.options, model.model_name, fields, is_batch=is_batch)

        def run_rows(rows: Sequence[Conversation]) -> Sequence[RowOutcome]:
            run = self._run_rows(list(rows), inference_config, ProgressFeed(None), is_strict=False)
            if run.ended_by is not None:
                raise run.ended_by
            return run.outcomes

        # pyarrow is loaded only for a table.
        from oumi_fireworks.engine.table import infer_table

        return infer_table(table, run_rows, asked, written, fields, prices)

    #
    # Batches by id
    #

    @override
    @speaks_oumi
    def infer_batch(
        self,
        conversations: Iterable[Conversation],
        inference_config: InferenceConfig | None = None,
        *,
        key: str | None = None,
    ) -> str:
        """Submit conversations to the Batch API, or nothing.

        The conversations are read once, as they are written to disk, and split into several jobs
        where they are too large for one; it is one batch all the same.

        With a key they are submitted once: called again with the same conversations and
        parameters, after a crash, on another machine or by several at once, this returns the
        same id. What a call has made when it fails stays then, for the next one to go on with.

        Args:
            conversations: What to run; any iterable.
            inference_config: Replaces the engine's generation and model parameters.
            key: A name for these conversations, such as ``dag/run``. Default: the option of that
                name.

        Returns:
            The batch's id. It says everything, so any machine can follow the batch.

        Raises:
            ValueError: If something is wrong with the input, the model's name, the key, the
                account or the URL. Nothing was uploaded.
            KeyTakenError: If the key stands for other conversations or parameters.
            FireworksError: If Fireworks refuses. Without a key no dataset and no job is left
                behind.
        """
        require_followed(self.options, Way.INFER_BATCH)
        key = self.options.key if key is None else key
        template, spec = self._batch_requests(inference_config)
        spec = replace(spec, display_name=spec.display_name or key or "")
        rules = answer_rules(self.options, template)
        return batch.submit(self._service, conversations, template, spec, key, rules)

    @override
    @speaks_oumi
    def get_batch_status(self, batch_id: str) -> BatchInfo:
        """Return how a batch stands, as the sum of its jobs.

        Raises:
            NotFoundError: If the account has no such batch.
        """
        snapshot = self._service.call(lambda client: take_snapshot(client, batch_id))
        return to_batch_info(snapshot, own_prices(self.options))

    @speaks_oumi
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
        return batch.wait(self._service, batch_id, poll_interval, timeout, on_progress)

    @override
    @speaks_oumi
    def list_batches(self, after: str | None = None, limit: int | None = None) -> BatchListResponse:
        """Return batch jobs, newest first. The shards of one batch are jobs of their own here.

        Args:
            after: ``last_id`` of the page before, or Fireworks' own page token, which is in each
                job's ``metadata["next_page_token"]``.
            limit: Jobs at the most; 50 by default.
        """
        return self._service.call(lambda client: self._lister.page(client, after, limit))

    @override
    @speaks_oumi
    def get_batch_results(
        self,
        batch_id: str | Sequence[str],
        conversations: Sequence[Conversation],
        *,
        unchecked: bool = False,
    ) -> list[Conversation]:
        """Return the answered conversations of a batch, in the order of the input.

        This only reads: it never starts a job or a request that costs something.

        Args:
            batch_id: The batch's id; or several, the batch's and those that
                :meth:`retry_batch` gave, whose results are merged.
            conversations: What was submitted, in the same order.
            unchecked: Whether to take your word for that where nothing shows it: if another client
                has made the batch, and its input is gone from Fireworks.

        Raises:
            NotFinishedError: If the batch is still at work.
            PairingError: If a conversation is not the one that was submitted in its place.
            IncompleteBatchError: If rows have no answer. It carries those that have one.
        """
        return batch.all_results(
            self._service, batch_id, conversations, self._rules(), unchecked=unchecked
        )

    @override
    @speaks_oumi
    def get_batch_results_partial(
        self,
        batch_id: str | Sequence[str],
        conversations: Sequence[Conversation],
        *,
        unchecked: bool = False,
    ) -> BatchResult:
        """Return what a batch has answered, and why each other row has no answer.

        Batches that expired, stopped early or were cancelled give the rows that they finished.

        Args:
            batch_id: As for :meth:`get_batch_results`.
            conversations: As for :meth:`get_batch_results`.
            unchecked: As there.

        Raises:
            NotFinishedError: If the batch is still at work.
            PairingError: As for :meth:`get_batch_results`.
            IncompleteBatchError: If it failed as a whole, with the service's message.
        """
        return batch.partial_results(
            self._service, batch_id, conversations, self._rules(), unchecked=unchecked
        )

    @speaks_oumi
    def retry_batch(
        self,
        batch_id: str | Sequence[str],
        conversations: Sequence[Conversation],
        inference_config: InferenceConfig | None = None,
        *,
        unchecked: bool = False,
    ) -> str:
        """Run the rows of an ended batch again that have no answer, as a further batch.

        The further batch's id follows from the first one's, so calling this twice pays once.

        Args:
            batch_id: The batch's id; or several, with earlier retries.
            conversations: As for :meth:`get_batch_results`.
            inference_config: As for :meth:`infer_batch`. An expired batch is continued without
                another upload where it is the same as then.
            unchecked: As for :meth:`get_batch_results`.

        Returns:
            The further batch's id, for ``get_batch_results([batch_id, retry_id], ...)``.

        Raises:
            NoRowsError: If every row has an answer.
            PairingError: As for :meth:`get_batch_results`.
            BatchError: If these rows were run again before, with other parameters.
            OptionError: If an option is set that it cannot follow.
        """
        require_followed(self.options, Way.RETRY_BATCH)
        template, spec = self._batch_requests(inference_config)
        rules = answer_rules(self.options, template)
        return batch.retry(
            self._service, batch_id, conversations, template, spec, rules, unchecked=unchecked
        )

    @override
    @speaks_oumi
    def cancel_batch(self, batch_id: str) -> BatchInfo:
        """Stop a batch; the rows that it has finished are kept, and billed.

        Raises:
            NotFoundError: If the account has no such batch.
        """
        snapshot = self._service.call(lambda client: cancel(client, batch_id))
        return to_batch_info(snapshot, own_prices(self.options))

    #
    # What Oumi's `infer` and `infer_partial` call, online and with the option `mode: batch`
    #

    @override
    def _prepare_inference_run(
        self,
        input: list[Conversation] | None = None,
        inference_config: InferenceConfig | None = None,
    ) -> _PreparedInferenceRun:
        has_paths = inference_config and (
            inference_config.input_path is not None or inference_config.output_path is not None
        )
        if input is None or not give_ids(input) or has_paths:
            return super()._prepare_inference_run(input, inference_config)
        # Oumi names a scratch file after a digest of all rows. Without an output the name is random
        # beside it: nobody finds it again, and the digest is half of what the preparation costs.
        prepared = super()._prepare_inference_run([], inference_config)
        remaining = self._filter_incomplete_conversations(input, [])
        return replace(prepared, conversations=input, remaining=remaining)

    @override
    def _filter_incomplete_conversations(
        self,
        input_conversations: list[Conversation],
        completed_conversations: list[Conversation],
    ) -> list[Conversation]:
        # The one place where the whole input meets what is left of it to run.
        _places.set({each.conversation_id: at for at, each in enumerate(input_conversations)})
        return super()._filter_incomplete_conversations(
            input_conversations, completed_conversations
        )

    @override
    @speaks_oumi
    def _infer_online(
        self, input: list[Conversation], inference_config: InferenceConfig | None = None
    ) -> list[Conversation]:
        run = self._run_rows(input, inference_config, ProgressFeed(None), is_strict=True)
        if run.ended_by is not None:
            raise run.ended_by
        failed = failed_rows(input, run.outcomes, _places.get())
        if failed:
            has_output = bool(inference_config and inference_config.output_path)
            raise failed_rows_error(failed, len(input), run, has_output=has_output)
        return cast(list[Conversation], run.outcomes)

    @override
    def _infer_online_partial(
        self,
        input: list[Conversation],
        inference_config: InferenceConfig | None = None,
        progress: ProgressFileReporter | None = None,
    ) -> list[Conversation | FailureDetail]:
        feed = ProgressFeed(progress)
        try:
            outcomes = self._run_rows(input, inference_config, feed, is_strict=False).outcomes
        except (FireworksError, ValueError) as error:
            outcomes = [to_failure(error)] * len(input)
        feed.ended(len(input), sum(isinstance(outcome, Conversation) for outcome in outcomes))
        return list(outcomes)

    def _infer_keeping(
        self, input: list[Conversation] | None, inference_config: InferenceConfig | None
    ) -> list[Conversation]:
        """Do what Oumi's ``infer`` does, and leave out the rows that fail."""
        prepared = self._prepare_inference_run(input, inference_config)
        rows, config = prepared.conversations, prepared.inference_config
        output_path = config.output_path if config else None
        run = self._run_rows(prepared.remaining, config, ProgressFeed(None), is_strict=False)
        if run.ended_by is not None:
            raise run.ended_by
        failed = failed_rows(prepared.remaining, run.outcomes, _places.get())
        done = [each for each in run.outcomes if isinstance(each, Conversation)]
        by_id = {each.conversation_id: each for each in (*prepared.completed_from_scratch, *done)}
        answered = [by_id[id] for row in rows if (id := row.conversation_id) in by_id]
        if output_path:
            write_failed_rows(output_path, failed)
            if not failed:
                self._cleanup_scratch_file(output_path)
            self._save_conversations(answered, output_path)
        if failed:
            report_failed_rows(output_path, failed, len(rows))
        return answered

    @override
    async def _infer(
        self, input: list[Conversation], inference_config: InferenceConfig | None = None
    ) -> list[Conversation]:
        # What Oumi awaits on loops of its own, which must not take over ours.
        return await asyncio.to_thread(self._infer_online, input, inference_config)

    @override
    def _convert_conversation_to_api_input(
        self,
        conversation: Conversation,
        generation_params: GenerationParams,
        model_params: ModelParams,
    ) -> dict[str, Any]:
        template = self._template(generation_params, model_params.model_name)
        return template.body(prompt_of(conversation))

    @override
    def _convert_api_output_to_conversation(
        self, response: dict[str, Any], original_conversation: Conversation
    ) -> Conversation:
        return to_conversation(response, original_conversation)

    @override
    def _load_from_scratch(self, output_filepath: str | None) -> list[Conversation]:
        # A killed run may have left half a line, for which Oumi's reader would raise.
        scratch = self._get_scratch_filepath(output_filepath)
        cut_unfinished_line(scratch)
        if output_filepath and not Path(scratch).exists() and self._is_finished(output_filepath):
            return self._read_conversations(output_filepath)
        return super()._load_from_scratch(output_filepath)

    def _is_finished(self, output_path: str) -> bool:
        """Tell whether an output is that of this very batch, which is not to be paid again."""
        return self.options.mode == "batch" and finished.is_finished(
            Path(output_path), self._get_scratch_filepath(output_path)
        )

    @override
    def _cleanup_scratch_file(self, output_filepath: str | None) -> None:
        # Oumi removes the scratch file before it writes the output: a kill, or a full disk, would
        # lose every answer. So it stays until the output is there.
        if output_filepath:
            scratch = self._get_scratch_filepath(output_filepath)
            RefusedRows(scratch).forget()
            RejectedRows(scratch).forget()
            spending_of(scratch).unlink(missing_ok=True)
            self._finished_scratch.add(scratch)
        else:
            super()._cleanup_scratch_file(output_filepath)

    @override
    def _save_conversations(self, conversations: list[Conversation], output_filepath: str) -> None:
        scratch = self._get_scratch_filepath(output_filepath)
        # An output that the answers were read from stays: a kill amid writing would lose them.
        if Path(scratch).exists() or not self._is_finished(output_filepath):
            super()._save_conversations(conversations, output_filepath)
        folder = run_folder(output_filepath, self.options.run_dir, "")
        batch.forget_delivered_run(
            self._service, folder, job_spec(self._model_params.model_name, self.options)
        )
        if scratch in self._finished_scratch:
            self._finished_scratch.discard(scratch)
            if self.options.mode == "batch":
                finished.mark(Path(output_filepath), scratch)
            super()._cleanup_scratch_file(output_filepath)

    #
    # Where the deeds get what they need
    #

    def _params_of(
        self, inference_config: InferenceConfig | None
    ) -> tuple[GenerationParams, ModelParams]:
        if inference_config is None:
            return self._generation_params, self._model_params
        model = inference_config.model
        if model is None or model.model_name in ("", MISSING):  # as in InferenceConfig()
            model = self._model_params
        return inference_config.generation or self._generation_params, model

    def _template(self, generation: GenerationParams, model: str | None = None) -> RequestTemplate:
        return request_template(generation, self._remote_params, self.options, model=model)

    def _batch_requests(
        self, inference_config: InferenceConfig | None
    ) -> tuple[RequestTemplate, JobSpec]:
        generation, model = self._params_of(inference_config)
        return self._template(generation), job_spec(model.model_name, self.options)

    def _rules(self) -> AnswerRules | None:
        """Return what the answers have to be; None where every answer is taken."""
        return answer_rules(self.options, self._template(self._generation_params))

    def _run_rows(
        self,
        input: list[Conversation],
        inference_config: InferenceConfig | None,
        feed: ProgressFeed,
        *,
        is_strict: bool,
    ) -> RunOutcome:
        """Run rows in the mode that the options say. See :class:`InferRun`."""
        generation, model = self._params_of(inference_config)
        output_path = inference_config.output_path if inference_config else None
        run = InferRun(
            self._service,
            model.model_name,
            lambda name: self._template(generation, name),
            lambda: self._pump_for(inference_config),
            output=output_path,
            scratch=self._get_scratch_filepath(output_path) if output_path else None,
            places=_places.get(),
            feed=feed,
            is_strict=is_strict,
        )
        if not input and output_path and self._is_finished(output_path):
            logger.info(
                "%s has the answers of this batch already: nothing is sent, nothing is paid. "
                "Remove the file to run the batch again.",
                output_path,
            )
            return RunOutcome([])
        return run.run(input)

    def _get_auth_headers(self, remote_params: RemoteParams | None) -> dict[str, str]:
        """Return the key as batches read it: checked, and without blanks around it."""
        remote = remote_params or self._remote_params
        return {"Authorization": f"Bearer {connection(remote, self.options).api_key}"}

    def _pump_for(self, inference_config: InferenceConfig | None) -> Pump:
        """Return the pump, with what it has learned, unless the remote parameters are others."""
        remote = copy.copy(
            (inference_config.remote_params if inference_config else None) or self._remote_params
        )
        self._set_required_fields_for_inference(remote)
        headers = self._get_request_headers(remote)
        settings = pump_settings(
            remote, self.options, resolve_root(remote.api_url).chat_url, headers
        )
        if self._pump is None or self._pump.settings != settings:
            if self._pump is not None:
                self._service.loop.run(self._pump.close())
            self._pump = Pump(settings)
        return self._pump
