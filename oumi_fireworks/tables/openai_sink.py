"""The results of a batch as OpenAI's Batch API gives them.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from oumi_fireworks.tables.output import BeforeReplacing, Output
from oumi_fireworks.tables.sink import FinishedRow
from oumi_fireworks.user_json import dumps

_OK = 200


class OpenAISink:
    """Writes ``custom_id``, ``response`` and ``error`` of each row that was sent.

    Args:
        output: Where to.
    """

    def __init__(self, output: Output) -> None:
        self.output = output

    @contextmanager
    def open(self, before_replacing: BeforeReplacing | None = None) -> Iterator[_Results]:
        """Write lines."""
        with self.output.writing(before_replacing=before_replacing) as file:
            yield _Results(file)


class _Results:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, finished: FinishedRow) -> None:
        """Write a row of the batch. The ``custom_id`` is that of its conversation."""
        sent = finished.sent
        if sent is None:
            return
        completion, error = finished.completion, finished.error
        response = None
        if completion is not None:
            response = {
                "status_code": _OK,
                "request_id": completion.get("id"),
                "body": completion,
            }
        line = {
            "id": f"batch_req_{sent.index}",
            "custom_id": sent.conversation().conversation_id,
            "response": response,
            "error": error
            and {"code": error["code"] or error["kind"], "message": error["message"]},
        }
        self._file.write(dumps(line) + b"\n")
