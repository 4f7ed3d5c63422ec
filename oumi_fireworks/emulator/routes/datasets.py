"""Datasets: `/v1/accounts/{account}/datasets`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from oumi_fireworks.emulator.faults.output_stages import OutputStage, listed_files, stage_of
from oumi_fireworks.emulator.faults.visibility import record_shown
from oumi_fireworks.emulator.routes.request import (
    answer,
    emulator_of,
    id_in,
    message_in,
    no_body_in,
    refuse_without_retention,
    shown_moment,
)
from oumi_fireworks.emulator.routes.storage import receive, signed_url
from oumi_fireworks.emulator.state.clock import Moment, timestamp
from oumi_fireworks.emulator.state.records import DatasetRecord
from oumi_fireworks.emulator.wire.errors import ApiError, Code, gateway_error
from oumi_fireworks.emulator.wire.listing import masked, page_of
from oumi_fireworks.emulator.wire.names import check_file_name, check_id
from oumi_fireworks.emulator.wire.protojson import Spec
from oumi_fireworks.emulator.work.dataset_status import is_ready
from oumi_fireworks.emulator.work.emulator_state import EmulatorState
from oumi_fireworks.emulator.work.job_status import settle

_FIELDS: Spec = {
    "displayName": "string",
    "evalProtocol": "any",
    "evaluationResult": "any",
    "exampleCount": "int64",
    "externalUrl": "string",
    "format": "string",
    "sourceJobName": "string",
    "splitted": "any",
    "transformed": "any",
    "userUploaded": "any",
}
_CREATE: Spec = {"datasetId": "string", "dataset": _FIELDS, "sourceDatasetId": "string"}
_UPLOAD_ENDPOINT: Spec = {"filenameToSize": "sizes", "readMask": "string"}
_MALFORMED = (ValueError, HttpProcessingError)
_FORMATS = ("FORMAT_UNSPECIFIED", "CHAT", "COMPLETION", "RL")


def dataset_json(
    emulator: EmulatorState, dataset: DatasetRecord, moment: Moment | None = None
) -> dict[str, Any]:
    """Return a dataset as the service showed it at a moment; None for now."""
    fields = dict(dataset.fields)
    count = fields.pop("exampleCount", 0)
    if dataset.user_uploaded:
        fields.setdefault("userUploaded", {})
    return {
        "name": f"accounts/{emulator.settings.account}/datasets/{dataset.id}",
        "displayName": "",
        "format": "FORMAT_UNSPECIFIED",
        "averageTurnCount": 0,
        "externalUrl": "",
        "sourceJobName": "",
        **fields,
        "createTime": timestamp(dataset.created_ns),
        "createdBy": "toy@emulator.invalid",
        "updateTime": timestamp(dataset.updated_ns),
        "state": "READY" if is_ready(emulator, dataset, moment) else "UPLOADING",
        "status": {"code": "OK", "message": ""},
        "exampleCount": str(count),
        "encryptionState": emulator.settings.encryption_state,
        "estimatedTokenCount": str(sum(file.size for file in dataset.files) // 4),
    }


async def create_dataset(request: web.Request) -> web.Response:
    """Answer `POST .../datasets`."""
    emulator = emulator_of(request)
    message = await message_in(request, _CREATE)
    refuse_without_retention(emulator)
    settle(emulator)
    dataset_id = check_id(message.get("datasetId", ""), "dataset")
    fields = message.get("dataset")
    if fields is None:
        raise gateway_error(Code.INVALID_ARGUMENT, "dataset is required")
    _check_fields(fields)
    if "exampleCount" not in fields:
        raise gateway_error(Code.INVALID_ARGUMENT, "dataset.example_count is required")
    if "sourceDatasetId" in message:
        raise gateway_error(Code.UNIMPLEMENTED, "the emulator does not copy datasets")
    with emulator.store.lock:
        if dataset_id in emulator.store.datasets or _is_promised(emulator, dataset_id):
            raise gateway_error(Code.ALREADY_EXISTS, f"dataset {dataset_id} already exists")
        now = emulator.store.unique_ns(emulator.clock.now_ns())
        dataset = DatasetRecord(dataset_id, emulator.clock.moment(), now, now, fields)
        emulator.store.put_dataset(dataset)
    shown = emulator.store.datasets[record_shown(request, dataset_id, emulator.store.datasets)]
    return answer(dataset_json(emulator, shown))


async def get_dataset(request: web.Request) -> web.Response:
    """Answer `GET .../datasets/{id}`."""
    emulator = emulator_of(request)
    settle(emulator)
    dataset, moment = _shown_dataset(request, emulator)
    return answer(masked(dataset_json(emulator, dataset, moment), request.query))


async def list_datasets(request: web.Request) -> web.Response:
    """Answer `GET .../datasets`."""
    emulator = emulator_of(request)
    settle(emulator)
    moment = shown_moment(request, emulator, "datasets", emulator.weather.lists)
    datasets = list(emulator.store.datasets.values())
    if moment is not None:
        datasets = emulator.store.dataset_history.all_at(moment.seconds)
    items = [
        dataset_json(emulator, dataset, moment)
        for dataset in datasets
        if _stage(emulator, dataset, moment) is not OutputStage.MISSING
    ]
    page = page_of(items, request.query, "name", emulator.store.secret)
    return answer(
        {"datasets": page.items, "nextPageToken": page.next_token, "totalSize": page.total}
    )


async def update_dataset(request: web.Request) -> web.Response:
    """Answer `PATCH .../datasets/{id}`."""
    emulator = emulator_of(request)
    changes = await message_in(request, _FIELDS)
    settle(emulator)
    _check_fields(changes)
    with emulator.store.lock:
        dataset = _named_dataset(request, emulator)
        fields = {**dataset.fields, **changes}
        dataset = replace(dataset, fields=fields, updated_ns=emulator.clock.now_ns())
        emulator.store.put_dataset(dataset)
    return answer(dataset_json(emulator, dataset))


async def delete_dataset(request: web.Request) -> web.Response:
    """Answer `DELETE .../datasets/{id}`."""
    emulator = emulator_of(request)
    settle(emulator)
    with emulator.store.lock:
        dataset = _named_dataset(request, emulator)
        for job in emulator.store.jobs.values():
            if job.input_dataset == dataset.id and not job.published:
                raise gateway_error(
                    Code.FAILED_PRECONDITION,
                    f"dataset {dataset.id} is in use by batch inference job {job.id}",
                )
        emulator.store.drop_dataset(dataset.id)
    return answer({})


async def upload_dataset(request: web.Request) -> web.Response:
    """Answer `POST .../datasets/{id}:upload`: the whole file at once, as multipart form data."""
    emulator = emulator_of(request)
    settle(emulator)
    dataset = _named_dataset(request, emulator)
    _check_open(emulator, dataset)
    most = emulator.settings.max_direct_upload
    if (request.content_length or 0) > most + (64 << 10):
        raise _too_large(most)
    if request.content_type != "multipart/form-data":
        raise gateway_error(Code.INVALID_ARGUMENT, "expected multipart/form-data")
    try:
        reader = await request.multipart()
        part = await reader.next()
        while part is not None and not (isinstance(part, BodyPartReader) and part.name == "file"):
            part = await reader.next()
    except _MALFORMED as error:
        raise _malformed(error) from None
    if not isinstance(part, BodyPartReader):
        raise gateway_error(Code.INVALID_ARGUMENT, "no file was uploaded in the field 'file'")
    name = check_file_name(part.filename or "file")

    async def chunks() -> Any:
        received = 0
        while chunk := await part.read_chunk(1 << 18):
            received += len(chunk)
            if received > most:
                raise _too_large(most)
            yield chunk
        try:
            await reader.next()
        except _MALFORMED:
            raise _malformed("no boundary follows the file, it was cut off") from None
        if not received:
            raise gateway_error(Code.INVALID_ARGUMENT, f"the file {name} is empty")

    file = await receive(emulator, dataset.id, name, chunks())
    with emulator.store.lock:
        dataset = finish_upload(emulator, dataset.id, direct=True)
    return answer(
        {
            "id": f"accounts/{emulator.settings.account}/datasets/{dataset.id}",
            "object": "file",
            "bytes": file.size,
            "created_at": dataset.updated_ns // 1_000_000_000,
            "filename": name,
            "purpose": "dataset",
        }
    )


async def upload_endpoint(request: web.Request) -> web.Response:
    """Answer `POST .../datasets/{id}:getUploadEndpoint`."""
    emulator = emulator_of(request)
    message = await message_in(request, _UPLOAD_ENDPOINT)
    sizes: dict[str, int] = message.get("filenameToSize", {})
    if not sizes:
        raise gateway_error(Code.INVALID_ARGUMENT, "filename_to_size is required")
    for name, size in sizes.items():
        check_file_name(name)
        if size <= 0:
            raise gateway_error(Code.INVALID_ARGUMENT, f"the size of {name} must be positive")
    most = emulator.settings.max_dataset_bytes
    if sum(sizes.values()) > most:
        raise gateway_error(
            Code.INVALID_ARGUMENT, f"the dataset is too large: at most {most} bytes are allowed"
        )
    with emulator.store.lock:
        dataset = _named_dataset(request, emulator)
        _check_open(emulator, dataset)
        files = tuple(file for file in dataset.files if file.name in sizes)
        emulator.store.put_dataset(replace(dataset, expected=sizes, files=files))
    urls = {
        name: signed_url(request, emulator, "PUT", dataset.id, name, size)
        for name, size in sizes.items()
    }
    return answer({"filenameToSignedUrls": urls})


async def validate_upload(request: web.Request) -> web.Response:
    """Answer `POST .../datasets/{id}:validateUpload`."""
    emulator = emulator_of(request)
    await message_in(request, {})
    with emulator.store.lock:
        dataset = _named_dataset(request, emulator)
        if dataset.complete is None:
            there = {file.name: file.size for file in dataset.files}
            for name, size in dataset.expected.items():
                if there.get(name) != size:
                    raise gateway_error(
                        Code.FAILED_PRECONDITION,
                        f"{name} of dataset {dataset.id} has not been uploaded",
                    )
            if not there:
                raise gateway_error(
                    Code.FAILED_PRECONDITION, f"nothing was uploaded to dataset {dataset.id}"
                )
            finish_upload(emulator, dataset.id)
    return answer({})


async def download_endpoint(request: web.Request) -> web.Response:
    """Answer `GET .../datasets/{id}:getDownloadEndpoint`."""
    emulator = emulator_of(request)
    no_body_in(request)
    settle(emulator)
    dataset, moment = _shown_dataset(request, emulator)
    if not is_ready(emulator, dataset, moment):
        raise gateway_error(Code.FAILED_PRECONDITION, f"dataset {dataset.id} is not READY")
    wanted = [dataset]
    query = request.query
    if "true" in (query.get("downloadLineage"), query.get("download_lineage")):
        wanted += _ancestors(emulator, dataset)
    urls = {
        f"dataset/{each.id}/{file.name}": signed_url(request, emulator, "GET", each.id, file.name)
        for each in wanted
        for file in listed_files(
            each, _stage(emulator, each, moment), emulator.weather, emulator.rng
        )
    }
    return answer({"filenameToSignedUrls": urls})


def find_dataset(emulator: EmulatorState, dataset_id: str) -> DatasetRecord:
    """Return a dataset by its id.

    Raises:
        ApiError: 404.
    """
    dataset = emulator.store.datasets.get(dataset_id)
    if dataset is None:
        raise _no_dataset()
    return dataset


def finish_upload(
    emulator: EmulatorState, dataset_id: str, *, direct: bool = False
) -> DatasetRecord:
    """Begin the moments after which a dataset is READY."""
    dataset = replace(
        find_dataset(emulator, dataset_id),
        complete=emulator.clock.moment(),
        direct=direct,
        settling=emulator.settings.pace.uploading,
        updated_ns=emulator.clock.now_ns(),
    )
    return emulator.store.put_dataset(dataset)


def _shown_dataset(
    request: web.Request, emulator: EmulatorState
) -> tuple[DatasetRecord, Moment | None]:
    """Return the dataset that a request names, and the moment at which it is shown.

    Raises:
        ApiError: 404 if it did not exist at that moment, or does not show yet.
    """
    dataset_id = id_in(request, "dataset")
    moment = shown_moment(request, emulator, f"datasets/{dataset_id}", emulator.weather.datasets)
    dataset_id = record_shown(request, dataset_id, emulator.store.datasets)
    if moment is None:
        dataset: DatasetRecord | None = find_dataset(emulator, dataset_id)
    else:
        dataset = emulator.store.dataset_history.at(dataset_id, moment.seconds)
    if dataset is None or _stage(emulator, dataset, moment) is OutputStage.MISSING:
        raise _no_dataset()
    return dataset, moment


def _named_dataset(request: web.Request, emulator: EmulatorState) -> DatasetRecord:
    """Return the dataset that a request is to change.

    Raises:
        ApiError: 404 if it does not show, or is gone.
    """
    return find_dataset(emulator, _shown_dataset(request, emulator)[0].id)


def _stage(emulator: EmulatorState, dataset: DatasetRecord, moment: Moment | None) -> OutputStage:
    seconds = emulator.clock.now() if moment is None else moment.seconds
    return stage_of(dataset, emulator.weather, seconds)


def _no_dataset() -> ApiError:
    return gateway_error(Code.NOT_FOUND, "resource not found")


def _check_fields(fields: dict[str, Any]) -> None:
    if fields.get("exampleCount", 0) < 0:
        raise gateway_error(Code.INVALID_ARGUMENT, "dataset.example_count must not be negative")
    if fields.get("format", "CHAT") not in _FORMATS:
        raise gateway_error(Code.INVALID_ARGUMENT, f"invalid format {fields['format'][:80]!r}")


def _check_open(emulator: EmulatorState, dataset: DatasetRecord) -> None:
    if is_ready(emulator, dataset):
        raise gateway_error(
            Code.FAILED_PRECONDITION, f"dataset {dataset.id} is READY, expected UPLOADING"
        )


def _is_promised(emulator: EmulatorState, dataset_id: str) -> bool:
    """Return whether a job that has not ended yet will write this dataset."""
    jobs = emulator.store.jobs.values()
    return any(job.output_dataset == dataset_id and not job.published for job in jobs)


def _ancestors(emulator: EmulatorState, dataset: DatasetRecord) -> list[DatasetRecord]:
    """Return the outputs of the jobs that the job behind this dataset continued."""
    found = []
    job_name = dataset.fields.get("sourceJobName", "")
    while job := emulator.store.jobs.get(job_name.rpartition("/")[2]):
        job_name = job.fields.get("continuedFromJobName", "")
        output = emulator.store.datasets.get(job.output_dataset)
        if output is not None and output is not dataset:
            found.append(output)
    return found


def _malformed(reason: object) -> ApiError:
    return gateway_error(Code.INVALID_ARGUMENT, f"malformed multipart body: {reason}")


def _too_large(most: int) -> ApiError:
    error = gateway_error(
        Code.INVALID_ARGUMENT,
        f"the file is too large: direct upload takes {most} bytes, use getUploadEndpoint for more",
    )
    error.status = 413
    return error
