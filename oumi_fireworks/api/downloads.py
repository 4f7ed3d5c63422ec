"""One download by signed URL: cut, continued, and begun anew where the file is another now."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path

import aiohttp
from yarl import URL

from oumi_fireworks.api.connections import (
    TRANSPORT_FAILURES,
    cause_of,
    failure_of,
    proxy_for,
)
from oumi_fireworks.api.root import require_secure
from oumi_fireworks.api.signed import UrlSource, is_stale, require_stored
from oumi_fireworks.api.transport import TRANSFER_TIMEOUT, Transport
from oumi_fireworks.api.versions import FileVersion, begin_of
from oumi_fireworks.errors import (
    ChecksumError,
    ConnectionFailedError,
    MalformedAnswerError,
    StorageError,
)
from oumi_fireworks.files import open_private, sync_file, sync_folder
from oumi_fireworks.grammar import number

_CHUNK_BYTES = 1 << 20
"""Bytes read at a time."""

_MOST_STALE_URLS = 5
"""Signed URLs that may run out one after the other before a download is given up."""

_MOST_CHANGES = 5
"""Times that a file may change on the service while it is downloaded."""


class _Step(Enum):
    """How far one request has come."""

    WHOLE = auto()
    CUT = auto()
    """The connection broke, but brought bytes."""
    CHANGED = auto()
    """What was here belongs to another version of the file, and is thrown away."""
    CURRENT = auto()
    """The file at its place is what storage has."""


@dataclass(frozen=True)
class Download:
    """A file on its way to the disk.

    Attributes:
        transport: The session.
        path: Where it goes when it is whole.
    """

    transport: Transport
    path: Path

    @property
    def _part(self) -> Path:
        """What has arrived so far."""
        return self.path.with_name(self.path.name + ".part")

    async def run(self, url_source: UrlSource, *, durable: bool) -> None:
        """Fetch the file; see :meth:`Storage.get`."""
        stale = corrupt = changed = 0
        url = await url_source()
        while True:
            try:
                step = await self.transport.retry.run(partial(self._get_some, url))
            except StorageError as error:
                stale += 1
                if not is_stale(error) or stale > _MOST_STALE_URLS:
                    raise
                url = await url_source()
                continue
            except ChecksumError:
                corrupt += 1
                self._discard()
                if corrupt > 1:
                    raise
                continue
            if step is _Step.CURRENT:
                return
            if step is _Step.WHOLE:
                break
            stale = 0
            changed += step is _Step.CHANGED
            if changed > _MOST_CHANGES:
                raise ConnectionFailedError(
                    f"{self.path.name} has changed on Fireworks {number(changed, 'time')} while it "
                    "was fetched. Try again later."
                )
        if durable:
            await asyncio.to_thread(sync_file, self._part)
        os.replace(self._part, self.path)
        os.replace(_version_of(self._part), _version_of(self.path))
        if durable:
            sync_folder(self.path.parent)

    async def _get_some(self, url: str) -> _Step:
        """Fetch the rest of a file as far as it comes."""
        require_secure(url, what="The signed download URL")
        known = self._known()
        have = self._part.stat().st_size if known else 0
        here = FileVersion.load(_version_of(self.path)) if self.path.exists() else None
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        elif here and here.etag:
            headers["If-None-Match"] = here.etag
        try:
            async with self.transport.session.get(
                URL(url, encoded=True),
                headers=headers,
                timeout=TRANSFER_TIMEOUT,
                allow_redirects=False,
                proxy=proxy_for(url),
            ) as response:
                if response.status == 304 and here is not None and not have:
                    return _Step.CURRENT
                version = FileVersion.of(response)
                if response.status == 416 and known is not None and have:
                    if version.size != have or not known.is_same(version):
                        self._discard()
                        return _Step.CHANGED
                    version = known.completed_by(version)
                else:
                    await require_stored(response, "Downloading from storage")
                    if here == version and here.names_content and not have:
                        return _Step.CURRENT
                    begin = begin_of(response)
                    if begin not in (0, have):
                        raise MalformedAnswerError("Storage sent another part than was asked for.")
                    if known is not None and not known.is_same(version):
                        self._discard()
                        if begin:
                            return _Step.CHANGED
                        known, have = None, 0
                    if known is not None:
                        version = known.completed_by(version)
                    else:
                        version.save(_version_of(self._part))
                    await _append(response, self._part, known=have - begin)
        except TRANSPORT_FAILURES as error:
            if self._part.exists() and self._part.stat().st_size > have:
                return _Step.CUT
            raise failure_of("Downloading from storage", error) from cause_of(error)
        return await self._judge(version, have)

    async def _judge(self, version: FileVersion, had: int) -> _Step:
        """Compare what has arrived with what storage has announced."""
        arrived = self._part.stat().st_size
        if had < arrived < version.size:
            return _Step.CUT
        if version.size >= 0 and arrived != version.size:
            self._discard()
            raise ConnectionFailedError(
                f"Storage holds {number(version.size, 'byte')}, and {arrived} are here."
            )
        await asyncio.to_thread(version.check, self._part)
        return _Step.WHOLE

    def _known(self) -> FileVersion | None:
        """Return which version the bytes that have arrived are of; discard what is of none."""
        if self._part.is_file() and not self._part.is_symlink():
            version = FileVersion.load(_version_of(self._part))
            if version is not None:
                return version
        self._discard()
        return None

    def _discard(self) -> None:
        self._part.unlink(missing_ok=True)
        _version_of(self._part).unlink(missing_ok=True)


def _version_of(path: Path) -> Path:
    return path.with_name(path.name + ".version")


async def _append(response: aiohttp.ClientResponse, part: Path, *, known: int) -> None:
    """Add an answer's body to a file, without the ``known`` first bytes, which it has.

    Those come again from a server that takes no Range.
    """
    with open_private(part, append=True) as file:
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            file.write(chunk[known:])
            known = max(0, known - len(chunk))
