"""One batch run: shard, submit, watch, collect, resume. Knows nothing of Oumi."""

from oumi_fireworks.batch.cancel import cancel
from oumi_fireworks.batch.errors import (
    BatchError,
    IncompleteBatchError,
    ManifestError,
    NoRowsError,
    NotFinishedError,
    RowError,
    RunLockedError,
    RunMismatchError,
    SpoolError,
    WaitTimeoutError,
)
from oumi_fireworks.batch.failures import FailureSummary
from oumi_fireworks.batch.fetch import BatchResults, fetch_results, log_outcome
from oumi_fireworks.batch.manifest import Stage
from oumi_fireworks.batch.plan import JobSpec
from oumi_fireworks.batch.results import OnOutcome, ResultIndex, Tally
from oumi_fireworks.batch.retry import plan_retry, retry_rows
from oumi_fireworks.batch.rows import Answer, Failure, Kind, Missing, Outcome, Unusable
from oumi_fireworks.batch.run import BatchRun, RunOptions
from oumi_fireworks.batch.shards import ShardLimits
from oumi_fireworks.batch.snapshot import Snapshot, take_snapshot
from oumi_fireworks.batch.submit import submit, submit_new
from oumi_fireworks.batch.watch import OnProgress, Patience, watch

__all__ = [
    "Answer",
    "BatchError",
    "BatchResults",
    "BatchRun",
    "Failure",
    "FailureSummary",
    "IncompleteBatchError",
    "JobSpec",
    "Kind",
    "ManifestError",
    "Missing",
    "NoRowsError",
    "NotFinishedError",
    "OnOutcome",
    "OnProgress",
    "Outcome",
    "Patience",
    "ResultIndex",
    "RowError",
    "RunLockedError",
    "RunMismatchError",
    "RunOptions",
    "ShardLimits",
    "Snapshot",
    "SpoolError",
    "Stage",
    "Tally",
    "Unusable",
    "WaitTimeoutError",
    "cancel",
    "fetch_results",
    "log_outcome",
    "plan_retry",
    "retry_rows",
    "submit",
    "submit_new",
    "take_snapshot",
    "watch",
]
