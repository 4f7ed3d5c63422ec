"""The rows that go out: each a line of a batch's input file, under an id that says whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oumi_fireworks.api.request_json import encode_request, on_one_line
from oumi_fireworks.prompts import DIGEST_HEX_DIGITS

_CUSTOM_ID = re.compile(rf"request-(0|[1-9][0-9]{{0,14}})(?:-([0-9a-f]{{{DIGEST_HEX_DIGITS}}}))?")

_ID, _ID_WITH_DIGEST = "request-%d", f"request-%d-%0{DIGEST_HEX_DIGITS}x"
"""Its forms; filled in so, one takes half of the time of an f-string with a width of its own."""

_LINE, _LINE_WITH_DIGEST = (
    b'{"custom_id":"' + form.encode() + b'","body":%b}\n' for form in (_ID, _ID_WITH_DIGEST)
)


# Not frozen, here and below: they are made for every row, and that would take three times as long.
@dataclass(slots=True)
class Request:
    """One row of a batch, as it is sent.

    Attributes:
        index: The row's position in the batch, zero-based.
        body: A chat completion request without ``model``, which is the job's.
        digest: The digest of its prompt (:mod:`oumi_fireworks.prompts`); None where it is not
            known.
        line: What :func:`encode_row` makes of it, where that was needed before. A copy with other
            fields (``dataclasses.replace``) has none.
    """

    index: int
    body: Mapping[str, Any]
    digest: int | None = None
    line: bytes | None = field(default=None, init=False, compare=False)


@dataclass(slots=True)
class RowId:
    """What a ``custom_id`` says: ``request-17-9f86d081884c7d65``, or ``request-17``.

    Attributes:
        index: The row's position in the batch, zero-based.
        digest: The digest of its prompt. None in ids that Oumi's own engine makes, and
            that earlier versions of this package made.
    """

    index: int
    digest: int | None = None

    def __str__(self) -> str:
        if self.digest is None:
            return _ID % self.index
        return _ID_WITH_DIGEST % (self.index, self.digest)

    @classmethod
    def parse(cls, text: object) -> RowId | None:
        """Read an id; None where it is not of that form."""
        match = _CUSTOM_ID.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            return None
        index, digest = match.groups()
        return cls(int(index), None if digest is None else int(digest, 16))


def indexes_in(path: Path) -> Iterator[int]:
    """Yield the positions of the rows in a file of requests of ours."""
    with path.open("rb") as file:
        for line in file:
            name = RowId.parse(line.split(b'"', 4)[3].decode())
            assert name is not None
            yield name.index


def encode_row(request: Request) -> bytes:
    r"""Return a request as a line of a batch's input file, ``\n`` included."""
    if request.line is not None:
        return request.line
    return _line(request, encode_body(request))


def encode_body(request: Request) -> bytes:
    """Return the body of a request as it is in its line."""
    return on_one_line(encode_request(request.body))


def keep_line(request: Request, body: bytes) -> None:
    """Let a request have its line, whose body was encoded before."""
    request.line = _line(request, body)


def _line(request: Request, body: bytes) -> bytes:
    if request.digest is None:
        return _LINE % (request.index, body)
    return _LINE_WITH_DIGEST % (request.index, request.digest, body)
