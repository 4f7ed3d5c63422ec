"""The ids of a batch, its jobs and its datasets: any of them leads to all of them.

A batch of one shard has the id of its job, ``oumi-<random>``. A batch of three is
``oumi-<random>-x3``, and its jobs are ``oumi-<random>-x3-0`` to ``-2``. A job reads the dataset
``<job>-in`` and writes ``<job>-out``. The second attempt at a batch's failed rows is
``oumi-<random>-r2``, maybe with an ``-x`` of its own. With a key the random part is not random: it
is derived from the key, and ``oumi-<it>-key`` is the dataset that says what the key stands for
(:mod:`oumi_fireworks.batch.claim`). So a machine that knows the id alone can
follow the batch, and an id that was lost in a crash can be made again.

Fireworks allows lower-case letters, digits and hyphens, beginning with a letter, at most 63.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass

_RANDOM_BYTES = 10
"""80 bits: 16 letters of base32, so that no two batches ever meet."""
_STEM = r"oumi-[a-z2-7]{16}"
_BATCH = re.compile(rf"(?P<stem>{_STEM})(?:-r(?P<attempt>[1-9]\d*))?(?:-x(?P<shards>[1-9]\d*))?")
_JOB = re.compile(rf"(?P<batch>{_STEM}(?:-r[1-9]\d*)?(?:-x[1-9]\d*)?)(?:-(?P<shard>0|[1-9]\d*))?")
_CLAIM = re.compile(rf"(?P<stem>{_STEM})-key")
_NAME_PREFIX = re.compile(r"^accounts/[\w-]+/batchInferenceJobs/")
_VALID = re.compile(r"[a-z][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class BatchId:
    """A batch's id, taken apart.

    Attributes:
        text: The id as given.
        shards: How many jobs it has.
        ours: Whether this package made it. Others' ids are taken for a single job.
    """

    text: str
    shards: int = 1
    ours: bool = True

    @classmethod
    def parse(cls, text: str) -> BatchId:
        """Read an id; a resource name (``accounts/a/batchInferenceJobs/<id>``) will do too.

        Raises:
            ValueError: If it cannot be the id of a Fireworks job.
        """
        text = _NAME_PREFIX.sub("", text.strip())
        if not _VALID.fullmatch(text):
            raise ValueError(
                f"{text!r} is not a batch id. An id has lower-case letters, digits and hyphens, "
                "such as oumi-abcdefghijklmnop."
            )
        match = _BATCH.fullmatch(text)
        if match is None:
            return cls(text, ours=_JOB.fullmatch(text) is not None)
        return cls(text, shards=int(match["shards"] or 1))

    @property
    def job_ids(self) -> tuple[str, ...]:
        """The ids of its jobs, in the order of their rows."""
        if self.shards == 1:
            return (self.text,)
        return tuple(f"{self.text}-{shard}" for shard in range(self.shards))


def new_batch_stem() -> str:
    """Return a fresh ``oumi-<random>``."""
    return _stem_from(secrets.token_bytes(_RANDOM_BYTES))


def stem_of_key(key: str) -> str:
    """Return the stem of the batch that a key stands for: the same on any machine."""
    named = b"oumi-fireworks key\0" + key.encode("utf-8", "surrogatepass")
    return _stem_from(hashlib.sha256(named).digest()[:_RANDOM_BYTES])


def batch_id(stem: str, shards: int, attempt: int = 0) -> str:
    """Return the id of a batch, or of the ``attempt``-th run of its failed rows."""
    text = f"{stem}-r{attempt}" if attempt else stem
    return text if shards == 1 else f"{text}-x{shards}"


def stem_of(text: str) -> str:
    """Return the stem that the attempts at a batch share.

    For an id that others made it is derived from that id, so that it is always the same.
    """
    match = _BATCH.fullmatch(text)
    if match is not None:
        return match["stem"]
    return _stem_from(hashlib.sha256(text.encode()).digest()[:_RANDOM_BYTES])


def attempt_of(text: str) -> int:
    """Return which run of a batch's rows an id is of: 0 for the first, and for others' ids."""
    match = _BATCH.fullmatch(text)
    return int(match["attempt"] or 0) if match is not None else 0


def batch_of_job(job_id: str) -> str:
    """Return the id of the batch that a job is a shard of; the job's own for others' jobs."""
    match = _JOB.fullmatch(job_id)
    if match is None or match["shard"] is None:
        return job_id
    batch = BatchId.parse(match["batch"])
    # A batch of one shard has no job but the one of its own id.
    return batch.text if int(match["shard"]) < batch.shards > 1 else job_id


def input_dataset_id(job_id: str) -> str:
    """Return the id of the dataset that a job of ours reads."""
    return f"{job_id}-in"


def output_dataset_id(job_id: str) -> str:
    """Return the id of the dataset that a job of ours writes."""
    return f"{job_id}-out"


def claim_dataset_id(stem: str) -> str:
    """Return the id of the dataset that says what a key stands for."""
    return f"{stem}-key"


def stem_of_claim(dataset_id: str) -> str | None:
    """Return the stem of the key that a dataset speaks of, or None if it is no claim."""
    match = _CLAIM.fullmatch(dataset_id)
    return match["stem"] if match is not None else None


def job_of_dataset(dataset_id: str) -> str | None:
    """Return the job that a dataset of ours belongs to, or None if we did not make it."""
    job_id, _, end = dataset_id.rpartition("-")
    return job_id if end in ("in", "out") and _JOB.fullmatch(job_id) else None


def _stem_from(raw: bytes) -> str:
    return "oumi-" + base64.b32encode(raw).decode().lower()
