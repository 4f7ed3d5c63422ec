"""Object storage: signed uploads and downloads. It knows no API keys, and refuses them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import google_crc32c
from aiohttp import web

from oumi_fireworks.emulator.faults.fault_injection import FILE
from oumi_fireworks.emulator.faults.output_stages import OutputStage, first_half, stage_of
from oumi_fireworks.emulator.routes.request import emulator_of
from oumi_fireworks.emulator.state.private_files import private
from oumi_fireworks.emulator.state.records import StoredFile
from oumi_fireworks.emulator.wire.errors import Code, gateway_error, storage_error
from oumi_fireworks.emulator.wire.names import check_file_name, check_id
from oumi_fireworks.emulator.wire.signing import sign, verify
from oumi_fireworks.emulator.work.emulator_state import EmulatorState

TEMPORARY = ".upload-"
"""What the names of half-received files begin with; no dataset has such a file."""

_UPLOAD_TYPE = "application/octet-stream"


def signed_url(
    request: web.Request,
    emulator: EmulatorState,
    method: str,
    dataset_id: str,
    name: str,
    size: int = 0,
) -> str:
    """Return a URL under which a file can be sent (PUT, exactly `size` bytes) or fetched (GET)."""
    path = f"/storage/{emulator.settings.account}/datasets/{dataset_id}/{name}"
    headers = {}
    lifetime = emulator.settings.url_lifetime
    if method == "PUT":
        lifetime = emulator.settings.upload_url_lifetime
        headers = {"content-type": _UPLOAD_TYPE, "x-goog-content-length-range": f"{size},{size}"}
    query = sign(
        emulator.store.secret,
        method,
        path,
        date=int(emulator.clock.now()),
        lifetime=int(lifetime),
        headers=headers,
    )
    return f"{request.url.origin()}{path}?{query}"


async def put_object(request: web.Request) -> web.Response:
    """Answer `PUT` of a signed URL.

    The answer has the CRC32C alone, summed up on the way: an MD5 takes longer than to receive the
    file, and would make a sender wait for what it does not look at.
    """
    emulator = emulator_of(request)
    dataset_id, name = _checked(request, emulator)
    if dataset_id not in emulator.store.datasets:
        raise storage_error(404, "NoSuchBucket", "The dataset was deleted.")
    length = request.content_length
    if length is None:
        raise storage_error(411, "MissingContentLength", "You must provide a Content-Length.")
    least, _, most = request.headers["x-goog-content-length-range"].partition(",")
    if length < int(least):
        raise storage_error(400, "EntityTooSmall", f"Your upload is smaller than {least} bytes.")
    if length > int(most):
        raise storage_error(400, "EntityTooLarge", f"Your upload is larger than {most} bytes.")
    crc = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal crc
        async for chunk in request.content.iter_any():
            crc = google_crc32c.extend(crc, chunk)
            yield chunk

    await receive(emulator, dataset_id, name, chunks())
    return web.Response(headers={"x-goog-hash": f"crc32c={_crc_text(crc)}"})


async def get_object(request: web.Request) -> web.StreamResponse:
    """Answer `GET` of a signed URL, whole or by Range."""
    emulator = emulator_of(request)
    dataset_id, name = _checked(request, emulator)
    path = emulator.dataset_path(dataset_id, name)
    if dataset_id not in emulator.store.datasets or not path.is_file():
        raise storage_error(404, "NoSuchKey", "The specified key does not exist.")
    dataset = emulator.store.datasets[dataset_id]
    if stage_of(dataset, emulator.weather, emulator.clock.now()) is OutputStage.GROWING:
        path = await asyncio.to_thread(first_half, path)
    request[FILE] = path
    hashes = await asyncio.to_thread(object_hash, path)
    headers = {"x-goog-hash": hashes, "Content-Type": _UPLOAD_TYPE}
    return web.FileResponse(path, headers=headers)


async def receive(
    emulator: EmulatorState, dataset_id: str, name: str, chunks: AsyncIterator[bytes]
) -> StoredFile:
    """Write a file of a dataset to disk as it arrives, and enter it in the dataset's record.

    The file takes its place when all of it is there, so that a broken upload leaves nothing.

    Raises:
        ApiError: 404 if the dataset went away meanwhile.
    """
    folder = emulator.store.dataset_files(dataset_id)
    temporary = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
    size = rows = 0
    tail = b"\n"
    try:
        with open(temporary, "wb", opener=private) as file:
            async for chunk in chunks:
                file.write(chunk)
                size += len(chunk)
                rows += chunk.count(b"\n")
                tail = chunk[-1:] or tail
        if tail != b"\n":
            rows += 1
        stored = StoredFile(name, size, rows)
        with emulator.store.lock:
            dataset = emulator.store.datasets.get(dataset_id)
            if dataset is None:
                raise gateway_error(Code.NOT_FOUND, "resource not found")
            os.replace(temporary, folder / name)
            others = tuple(other for other in dataset.files if other.name != name)
            files, uploads = (*others, stored), dataset.uploads + 1
            emulator.store.put_dataset(replace(dataset, files=files, uploads=uploads))
    finally:
        temporary.unlink(missing_ok=True)
    return stored


def object_hash(path: Path) -> str:
    """Return the `x-goog-hash` header of a file."""
    status = path.stat()
    return _object_hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _object_hash(path: Path, _size: int, _changed: int) -> str:
    crc, md5 = 0, hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            crc = google_crc32c.extend(crc, chunk)
            md5.update(chunk)
    return f"crc32c={_crc_text(crc)},md5={base64.b64encode(md5.digest()).decode()}"


def _crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def _checked(request: web.Request, emulator: EmulatorState) -> tuple[str, str]:
    """Return the dataset and the file that a signed request is about.

    Raises:
        ApiError: If the request is not what was signed, or comes too late.
    """
    if "Authorization" in request.headers:
        raise storage_error(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed: a signed URL takes no Authorization header.",
        )
    problem = verify(
        emulator.store.secret,
        request.method,
        request.path,
        request.query,
        request.headers,
        emulator.clock.now(),
    )
    if problem == "ExpiredToken":
        raise storage_error(400, problem, "The provided token has expired.")
    if problem is not None:
        raise storage_error(
            403, problem, "The request does not match the signature: check the signed headers."
        )
    return check_id(request.match_info["id"], "dataset"), check_file_name(
        request.match_info["file"]
    )
