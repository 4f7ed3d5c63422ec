"""The results of a batch as OpenAI's Batch API gives them.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from __future__ import annotations

from typing import Any

from oumi_fireworks.tables.line_sink import LineSink
from oumi_fireworks.tables.sink import FinishedRow

_OK = 200


class OpenAISink(LineSink):
    """Writes ``custom_id``, ``response`` and ``error`` of each row that was sent."""

    @staticmethod
    def id_of(index: int) -> str:
        """Return the id of a line, by the position of its row among those that were sent."""
        return f"batch_req_{index}"

    def line(self, finished: FinishedRow) -> dict[str, Any] | None:
        """Return a row of the batch. The ``custom_id`` is that of its conversation."""
        sent = finished.sent
        if sent is None:
            return None
        completion, error = finished.completion, finished.error
        response = None
        if completion is not None:
            response = {
                "status_code": _OK,
                "request_id": completion.get("id"),
                "body": completion,
            }
        return {
            "id": self.id_of(sent.index),
            "custom_id": sent.conversation().conversation_id,
            "response": response,
            "error": error
            and {"code": error["code"] or error["kind"], "message": error["message"]},
        }
