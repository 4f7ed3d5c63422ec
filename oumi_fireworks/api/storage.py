"""Signed storage: files that go to and come from Google Cloud Storage without a key."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import google_crc32c
from yarl import URL

from oumi_fireworks.api.bodies import FileBody, blocks
from oumi_fireworks.api.retry_after import read_retry_after
from oumi_fireworks.api.root import require_secure
from oumi_fireworks.api.transport import (
    TRANSFER_TIMEOUT,
    TRANSPORT_FAILURES,
    Transport,
    describe,
    proxy_for,
)
from oumi_fireworks.errors import (
    ChecksumError,
    ConnectionFailedError,
    MalformedAnswerError,
    ServerError,
    StorageError,
)

#: Asks for a signed URL; called again when the one in hand went stale.
UrlSource = Callable[[], Awaitable[str]]

_CHUNK_BYTES = 1 << 20
_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
# Storage answers 400 or 403 to an expired signature, and 401 to a mangled one.
_STALE = frozenset({400, 401, 403})
_MOST_STALE_URLS = 5
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)")


@dataclass(frozen=True)
class Storage:
    """PUT and GET with signed URLs. No header of ours goes along: the URL is the permission."""

    transport: Transport

    async def put(self, path: Path, url_source: UrlSource) -> None:
        """Upload a file from disk, in chunks.

        Args:
            path: The file.
            url_source: Gives a fresh signed URL for each attempt.

        Raises:
            StorageError: If storage refuses it.
            ConnectionFailedError: If it could not be sent whole.
        """
        body, size = FileBody(path), path.stat().st_size

        async def attempt() -> None:
            url = await url_source()
            require_secure(url, what="The signed upload URL")
            headers = {**body.headers, "x-goog-content-length-range": f"{size},{size}"}
            try:
                async with self.transport.session.put(
                    URL(url, encoded=True),  # as it was signed, letter by letter
                    data=body,
                    headers=headers,
                    timeout=TRANSFER_TIMEOUT,
                    allow_redirects=False,
                    proxy=proxy_for(url),
                ) as response:
                    await _require_ok(response, "Uploading to storage")
            except TRANSPORT_FAILURES as error:
                raise ConnectionFailedError(
                    f"Uploading {path.name} to storage: {describe(error)}"
                ) from error

        try:
            await self.transport.retry.run(attempt)
        except StorageError as error:
            if error.status not in _STALE:
                raise
            await self.transport.retry.run(attempt)  # the URL went stale: once more, with another

    async def get(self, url_source: UrlSource, path: Path, *, durable: bool = True) -> None:
        """Download a file to disk, and put it at ``path`` only when it is whole.

        What arrived stays in ``<path>.part``, so a download that was cut goes on by Range, also
        in a later process. Cuts are survived without limit as long as each attempt brings
        bytes; the checksum that storage sends is verified at the end.

        Args:
            url_source: Gives a signed URL; asked again when one went stale.
            path: Where to put the file.
            durable: Whether it has to outlast a crash of the machine, which takes longer.

        Raises:
            ChecksumError: If the file is not what storage holds, twice.
            StorageError: If storage refuses it.
            ConnectionFailedError: If nothing more arrives.
        """
        part = path.with_name(path.name + ".part")
        stale = corrupt = 0
        url = await url_source()
        while True:
            try:
                if await self.transport.retry.run(partial(self._get_some, url, part)):
                    break
                stale = 0
            except StorageError as error:
                stale += 1
                if error.status not in _STALE or stale > _MOST_STALE_URLS:
                    raise
                url = await url_source()
            except ChecksumError:
                corrupt += 1
                part.unlink(missing_ok=True)
                if corrupt > 1:
                    raise
        if durable:
            await asyncio.to_thread(_write_out, part)
        os.replace(part, path)

    async def _get_some(self, url: str, part: Path) -> bool:
        """Fetch the rest of a file as far as it comes. What is there never becomes less.

        Returns:
            Whether the file is whole. False: the connection was cut, but brought bytes.
        """
        require_secure(url, what="The signed download URL")
        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            async with self.transport.session.get(
                URL(url, encoded=True),
                headers=headers,
                timeout=TRANSFER_TIMEOUT,
                allow_redirects=False,
                proxy=proxy_for(url),
            ) as response:
                begin, size = _extent(response)
                has_nothing_more = have > 0 and response.status == 416
                if not has_nothing_more:
                    await _require_ok(response, "Downloading from storage")
                    if begin not in (0, have):
                        raise MalformedAnswerError("Storage sent another part than was asked for.")
                    await _append(response, part, known=have - begin)
        except TRANSPORT_FAILURES as error:
            if part.exists() and part.stat().st_size > have:
                return False
            raise ConnectionFailedError(f"Downloading from storage: {describe(error)}") from error
        arrived = part.stat().st_size
        if size is not None and have < arrived < size:
            return False
        if arrived != size and (size is not None or has_nothing_more):
            part.unlink()
            raise ConnectionFailedError(f"Storage holds {size} bytes, and {arrived} are here.")
        await asyncio.to_thread(_verify, part, response.headers.getall("x-goog-hash", []))
        return True


async def _append(response: aiohttp.ClientResponse, part: Path, *, known: int) -> None:
    """Add an answer's body to a file, without the ``known`` first bytes, which it has.

    Those come again from a server that takes no Range.
    """
    with part.open("ab") as file:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            file.write(chunk[known:])
            known = max(0, known - len(chunk))


def _write_out(path: Path) -> None:
    """Have the system write to the disk what it holds of a file in memory."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _extent(response: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """Return where an answer's body begins in the file (-1: who knows), and the file's size."""
    if response.status not in (206, 416):
        return 0, response.content_length
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    begin, size = match.groups() if match else (None, None)
    return -1 if begin is None else int(begin), None if size is None else int(size)


async def _require_ok(response: aiohttp.ClientResponse, what: str) -> None:
    if response.status in (200, 201, 206):
        return
    text = (await response.content.read(500)).decode("utf-8", "replace").strip()
    message = f"{what} answered {response.status}: {text or 'no message'}"
    if response.status in _TEMPORARY:
        retry_after = read_retry_after(response.headers)
        raise ServerError(message, status=response.status, retry_after=retry_after)
    raise StorageError(message, status=response.status)


def _verify(path: Path, announced: list[str]) -> None:
    """Compare a file with ``x-goog-hash: crc32c=...,md5=...``; CRC32C is in all of them.

    Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
    """
    hashes = dict(
        item.strip().partition("=")[::2] for header in announced for item in header.split(",")
    )
    if "crc32c" in hashes:
        crc: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
        for chunk in blocks(path):
            crc.update(chunk)
        actual, expected = crc.digest(), hashes["crc32c"]
    elif "md5" in hashes:
        md5 = hashlib.md5(usedforsecurity=False)
        for chunk in blocks(path):
            md5.update(chunk)
        actual, expected = md5.digest(), hashes["md5"]
    else:
        return
    if base64.b64encode(actual).decode() != expected:
        raise ChecksumError(
            f"{path.name} arrived damaged: its checksum is not the one that storage announced."
        )
