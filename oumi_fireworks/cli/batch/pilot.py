"""``batch check --pilot N``: a few rows are run, and tell what the others will take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from rich.text import Text

from oumi_fireworks.cli.batch.configuration import BatchSettings, Mode
from oumi_fireworks.cli.batch.pilot_batch import PilotRun
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.json_outputs import PilotOutput, SpreadOutput
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.display.online_progress import show_progress
from oumi_fireworks.display.words import dollars
from oumi_fireworks.engine.pilot import Pilot, PilotRows, run_pilot
from oumi_fireworks.engine.pilot_store import PilotStore
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


_KINDS_SHOWN = 10
"""Kinds of failure that are listed."""


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
        if self.pilot.has_only_failed:
            return ExitCode.FAILED
        return ExitCode.ROWS_OPEN if self.pilot.open else ExitCode.FINE

    def verdict(self) -> Text:
        """Say whether all of it should be sent, by what the pilot has shown."""
        pilot = self.pilot
        if pilot.has_only_failed:
            return Text(
                "No row of the pilot has an answer, and a run would end alike: see above why.",
                style="bold red",
            )
        if pilot.open:
            said = f"{number(pilot.open, 'row')} of the pilot without an answer"
            return Text(f"Can be sent, with {said}: see above why.", style="yellow")
        return Text("Ready to be sent.", style="green")

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
            "failures": pilot.failures.lines(),
            "remembered": pilot.remembered,
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
        kinds = pilot.failures.lines()
        for line in kinds[:_KINDS_SHOWN]:
            yield "", line
        if (more := len(kinds) - _KINDS_SHOWN) > 0:
            yield "", f"and {number(more, 'more kind')} of failure"
        if pilot.remembered:
            rows = number(pilot.remembered, "row")
            yield "", f"({rows} of these known from an earlier pilot: --pilot-retry asks again)"
        if pilot.answered + pilot.from_cache:
            yield (
                "Kept",
                f"in {self.folder}: with --cache {self.folder} the run does not pay for them",
            )
        yield "Left", f"{number(self.left, 'row')} to send"
        if pilot.has_only_failed:
            yield "Forecast", "none: no row of the pilot has an answer"
            return
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
    keys: Mapping[int, bytes],
    unanswered: int,
    mode: Mode,
    *,
    remembers: bool,
) -> Forecast:
    """Run a pilot, and say what it tells.

    Args:
        settings: What the configuration says.
        reader: The input.
        keys: The rows of the pilot, each with the key of its request.
        unanswered: Rows of the input that neither the cache nor another row answers, so far.
        mode: How to run it.
        remembers: Whether rows that an earlier pilot has left without an answer stay as they are.

    Raises:
        WrongUseError: If rows of it are under way as a batch, and it is to run online.
        FireworksError: What would have failed every row.
        KeyboardInterrupt: If it was stopped. What was paid for so far is kept.
    """
    folder, pilot = require_cache(settings), Pilot()
    model, check = settings.spec.model, settings.check()
    store = PilotStore(Path(folder), model, settings.spec.precision)
    with opened_cache(settings.fireworks) as cache, store.held():
        assert cache is not None
        rows = PilotRows(keys, cache, store, model, check, remembers=remembers)
        if mode == "batch":
            PilotRun(pilot, rows, store, settings, reader).run()
        else:
            _require_none_under_way(store, keys)
            _run_online(pilot, rows, settings, reader, folder)
    pilot.measured = dict(sorted(pilot.measured.items()))
    return Forecast(
        pilot,
        len(keys),
        max(0, unanswered - pilot.answered - pilot.beyond),
        folder,
        settings.prices(),
        settings.prices("online"),
        mode,
    )


def warn_of_pilots(settings: BatchSettings) -> None:
    """Say that rows of the input may be under way, as a pilot that was interrupted."""
    folder = settings.fireworks.cache
    if folder is None:
        return
    store = PilotStore(Path(folder), settings.spec.model, settings.spec.precision)
    if any(batch.is_under_way for batch in store.batches()):
        say(
            "A pilot of this model was interrupted when it had sent rows as a batch. Those that "
            "are in this input too are paid for twice, unless that pilot ends first: stop this, "
            "and let `batch check --pilot N --pilot-mode batch` with the same cache go on with it.",
            "yellow",
        )


def _require_none_under_way(store: PilotStore, keys: Mapping[int, bytes]) -> None:
    """Refuse to send rows online that an interrupted pilot has sent as a batch."""
    if batches := store.under_way(set(keys.values())):
        raise WrongUseError(
            "Rows of this pilot were sent before, as a batch (--pilot-mode batch) that was "
            "interrupted: with --pilot-mode batch the same command waits for it, and pays nothing "
            f"twice. To give up what it has done, and pay anew, remove {batches[0].folder}."
        )


def _run_online(
    pilot: Pilot,
    rows: PilotRows,
    settings: BatchSettings,
    reader: ConversationReader,
    folder: str,
) -> None:
    """Run the rows of a pilot request by request."""
    model, fields = settings.spec.model, settings.template.shared_fields
    pump = new_pump(settings.remote, settings.fireworks, settings.connection())
    prices = settings.prices("online")
    chosen = (each for each in reader.prepared(settings.prepare) if each.index in rows.keys)

    async def run() -> None:
        try:
            with show_progress("Pilot") as show:
                await run_pilot(
                    pilot,
                    rows,
                    chosen,
                    pump=pump,
                    model=model,
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
            f"{form(pilot.answered, 'is', 'are')} kept in {folder}: the same command goes on, "
            "and does not pay for them again."
        ) from None


def _json(spread: Spread | None) -> SpreadOutput | None:
    if spread is None:
        return None
    return {"likely": spread.likely, "low": spread.low, "high": spread.high}


def _tokens(spread: Spread) -> str:
    return f"about {spread.likely:,.0f} ({spread.low:,.0f} to {spread.high:,.0f})"


def _dollars(spread: Spread) -> str:
    return f"about {dollars(spread.likely)} ({dollars(spread.low)} to {dollars(spread.high)})"
