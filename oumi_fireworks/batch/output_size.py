"""How large a row of a batch's output may become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BYTES_PER_TOKEN = 8
"""More than any text has on average: English has 4 to 5, escaped code and CJK up to 6."""
_BYTES_PER_LOGPROB = 150
"""A token with its bytes and its probability, as JSON."""
_BYTES_OF_THE_REST = 1000
"""Ids, names and usage: 600 bytes in captures."""


def most_output_bytes(body: Mapping[str, Any], tokens: int) -> int:
    """Return how many bytes the output row of a request may have: an upper estimate.

    Args:
        body: The request.
        tokens: The most tokens of its answers.
    """
    per_token = _BYTES_PER_TOKEN
    if logprobs := body.get("logprobs"):
        most_likely = max(int(logprobs), int(body.get("top_logprobs") or 0))
        per_token += _BYTES_PER_LOGPROB * (1 + most_likely)
    return tokens * per_token + _BYTES_OF_THE_REST
