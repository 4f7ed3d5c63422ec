"""A run of an input without a row to send: its output has no answers, and nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence

from oumi_fireworks.batch import Missing, ResultIndex
from oumi_fireworks.batch.outcomes import Failure
from oumi_fireworks.cli.batch.conclusion import conclude_empty
from oumi_fireworks.cli.batch.whole_run import tell_end
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.signals import run_whole
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, RowObserver, deliver
from oumi_fireworks.tables.sink import Sink


class _NoResults:
    """What has become of no rows."""

    index = ResultIndex.of([], 0)

    def message(self, outcome: Failure | Missing) -> str:
        """Return nothing: there is no row to be asked about."""
        raise LookupError(outcome.index)


def run_empty(
    reader: ConversationReader, sink: Sink, observers: Sequence[RowObserver], events: RunEvents
) -> tuple[ExitCode, Delivery]:
    """Write the output of an input that has no row to send, and say so.

    Args:
        reader: The input, which was read to its end.
        sink: Where its rows go: those that cannot be sent.
        observers: See each row.
        events: Told that the run has ended.

    Raises:
        WriteError: If the output cannot be written.
    """
    delivery = run_whole(lambda: deliver(reader, _NoResults(), sink, observers))
    tell_end(events, delivery)
    return conclude_empty(delivery, sink.output), delivery
