"""Signed storage: files that go to and come from Google Cloud Storage without a key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from oumi_fireworks.api.bodies import FileBody
from oumi_fireworks.api.connections import proxy_for
from oumi_fireworks.api.downloads import Download
from oumi_fireworks.api.root import require_secure
from oumi_fireworks.api.signed import UrlSource, is_stale, require_stored
from oumi_fireworks.api.transport import TRANSFER_TIMEOUT, Transport
from oumi_fireworks.errors import StorageError


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
            async with (
                self.transport.sending(body, f"Uploading {path.name} to storage") as data,
                self.transport.session.put(
                    URL(url, encoded=True),  # as it was signed, letter by letter
                    data=data,
                    headers=headers,
                    timeout=TRANSFER_TIMEOUT,
                    allow_redirects=False,
                    proxy=proxy_for(url),
                ) as response,
            ):
                await require_stored(response, "Uploading to storage")

        try:
            await self.transport.retry.run(attempt)
        except StorageError as error:
            if not is_stale(error):
                raise
            await self.transport.retry.run(attempt)  # once more, with another URL

    async def get(self, url_source: UrlSource, path: Path, *, durable: bool = True) -> None:
        """Download a file to disk, and put it at ``path`` only when it is whole.

        What arrived stays in ``<path>.part``, so a download that was cut goes on by Range, also
        in a later process: but only while storage has the same version of the file, which is
        written down beside it. Cuts are survived without limit as long as each attempt brings
        bytes; size and checksum that storage sends are verified at the end.

        A file that is at ``path`` already is replaced when storage has another version by now,
        and only when that one is whole.

        Args:
            url_source: Gives a signed URL; asked again when one went stale.
            path: Where to put the file. It must stand for one remote file alone.
            durable: Whether it has to outlast a crash of the machine, which takes longer.

        Raises:
            ChecksumError: If the file is not what storage holds, twice.
            StorageError: If storage refuses it.
            ConnectionFailedError: If nothing more arrives.
            OSError: If the disk does not take it.
        """
        await Download(self.transport, path).run(url_source, durable=durable)
