"""Creating a batch job, exactly once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from oumi_fireworks.api import FireworksClient, Job, is_retryable
from oumi_fireworks.batch.absence import until_visible
from oumi_fireworks.batch.ids import input_dataset_id, output_dataset_id
from oumi_fireworks.batch.plan import JobSpec, PlannedJob
from oumi_fireworks.errors import (
    APIError,
    BatchError,
    ConflictError,
    FireworksError,
    InvalidRequestError,
    NotFoundError,
    RateLimitError,
    RunMismatchError,
)
from oumi_fireworks.grammar import ended


class CreationRefusedError(Exception):
    """A job was refused and does not exist: repeating the request will not help.

    Attributes:
        job: The job.
        reason: The service's refusal.
    """

    def __init__(self, job: PlannedJob, reason: APIError) -> None:
        super().__init__(str(reason))
        self.job = job
        self.reason = reason


async def provide_job(
    client: FireworksClient, job: PlannedJob, spec: JobSpec, *, may_exist: bool = False
) -> Job:
    """Create a job unless it exists. Idempotent, also across processes.

    Args:
        client: The account.
        job: The job.
        spec: What it has in common with others.
        may_exist: Whether it may have been created before, so that a refusal alone does not say
            that there is none.

    Raises:
        CreationRefusedError: If it was refused, and does not exist.
        RunMismatchError: If a job of that id exists and is another one.
        FireworksError: What stopped it; the job may exist.
    """
    fields = _fields(client, job, spec)

    async def create() -> Job:
        nonlocal may_exist
        try:
            return await client.jobs.create(job.job_id, fields)
        except FireworksError as error:
            may_exist |= is_retryable(error) and not isinstance(error, RateLimitError)
            raise

    async def attempt() -> Job:
        try:
            return await create()
        except NotFoundError as error:
            if input_dataset_id(job.job_id) not in str(error):
                raise
        # Its input was seen to be ready: what does not know it is a read that is late.
        return await until_visible(client, create)

    try:
        return await client.connection.retry.run(attempt)
    except ConflictError as conflict:
        return await _existing(client, job, fields, conflict)
    except (InvalidRequestError, NotFoundError) as refusal:
        found = await _find(client, job.job_id) if may_exist else None
        if found is not None:
            return _require_same(client, job, found, fields, refusal)
        raise CreationRefusedError(job, _with_advice(refusal, fields)) from refusal


async def exists(client: FireworksClient, job: PlannedJob, spec: JobSpec) -> bool:
    """Tell whether a job is there already, at one look; one that is not seen may still exist.

    Raises:
        RunMismatchError: If a job of that id exists and is another one.
    """
    try:
        found = await client.jobs.get(job.job_id)
    except NotFoundError:
        return False
    _require_ours(found, _fields(client, job, spec))
    return True


_ADVICE = {
    "maxJobDuration": (
        "batch_window was sent as maxJobDuration {value!r}. Which text the service takes is not "
        "documented: leave the option out, and the job has the service's own 24 hours."
    ),
    "systemPrompt": (
        "The system message that all rows share was sent once, as systemPrompt. With "
        "hoist_system_prompt: off it is sent with each row."
    ),
}
"""What to do about fields that the service may not take as we write them."""


def _with_advice(refusal: APIError, fields: Mapping[str, Any]) -> APIError:
    """Return a refusal that names a field of which there is more to say, with that said."""
    words = re.sub(r"[^a-z]", "", str(refusal).lower())
    for name, advice in _ADVICE.items():
        if name in fields and name.lower() in words:
            said = f"{str(refusal).rstrip('.')}. {advice.format(value=fields[name])}"
            return type(refusal)(said, status=refusal.status, code=refusal.code)
    return refusal


def _fields(client: FireworksClient, job: PlannedJob, spec: JobSpec) -> dict[str, Any]:
    fields = spec.fields()
    if job.continues is None:
        fields["inputDatasetId"] = client.datasets.name(input_dataset_id(job.job_id))
    else:
        fields["continuedFromJobName"] = client.jobs.name(job.continues)
    if job.system_prompt is not None:
        fields["systemPrompt"] = job.system_prompt
    fields["outputDatasetId"] = client.datasets.name(output_dataset_id(job.job_id))
    return fields


async def _existing(
    client: FireworksClient, job: PlannedJob, fields: dict[str, Any], conflict: ConflictError
) -> Job:
    """Return the job that a 409 speaks of.

    A continuation may be refused with a 409 for reasons of its own. Where no job of that id comes
    to be seen it is refused; the job that takes its place has the same id, and so cannot run
    beside it.
    """
    found = await _find(client, job.job_id)
    if found is not None:
        return _require_same(client, job, found, fields, conflict)
    if job.continues is not None:
        raise CreationRefusedError(job, conflict) from conflict
    raise BatchError(
        f"{ended(conflict)} No such job can be found, but that does not prove that there is "
        "none. Nothing was started a second time; try again later."
    ) from conflict


async def require_no_continuation(client: FireworksClient, job: PlannedJob, spec: JobSpec) -> None:
    """Refuse to run rows anew whose job exists already, as a continuation of an earlier one.

    Raises:
        RunMismatchError: If there is one. Nothing was uploaded.
    """
    try:
        found = await client.jobs.get(job.job_id)
    except NotFoundError:
        return
    if found.continued_from:
        _require_ours(found, _fields(client, job, spec))


async def _find(client: FireworksClient, job_id: str) -> Job | None:
    try:
        return await until_visible(client, lambda: client.jobs.get(job_id))
    except NotFoundError:
        return None


def _require_same(
    client: FireworksClient,
    job: PlannedJob,
    found: Job,
    fields: dict[str, Any],
    refusal: APIError,
) -> Job:
    """Return a job that exists, if it is the one that was to be created.

    Raises:
        CreationRefusedError: If a continuation was to be created, and a job with an input of its
            own has taken its place before.
        BatchError: If it is another one.
    """
    own_input = client.datasets.name(input_dataset_id(job.job_id))
    if job.continues is not None and found.input_dataset == own_input:
        raise CreationRefusedError(job, refusal) from refusal
    _require_ours(found, fields)
    return found


def _require_ours(found: Job, fields: Mapping[str, Any]) -> None:
    """Refuse a job that is not the one that was to be created.

    Args:
        found: The job that exists.
        fields: What was to be sent for the job.

    Raises:
        RunMismatchError: If it is another one.
    """
    model, _, _ = str(fields["model"]).partition("#")
    found_model, _, _ = found.model.partition("#")
    differs = [
        f"its {what} is {is_there}, not {wanted}"
        for what, is_there, wanted in (
            ("model", found_model, model),
            ("input", found.input_dataset, fields.get("inputDatasetId")),
        )
        if is_there and wanted and is_there != wanted
    ]
    if found.continued_from and found.continued_from != fields.get("continuedFromJobName"):
        differs.append(f"it goes on with {found.continued_from}, and with the parameters of that")
    if differs:
        raise RunMismatchError(
            f"A job {found.id} exists and is another one: {'; '.join(differs)}. What it has done "
            f"can be fetched with `oumi-fireworks batch results {found.id}`. Nothing was started."
        )
