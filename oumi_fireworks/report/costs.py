"""What each outcome has taken: rows, tokens and dollars, as the page shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.report.facts import RunFacts
from oumi_fireworks.report.rows import OutcomeKind
from oumi_fireworks.report.totals import ReportTotals


@dataclass(frozen=True, slots=True)
class CostLine:
    """A line of the table.

    Attributes:
        kind: The outcome, for its colour; None for what is no outcome.
        name: What it is called.
        rows: How many.
        tokens: What they have taken; None where nobody says.
        cost: Dollars for it; None where that is not known.
    """

    kind: OutcomeKind | None
    name: str
    rows: int
    tokens: Usage | None
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class CostTable:
    """What each outcome has taken.

    Attributes:
        lines: One for each outcome that there is.
        total: All of them.
        late: Those of them that ran online, after the deadline; None where there are none.
    """

    lines: Sequence[CostLine]
    total: CostLine
    late: CostLine | None = None

    @property
    def answered(self) -> CostLine:
        """The rows with an answer that holds."""
        return self.lines[0]

    @property
    def has_tokens(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.total.tokens)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Tokens at the price of the run's mode, and at that of rows after a deadline."""

    usual: Usage = field(default_factory=Usage)
    online: Usage = field(default_factory=Usage)

    @property
    def all(self) -> Usage:
        return self.usual + self.online

    def plus(self, other: "_Tokens") -> "_Tokens":
        return _Tokens(self.usual + other.usual, self.online + other.online)

    def cost(self, run: RunFacts) -> Decimal | None:
        parts = ((self.usual, run.prices), (self.online, run.online_prices))
        costs = [_cost(tokens, prices) for tokens, prices in parts if tokens]
        known = [cost for cost in costs if cost is not None]
        if run.prices is None or len(known) < len(costs):
            return None
        return sum(known, Decimal())


def cost_table(run: RunFacts, totals: ReportTotals) -> CostTable:
    """Work out what each outcome has taken.

    To the rejected rows belong all answers that did not hold, also those of rows that were answered
    later; to the failed ones what the service counts beyond the answers, of whatever attempt.
    """
    answered = _Tokens(totals.answered_tokens[False], totals.answered_tokens[True])
    rejected = _Tokens(totals.rejected_tokens[False], totals.rejected_tokens[True])
    late = answered.online + rejected.online
    if run.online is not None:
        late = run.online
        rejected = _Tokens(rejected.usual, late.less(answered.online))
    if run.rejections:
        all_rejected = sum((kind.usage for kind in run.rejections), Usage())
        rejected = _Tokens(all_rejected.less(rejected.online), rejected.online)
    known = answered.plus(rejected)
    rest = None if run.paid is None else _Tokens(run.paid.less(known.usual))
    whole = known if rest is None else known.plus(rest)
    failed = totals.kinds[OutcomeKind.FAILED] + totals.kinds[OutcomeKind.MISSING]
    lines = [
        _line(OutcomeKind.COMPLETE, "Answered", totals.answered, answered, run),
        _line(OutcomeKind.REJECTED, "Rejected", totals.kinds[OutcomeKind.REJECTED], rejected, run),
        _line(OutcomeKind.FAILED, "Failed or missing", failed, rest, run),
        _line(
            OutcomeKind.OVER_BUDGET,
            "Over budget",
            totals.kinds[OutcomeKind.OVER_BUDGET],
            _Tokens(),
            run,
        ),
    ]
    total = _line(None, "All", totals.rows, whole, run)
    shown = [lines[0], *(line for line in lines[1:] if line.rows or line.tokens)]
    if not totals.online_rows and not late:
        return CostTable(shown, total)
    name = "Of these online, after the deadline"
    return CostTable(shown, total, _line(None, name, totals.online_rows, _Tokens(online=late), run))


def _line(
    kind: OutcomeKind | None, name: str, rows: int, tokens: _Tokens | None, run: RunFacts
) -> CostLine:
    if tokens is None:
        return CostLine(kind, name, rows, None, None)
    return CostLine(kind, name, rows, tokens.all, tokens.cost(run))


def _cost(tokens: Usage, prices: Prices | None) -> Decimal | None:
    return None if prices is None else prices.cost(tokens)
