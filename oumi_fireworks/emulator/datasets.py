"""Datasets: `/v1/accounts/{account}/datasets`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from oumi_fireworks.emulator.clock import Moment, timestamp
from oumi_fireworks.emulator.errors import ApiError, Code, gateway_error
from oumi_fireworks.emulator.jobs_state import settle
from oumi_fireworks.emulator.listing import masked, page_of
from oumi_fireworks.emulator.names import check_file_name, check_id
from oumi_fireworks.emulator.output_stages import Stage, listed_files, stage_of
from oumi_fireworks.emulator.protojson import Spec
from oumi_fireworks.emulator.records import Dataset
from oumi_fireworks.emulator.storage import receive, signed_url
from oumi_fireworks.emulator.visibility import record_shown
from oumi_fireworks.emulator.web import (
    answer,
    id_in,
    message_in,
    no_body_in,
    shown_moment,
    world_of,
)
from oumi_fireworks.emulator.world import World

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


def is_ready(world: World, dataset: Dataset, moment: Moment | None = None) -> bool:
    """Whether a dataset's upload had ended and been digested at a moment; None for now."""
    complete, moment = dataset.complete, moment or world.clock.moment()
    if complete is None or world.clock.elapsed(complete, moment) < dataset.settling:
        return False
    lasts = world.weather.ready if dataset.user_uploaded else 0.0
    return moment.seconds >= complete.seconds + lasts


def dataset_json(world: World, dataset: Dataset, moment: Moment | None = None) -> dict[str, Any]:
    """A dataset as the service showed it at a moment; None for now."""
    fields = dict(dataset.fields)
    count = fields.pop("exampleCount", 0)
    if dataset.user_uploaded:
        fields.setdefault("userUploaded", {})
    return {
        "name": f"accounts/{world.settings.account}/datasets/{dataset.id}",
        "displayName": "",
        "format": "CHAT",
        **fields,
        "createTime": timestamp(dataset.created_ns),
        "createdBy": "toy@emulator.invalid",
        "updateTime": timestamp(dataset.updated_ns),
        "state": "READY" if is_ready(world, dataset, moment) else "UPLOADING",
        "status": {"code": "OK", "message": ""},
        "exampleCount": str(count),
        "estimatedTokenCount": str(sum(file.size for file in dataset.files) // 4),
    }


async def create_dataset(request: web.Request) -> web.Response:
    """`POST .../datasets`."""
    world = world_of(request)
    message = await message_in(request, _CREATE)
    settle(world)
    dataset_id = check_id(message.get("datasetId", ""), "dataset")
    fields = message.get("dataset")
    if fields is None:
        raise gateway_error(Code.INVALID_ARGUMENT, "dataset is required")
    _check_fields(fields)
    if "exampleCount" not in fields:
        raise gateway_error(Code.INVALID_ARGUMENT, "dataset.example_count is required")
    if "sourceDatasetId" in message:
        raise gateway_error(Code.UNIMPLEMENTED, "the emulator does not copy datasets")
    with world.store.lock:
        if dataset_id in world.store.datasets or _is_promised(world, dataset_id):
            raise gateway_error(Code.ALREADY_EXISTS, f"dataset {dataset_id} already exists")
        now = world.store.unique_ns(world.clock.now_ns())
        dataset = Dataset(dataset_id, world.clock.moment(), now, now, fields)
        world.store.put_dataset(dataset)
    shown = world.store.datasets[record_shown(request, dataset_id, world.store.datasets)]
    return answer(dataset_json(world, shown))


async def get_dataset(request: web.Request) -> web.Response:
    """`GET .../datasets/{id}`."""
    world = world_of(request)
    settle(world)
    dataset, moment = _shown_dataset(request, world)
    return answer(masked(dataset_json(world, dataset, moment), request.query))


async def list_datasets(request: web.Request) -> web.Response:
    """`GET .../datasets`."""
    world = world_of(request)
    settle(world)
    moment = shown_moment(request, world, "datasets", world.weather.lists)
    datasets = list(world.store.datasets.values())
    if moment is not None:
        datasets = world.store.dataset_history.all_at(moment.seconds)
    items = [
        dataset_json(world, dataset, moment)
        for dataset in datasets
        if _stage(world, dataset, moment) is not Stage.MISSING
    ]
    page = page_of(items, request.query, "name", world.store.secret)
    return answer(
        {"datasets": page.items, "nextPageToken": page.next_token, "totalSize": page.total}
    )


async def update_dataset(request: web.Request) -> web.Response:
    """`PATCH .../datasets/{id}`."""
    world = world_of(request)
    changes = await message_in(request, _FIELDS)
    settle(world)
    _check_fields(changes)
    with world.store.lock:
        dataset = _named_dataset(request, world)
        fields = {**dataset.fields, **changes}
        dataset = replace(dataset, fields=fields, updated_ns=world.clock.now_ns())
        world.store.put_dataset(dataset)
    return answer(dataset_json(world, dataset))


async def delete_dataset(request: web.Request) -> web.Response:
    """`DELETE .../datasets/{id}`."""
    world = world_of(request)
    settle(world)
    with world.store.lock:
        dataset = _named_dataset(request, world)
        for job in world.store.jobs.values():
            if job.input_dataset == dataset.id and not job.published:
                raise gateway_error(
                    Code.FAILED_PRECONDITION,
                    f"dataset {dataset.id} is in use by batch inference job {job.id}",
                )
        world.store.drop_dataset(dataset.id)
    return answer({})


async def upload_dataset(request: web.Request) -> web.Response:
    """`POST .../datasets/{id}:upload`: the whole file at once, as multipart form data."""
    world = world_of(request)
    settle(world)
    dataset = _named_dataset(request, world)
    _check_open(world, dataset)
    most = world.settings.max_direct_upload
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

    file = await receive(world, dataset.id, name, chunks())
    with world.store.lock:
        dataset = finish_upload(world, dataset.id)
    return answer(
        {
            "id": dataset.id,
            "object": "file",
            "bytes": file.size,
            "created_at": dataset.updated_ns // 1_000_000_000,
            "filename": name,
            "purpose": "dataset",
        }
    )


async def upload_endpoint(request: web.Request) -> web.Response:
    """`POST .../datasets/{id}:getUploadEndpoint`."""
    world = world_of(request)
    message = await message_in(request, _UPLOAD_ENDPOINT)
    sizes: dict[str, int] = message.get("filenameToSize", {})
    if not sizes:
        raise gateway_error(Code.INVALID_ARGUMENT, "filename_to_size is required")
    for name, size in sizes.items():
        check_file_name(name)
        if size <= 0:
            raise gateway_error(Code.INVALID_ARGUMENT, f"the size of {name} must be positive")
    most = world.settings.max_dataset_bytes
    if sum(sizes.values()) > most:
        raise gateway_error(
            Code.INVALID_ARGUMENT, f"the dataset is too large: at most {most} bytes are allowed"
        )
    with world.store.lock:
        dataset = _named_dataset(request, world)
        _check_open(world, dataset)
        world.store.put_dataset(replace(dataset, expected={**dataset.expected, **sizes}))
    urls = {
        name: signed_url(request, world, "PUT", dataset.id, name, size)
        for name, size in sizes.items()
    }
    return answer({"filenameToSignedUrls": urls})


async def validate_upload(request: web.Request) -> web.Response:
    """`POST .../datasets/{id}:validateUpload`."""
    world = world_of(request)
    await message_in(request, {})
    with world.store.lock:
        dataset = _named_dataset(request, world)
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
            finish_upload(world, dataset.id)
    return answer({})


async def download_endpoint(request: web.Request) -> web.Response:
    """`GET .../datasets/{id}:getDownloadEndpoint`."""
    world = world_of(request)
    no_body_in(request)
    settle(world)
    dataset, moment = _shown_dataset(request, world)
    if not is_ready(world, dataset, moment):
        raise gateway_error(Code.FAILED_PRECONDITION, f"dataset {dataset.id} is not READY")
    wanted = [dataset]
    query = request.query
    if "true" in (query.get("downloadLineage"), query.get("download_lineage")):
        wanted += _ancestors(world, dataset)
    urls = {
        f"dataset/{each.id}/{file.name}": signed_url(request, world, "GET", each.id, file.name)
        for each in wanted
        for file in listed_files(each, _stage(world, each, moment), world.weather, world.rng)
    }
    return answer({"filenameToSignedUrls": urls})


def find_dataset(world: World, dataset_id: str) -> Dataset:
    """A dataset by its id.

    Raises:
        ApiError: 404.
    """
    dataset = world.store.datasets.get(dataset_id)
    if dataset is None:
        raise _no_dataset(dataset_id)
    return dataset


def finish_upload(world: World, dataset_id: str) -> Dataset:
    """Begin the moments after which a dataset is READY."""
    dataset = replace(
        find_dataset(world, dataset_id),
        complete=world.clock.moment(),
        settling=world.settings.pace.uploading,
        updated_ns=world.clock.now_ns(),
    )
    return world.store.put_dataset(dataset)


def _shown_dataset(request: web.Request, world: World) -> tuple[Dataset, Moment | None]:
    """The dataset that a request names, and the moment at which it is shown.

    Raises:
        ApiError: 404 if it did not exist at that moment, or does not show yet.
    """
    dataset_id = id_in(request, "dataset")
    moment = shown_moment(request, world, f"datasets/{dataset_id}", world.weather.datasets)
    dataset_id = record_shown(request, dataset_id, world.store.datasets)
    if moment is None:
        dataset: Dataset | None = find_dataset(world, dataset_id)
    else:
        dataset = world.store.dataset_history.at(dataset_id, moment.seconds)
    if dataset is None or _stage(world, dataset, moment) is Stage.MISSING:
        raise _no_dataset(dataset_id)
    return dataset, moment


def _named_dataset(request: web.Request, world: World) -> Dataset:
    """The dataset that a request is to change.

    Raises:
        ApiError: 404 if it does not show, or is gone.
    """
    return find_dataset(world, _shown_dataset(request, world)[0].id)


def _stage(world: World, dataset: Dataset, moment: Moment | None) -> Stage:
    seconds = world.clock.now() if moment is None else moment.seconds
    return stage_of(dataset, world.weather, seconds)


def _no_dataset(dataset_id: str) -> ApiError:
    return gateway_error(Code.NOT_FOUND, f"dataset {dataset_id} not found")


def _check_fields(fields: dict[str, Any]) -> None:
    if fields.get("exampleCount", 0) < 0:
        raise gateway_error(Code.INVALID_ARGUMENT, "dataset.example_count must not be negative")
    if fields.get("format", "CHAT") not in _FORMATS:
        raise gateway_error(Code.INVALID_ARGUMENT, f"invalid format {fields['format'][:80]!r}")


def _check_open(world: World, dataset: Dataset) -> None:
    if is_ready(world, dataset):
        raise gateway_error(
            Code.FAILED_PRECONDITION, f"dataset {dataset.id} is READY, expected UPLOADING"
        )


def _is_promised(world: World, dataset_id: str) -> bool:
    """Whether a job that has not ended yet will write this dataset."""
    jobs = world.store.jobs.values()
    return any(job.output_dataset == dataset_id and not job.published for job in jobs)


def _ancestors(world: World, dataset: Dataset) -> list[Dataset]:
    """The outputs of the jobs that the job behind this dataset continued."""
    found = []
    job_name = dataset.fields.get("sourceJobName", "")
    while job := world.store.jobs.get(job_name.rpartition("/")[2]):
        job_name = job.fields.get("continuedFromJobName", "")
        output = world.store.datasets.get(job.output_dataset)
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
