"""A run's memory: a small JSON file, replaced as a whole before each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from oumi_fireworks.batch.file_mark import FileMark
from oumi_fireworks.batch.ids import BatchId
from oumi_fireworks.batch.plan import PlannedJob, in_order
from oumi_fireworks.batch.repeats import Dedupe
from oumi_fireworks.batch.shards import Shard, ShardLimits
from oumi_fireworks.errors import ManifestError, RunMismatchError, SpoolError
from oumi_fireworks.files import make_private_folder, write_whole
from oumi_fireworks.grammar import clause, ended, number
from oumi_fireworks.money import Charge, Usage
from oumi_fireworks.user_json import dumps, loads

_FORMAT = 1
"""Version of the file; another one is refused."""

_ADVICE = "The run stands where it was; make room and run it again."


class Stage(StrEnum):
    """How far an attempt has come. Written down before the step that follows begins."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    COLLECTED = "collected"
    ENDED = "ended"
    """Nothing more is to be run: its results are to be delivered, if need be again."""
    DELIVERING = "delivering"
    """Its rows are being put where they belong (``begin_delivery``)."""
    DELIVERED = "delivered"
    """The caller has all answers, and the run is kept for the rows that are open."""


_ENDED = frozenset({Stage.ENDED, Stage.DELIVERING, Stage.DELIVERED})


@dataclass(frozen=True)
class Attempt:
    """A batch of a run: the first holds all rows, a further one those still unanswered.

    Attributes:
        batch_id: Its id.
        jobs: Its jobs. None where no row was to be sent: then there is no such batch.
        stage: How far it has come.
        counted: Answered rows that Fireworks has counted, as far as they were seen.
        unanswered: Whether its rows are those that had failed or were missing, or all at first.
        rejected: How many of its rows were rejected before, and have other parameters than the
            batch.
        rules: What had decided about the answers when its rows were chosen
            (:attr:`~oumi_fireworks.batch.run_options.RunOptions.rules`).
        wave_of: The first attempt of its pass, by its place; None: it is that itself. A pass goes
            over all open rows; under a budget it takes several attempts, wave after wave.
        charge: What it has cost; None until its answers are here.
    """

    batch_id: str
    jobs: tuple[PlannedJob, ...]
    stage: Stage = Stage.PLANNED
    counted: int = 0
    unanswered: bool = True
    rejected: int = 0
    rules: str = ""
    wave_of: int | None = None
    charge: Charge | None = None

    @property
    def refusals(self) -> dict[str, str]:
        """The service's words by job id, for the jobs that it refused."""
        return {job.job_id: job.refusal for job in self.jobs if job.refusal}


@dataclass(frozen=True)
class Unsent:
    """Which rows of a run are not sent: they are left out of every attempt, also when it goes on.

    Attributes:
        dedupe: Which of those that ask what an earlier row asks.
        cached: How many the answer cache knew when the run began.
        cached_digest: Of the file with their answers; empty without any.
    """

    dedupe: Dedupe = Dedupe.OFF
    cached: int = 0
    cached_digest: str = ""


@dataclass(frozen=True)
class Manifest:
    """All that a later process needs to go on.

    Attributes:
        account: The account's id.
        root_url: The server.
        settings: What shapes the requests: model, generation parameters, ... JSON values.
        rows: Rows in the input.
        limits: How the input was split.
        attempts: The batches so far, oldest first.
        has_digests: Whether the ids of its rows carry digests. Not so in a run that an earlier
            version has begun, whose requests must come out as they did then.
        round_begins_at: The attempt from which retries are counted: the user asked for the open
            rows anew when there were so many attempts.
        delivery: The file that the rows are delivered in, once it is written.
        replaced: The file of an earlier delivery, which that one replaces; None without one.
        unsent: The rows that are not sent.
        pending: The jobs of the last pass that the budget has not allowed yet; without ids.
        begun_at: When the run began, in seconds since 1970; 0 where that was not noted.
        is_overdue: Whether its deadline has passed: what the batch has not finished is stopped, and
            runs online.
    """

    account: str
    root_url: str
    settings: Mapping[str, Any]
    rows: int
    limits: ShardLimits
    attempts: tuple[Attempt, ...]
    has_digests: bool = True
    round_begins_at: int = 0
    delivery: FileMark | None = None
    replaced: FileMark | None = None
    unsent: Unsent = Unsent()
    pending: tuple[PlannedJob, ...] = ()
    begun_at: float = 0.0
    is_overdue: bool = False

    @property
    def pass_begins_at(self) -> int:
        """The first attempt of the last pass, by its place."""
        wave_of = self.last.wave_of
        return len(self.attempts) - 1 if wave_of is None else wave_of

    @property
    def passes_of_round(self) -> int:
        """How many passes were begun since the user asked for the open rows."""
        since = enumerate(self.attempts)
        return sum(
            number >= self.round_begins_at and attempt.wave_of in (None, number)
            for number, attempt in since
        )

    @property
    def before_pass(self) -> Manifest:
        """A copy as it was before the last pass."""
        return replace(self, attempts=self.attempts[: self.pass_begins_at], pending=())

    @property
    def jobs_of_pass(self) -> tuple[PlannedJob, ...]:
        """The jobs of the last pass, those that wait for the budget too, in their order."""
        begun = (job for attempt in self.attempts[self.pass_begins_at :] for job in attempt.jobs)
        return in_order((*begun, *self.pending))

    @property
    def first_jobs(self) -> tuple[PlannedJob, ...]:
        """The jobs of the first pass, in their order."""
        if self.pass_begins_at == 0:
            return self.jobs_of_pass
        first_pass = (each for each in self.attempts if each.wave_of == 0)
        jobs = tuple(job for attempt in first_pass for job in attempt.jobs)
        return in_order(jobs) if jobs else self.attempts[0].jobs

    @property
    def last(self) -> Attempt:
        """The attempt at work."""
        return self.attempts[-1]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be run."""
        return self.last.stage in _ENDED

    def with_stage(self, stage: Stage) -> Manifest:
        """Return a copy in which the last attempt has come to ``stage``."""
        return replace(self, attempts=(*self.attempts[:-1], replace(self.last, stage=stage)))

    def with_last(self, attempt: Attempt) -> Manifest:
        """Return a copy in which the last attempt is another one."""
        return replace(self, attempts=(*self.attempts[:-1], attempt))

    def with_attempt(self, attempt: Attempt) -> Manifest:
        """Return a copy with one more attempt."""
        return replace(self, attempts=(*self.attempts, attempt))

    def without_last(self) -> Manifest:
        """Return a copy without the last attempt."""
        return replace(self, attempts=self.attempts[:-1])

    def save(self, path: Path) -> None:
        """Replace the file as a whole, so that it is never half written.

        Raises:
            SpoolError: If the disk does not take it; the file before it stands.
        """
        raw = asdict(self)
        for job in chain(raw["pending"], *(attempt["jobs"] for attempt in raw["attempts"])):
            del job["path"]  # a place on this disk, found again from the job's position
        content = dumps({"format": _FORMAT, **raw}, indent=True)
        try:
            make_private_folder(path.parent)
        except OSError as error:
            raise SpoolError(
                f"Cannot write {path}: {ended(error.strerror or error)} {_ADVICE}"
            ) from error
        write_whole(path, content, advice=_ADVICE, private=True, error=SpoolError)

    @classmethod
    def load(cls, path: Path) -> Manifest | None:
        """Read a manifest; None where there is none.

        Raises:
            ManifestError: If it cannot be read.
        """
        try:
            raw = loads(path.read_bytes())
            if raw["format"] != _FORMAT:
                raise ManifestError(
                    f"{path} has the format {raw['format']!r}, and this version reads {_FORMAT}. "
                    "Finish the run with the version of oumi-fireworks that began it."
                )
            return cls(
                account=raw["account"],
                root_url=raw["root_url"],
                settings=dict(raw["settings"]),
                rows=int(raw["rows"]),
                limits=_limits(raw["limits"]),
                attempts=_attempts(raw["attempts"]),
                has_digests=bool(raw.get("has_digests", False)),
                round_begins_at=int(raw.get("round_begins_at", 0)),
                delivery=FileMark.parse(raw["delivery"]) if raw.get("delivery") else None,
                replaced=FileMark.parse(raw["replaced"]) if raw.get("replaced") else None,
                unsent=_unsent(raw.get("unsent", {})),
                pending=tuple(map(_job, raw.get("pending", ()))),
                begun_at=float(raw.get("begun_at", 0.0)),
                is_overdue=bool(raw.get("is_overdue", False)),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestError(
                f"{path} cannot be read ({type(error).__name__}: {clause(error)}). What was paid "
                "for is safe: `oumi-fireworks batch list` shows the batches, and `oumi-fireworks "
                f"batch results ID` fetches one. To begin anew, and pay anew, remove {path.parent}."
            ) from error

    def require_same(self, account: str, root_url: str, settings: Mapping[str, Any]) -> None:
        """Refuse to go on with a run that was begun with something else.

        Raises:
            RunMismatchError: The message names what differs.
        """
        now = {"account": account, "server": root_url, **settings}
        then = {"account": self.account, "server": self.root_url, **self.settings}
        normal = loads(dumps(now))
        differing = sorted(name for name in {*normal, *then} if normal.get(name) != then.get(name))
        if differing:
            raise RunMismatchError(
                "; ".join(
                    f"{name} was {_shown(then.get(name))} and is now {_shown(normal.get(name))}"
                    for name in differing
                )
            )

    def require_same_input(self, rows: int, shards: list[Shard]) -> None:
        """Refuse to go on when the requests of the first attempt would be others now.

        Args:
            rows: How many rows the input has now.
            shards: How those that are sent are split now.

        Raises:
            RunMismatchError: The message says what differs.
        """
        if rows != self.rows:
            raise RunMismatchError(f"the input had {number(self.rows, 'row')} and has {rows:,} now")
        if [shard.digest for shard in shards] != [job.digest for job in self.first_jobs]:
            raise RunMismatchError("the input has as many rows as before, but other content")


def _unsent(raw: Mapping[str, Any]) -> Unsent:
    return Unsent(
        Dedupe(raw.get("dedupe", Dedupe.OFF)),
        int(raw.get("cached", 0)),
        str(raw.get("cached_digest", "")),
    )


def _attempts(raw: Sequence[Mapping[str, Any]]) -> tuple[Attempt, ...]:
    if not raw:
        raise ValueError("it speaks of no batch")
    return tuple(_attempt(attempt) for attempt in raw)


def _attempt(raw: Mapping[str, Any]) -> Attempt:
    batch = BatchId.parse(raw["batch_id"])
    jobs = tuple(map(_job, raw["jobs"]))
    stage = Stage(raw["stage"])
    has_nothing_to_do = not jobs and stage not in (Stage.PLANNED, Stage.SUBMITTED)
    if not has_nothing_to_do and tuple(job.job_id for job in jobs) != batch.job_ids:
        raise ValueError(f"the jobs of {batch.text} are not its own")
    wave_of, charge = raw.get("wave_of"), raw.get("charge")
    return Attempt(
        batch.text,
        jobs,
        stage,
        int(raw.get("counted", 0)),
        unanswered=bool(raw.get("unanswered", True)),
        rejected=int(raw.get("rejected", 0)),
        rules=str(raw.get("rules", "")),
        wave_of=None if wave_of is None else int(wave_of),
        charge=charge and Charge(Usage(**charge["used"]), Usage(**charge["unknown"])),
    )


def _job(raw: Mapping[str, Any]) -> PlannedJob:
    most, largest = raw.get("most"), raw.get("largest")
    amounts = {"most": most and Usage(**most), "largest": Usage(**(largest or {}))}
    return PlannedJob(**{**raw, **amounts})


def _limits(raw: Mapping[str, Any]) -> ShardLimits:
    costs = raw.get("token_costs", (0.0, 0.0))
    return ShardLimits(**{**raw, "token_costs": tuple(costs)})


def _shown(value: object) -> str:
    text = "not set" if value is None else dumps(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"
