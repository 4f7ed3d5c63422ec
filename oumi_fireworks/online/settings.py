"""How a pump works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oumi_fireworks.online.stream_rule import StreamMode

__all__ = ["PumpSettings"]


@dataclass(frozen=True, kw_only=True)
class PumpSettings:
    """How a pump works; what Oumi's ``RemoteParams`` have, too, means the same here.

    Attributes:
        url: Where chat completions are posted.
        headers: Sent along, the key among them; kept out of ``repr`` and of errors.
        workers: Most requests at once, or None to let the pump find how many are worth it.
        adaptive: Have fewer requests at once while the service has too much to do.
        max_retries: How often a row is tried again. Refusals do not count.
        backoff_base: Seconds before a row's first retry; each further one waits ten times longer.
        backoff_max: Most seconds before a retry.
        timeout: Seconds for one request; 0 for no limit. A stream may take twelve times as long, if
            it is never silent for so long, nor for two minutes.
        stream: Whether requests are streamed: those with long answers, all or none.
        requests_per_minute: Ceiling over any 60 seconds, or None.
        input_tokens_per_minute: Ceiling over any 60 seconds, or None.
        output_tokens_per_minute: Ceiling over any 60 seconds, or None.
        politeness: Seconds that a worker rests before its next request.
        refusal_timeout: Seconds without anything that gets through, as requests are refused or
            the deployment is starting, after which a run gives up.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    workers: int | None = None
    adaptive: bool = True
    max_retries: int = 5
    backoff_base: float = 1.0
    backoff_max: float = 30.0
    timeout: float = 300.0
    stream: StreamMode = "auto"
    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    politeness: float = 0.0
    refusal_timeout: float = 1800.0

    @property
    def secret(self) -> str:
        """The key among the headers, or an empty text."""
        return self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
