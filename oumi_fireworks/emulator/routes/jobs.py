"""Batch inference jobs: `/v1/accounts/{account}/batchInferenceJobs`."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from oumi_fireworks.emulator.faults.visibility import record_shown
from oumi_fireworks.emulator.routes.datasets import find_dataset
from oumi_fireworks.emulator.routes.models import check_served
from oumi_fireworks.emulator.routes.request import (
    answer,
    emulator_of,
    id_in,
    message_in,
    refuse_without_retention,
    shown_moment,
)
from oumi_fireworks.emulator.state.clock import Moment
from oumi_fireworks.emulator.state.job_timeline import DAY, ENDED, NEVER, JobTimeline, Pace
from oumi_fireworks.emulator.state.records import JobRecord
from oumi_fireworks.emulator.wire.chat_request import BadRequest, check_chat_body
from oumi_fireworks.emulator.wire.errors import ApiError, Code, gateway_error
from oumi_fireworks.emulator.wire.listing import masked, page_of
from oumi_fireworks.emulator.wire.names import check_id, is_model, resource_id
from oumi_fireworks.emulator.wire.protojson import Spec
from oumi_fireworks.emulator.work.dataset_status import is_ready
from oumi_fireworks.emulator.work.emulator_state import EmulatorState
from oumi_fireworks.emulator.work.job_status import job_json, position_of, settle, tally_of

_PARAMETERS: Spec = {
    "extraBody": "string",
    "maxTokens": "int32",
    "n": "int32",
    "temperature": "double",
    "topK": "int32",
    "topP": "double",
}
_CREATE: Spec = {
    "continuedFromJobName": "string",
    "displayName": "string",
    "inferenceParameters": _PARAMETERS,
    "inputDatasetId": "string",
    "maxJobDuration": "duration",
    "model": "string",
    "outputDatasetId": "string",
    "precision": "string",
    "systemPrompt": "string",
}
_CHAT_NAMES = {"maxTokens": "max_tokens", "topK": "top_k", "topP": "top_p"}
_KEPT = (
    "continuedFromJobName",
    "displayName",
    "inferenceParameters",
    "precision",
    "systemPrompt",
)
_WINDOWS = (DAY / 2, DAY, 2 * DAY, 3 * DAY)
"""Seconds that a job may be given: 12, 24, 48 or 72 hours. Fireworks' guide, November 2026."""

_NO_BATCH = "no-batch"
_PRECISIONS = frozenset(
    "PRECISION_UNSPECIFIED FP16 FP8 FP8_MM FP8_AR FP8_MM_KV_ATTN FP8_KV FP8_MM_V2 FP8_V2 "
    "FP8_MM_KV_ATTN_V2 NF4 FP4 BF16 FP4_BLOCKSCALED_MM FP4_MX_MOE".split()
)


async def create_job(request: web.Request) -> web.Response:
    """Answer `POST .../batchInferenceJobs?batchInferenceJobId=`."""
    emulator = emulator_of(request)
    message = await message_in(request, _CREATE)
    refuse_without_retention(emulator)
    settle(emulator)
    query = request.query
    job_id = query.get("batchInferenceJobId") or query.get("batch_inference_job_id")
    job_id = check_id(job_id, "batch inference job") if job_id else f"bij-{secrets.token_hex(6)}"
    with emulator.store.lock:
        if job_id in emulator.store.jobs:
            raise gateway_error(Code.ALREADY_EXISTS, f"batch inference job {job_id} already exists")
        emulator.store.put_job(_new_job(emulator, job_id, message))
        emulator.runner.start(job_id)
    shown = emulator.store.jobs[record_shown(request, job_id, emulator.store.jobs)]
    return answer(job_json(emulator, shown))


async def get_job(request: web.Request) -> web.Response:
    """Answer `GET .../batchInferenceJobs/{id}`."""
    emulator = emulator_of(request)
    settle(emulator)
    job, moment = _shown_job(request, emulator)
    return answer(masked(job_json(emulator, job, moment), request.query))


async def list_jobs(request: web.Request) -> web.Response:
    """Answer `GET .../batchInferenceJobs`."""
    emulator = emulator_of(request)
    settle(emulator)
    moment = shown_moment(request, emulator, "jobs", emulator.weather.lists)
    jobs = list(emulator.store.jobs.values())
    if moment is not None:
        jobs = emulator.store.job_history.all_at(moment.seconds)
    items = [
        job_json(emulator, job, moment)
        for job in jobs
        if position_of(emulator, job, moment).state != "DELETED"
    ]
    page = page_of(items, request.query, "createTime", emulator.store.secret)
    return answer(
        {
            "batchInferenceJobs": page.items,
            "nextPageToken": page.next_token,
            "totalSize": page.total,
        }
    )


async def delete_job(request: web.Request) -> web.Response:
    """Answer `DELETE .../batchInferenceJobs/{id}`: stops a job that runs, and removes it."""
    emulator = emulator_of(request)
    settle(emulator)
    with emulator.store.lock:
        job = _find_job(emulator, _shown_job(request, emulator)[0].id)
        if job.removed is None:
            job = stop_job(emulator, job, deleted=emulator.clock.elapsed(job.created))
            emulator.store.put_job(replace(job, removed=emulator.clock.moment()))
        elif position_of(emulator, job).state == "DELETING":
            raise gateway_error(
                Code.FAILED_PRECONDITION, f"batch inference job {job.id} is already deleting"
            )
    return answer({})


async def cancel_job(request: web.Request) -> web.Response:
    """Answer `POST .../batchInferenceJobs/{id}:cancel`, where the route exists."""
    emulator = emulator_of(request)
    if not emulator.settings.cancel_route:
        raise gateway_error(Code.NOT_FOUND, "Not Found")
    await message_in(request, {})
    settle(emulator)
    with emulator.store.lock:
        job = _find_job(emulator, _shown_job(request, emulator)[0].id)
        state = position_of(emulator, job).state
        if state in ENDED or job.timeline.deleted is not None:
            raise gateway_error(
                Code.FAILED_PRECONDITION,
                f"batch inference job {job.id} cannot be cancelled: its state is JOB_STATE_{state}",
            )
        if job.timeline.cancelled is None:
            stop_job(emulator, job, cancelled=emulator.clock.elapsed(job.created))
    return answer({})


def stop_job(emulator: EmulatorState, job: JobRecord, **timeline: float) -> JobRecord:
    """Stop a job where it stands; the rows that are done stay done."""
    changed = replace(job.timeline, **timeline)  # type: ignore[arg-type]
    kept = job.rows_wanted
    if not job.published and kept is None:
        # As it shows from now on: until now it may have shown as it was at its latest update.
        stopped = replace(job, timeline=changed)
        kept = tally_of(emulator, job, position_of(emulator, stopped)).processed
    now = emulator.clock.now_ns()
    return emulator.store.put_job(replace(job, timeline=changed, rows_wanted=kept, updated_ns=now))


def _shown_job(request: web.Request, emulator: EmulatorState) -> tuple[JobRecord, Moment | None]:
    """Return the job that a request names, and the moment at which it is shown.

    Raises:
        ApiError: 404 if it did not exist at that moment.
    """
    job_id = id_in(request, "batch inference job")
    moment = shown_moment(request, emulator, f"jobs/{job_id}", emulator.weather.jobs)
    job_id = record_shown(request, job_id, emulator.store.jobs)
    if moment is None:
        return _find_job(emulator, job_id), None
    job = emulator.store.job_history.at(job_id, moment.seconds)
    if job is None or position_of(emulator, job, moment).state == "DELETED":
        raise _no_job()
    return job, moment


def _find_job(emulator: EmulatorState, job_id: str) -> JobRecord:
    job = emulator.store.jobs.get(job_id)
    if job is None:
        raise _no_job()
    return job


def _no_job() -> ApiError:
    return gateway_error(Code.NOT_FOUND, "resource not found")


def _new_job(emulator: EmulatorState, job_id: str, message: dict[str, Any]) -> JobRecord:
    account = emulator.settings.account
    earlier = _continued(emulator, message)
    model = message.get("model") or (earlier.model if earlier else "")
    if not is_model(model):
        raise gateway_error(
            Code.INVALID_ARGUMENT,
            f"invalid model {model[:120]!r}: expected accounts/<account>/models/<id>",
        )
    check_served(emulator, model)
    name = message.get("inputDatasetId")
    if not name and earlier is None:
        raise gateway_error(Code.INVALID_ARGUMENT, "input_dataset_id is required")
    input_id = resource_id(name, account, "datasets") if name else earlier.input_dataset  # type: ignore[union-attr]
    dataset = find_dataset(emulator, input_id)
    if not (dataset.direct or is_ready(emulator, dataset)):
        raise gateway_error(
            Code.FAILED_PRECONDITION, f"dataset {input_id} is not READY, its state is UPLOADING"
        )
    if message.get("precision", "FP8") not in _PRECISIONS:
        raise gateway_error(Code.INVALID_ARGUMENT, "invalid precision")
    now = emulator.store.unique_ns(emulator.clock.now_ns())
    return JobRecord(
        id=job_id,
        created=emulator.clock.moment(),
        created_ns=now,
        updated_ns=now,
        model=model,
        input_dataset=input_id,
        output_dataset=_output_id(emulator, job_id, message.get("outputDatasetId")),
        declared_rows=dataset.fields.get("exampleCount", 0),
        fields=_fields_kept(message),
        parameters=_chat_parameters(message.get("inferenceParameters", {})),
        timeline=JobTimeline(_pace(emulator.settings.pace, model), window=_window(message)),
    )


def _fields_kept(message: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a job that are shown as they were given."""
    kept = {key: message[key] for key in _KEPT if key in message}
    if "maxJobDuration" in message:
        kept["maxJobDuration"] = f"{int(message['maxJobDuration'])}s"
    return kept


def _window(message: dict[str, Any]) -> float:
    """Return how long a job may take, in seconds.

    Raises:
        ApiError: 400 for a duration that the service does not offer.
    """
    window: float = message.get("maxJobDuration", DAY)
    if window not in _WINDOWS:
        raise gateway_error(
            Code.INVALID_ARGUMENT,
            'invalid max_job_duration: it must be 12, 24, 48 or 72 hours, such as "172800s"',
        )
    return window


def _continued(emulator: EmulatorState, message: dict[str, Any]) -> JobRecord | None:
    name = message.get("continuedFromJobName")
    if not name:
        return None
    job = _find_job(emulator, resource_id(name, emulator.settings.account, "batchInferenceJobs"))
    if not job.published:
        raise gateway_error(
            Code.FAILED_PRECONDITION, f"batch inference job {job.id} has not ended yet"
        )
    return job


def _output_id(emulator: EmulatorState, job_id: str, name: str | None) -> str:
    if not name:
        return f"bij-output-{secrets.token_hex(6)}"
    output_id = resource_id(name, emulator.settings.account, "datasets")
    taken = {job.output_dataset for job in emulator.store.jobs.values() if not job.published}
    if output_id in emulator.store.datasets or output_id in taken:
        raise gateway_error(Code.ALREADY_EXISTS, f"output dataset {output_id} already exists")
    return output_id


def _chat_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Return a job's parameters as chat completion fields."""
    given = dict(given)
    extra = given.pop("extraBody", "") or "{}"
    parameters = {_CHAT_NAMES.get(key, key): value for key, value in given.items()}
    try:
        more = orjson.loads(extra)
        if not isinstance(more, dict):
            raise BadRequest("it must be a JSON object")
        parameters.update(more)
        check_chat_body({"messages": [{"role": "user", "content": ""}], **parameters})
    except ValueError as error:
        raise gateway_error(
            Code.INVALID_ARGUMENT, f"invalid inference_parameters: {error}"
        ) from None
    return parameters


def _pace(pace: Pace, model: str) -> Pace:
    """Return the pace of a job: for ever pending where the model cannot do batch inference."""
    return replace(pace, pending=NEVER) if _NO_BATCH in model else pace
