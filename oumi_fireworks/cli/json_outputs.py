"""What the commands print with ``--json``, as types; ``oumi-fireworks schema`` shows them.

Fields may be added in any release; what is here keeps its name and its meaning. Times are ISO 8601
with an offset, costs are dollars.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic reads no other one before Python 3.12


class AnswersOutput(TypedDict):
    """What ``oumi-fireworks batch check --answers FILE --json`` says of an output."""

    file: str
    answers: int
    rejected: dict[str, int]
    """Answers that accept would reject, by kind."""
    worth_a_rule: dict[str, int]
    """Others that are cut off, empty, no JSON, or not the schema that was asked for."""


class CheckOutput(TypedDict):
    """One finding of ``doctor``."""

    name: str
    status: Literal["ok", "failed", "skipped"]
    found: str
    """What there is, a sentence for people."""
    next_step: str
    """What to do about it; empty unless it failed."""
    details: dict[str, object]
    """The same for programs."""


class DoctorOutput(TypedDict):
    """``oumi-fireworks doctor --json``."""

    ok: bool
    checks: list[CheckOutput]


class PricesOutput(TypedDict):
    """Dollars for a million tokens."""

    input: float
    cached_input: float
    output: float
    source: str
    """Where they are from: the user, or a table with its version and its newest price."""


class ModelPricesOutput(TypedDict):
    """The prices of a model in both modes."""

    online: PricesOutput
    batch: PricesOutput


class ModelOutput(TypedDict):
    """One model of ``oumi-fireworks models --json``, which prints a list of them."""

    id: str
    """What a YAML file has as ``model.model_name``."""
    chat: bool
    images: bool
    tools: bool
    context_length: int | None
    """Tokens."""
    prices: ModelPricesOutput | None
    """null where no price is known."""


class RowsOutput(TypedDict):
    """Rows of a batch or a job, as far as Fireworks has counted."""

    total: int
    done: int
    answered: int
    failed: int


class TokensOutput(TypedDict):
    """Tokens of a batch so far."""

    input: int
    cached_input: int
    """Those of the input that the service had in its cache."""
    output: int


class JobOutput(TypedDict):
    """One job of a batch."""

    id: str
    state: str
    """The service's own name, such as JOB_STATE_RUNNING."""
    rows: RowsOutput
    input_dataset: str | None
    output_dataset: str | None
    error: str | None
    """The service's message."""


class BatchOutput(TypedDict):
    """``batch status --json``; ``batch list`` and ``batch cancel`` print a list of these."""

    id: str
    phase: str
    """What the jobs come to together: pending, running, completed, ..."""
    state: str
    """The service's own name, such as JOB_STATE_RUNNING."""
    ended: bool
    rows: RowsOutput
    percent: int
    """Of the rows, as the service says."""
    tokens: TokensOutput
    model: str | None
    display_name: str | None
    created_at: str | None
    started_at: str | None
    ended_at: str | None
    expires_at: str | None
    window_hours: float
    waiting_on_capacity: bool
    error: str | None
    jobs: list[JobOutput]
    cost: float | None
    """Dollars so far; null where no price is known."""
    prices: PricesOutput | None
    """What the cost is told by."""


class PlaceOutput(TypedDict):
    """A line of an input file, or a row of a table, from 1."""

    file: str
    line: NotRequired[int]
    row: NotRequired[int]


class ProblemOutput(PlaceOutput):
    """A line that cannot be sent."""

    message: str


class LongestOutput(PlaceOutput):
    """One of the longest prompts."""

    tokens: int


class SharedMessageOutput(TypedDict):
    """What a system message that rows share saves."""

    rows: int
    saved_bytes: int


class RequestsOutput(TypedDict):
    """The requests that an input comes to."""

    bytes: int
    """All that is uploaded."""
    largest: int
    """Bytes."""
    jobs: int
    split_by: dict[str, int]
    """Jobs by the bound that has ended them: bytes, output or rows."""
    output_bytes_at_most: int
    shared_system_message: SharedMessageOutput
    fields: dict[str, object]
    """What every request has beside its messages."""


class TokenEstimateOutput(TypedDict):
    """Tokens, estimated before anything is sent."""

    input: int
    output_at_most: int
    how: str


class CostEstimateOutput(TypedDict):
    """Dollars, estimated before anything is sent."""

    input: float
    output_at_most: float
    at_most: float
    """All of it, if each byte is a token and each answer as long as it may be."""


class CapOutput(TypedDict):
    """What the bound on the cost means, before anything is sent."""

    max_cost: float
    """Dollars."""
    at_most: float
    """Dollars that all of it can cost."""
    fits: bool
    """Whether all of it begins at once, whatever the answers are."""
    jobs_at_once: int
    """Jobs that can begin before any answer is here."""
    rows_at_once: int
    """Their rows."""


class SpreadOutput(TypedDict):
    """A sum that is not known yet, with a range that holds it 9 times of 10."""

    likely: float
    low: float
    high: float


class PilotOutput(TypedDict):
    """What a pilot has run, and what the rows that are left will take by it."""

    rows: int
    answered: int
    from_cache: int
    """Rows of it that the answer cache knew already."""
    rejected: int
    failed: int
    over_budget: int
    failures: list[str]
    """Why rows were rejected or have failed: a line for each kind, the most frequent first."""
    remembered: int
    """Rejected and failed rows that an earlier pilot has sent, and this one has not."""
    cost: float | None
    """Dollars that it has cost; null where no price is known."""
    mode: str
    """How it was run: online or batch."""
    cache: str
    """The folder where its answers are."""
    left: int
    """Rows that the run that follows sends."""
    input_tokens: SpreadOutput | None
    """null where too few rows were answered."""
    cached_input_tokens: SpreadOutput | None
    output_tokens: SpreadOutput | None
    batch_cost: SpreadOutput | None
    """Dollars as a batch; null where no price is known as well."""
    online_cost: SpreadOutput | None


class SurveyOutput(TypedDict):
    """``oumi-fireworks batch check --json``."""

    input: list[str]
    rows: int
    """Those that can be sent, or need not be."""
    repeats: int
    """Rows that ask what an earlier row asks, and are not sent."""
    from_cache: int
    """Rows that the answer cache knows, and that are not sent."""
    bad_lines: int
    problems: list[ProblemOutput]
    """The first of the bad lines."""
    requests: RequestsOutput
    messages: dict[str, int]
    """Messages by role."""
    images: int
    with_tools: int
    dropped_fields: dict[str, int]
    """Rows by the field in them that is not sent."""
    warnings: list[str]
    dropped_settings: dict[str, object]
    tokens: TokenEstimateOutput
    longest: list[LongestOutput]
    model: str
    cost: CostEstimateOutput | None
    budget: CapOutput | None
    """null without max_cost."""
    """null where no price is known."""
    prices: PricesOutput | None
    """What the cost is told by."""
    answers: AnswersOutput | None
    """What would be rejected of an output that there is; null without one."""
    pilot: PilotOutput | None
    """null without --pilot."""


class RetryOutput(TypedDict):
    """``oumi-fireworks batch retry OUTPUT --json``."""

    output: str
    answered: int
    open: int
    batches: list[str]


class FurtherBatchOutput(TypedDict):
    """``oumi-fireworks batch retry ID --json``."""

    id: str
    retry_of: str


class DatasetOutput(TypedDict):
    """A dataset that ``batch clean`` would remove."""

    id: str
    job: str
    holds: Literal["input", "results", "key"]
    rows: int | None
    created_at: str | None


class CleanOutput(TypedDict):
    """``oumi-fireworks batch clean --json``."""

    datasets: list[DatasetOutput]
    removed: int


class CacheStatsOutput(TypedDict):
    """``oumi-fireworks cache stats --json``."""

    answers: int
    bytes: int
    """Size of the database on the disk."""
    oldest: str | None
    """When the oldest answer was kept; null without any."""
    newest: str | None
    models: dict[str, int]
    """Answers by model."""


class CacheClearOutput(TypedDict):
    """``oumi-fireworks cache clear --json``."""

    removed: int
