"""``batch check --pilot N``: a few rows are run, and tell what the others will take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from oumi_fireworks.cli.batch.configuration import BatchSettings, Mode
from oumi_fireworks.cli.batch.pilot_batch import run_as_batch
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.json_outputs import PilotOutput, SpreadOutput
from oumi_fireworks.display.online_progress import show_progress
from oumi_fireworks.display.words import dollars
from oumi_fireworks.engine.pilot import Pilot, run_pilot
from oumi_fireworks.engine.pump_wiring import new_pump
from oumi_fireworks.engine.wiring import online_budget, opened_cache
from oumi_fireworks.grammar import form, number
from oumi_fireworks.money import Prices, Usage
from oumi_fireworks.money.extrapolate import FEWEST, Spread, extrapolate
from oumi_fireworks.signals import run_whole
from oumi_fireworks.tables.conversations import ConversationReader


def require_cache(settings: BatchSettings) -> str:
    """Return the folder where the answers of a pilot are kept.

    Raises:
        WrongUseError: If there is none, or the run that follows would not use it.
    """
    if settings.options.key is not None:
        raise WrongUseError(
            "With a key a batch sends all its rows, so those of a pilot would be paid for twice. "
            "Leave out --pilot, or the option key."
        )
    folder = settings.fireworks.cache
    if folder is None:
        raise WrongUseError(
            "A pilot keeps its answers in an answer cache, so that the run does not pay for them "
            "again. Name a folder with --cache DIR, here and for `batch run`."
        )
    return folder


@dataclass(frozen=True)
class Forecast:
    """What a pilot says of the rows that are left.

    Attributes:
        pilot: The pilot.
        asked: How many rows it was to run.
        left: Rows that the run that follows sends.
        folder: The answer cache.
        batch: What tokens cost in a batch; None where no price is known.
        online: What they cost online.
        mode: How the pilot was run.
    """

    pilot: Pilot
    asked: int
    left: int
    folder: str
    batch: Prices | None
    online: Prices | None
    mode: Mode

    @property
    def exit_code(self) -> ExitCode:
        """The exit code for it: whether rows of it have no answer."""
        if self.pilot.failed or self.pilot.over_budget:
            return ExitCode.ROWS_OPEN
        return ExitCode.FINE

    @property
    def _is_enough(self) -> bool:
        return len(self.pilot.measured) >= FEWEST

    @property
    def spent(self) -> Decimal | None:
        """Dollars that the pilot has cost; None where no price is known."""
        paid = self.batch if self.mode == "batch" else self.online
        return None if paid is None else paid.cost(self.pilot.spent)

    def _tokens(self, of: str) -> Spread:
        return extrapolate([getattr(used, of) for used in self._measured], self.left)

    @property
    def _measured(self) -> list[Usage]:
        return list(self.pilot.measured.values())

    def _cost(self, prices: Prices | None) -> Spread | None:
        if prices is None:
            return None
        return extrapolate([float(prices.cost(used)) for used in self._measured], self.left)

    @property
    def batch_cost(self) -> Decimal | None:
        """Dollars of the rows that are left, at the upper end; None where that is not known."""
        spread = self._cost(self.batch) if self._is_enough else None
        return None if spread is None else Decimal(spread.high)

    def as_json(self) -> PilotOutput:
        """Return it for a script."""
        pilot, enough = self.pilot, self._is_enough
        return {
            "rows": self.asked,
            "mode": self.mode,
            "answered": pilot.answered,
            "from_cache": pilot.from_cache,
            "rejected": pilot.rejected,
            "failed": pilot.failed,
            "over_budget": pilot.over_budget,
            "cost": None if self.spent is None else float(self.spent),
            "cache": self.folder,
            "left": self.left,
            "input_tokens": _json(self._tokens("prompt") if enough else None),
            "cached_input_tokens": _json(self._tokens("cached") if enough else None),
            "output_tokens": _json(self._tokens("completion") if enough else None),
            "batch_cost": _json(self._cost(self.batch) if enough else None),
            "online_cost": _json(self._cost(self.online) if enough else None),
        }

    def facts(self) -> Iterator[tuple[str, str]]:
        """Return it for people, line by line."""
        pilot = self.pilot
        parts = [
            f"{pilot.answered:,} answered" if pilot.answered else "",
            f"{pilot.from_cache:,} known to the answer cache" if pilot.from_cache else "",
            f"{pilot.rejected:,} rejected, not kept" if pilot.rejected else "",
            f"{pilot.failed:,} failed" if pilot.failed else "",
            f"{pilot.over_budget:,} over budget" if pilot.over_budget else "",
        ]
        cost = "" if self.spent is None else f"; it cost {dollars(self.spent)}"
        yield "Pilot", f"{number(self.asked, 'row')}: {', '.join(filter(None, parts))}{cost}"
        if pilot.reason:
            yield "", f"(the first failure: {pilot.reason})"
        yield "Kept", f"in {self.folder}: with --cache {self.folder} the run does not pay for them"
        yield "Left", f"{number(self.left, 'row')} to send"
        if not self._is_enough:
            yield "Forecast", f"none: it takes {FEWEST} answers that state their usage"
            return
        yield "Forecast", f"{_tokens(self._tokens('prompt'))} tokens in"
        if (cached := self._tokens("cached")).high:
            yield "", f"{_tokens(cached)} of them cached"
        yield "", f"{_tokens(self._tokens('completion'))} tokens out"
        for mode, prices in (("as a batch", self.batch), ("online", self.online)):
            if (cost_of := self._cost(prices)) is not None:
                yield "", f"{mode} {_dollars(cost_of)}"
        yield "", "(of the rows that are left; in brackets what holds 9 times of 10)"


def forecast(
    settings: BatchSettings,
    reader: ConversationReader,
    rows: frozenset[int],
    unanswered: int,
    mode: Mode,
) -> Forecast:
    """Run a pilot, and say what it tells.

    Args:
        settings: What the configuration says.
        reader: The input.
        rows: The rows of the pilot.
        unanswered: Rows of the input that neither the cache nor another row answers, so far.
        mode: How to run it.

    Raises:
        FireworksError: What would have failed every row.
        KeyboardInterrupt: If it was stopped. The answers so far are kept.
    """
    folder = require_cache(settings)
    pilot = Pilot()
    if mode == "batch":
        run_as_batch(pilot, settings, reader, rows)
    else:
        _run_online(pilot, settings, reader, rows, folder)
    return Forecast(
        pilot,
        len(rows),
        max(0, unanswered - pilot.answered),
        folder,
        settings.prices(),
        settings.prices("online"),
        mode,
    )


def _run_online(
    pilot: Pilot,
    settings: BatchSettings,
    reader: ConversationReader,
    rows: frozenset[int],
    folder: str,
) -> None:
    """Run the rows of a pilot request by request."""
    model, fields = settings.spec.model, settings.template.shared_fields
    pump = new_pump(settings.remote, settings.fireworks, settings.connection())
    prices = settings.prices("online")
    chosen = (each for each in reader.prepared(settings.prepare) if each.index in rows)

    with opened_cache(settings.fireworks) as cache:
        assert cache is not None

        async def run() -> None:
            try:
                with show_progress("Pilot") as show:
                    await run_pilot(
                        pilot,
                        chosen,
                        len(rows),
                        pump=pump,
                        model=model,
                        cache=cache,
                        check=settings.check(),
                        budget=online_budget(settings.fireworks, model, fields),
                        on_progress=lambda progress: show(progress.priced(prices)),
                    )
            finally:
                await pump.close()

        try:
            run_whole(run)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Interrupted. {number(pilot.answered, 'answer')} of the pilot "
                f"{form(pilot.answered, 'is', 'are')} kept in "
                f"{folder}: the same command goes on, and does not pay for them again."
            ) from None


def _json(spread: Spread | None) -> SpreadOutput | None:
    if spread is None:
        return None
    return {"likely": spread.likely, "low": spread.low, "high": spread.high}


def _tokens(spread: Spread) -> str:
    return f"about {spread.likely:,.0f} ({spread.low:,.0f} to {spread.high:,.0f})"


def _dollars(spread: Spread) -> str:
    return f"about {dollars(spread.likely)} ({dollars(spread.low)} to {dollars(spread.high)})"
