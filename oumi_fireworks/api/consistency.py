"""How long the service's reads are given to agree with what has happened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from oumi_fireworks.errors import ConfigurationError

GONE_AFTER_VARIABLE = "OUMI_FIREWORKS_GONE_AFTER"
RESULTS_TIMEOUT_VARIABLE = "OUMI_FIREWORKS_RESULTS_TIMEOUT"


@dataclass(frozen=True)
class Consistency:
    """How slowly the absence of something is believed.

    A control plane that is spread over many machines is eventually consistent: what was made a
    moment ago may be a 404 here and there, and results may follow their job's end.

    Attributes:
        gone_after: Seconds during which every look has to say that something does not exist,
            until it is taken for gone.
        results_timeout: Seconds to wait for answers that a job has counted and that cannot be
            fetched yet, or for the count of a job that has completed.
        foreign_absent_after: As ``gone_after``, for what was never seen and has an id that this
            package does not give: it was mistyped, or another tool has made it, hardly just now.
    """

    gone_after: float = 60.0
    results_timeout: float = 600.0
    foreign_absent_after: float = 5.0

    def absent_after(self, *, is_ours: bool) -> float:
        """Return after how many seconds something is taken for absent that was never seen.

        Args:
            is_ours: Whether its id is one that this package gives. Then it may have been made a
                moment ago, on this machine or on the one that has handed the id on.
        """
        return self.gone_after if is_ours else min(self.gone_after, self.foreign_absent_after)

    @classmethod
    def from_environment(
        cls,
        *,
        gone_after: float | None = None,
        results_timeout: float | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Consistency:
        """Fill in from the environment what was not given.

        Raises:
            ConfigurationError: If a variable holds no number of seconds.
        """
        default = cls()
        return cls(
            gone_after=_first(gone_after, GONE_AFTER_VARIABLE, environ, default.gone_after),
            results_timeout=_first(
                results_timeout, RESULTS_TIMEOUT_VARIABLE, environ, default.results_timeout
            ),
        )


def _first(given: float | None, variable: str, environ: Mapping[str, str], default: float) -> float:
    if given is not None:
        return given
    text = environ.get(variable, "").strip()
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{variable} must be a number of seconds, got {text!r}.")
    return seconds
