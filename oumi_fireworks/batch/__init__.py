"""One batch run: shard, submit, watch, collect, resume. Knows nothing of Oumi."""

from oumi_fireworks.batch.cancel import cancel
from oumi_fireworks.batch.failures import FailureSummary
from oumi_fireworks.batch.fetch import (
    BatchResults,
    download_results,
    fetch_results,
    log_outcome,
    merge_results,
)
from oumi_fireworks.batch.file_mark import FileMark
from oumi_fireworks.batch.manifest import Stage
from oumi_fireworks.batch.outcomes import (
    Answer,
    Failure,
    Missing,
    Outcome,
    Rejected,
    RowState,
    UnreadableAnswer,
)
from oumi_fireworks.batch.pairing import Prompts
from oumi_fireworks.batch.plan import JobSpec
from oumi_fireworks.batch.repeats import Dedupe
from oumi_fireworks.batch.requests import Request
from oumi_fireworks.batch.results import OnOutcome, ResultIndex, RowCounts
from oumi_fireworks.batch.retry import needed_rows, plan_retry, retry_rows
from oumi_fireworks.batch.run import BatchRun
from oumi_fireworks.batch.run_options import RunOptions
from oumi_fireworks.batch.shards import ShardLimits
from oumi_fireworks.batch.snapshot import Snapshot, take_snapshot
from oumi_fireworks.batch.submit import submit_new
from oumi_fireworks.batch.watch import OnProgress, WaitPolicy, watch
from oumi_fireworks.deprecation import errors_once_in

__all__ = [
    "Answer",
    "BatchResults",
    "BatchRun",
    "Dedupe",
    "Failure",
    "FileMark",
    "FailureSummary",
    "JobSpec",
    "RowState",
    "Missing",
    "OnOutcome",
    "OnProgress",
    "Outcome",
    "Prompts",
    "Rejected",
    "Request",
    "WaitPolicy",
    "ResultIndex",
    "RunOptions",
    "ShardLimits",
    "Snapshot",
    "Stage",
    "RowCounts",
    "UnreadableAnswer",
    "cancel",
    "download_results",
    "fetch_results",
    "log_outcome",
    "merge_results",
    "needed_rows",
    "plan_retry",
    "retry_rows",
    "submit_new",
    "take_snapshot",
    "watch",
]

__getattr__ = errors_once_in(
    __name__,
    "BatchError IncompleteBatchError ManifestError NoRowsError NotFinishedError RowError "
    "RunLockedError RunMismatchError SpoolError WaitTimeoutError",
)
