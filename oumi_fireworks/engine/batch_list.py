"""Listing batch jobs the way Oumi's callers page: by the id of the last job seen."""

from __future__ import annotations

from oumi.inference.remote_inference_engine import BatchListResponse

from oumi_fireworks.api import FireworksClient, Job, Page
from oumi_fireworks.api.jobs import LARGEST_PAGE
from oumi_fireworks.batch import Snapshot
from oumi_fireworks.batch.ids import batch_of_job
from oumi_fireworks.engine.batch_info import to_batch_info
from oumi_fireworks.errors import InvalidRequestError

_DEFAULT_LIMIT = 50
_MOST_CURSORS = 1000


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
