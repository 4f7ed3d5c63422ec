"""What is read of Oumi's generation parameters.

Oumi's own classes live where torch is loaded. Known by their attributes, they can be of any class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class GuidedDecoding(Protocol):
    """What is read of Oumi's ``GuidedDecodingParams``: what the answer must look like."""

    @property
    def json(self) -> Any:
        """A JSON schema, as a value, a text or a Pydantic class."""

    @property
    def regex(self) -> str | None:
        """A regular expression."""

    @property
    def choice(self) -> Sequence[str] | None:
        """The answers to choose from."""

    @property
    def strict(self) -> bool:
        """Whether the schema is enforced."""


class GenerationSettings(Protocol):
    """What is read of Oumi's ``GenerationParams``: how to generate."""

    @property
    def max_new_tokens(self) -> int:
        """Most tokens of an answer."""

    @property
    def temperature(self) -> float:
        """Sampling temperature; 0 is greedy."""

    @property
    def top_p(self) -> float | None:
        """Probability mass to sample from; None leaves it to the service."""

    @property
    def seed(self) -> int | None:
        """Seed of the sampling."""

    @property
    def frequency_penalty(self) -> float:
        """Penalty on frequent tokens; 0 is none."""

    @property
    def presence_penalty(self) -> float:
        """Penalty on tokens that are there already; 0 is none."""

    @property
    def min_p(self) -> float:
        """Least probability of a token, relative to the likeliest one's; 0 is none."""

    @property
    def stop_strings(self) -> Sequence[str] | None:
        """Texts that end an answer."""

    @property
    def logit_bias(self) -> Mapping[Any, float]:
        """Bias by token id."""

    @property
    def guided_decoding(self) -> GuidedDecoding | None:
        """What the answer must look like."""

    @property
    def tool_choice(self) -> Any:
        """Which tool to call; None leaves it to the model."""

    @property
    def parallel_tool_calls(self) -> bool:
        """Whether several tools may be called at once."""
