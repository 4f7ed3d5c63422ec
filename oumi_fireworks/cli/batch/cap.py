"""What a bound on the cost means for an input, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from oumi_fireworks.batch.shards import Shard
from oumi_fireworks.cli.json_outputs import CapOutput
from oumi_fireworks.display.words import dollars
from oumi_fireworks.grammar import number
from oumi_fireworks.money import Budget
from oumi_fireworks.request_fields import DEFAULT_MAX_TOKENS

_FAR_TIMES = 10
"""How many times the forecast the worst is, from which on that is pointed out."""

_HUGE_ANSWER_TOKENS = 4 * DEFAULT_MAX_TOKENS
"""Tokens that a row's answer may have on average, above which that is pointed out: four times
where Fireworks stops by itself."""


@dataclass(frozen=True, slots=True)
class Cap:
    """A bound, and what of an input may begin under it.

    Attributes:
        max_cost: The bound in dollars.
        worst: The most that all of it can cost.
        jobs: How many jobs it takes.
        jobs_at_once: How many of them may begin together, before any answer is here.
        rows_at_once: How many rows these have.
        is_whole: Whether all of it begins at once or nothing, as under a key.
        answer_tokens: The most tokens of a row's answer, on average.
    """

    max_cost: Decimal
    worst: Decimal
    jobs: int
    jobs_at_once: int
    rows_at_once: int
    is_whole: bool
    answer_tokens: int

    @classmethod
    def of(cls, budget: Budget, shards: Sequence[Shard], *, is_whole: bool) -> Cap:
        """Work out what the first wave of a run would be."""
        mosts = [shard.most for shard in shards]
        chosen = budget.choose((), mosts)
        if is_whole and len(chosen) < len(shards):
            chosen = []
        rows = sum(shard.rows for shard in shards)
        return cls(
            max_cost=budget.most,
            worst=sum(map(budget.at_most, mosts), Decimal()),
            jobs=len(shards),
            jobs_at_once=len(chosen),
            rows_at_once=sum(shards[place].rows for place in chosen),
            is_whole=is_whole,
            answer_tokens=sum(most.completion for most in mosts) // max(rows, 1),
        )

    @property
    def fits(self) -> bool:
        """Whether nothing has to wait, whatever the answers are."""
        return self.worst <= self.max_cost

    def facts(self, forecast: Decimal | None) -> Iterator[tuple[str, str]]:
        """Yield lines for people.

        Args:
            forecast: The dollars at the upper end of a pilot's forecast; None without a pilot.
        """
        worst, bound = dollars(self.worst), dollars(self.max_cost)
        if self.fits:
            yield "Budget", f"At its worst all of it costs {worst}: it fits max_cost, {bound}"
            return
        begun = f"{self.jobs_at_once} of {number(self.jobs, 'job')}"
        begun += f" ({number(self.rows_at_once, 'row')}) can begin at once"
        if not self.jobs_at_once:
            begun = "not one job can begin, and nothing is sent"
        if self.is_whole:
            begun = "with a key all of it has to fit, and nothing is sent"
        yield (
            "Budget",
            f"At its worst all of it costs {worst}, and max_cost is {bound}: "
            + (
                f"it is begun in steps, and may end before all rows are sent; {begun}"
                if self.jobs_at_once
                else begun
            ),
        )
        yield "", "(the worst: a token for each byte, and max_new_tokens for each row)"
        if forecast is not None and self.worst > _FAR_TIMES * forecast > 0:
            yield (
                "Note",
                f"The worst is {number(int(self.worst / forecast), 'time')} what the pilot expects "
                f"({dollars(forecast)}), and max_cost holds rows back for it. Lower max_new_tokens "
                "towards what answers need.",
            )
        elif forecast is None and self.answer_tokens > _HUGE_ANSWER_TOKENS:
            yield (
                "Note",
                f"max_new_tokens lets an answer have {number(self.answer_tokens, 'token')}, which "
                "few need, and max_cost holds rows back for it. Lower it; --pilot 200 measures.",
            )

    def as_json(self) -> CapOutput:
        """Return the same as JSON values."""
        return {
            "max_cost": float(self.max_cost),
            "at_most": float(self.worst),
            "fits": self.fits,
            "jobs_at_once": self.jobs_at_once,
            "rows_at_once": self.rows_at_once,
        }
