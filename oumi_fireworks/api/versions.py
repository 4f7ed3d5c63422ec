"""Which version of a file storage has sent, so that the bytes of two are never mixed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import aiohttp
import google_crc32c
import orjson
from multidict import CIMultiDictProxy

from oumi_fireworks.api.bodies import blocks
from oumi_fireworks.api.values import int_at, text_at
from oumi_fireworks.errors import ChecksumError, MalformedAnswerError
from oumi_fireworks.files import open_private
from oumi_fireworks.grammar import number

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)")


@dataclass(frozen=True)
class FileVersion:
    """What storage says of a file that it sends.

    Source: https://cloud.google.com/storage/docs/xml-api/reference-headers

    Attributes:
        size: Bytes of the whole file; -1 where storage does not say.
        etag: ``ETag``.
        generation: ``x-goog-generation``.
        hashes: ``x-goog-hash``, such as ``crc32c=...,md5=...``.
    """

    size: int = -1
    etag: str = ""
    generation: str = ""
    hashes: str = ""

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> Self:
        """Read the headers of an answer.

        Raises:
            MalformedAnswerError: If they announce two sizes.
        """
        headers = response.headers
        size = -1
        if response.status in (206, 416):
            match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            size = int(match[2]) if match and match[2] else -1
        elif response.content_length is not None and response.status == 200:
            size = response.content_length
        stored = _stored_size(headers)
        if size >= 0 and 0 <= stored != size:
            raise MalformedAnswerError(
                f"Storage holds {number(stored, 'byte')}, and announces {size}."
            )
        return cls(
            size=size if size >= 0 else stored,
            etag=headers.get("ETag", ""),
            generation=headers.get("x-goog-generation", ""),
            hashes=",".join(headers.getall("x-goog-hash", [])),
        )

    @property
    def names_content(self) -> bool:
        """Whether another content would have another version."""
        return bool(self.etag or self.generation or self.hashes)

    def is_same(self, other: FileVersion) -> bool:
        """Tell whether nothing that both know differs."""
        return all(
            mine == theirs
            for mine, theirs in zip(self._known(), other._known(), strict=True)
            if mine is not None and theirs is not None
        )

    def completed_by(self, other: FileVersion) -> FileVersion:
        """Return this version, with what only the other knows of it."""
        return FileVersion(
            size=self.size if self.size >= 0 else other.size,
            etag=self.etag or other.etag,
            generation=self.generation or other.generation,
            hashes=self.hashes or other.hashes,
        )

    def save(self, path: Path) -> None:
        """Write it down."""
        with open_private(path) as file:
            file.write(orjson.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read what was written down; None where that is nothing."""
        try:
            raw = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(raw, Mapping) or "size" not in raw:
            return None
        return cls(
            size=int_at(raw, "size"),
            etag=text_at(raw, "etag"),
            generation=text_at(raw, "generation"),
            hashes=text_at(raw, "hashes"),
        )

    def check(self, path: Path) -> None:
        """Compare a file with the checksum; CRC32C is in all of them.

        Raises:
            ChecksumError: If it is another.
        """
        announced = dict(item.strip().partition("=")[::2] for item in self.hashes.split(","))
        if "crc32c" in announced:
            crc: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
            for chunk in blocks(path):
                crc.update(chunk)
            actual, expected = crc.digest(), announced["crc32c"]
        elif "md5" in announced:
            md5 = hashlib.md5(usedforsecurity=False)
            for chunk in blocks(path):
                md5.update(chunk)
            actual, expected = md5.digest(), announced["md5"]
        else:
            return
        if base64.b64encode(actual).decode() != expected:
            raise ChecksumError(
                f"{path.name} arrived damaged: its checksum is not the one that storage announced."
            )

    def _known(self) -> list[int | str | None]:
        values = [getattr(self, each.name) for each in fields(self)]
        return [None if value in (-1, "") else value for value in values]


def begin_of(response: aiohttp.ClientResponse) -> int:
    """Return where an answer's body begins in the file; -1 where it does not say."""
    if response.status != 206:
        return 0
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return int(match[1]) if match and match[1] else -1


def _stored_size(headers: CIMultiDictProxy[str]) -> int:
    """Return the size that storage holds, -1 where it sends something else than it holds."""
    encoding = headers.get("x-goog-stored-content-encoding", "identity")
    text = headers.get("x-goog-stored-content-length", "")
    return int(text) if encoding == "identity" and text.isdecimal() else -1
