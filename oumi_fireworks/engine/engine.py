"""The engine: Oumi's contract on Fireworks' online and batch inference."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any, cast

from oumi.core.configs import GenerationParams, InferenceConfig, ModelParams, RemoteParams
from oumi.core.inference.base_inference_engine import (
    BatchResult,
    FailureDetail,
)
from oumi.core.inference.progress_reporter import ProgressFileReporter
from oumi.core.types.conversation import Conversation
from typing_extensions import override

from oumi_fireworks.api import KEY_VARIABLE, check_model_name, resolve_root
from oumi_fireworks.batch import (
    BatchResults,
    BatchRun,
    FailureSummary,
    OnProgress,
    Snapshot,
)
from oumi_fireworks.conversion import SUPPORTED_PARAMS, to_conversation
from oumi_fireworks.display.batch_progress import BatchProgress
from oumi_fireworks.engine.batch_conversations import AnswerReader, incomplete, request_rows
from oumi_fireworks.engine.batch_engine import FireworksBatchEngine
from oumi_fireworks.engine.batch_mode import (
    ReporterFeed,
    dataset_key,
    log_interruption,
    run_folder,
    save_to_scratch,
    to_outcomes,
)
from oumi_fireworks.engine.failure_details import to_failure
from oumi_fireworks.engine.logs import join_oumi_logging
from oumi_fireworks.engine.online_mode import OnlineRun, pump_settings
from oumi_fireworks.errors import (
    APIError,
    ConfigurationError,
    ConnectionFailedError,
    FireworksError,
)
from oumi_fireworks.online import Pump, ScratchFile, repair_scratch
from oumi_fireworks.params import FireworksParams

OPTIONS_KEY = "fireworks"


class FireworksInferenceEngine(FireworksBatchEngine):
    """Runs inference on Fireworks AI, request by request or through the half-price Batch API.

    The options are read from ``model_params.model_kwargs["fireworks"]`` and from keyword
    arguments, which win; see :class:`~oumi_fireworks.FireworksParams`. The key is read from
    ``remote_params.api_key``, else from the environment variable ``FIREWORKS_API_KEY`` (or the
    one that ``remote_params.api_key_env_varname`` names); the server is
    ``remote_params.api_url``, else ``FIREWORKS_BASE_URL``, else https://api.fireworks.ai.

    Every method works inside a running event loop, as in Jupyter. Errors of the service are
    :class:`~oumi_fireworks.api.FireworksError`, a ``RuntimeError``.

    Args:
        model_params: ``model_name`` is a resource name: ``accounts/fireworks/models/<model>``, or
            ``<model>#accounts/<account>/deployments/<id>`` for a deployment.
        generation_params: How to generate; see :meth:`get_supported_params`.
        remote_params: Where and how fast.
        **options: Options, as in YAML.

    Raises:
        OptionError: If an option does not exist, or has a value that it does not take.
    """

    def __init__(
        self,
        model_params: ModelParams,
        *,
        generation_params: GenerationParams | None = None,
        remote_params: RemoteParams | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            model_params,
            generation_params=generation_params,
            remote_params=remote_params,
            options=FireworksParams.from_dict(
                {**(model_params.model_kwargs.get(OPTIONS_KEY) or {}), **options}
            ),
        )
        # Oumi names its scratch file after these. What is answered stays answered when an option
        # changes that shapes no answer, such as how to wait or whether to use the Batch API.
        self._model_params.model_kwargs[OPTIONS_KEY] = {
            "extra_body": self.options.extra_body,
            "precision": self.options.precision,
        }
        join_oumi_logging()
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
    def _convert_conversation_to_api_input(
        self,
        conversation: Conversation,
        generation_params: GenerationParams,
        model_params: ModelParams,
    ) -> dict[str, Any]:
        return self._template(generation_params, model_params.model_name).body(conversation)

    @override
    def _convert_api_output_to_conversation(
        self, response: dict[str, Any], original_conversation: Conversation
    ) -> Conversation:
        return to_conversation(response, original_conversation)

    @override
    def list_models(self, chat_only: bool = True) -> list[str]:
        """Return the ids of the models that Fireworks serves, in their order.

        Args:
            chat_only: Whether to leave out models without chat completions.
        """
        models = self._with_client(lambda client: client.models.list())
        return [model.id for model in models if model.chat or not chat_only]

    #
    # Through the Batch API, with the option `mode: batch`
    #

    @override
    def _infer_online(
        self, input: list[Conversation], inference_config: InferenceConfig | None = None
    ) -> list[Conversation]:
        if not self._is_for_batch(input):
            run = self._online_run(input, inference_config, may_fail=False)
            run.run(self._loop, self._pump_for(inference_config))
            return cast(list[Conversation], run.outcomes)
        results, partial, failures = self._run_batch(input, inference_config)
        if partial.has_failures:
            raise incomplete(
                results,
                partial,
                failures,
                "The answered rows are kept; the same call runs the others again.",
            )
        return [conversation for _, conversation in partial.successful]

    @override
    def _infer_online_partial(
        self,
        input: list[Conversation],
        inference_config: InferenceConfig | None = None,
        progress: ProgressFileReporter | None = None,
    ) -> list[Conversation | FailureDetail]:
        if not self._is_for_batch(input):
            run = self._online_run(input, inference_config, progress, may_fail=True)
            pump = self._pump_for(inference_config)
            try:
                run.run(self._loop, pump)
            except FireworksError as error:
                run.give_up(error)
            return cast(list[Conversation | FailureDetail], run.outcomes)
        feed = ReporterFeed(progress)
        try:
            _, partial, _ = self._run_batch(input, inference_config, feed)
        except (APIError, ConnectionFailedError) as error:
            feed.ended(len(input), 0)
            return [to_failure(error)] * len(input)
        feed.ended(len(input), len(partial.successful))
        return to_outcomes(partial, len(input))

    @override
    async def _infer(
        self, input: list[Conversation], inference_config: InferenceConfig | None = None
    ) -> list[Conversation]:
        # What Oumi awaits on loops of its own, which must not take over ours.
        return await asyncio.to_thread(self._infer_online, input, inference_config)

    @override
    def _load_from_scratch(self, output_filepath: str | None) -> list[Conversation]:
        # A killed run may have left half a line, for which Oumi's reader would raise.
        repair_scratch(self._get_scratch_filepath(output_filepath))
        return super()._load_from_scratch(output_filepath)

    @override
    def _cleanup_scratch_file(self, output_filepath: str | None) -> None:
        # Oumi removes the scratch file before it writes the output: a kill, or a full disk, would
        # lose every answer. So it stays until the output is there.
        if output_filepath:
            self._finished_scratch.add(self._get_scratch_filepath(output_filepath))
        else:
            super()._cleanup_scratch_file(output_filepath)

    @override
    def _save_conversations(self, conversations: list[Conversation], output_filepath: str) -> None:
        super()._save_conversations(conversations, output_filepath)
        scratch = self._get_scratch_filepath(output_filepath)
        if scratch in self._finished_scratch:
            self._finished_scratch.discard(scratch)
            super()._cleanup_scratch_file(output_filepath)

    def _online_run(
        self,
        input: list[Conversation],
        inference_config: InferenceConfig | None,
        progress: ProgressFileReporter | None = None,
        *,
        may_fail: bool,
    ) -> OnlineRun:
        generation, model = self._params_of(inference_config)
        output_path = inference_config.output_path if inference_config else None
        return OnlineRun(
            input,
            self._template(generation, check_model_name(model.model_name)),
            scratch=(ScratchFile(self._get_scratch_filepath(output_path)) if output_path else None),
            reporter=progress,
            may_fail=may_fail,
        )

    def _pump_for(self, inference_config: InferenceConfig | None) -> Pump:
        """Return the pump, with what it has learned, unless the remote parameters are others."""
        remote = copy.copy(
            (inference_config.remote_params if inference_config else None) or self._remote_params
        )
        self._set_required_fields_for_inference(remote)
        connection = self._connection(remote)
        headers = {**self._get_request_headers(remote)}
        headers.setdefault("Authorization", f"Bearer {connection.api_key}")
        settings = pump_settings(remote, resolve_root(remote.api_url).chat_url, headers)
        if self._pump is None or self._pump.settings != settings:
            if self._pump is not None:
                self._loop.run(self._pump.close())
            self._pump = Pump(settings)
        return self._pump

    def _is_for_batch(self, input: list[Conversation]) -> bool:
        options = self.options
        return options.mode == "batch" and bool(input) and len(input) >= options.batch_min_rows

    def _run_batch(
        self,
        input: list[Conversation],
        inference_config: InferenceConfig | None,
        feed: ReporterFeed | None = None,
    ) -> tuple[BatchResults, BatchResult, FailureSummary]:
        """Take conversations all the way through the Batch API, or go on where that stopped.

        The run is over when its answers are safe: in Oumi's scratch file where there is an output,
        else in the caller's hands. An incomplete one without an output is kept, for the same call
        to run the rest.
        """
        generation, model = self._params_of(inference_config)
        output_path = inference_config.output_path if inference_config else None
        template = self._template(generation)
        settings = template.shared_fields
        key = dataset_key(self._dataset_hash, {"model": model.model_name, **settings})
        reader = AnswerReader(input)
        run = BatchRun(
            run_folder(output_path, self.options.run_dir, key),
            lambda: request_rows(input, template),
            self._spec(model),
            settings,
            self._run_options,
            reader.take,
        )
        with run.lock(), BatchProgress(len(input)) as display:
            results = self._advance(run, display, feed)
            partial, failures = reader.partial(results)
            if output_path is not None:
                run.begin_delivery()
                scratch = Path(self._get_scratch_filepath(output_path))
                save_to_scratch(scratch, [conversation for _, conversation in partial.successful])
            if output_path is not None or not partial.has_failures or not partial.successful:
                self._with_client(run.finish)
        return results, partial, failures

    def _advance(
        self, run: BatchRun, display: OnProgress, feed: ReporterFeed | None
    ) -> BatchResults:
        """Wait for a run's results, showing how it goes."""

        def report(snapshot: Snapshot) -> None:
            display(snapshot)
            if feed is not None:
                feed.saw(snapshot)

        try:
            return self._with_client(lambda client: run.advance(client, report))
        except KeyboardInterrupt:
            log_interruption(run)
            raise
