"""What is said at the end of a batch, and the exit code for it."""

from __future__ import annotations

from collections.abc import Sequence

from oumi_fireworks.batch import BatchResults
from oumi_fireworks.batch.rejections import Rejections
from oumi_fireworks.cli.batch.snapshots import ending, spent, usage
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.terminal import say
from oumi_fireworks.display.words import dollars
from oumi_fireworks.engine.online_rows import OnlineResults
from oumi_fireworks.grammar import ended, number
from oumi_fireworks.money import Prices
from oumi_fireworks.tables.delivery import Delivery
from oumi_fireworks.tables.output import Output

_KINDS_SHOWN = 10
"""Kinds of failure that are listed."""


def conclude(
    delivery: Delivery,
    results: BatchResults,
    output: Output,
    prices: Prices | None,
    advice: Sequence[str] = (),
    online_prices: Prices | None = None,
) -> ExitCode:
    """Say how a batch went, and return the exit code for it.

    Args:
        delivery: What was written.
        results: What the batch has brought.
        output: Where the rows are.
        prices: What tokens cost; None where that is not known.
        advice: What is worth knowing of the answers, each a sentence.
        online_prices: What tokens cost online, after a deadline.
    """
    last = results.snapshots[-1]
    if last.error:
        say(ending(last), "yellow")
    notes = [f"{line}." for line in results.unsent.lines(delivery.rows)]
    _say_rows(delivery, results.index.rejections, prices, advice, notes)
    if results.held_by is not None:
        say(
            f"max_cost is {dollars(results.held_by.most)}, and no open row may begin under it. The "
            "same command with a higher one goes on.",
            "bold yellow",
        )
    if results.shortfall is not None:
        say(f"Paid for and not here yet: {ended(results.shortfall)}", "bold yellow")
    if used := usage(results.snapshots, prices):
        say(used)
    if results.online:
        say(f"Online, after the deadline: {spent(results.online, online_prices)}")
    return _say_files(delivery, output)


def conclude_online(
    delivery: Delivery,
    results: OnlineResults,
    output: Output,
    prices: Prices | None,
    advice: Sequence[str] = (),
) -> ExitCode:
    """Say how an online run went, and return the exit code for it; see :func:`conclude`."""
    notes = [f"{line}." for line in results.unsent.lines(delivery.rows)]
    _say_rows(delivery, results.index.rejections, prices, advice, notes)
    if results.used:
        say(f"Tokens of this call: {spent(results.used, prices)}")
    return _say_files(delivery, output)


def conclude_empty(delivery: Delivery, output: Output) -> ExitCode:
    """Say that there was no row to send, and return the exit code for it."""
    _say_rows(delivery, Rejections(0), None, (), ())
    return _say_files(delivery, output)


def _say_rows(
    delivery: Delivery,
    rejections: Rejections,
    prices: Prices | None,
    advice: Sequence[str],
    notes: Sequence[str],
) -> None:
    rows = number(delivery.rows, "row")
    if not delivery.rows:
        say("The input has no row to send: nothing was sent.", "yellow")
    elif delivery.open or delivery.kept:
        parts = [
            f"{delivery.answered:,} answered",
            f"{delivery.rejected:,} rejected" if delivery.rejected else "",
            f"{delivery.kept:,} rejected and kept, marked" if delivery.kept else "",
            f"{delivery.failed:,} failed" if delivery.failed else "",
            f"{delivery.over_budget:,} over budget" if delivery.over_budget else "",
        ]
        say(f"{rows}: {', '.join(filter(None, parts))}.", "bold yellow")
        kinds = delivery.failures.lines()
        for line in kinds[:_KINDS_SHOWN]:
            say(f"  {line}")
        if (more := len(kinds) - _KINDS_SHOWN) > 0:
            say(f"  and {number(more, 'more kind')} of failure")
    else:
        say(f"{rows}, all answered.", "bold green")
    if said := rejections_line(rejections, prices):
        say(said)
    for line in notes:
        say(line)
    for line in advice:
        say(line, "yellow")
    if delivery.bad_lines:
        say(f"{number(delivery.bad_lines, 'row')} of the input could not be sent.", "yellow")


def _say_files(delivery: Delivery, output: Output) -> ExitCode:
    if output.errors is not None:
        say(f"Output: {output.name}")
        if delivery.open or delivery.bad_lines:
            say(f"Errors: {output.errors.name}")
    return ExitCode.ROWS_OPEN if delivery.open or delivery.bad_lines else ExitCode.FINE


def rejections_line(rejections: Rejections, prices: Prices | None) -> str:
    """Say how many answers were rejected on the way, and what they have cost; empty for none."""
    if not rejections.answers:
        return ""
    used = rejections.usage
    tokens = f"{number(used.prompt, 'token')} in, {used.completion:,} out"
    cost = "" if prices is None else f": {dollars(prices.cost(used))}"
    answers = number(rejections.answers, "answer")
    return f"Rejected on the way: {answers}, {tokens}{cost}"
