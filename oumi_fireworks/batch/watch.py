"""Waiting for a batch to end, gently and for as long as it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from oumi_fireworks.api import FireworksClient, is_retryable
from oumi_fireworks.batch.concerns import expiring, standing
from oumi_fireworks.batch.polling import Backoff
from oumi_fireworks.batch.snapshot import BatchView, Snapshot
from oumi_fireworks.errors import FireworksError, WaitTimeoutError
from oumi_fireworks.logs import logger_for

logger = logger_for(__name__)

_FIRST_POLL = 0.5

OnProgress = Callable[[Snapshot], None]
"""Called after each look at the batch; in the waiting thread's event loop, so it must be quick."""


@dataclass(frozen=True)
class WaitPolicy:
    """How to wait.

    Attributes:
        poll_interval: Longest wait between two looks, in seconds. The first ones are shorter: a
            wait has grown to a minute when two minutes have passed. The service updates a job
            about once a minute (captures of August 2026), so looking more often gains nothing.
        timeout: Seconds until :class:`WaitTimeoutError`; None waits until the batch ends.
        pending_warning: Seconds that a job may stand still before it begins to run, until a
            warning says that the model may not support batch.

    Raises:
        ValueError: If ``poll_interval`` is not more than 0: that would be a look without a pause.
    """

    poll_interval: float = 60.0
    timeout: float | None = None
    pending_warning: float = 1800.0

    def __post_init__(self) -> None:
        if not self.poll_interval > 0:
            raise ValueError(
                f"poll_interval must be more than 0 seconds, got {self.poll_interval}."
            )


async def watch(
    client: FireworksClient,
    batch_id: str,
    wait_policy: WaitPolicy,
    on_progress: OnProgress | None = None,
    refused: Mapping[str, str] | None = None,
) -> Snapshot:
    """Wait until a batch has ended.

    A poll that fails is only a poll: connection errors, 429 and 5xx are waited out, for hours if
    need be, and a job that is not to be seen for a moment is one that goes on. What cannot get
    better (no such batch, a bad key) is raised.

    Args:
        client: The account.
        batch_id: The batch's id.
        wait_policy: How to wait.
        on_progress: Told about each look.
        refused: The service's words for jobs of it that it refused to create, by id.

    Raises:
        WaitTimeoutError: If it takes longer than ``wait_policy.timeout``. The batch goes on.
        FireworksError: What cannot get better.
    """
    begun = time.monotonic()
    backoff = Backoff(first=_FIRST_POLL, bound=wait_policy.poll_interval)
    watcher = Concerns(wait_policy.pending_warning)
    view = BatchView(client, batch_id, refused)
    while True:
        snapshot = await _look(view, watcher)
        waited = time.monotonic() - begun
        if snapshot is not None:
            watcher.saw(snapshot, waited)
            if on_progress is not None:
                on_progress(snapshot)
            if snapshot.is_terminal and view.is_settled:
                return snapshot
        wait = backoff.next()
        if wait_policy.timeout is not None:
            left = wait_policy.timeout - waited
            if left <= 0:
                raise WaitTimeoutError(
                    f"Batch {batch_id} has not ended after {wait_policy.timeout:.0f} s"
                    f"{f' ({snapshot.state})' if snapshot else ''}. It goes on: wait again, or "
                    f"cancel it with `oumi-fireworks batch cancel {batch_id}`."
                )
            wait = min(wait, left)
        await asyncio.sleep(wait)


async def _look(view: BatchView, concerns: Concerns) -> Snapshot | None:
    try:
        snapshot = await view.look()
    except FireworksError as error:
        if not is_retryable(error):
            raise
        concerns.poll_failed(error)
        return None
    concerns.poll_worked()
    return snapshot


class Concerns:
    """What a person should hear about while waiting: each thing once, not at each poll."""

    def __init__(self, pending_warning: float) -> None:
        self._pending_warning = pending_warning
        self._is_failing = False
        self._told: set[str] = set()
        self._seen: dict[str, tuple[str, float]] = {}

    def poll_failed(self, error: FireworksError) -> None:
        """Note that a look has failed; say so at the first one."""
        if not self._is_failing:
            logger.warning(
                "Cannot look at the batch, and will try again (the batch itself goes on): %s", error
            )
        self._is_failing = True

    def poll_worked(self) -> None:
        """Note that a look has worked; say so after one that had not."""
        if self._is_failing:
            logger.info("The batch can be seen again.")
        self._is_failing = False

    def saw(self, snapshot: Snapshot, waited: float) -> None:
        """Note what a look has shown after so many seconds; warn once of what hangs."""
        for job in snapshot.jobs:
            state, since = self._seen.get(job.id, ("", waited))
            self._seen[job.id] = (job.state, since if state == job.state else waited)
        stood = {job_id: waited - since for job_id, (_, since) in self._seen.items()}
        still = standing(snapshot, stood, self._pending_warning)
        for concern in (still, *expiring(snapshot, datetime.now(UTC))):
            if concern is not None and concern.kind not in self._told:
                self._told.add(concern.kind)
                logger.warning("%s", concern.message)
