"""How batches stand, in Oumi's terms: one of them, or a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oumi.inference.remote_inference_engine import BatchInfo, BatchListResponse, BatchStatus

from oumi_fireworks.api import FireworksClient, Job, Page, Phase
from oumi_fireworks.api.jobs import LARGEST_PAGE
from oumi_fireworks.batch import Snapshot
from oumi_fireworks.batch.ids import batch_of_job
from oumi_fireworks.engine.costs import cost_of
from oumi_fireworks.errors import InvalidRequestError
from oumi_fireworks.money import Prices

_STATUS = {
    Phase.VALIDATING: BatchStatus.VALIDATING,
    Phase.WAITING: BatchStatus.IN_PROGRESS,
    Phase.RUNNING: BatchStatus.IN_PROGRESS,
    Phase.FINALIZING: BatchStatus.FINALIZING,
    Phase.COMPLETED: BatchStatus.COMPLETED,
    Phase.FAILED: BatchStatus.FAILED,
    Phase.EXPIRED: BatchStatus.EXPIRED,
    Phase.CANCELLING: BatchStatus.CANCELLING,
    Phase.CANCELLED: BatchStatus.CANCELLED,
}

_DEFAULT_LIMIT = 50
"""Batches of a page."""

_MOST_CURSORS = 1000
"""Places in the list that are remembered, for the next page."""


def to_batch_info(snapshot: Snapshot, own: Prices | None = None) -> BatchInfo:
    """Say in Oumi's terms how a batch stands.

    Timestamps are in UTC and have their zone. ``metadata`` holds what Oumi has no field for:
    ``state`` (raw), ``model``, ``input_dataset``, ``output_dataset``, ``percent``, the token
    counts, ``cost`` (dollars so far; None where no price is known), ``waiting_on_capacity``,
    ``continued_from``, and for several jobs one entry each under ``jobs``.

    Args:
        snapshot: The batch.
        own: The user's own prices; None leaves them to the table.
    """
    phase, progress = snapshot.phase, snapshot.progress
    updated = max((job.updated for job in snapshot.jobs if job.updated), default=None)
    ended = snapshot.ended
    return BatchInfo(
        id=snapshot.batch_id,
        status=_STATUS[phase],
        total_requests=progress.total,
        completed_requests=progress.succeeded,
        failed_requests=progress.failed,
        endpoint="/v1/chat/completions",
        input_file_id=_joined(job.input_dataset for job in snapshot.jobs),
        output_file_id=_joined(job.output_dataset for job in snapshot.jobs),
        batch_completion_window=f"{snapshot.window.total_seconds() / 3600:g}h",
        error=snapshot.error,
        created_at=snapshot.created,
        in_progress_at=snapshot.started,
        expires_at=snapshot.expires,
        finalizing_at=updated if phase is Phase.FINALIZING else None,
        completed_at=ended if phase is Phase.COMPLETED else None,
        failed_at=ended if phase is Phase.FAILED else None,
        expired_at=ended if phase is Phase.EXPIRED else None,
        canceling_at=updated if phase is Phase.CANCELLING else None,
        canceled_at=ended if phase is Phase.CANCELLED else None,
        metadata=_metadata(snapshot, own),
    )


def _metadata(snapshot: Snapshot, own: Prices | None) -> dict[str, Any]:
    progress, cost = snapshot.progress, cost_of(snapshot, own)
    metadata: dict[str, Any] = {
        "state": snapshot.state,
        "model": snapshot.jobs[0].model or None,
        "display_name": snapshot.jobs[0].display_name or None,
        "input_dataset": _joined(job.input_dataset for job in snapshot.jobs),
        "output_dataset": _joined(job.output_dataset for job in snapshot.jobs),
        "percent": progress.percent,
        "processed_requests": progress.processed,
        "input_tokens": progress.input_tokens,
        "output_tokens": progress.output_tokens,
        "cached_input_tokens": progress.cached_tokens,
        "cost": None if cost is None else float(cost),
        "waiting_on_capacity": snapshot.waiting_on_capacity,
        "continued_from": _joined(job.continued_from for job in snapshot.jobs),
    }
    if len(snapshot.jobs) > 1:
        metadata["jobs"] = [_job_metadata(job) for job in snapshot.jobs]
    return metadata


def _job_metadata(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "percent": job.progress.percent,
        "total_requests": job.progress.total,
        "completed_requests": job.progress.succeeded,
        "failed_requests": job.progress.failed,
        "error": job.message or None,
    }


def _joined(names: Iterable[str | None]) -> str | None:
    """Return one name as it is and several with commas; None for none."""
    return ",".join(name for name in names if name) or None


class BatchLister:
    """Turns job ids into Fireworks' page tokens, which are opaque and no ids.

    The tokens of the pages that it has given are remembered. A last id that it does not know, of
    another process say, is looked for from the beginning.
    """

    def __init__(self) -> None:
        self._token_after: dict[str, str] = {}

    async def page(
        self, client: FireworksClient, after: str | None, limit: int | None
    ) -> BatchListResponse:
        """Fetch the page after a job, newest first.

        Args:
            client: The account.
            after: The id of the last job seen, or a page token; None for the first page.
            limit: Jobs at the most; 50 by default.

        Raises:
            ValueError: If ``limit`` is less than 1.
        """
        size = _DEFAULT_LIMIT if limit is None else limit
        if size < 1:
            raise ValueError(f"limit must be 1 or more, got {size}.")
        size = min(size, LARGEST_PAGE)
        if after is None:
            page = await _filled_page(client, "", size)
        elif after in self._token_after:
            page = await _filled_page(client, self._token_after[after], size)
        else:
            page = await self._page_after_stranger(client, after, size)
        return self._response(page)

    async def _page_after_stranger(
        self, client: FireworksClient, after: str, size: int
    ) -> Page[Job]:
        """Find the page after a job that this object has not given, or take it for a token."""
        token = ""
        while True:
            page = await client.jobs.page(token, size=size)
            ids = [job.id for job in page.items]
            if after in ids:
                rest = page.items[ids.index(after) + 1 :]
                if rest or not page.next_token:
                    return Page(rest, page.next_token, page.total)
                return await _filled_page(client, page.next_token, size)
            if not page.next_token:
                return await _page_at(client, after, size)
            token = page.next_token

    def _response(self, page: Page[Job]) -> BatchListResponse:
        batches = [to_batch_info(Snapshot(job.id, (job,))) for job in page.items]
        for batch in batches:
            assert batch.metadata is not None
            batch.metadata["batch_id"] = batch_of_job(batch.id)
            batch.metadata["next_page_token"] = page.next_token or None
        if batches and page.next_token:
            if len(self._token_after) >= _MOST_CURSORS:
                self._token_after.clear()
            self._token_after[batches[-1].id] = page.next_token
        return BatchListResponse(
            batches=batches,
            first_id=batches[0].id if batches else None,
            last_id=batches[-1].id if batches else None,
            has_more=bool(page.next_token),
        )


async def _page_at(client: FireworksClient, after: str, size: int) -> Page[Job]:
    """Take what is no job's id for a page token."""
    try:
        return await _filled_page(client, after, size)
    except InvalidRequestError as error:
        raise InvalidRequestError(
            f"There is no batch job {after!r} to go on after, and as a page token it is refused: "
            f"{error}",
            status=error.status,
            code=error.code,
        ) from error


async def _filled_page(client: FireworksClient, token: str, size: int) -> Page[Job]:
    """Fetch a page, passing over empty ones, which AIP-158 allows before the last.

    An empty page has no last id, and without one a caller would begin again.
    """
    page = await client.jobs.page(token, size=size)
    while not page.items and page.next_token not in ("", token):
        token = page.next_token
        page = await client.jobs.page(token, size=size)
    return page
