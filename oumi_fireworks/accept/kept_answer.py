"""What is known of a row whose answers do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from oumi_fireworks.accept.verdicts import Rejection


@dataclass(frozen=True)
class KeptAnswer:
    """The best of a row's rejected answers.

    Attributes:
        completion: The answer that came nearest.
        rejection: Why it does not hold.
        times: How many of its answers were rejected.
    """

    completion: Mapping[str, Any]
    rejection: Rejection
    times: int

    def and_another(self, completion: Mapping[str, Any], rejection: Rejection) -> Self:
        """Return what is known when one more of its answers was rejected."""
        if rejection.worth < self.rejection.worth:
            completion, rejection = self.completion, self.rejection
        return replace(self, completion=completion, rejection=rejection, times=self.times + 1)
