"""Batch inference jobs, and what each of their states means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from oumi_fireworks.api.pages import Page
from oumi_fireworks.api.transport import Transport
from oumi_fireworks.api.values import (
    duration_at,
    id_of,
    int_at,
    mapping_at,
    objects_at,
    text_at,
    time_at,
)
from oumi_fireworks.errors import NotFoundError, RouteError

LARGEST_PAGE = 200
"""Largest page that a list gives."""

DEFAULT_WINDOW = timedelta(hours=24)
"""How long a job may take that does not say: Fireworks' guide to batch inference, November 2026."""


class Phase(Enum):
    """What a job's state means to somebody who waits for it."""

    VALIDATING = "validating"
    WAITING = "waiting"
    RUNNING = "running"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen."""
        return self in _TERMINAL


_TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.EXPIRED, Phase.CANCELLED})

_PHASES = {
    "UNSPECIFIED": Phase.VALIDATING,
    "VALIDATING": Phase.VALIDATING,
    "CREATING_INPUT_DATASET": Phase.VALIDATING,
    "CREATING_DEPENDENCIES": Phase.WAITING,
    "PENDING": Phase.WAITING,
    "CREATING": Phase.WAITING,
    "RE_QUEUEING": Phase.WAITING,
    "IDLE": Phase.WAITING,
    "PAUSED": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "WRITING_RESULTS": Phase.FINALIZING,
    "COMPLETED": Phase.COMPLETED,
    "FAILED": Phase.FAILED,
    "FAILED_CLEANING_UP": Phase.FAILED,
    "EXPIRED": Phase.EXPIRED,
    "EXPIRED_CLEANING_UP": Phase.EXPIRED,
    "EARLY_STOPPED": Phase.EXPIRED,
    "CANCELLING": Phase.CANCELLING,
    "CANCELLED": Phase.CANCELLED,
    "DELETING": Phase.CANCELLED,
    "DELETING_CLEANING_UP": Phase.CANCELLED,
    "DELETED": Phase.CANCELLED,
    "ARCHIVED": Phase.CANCELLED,
}


def phase_of(state: str) -> Phase:
    """Return what a raw state means.

    ``FAILED_CLEANING_UP``, ``EXPIRED_CLEANING_UP`` and ``CREATING_DEPENDENCIES`` are in the
    protobuf of the gateway, though not in the public list: in the first two nothing more is
    computed. A state that this table does not know is taken for a job at work: waiting on costs a
    poll, giving up would cost the batch.
    """
    return _PHASES.get(state.removeprefix("JOB_STATE_"), Phase.RUNNING)


@dataclass(frozen=True)
class Progress:
    """``jobProgress``: null until the job runs, then all zero here.

    Attributes:
        percent: 0 to 100.
        total: Rows, as declared by the input dataset or as processed, whichever is larger. 0 for
            a while after the job began to run: 35 minutes were seen.
        processed: Rows finished, well or badly.
        succeeded: Rows answered.
        failed: Rows that failed.
        input_tokens: Prompt tokens.
        output_tokens: Completion tokens.
        cached_tokens: Prompt tokens that came from the cache.
    """

    percent: int = 0
    total: int = 0
    processed: int = 0
    succeeded: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Progress:
        """Read the service's JSON."""
        succeeded = int_at(raw, "successfullyProcessedRequests")
        failed = int_at(raw, "failedRequests")
        processed = max(int_at(raw, "totalProcessedRequests"), succeeded + failed)
        return cls(
            percent=int_at(raw, "percent"),
            total=max(int_at(raw, "totalInputRequests"), processed),
            processed=processed,
            succeeded=succeeded,
            failed=failed,
            input_tokens=int_at(raw, "inputTokens"),
            output_tokens=int_at(raw, "outputTokens"),
            cached_tokens=int_at(raw, "cachedInputTokenCount"),
        )


@dataclass(frozen=True)
class Job:
    """A batch inference job.

    Attributes:
        id: The last part of its name.
        name: ``accounts/<account>/batchInferenceJobs/<id>``.
        state: The raw state, ``JOB_STATE_...``.
        message: ``status.message``: why it failed.
        model: Resource name of the model.
        input_dataset: Resource name of its input.
        output_dataset: Resource name of its results.
        system_prompt: What is put before each row that has no system message; empty for none.
        continued_from: Resource name of the job whose rest it does; empty for most.
        created: When it was made.
        updated: When the service last touched it.
        expires: When it will expire.
        window: How long it may take, ``maxJobDuration``: 12, 24, 48 or 72 hours; None for the
            service's own 24 hours. A Duration of proto3 JSON (``172800s``); one client that was
            verified against the service sends ``48h``, so both are read.
        validated: When its input was found good.
        started: When it began to run.
        ended: When it ended.
        waiting_on_capacity: Whether it waits for a machine.
        progress: Rows and tokens so far.
    """

    id: str
    name: str
    state: str
    message: str = ""
    model: str = ""
    display_name: str = ""
    input_dataset: str = ""
    output_dataset: str = ""
    system_prompt: str = field(default="", repr=False)
    continued_from: str = ""
    created: datetime | None = None
    updated: datetime | None = None
    expires: datetime | None = None
    window: timedelta | None = None
    validated: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    waiting_on_capacity: bool = False
    progress: Progress = Progress()

    @property
    def phase(self) -> Phase:
        """What :attr:`state` means."""
        return phase_of(self.state)

    @property
    def time_allowed(self) -> timedelta:
        """How long it may take: :attr:`window`, or the service's own 24 hours."""
        return self.window or DEFAULT_WINDOW

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Job:
        """Read the service's JSON."""
        name = text_at(raw, "name")
        lifecycle = mapping_at(raw, "lifecycle")
        return cls(
            id=id_of(name),
            name=name,
            state=text_at(raw, "state") or "JOB_STATE_UNSPECIFIED",
            message=text_at(mapping_at(raw, "status"), "message"),
            model=text_at(raw, "model"),
            display_name=text_at(raw, "displayName"),
            input_dataset=text_at(raw, "inputDatasetId"),
            output_dataset=text_at(raw, "outputDatasetId"),
            system_prompt=str(raw.get("systemPrompt") or ""),
            continued_from=text_at(raw, "continuedFromJobName"),
            created=time_at(raw, "createTime"),
            updated=time_at(raw, "updateTime"),
            expires=time_at(raw, "expireTime"),
            window=duration_at(raw, "maxJobDuration"),
            validated=time_at(lifecycle, "validatedTime"),
            started=time_at(lifecycle, "runStartTime"),
            ended=time_at(lifecycle, "endTime"),
            waiting_on_capacity=bool(raw.get("waitingOnCapacity")),
            progress=Progress.parse(mapping_at(raw, "jobProgress")),
        )


@dataclass(frozen=True)
class Jobs:
    """``/v1/accounts/<account>/batchInferenceJobs`` of one account."""

    transport: Transport
    account: str

    @property
    def _path(self) -> str:
        return f"/v1/accounts/{self.account}/batchInferenceJobs"

    def name(self, job_id: str) -> str:
        """Return the resource name for an id; a name stays as it is."""
        if job_id.startswith("accounts/"):
            return job_id
        return f"accounts/{self.account}/batchInferenceJobs/{job_id}"

    async def create(self, job_id: str, fields: Mapping[str, Any]) -> Job:
        """Start a job. Sent once, and not repeated here.

        Whether a lost answer means that there is no job is for the caller to find out.

        Args:
            job_id: Chosen by the client. A second job of the same id is refused, which is what
                makes it safe to send this again.
            fields: The job's fields: ``model``, ``inputDatasetId``, ``outputDatasetId``, ...

        Raises:
            ConflictError: If it exists, maybe because an earlier answer to this was lost.
        """
        params = {"batchInferenceJobId": job_id}
        return Job.parse(
            await self.transport.exchange(
                "POST", self._path, params=params, json=dict(fields), about=job_id
            )
        )

    async def get(self, job_id: str) -> Job:
        """Fetch one. Raises NotFoundError if there is none."""
        path = f"/v1/{self.name(job_id)}"
        return Job.parse(await self.transport.request("GET", path, about=job_id))

    async def cancel(self, job_id: str) -> None:
        """Stop a job, keeping the rows that it has finished.

        Use ``:cancel`` where the service has that route; the OpenAPI text has none, and there
        DELETE stops a running job. A 404 does not tell which one is missing, the route or the
        job: gRPC's gateway sends code 5 for both. So the DELETE decides.

        Raises:
            NotFoundError: If there is no such job.
        """

        async def has_route() -> bool:
            path = f"/v1/{self.name(job_id)}:cancel"
            try:
                await self.transport.exchange("POST", path, json={})
            except (NotFoundError, RouteError):
                return False
            return True

        if not await self.transport.retry.run(has_route):
            await self.delete(job_id)

    async def delete(self, job_id: str) -> None:
        """Stop a job if it runs, and remove it. Raises NotFoundError if there is none."""
        await self.transport.request("DELETE", f"/v1/{self.name(job_id)}")

    async def page(
        self,
        token: str = "",
        *,
        size: int = LARGEST_PAGE,
    ) -> Page[Job]:
        """Fetch one page, newest first.

        Args:
            token: From the page before; empty for the first.
            size: Jobs at the most, up to :data:`LARGEST_PAGE`.
        """
        params = {"pageSize": str(size), "orderBy": "create_time desc"}
        if token:
            params["pageToken"] = token
        answer = await self.transport.request("GET", self._path, params=params)
        return Page(
            items=[Job.parse(raw) for raw in objects_at(answer, "batchInferenceJobs")],
            next_token=text_at(answer, "nextPageToken"),
            total=int_at(answer, "totalSize"),
        )
