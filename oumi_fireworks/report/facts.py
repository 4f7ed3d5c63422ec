"""What is known of the run as a whole, beside its rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.report.rejections import RejectedAnswers


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job of the batch: a shard, or a later attempt at the rows that an earlier job left.

    Attributes:
        id: The job's id.
        state: The service's name for its state, such as `JOB_STATE_COMPLETED`.
        label: What the job is in the batch, such as `shard 2` or `attempt 2`.
        created: When the job was made.
        validated: When its input had been checked.
        started: When the first row ran.
        ended: When it stopped, for whatever reason.
        rows: Rows that it was given.
        window: How long it was allowed to take.
        message: What the service said about its end.
    """

    id: str
    state: str | None = None
    label: str | None = None
    created: datetime | None = None
    validated: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    rows: int | None = None
    window: timedelta | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run as a whole.

    Attributes:
        batch_id: The id that stands for all jobs of the batch.
        model: The model that answered.
        state: The state of the batch; the service's own names are understood.
        jobs: Its jobs, in the order in which the page shows them.
        prices: What tokens cost; without them the page says nothing about money.
        online_prices: What tokens cost of rows that ran online, after a deadline.
        paid: The tokens of all batches, as the service bills them. Answers that were not kept are
            among them. None where the service does not say.
        online: The tokens of all answers that came online, after a deadline; None where only the
            rows tell.
        rejections: The answers that did not hold, by kind, the most frequent first.
        notes: Whole sentences that a reader must know, such as how many lines of the results
            could not be read.
    """

    batch_id: str | None = None
    model: str | None = None
    state: str | None = None
    jobs: tuple[JobFacts, ...] = ()
    prices: Prices | None = None
    online_prices: Prices | None = None
    paid: Usage | None = None
    online: Usage | None = None
    notes: tuple[str, ...] = ()
    rejections: tuple[RejectedAnswers, ...] = ()
