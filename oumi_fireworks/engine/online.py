"""``mode: online``: Oumi's ``infer`` through the pump, each row with an outcome of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any, cast

from oumi.core.inference.base_inference_engine import FailureDetail
from oumi.core.types.conversation import Conversation

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.accept.verdicts import Rejection
from oumi_fireworks.conversion import (
    Cautions,
    RequestTemplate,
    caution,
    check_conversation,
    name_of,
    prompt_of,
    to_conversation,
)
from oumi_fireworks.display.console import console_in_use
from oumi_fireworks.display.interruptions import online_interrupted
from oumi_fireworks.display.online_progress import show_progress
from oumi_fireworks.display.words import dollars, roughly
from oumi_fireworks.engine.answer_check import rejection_of, request_body
from oumi_fireworks.engine.beside import RowsBeside, repeated
from oumi_fireworks.engine.failures import to_failure
from oumi_fireworks.engine.outcomes import RowOutcome, RunOutcome
from oumi_fireworks.engine.progress_feed import ProgressFeed
from oumi_fireworks.engine.rejected_rows import RejectedRow, RejectedRows
from oumi_fireworks.errors import (
    ConversionError,
    FireworksError,
    InvalidRequestError,
    MalformedAnswerError,
    OverBudgetError,
)
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.garbage import older_objects_spared
from oumi_fireworks.grammar import number
from oumi_fireworks.logs import logger_for
from oumi_fireworks.loop import BackgroundLoop
from oumi_fireworks.money import AnswerPrices, Prices
from oumi_fireworks.online import (
    Completion,
    OnlineProgress,
    OnProgress,
    Pump,
    PumpReport,
    Purse,
    ScratchFile,
)
from oumi_fireworks.signals import ended_after_cleanup

logger = logger_for(__name__)


class OnlineRun:
    """Conversations on their way through the pump.

    Args:
        conversations: What to run.
        template: Makes their request bodies.
        scratch: Where each answered row is kept at once; None keeps it in memory alone.
        feed: Told about each row.
        events: Told how far the run is.
        beside: Knows rows that are not sent.
        is_strict: Whether all rows are wanted. Then what is wrong with the input is raised before
            anything is sent, and a row that fails although nothing is wrong with it, because the
            service is away say, ends the run: the same call goes on later. A row that Fireworks
            refuses, or whose answer is no use, ends nothing.
        rules: What the answers have to be; None takes every one that can be read.
        earlier: What is known of rows that were rejected before, by their ids.
        memory: Where rejected answers are kept at once; None keeps them in memory alone.
        purse: What all of it may cost; None sets no bound.
        prices: What tokens cost, asked for where they are shown; None where no price is known.
        metadata_prices: What answers cost, where their metadata are to say that.
    """

    def __init__(
        self,
        conversations: Sequence[Conversation],
        template: RequestTemplate,
        *,
        scratch: ScratchFile | None,
        feed: ProgressFeed,
        events: RunEvents,
        beside: RowsBeside,
        is_strict: bool,
        rules: AnswerRules | None,
        earlier: Mapping[str | None, RejectedRow],
        memory: RejectedRows | None,
        purse: Purse | None,
        prices: Callable[[], Prices | None],
        metadata_prices: AnswerPrices | None,
    ) -> None:
        self._prices = prices
        self._metadata_prices = metadata_prices
        self._beside = beside
        self._purse = purse
        self._rules = rules
        self._rejected = {
            index: earlier[each.conversation_id]
            for index, each in enumerate(conversations)
            if each.conversation_id in earlier
        }
        self._memory = memory
        self._conversations = conversations
        self._template = template
        self._scratch = scratch
        self._feed = feed
        self._events = events
        self._is_strict = is_strict
        self._outcomes: list[RowOutcome | None] = [None] * len(conversations)

    def run(self, loop: BackgroundLoop, pump: Pump) -> RunOutcome:
        """Run all conversations; those that the run did not come to carry what ended it.

        Raises:
            ValueError: If a conversation cannot be sent and all are wanted. Nothing was sent.
        """
        ended_by: FireworksError | None = None
        try:
            self._run(loop, pump)
        except FireworksError as error:
            ended_by, failure = error, to_failure(error)
            for index, outcome in enumerate(self._outcomes):
                if outcome is None and not self._end_rejected(index):
                    self._fail(index, failure)
        return RunOutcome(cast(list[RowOutcome], self._outcomes), ended_by)

    def _run(self, loop: BackgroundLoop, pump: Pump) -> None:
        cautions = Cautions()
        for index, conversation in enumerate(self._conversations):
            if self._is_strict:
                check_conversation(conversation, index)
            if conversation.messages and (said := caution(conversation)) is not None:
                cautions.add(said, name_of(conversation, index))
        for line in cautions.lines():
            logger.warning(line)
        if len(self._conversations) <= 1:  # as at each prompt of a person: nothing to be shown
            self._pump(loop, pump, None)
            return
        with ended_after_cleanup():
            try:
                report = self._show(loop, pump)
            except KeyboardInterrupt:
                answered = sum(isinstance(outcome, Conversation) for outcome in self._outcomes)
                logger.warning(
                    online_interrupted(
                        answered, len(self._outcomes), is_kept=self._scratch is not None
                    )
                )
                raise
        logger.info(self._summary(report))

    def _show(self, loop: BackgroundLoop, pump: Pump) -> PumpReport:
        """Run all, showing on the terminal how it goes, below what is logged meanwhile."""
        with show_progress(console=console_in_use()) as show:
            return self._pump(loop, pump, show)

    def _summary(self, report: PumpReport) -> str:
        """Say what came of it: rows, time, tokens and refusals."""
        parts = [f"{number(report.done, 'row')} answered in {roughly(report.seconds)}"]
        if self._beside.from_cache:
            parts.append(f"{self._beside.from_cache:,} known to the answer cache")
        if self._beside.repeats:
            parts.append(f"{number(self._beside.repeats, 'repeat')} of other rows")
        if report.failed:
            parts.append(f"{report.failed:,} failed")
        if used := report.used:
            parts.append(
                f"{number(used.prompt, 'input token')}, {number(used.completion, 'output token')}"
            )
            if (prices := self._prices()) is not None:
                parts.append(dollars(prices.cost(used)))
        if report.refusals:
            parts.append(number(report.refusals, "refusal"))
        return "; ".join(parts) + "."

    def _pump(self, loop: BackgroundLoop, pump: Pump, show: OnProgress | None) -> PumpReport:
        rows = len(self._conversations)
        prices = None if show is None else self._prices()

        def on_progress(progress: OnlineProgress) -> None:
            done = progress.done + self._beside.count
            progress = replace(progress, done=done).priced(prices)
            if show is not None:
                show(progress)
            self._events.saw_online(progress)

        with self._scratch or nullcontext(), self._purse or nullcontext(), older_objects_spared():
            return loop.run(
                pump.run(
                    self._requests(),
                    self._note,
                    total=rows,
                    on_progress=on_progress,
                    purse=self._purse,
                )
            )

    def _requests(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, conversation in enumerate(self._conversations):
            try:
                if not self._is_strict:
                    check_conversation(conversation, index)
                body = request_body(self._template, self._rules, prompt_of(conversation))
            except ValueError as error:
                if self._is_strict:
                    raise
                self._fail(index, to_failure(error))
                continue
            before = self._rejected.get(index)
            if before is None and (known := self._known(index, body)) is not None:
                self._take(index, known)
            elif (first := self._beside.first_of(index, body)) is None:
                yield index, body if before is None else self._again(body, before) or body
            elif (outcome := self._outcomes[first]) is None:
                self._beside.wait(index, first)
            else:
                self._repeat(index, first, outcome)

    def _known(self, index: int, body: Mapping[str, Any]) -> Conversation | None:
        """Return a row with the answer that the cache has for it, if that one holds."""
        asked = self._conversations[index]

        def read(completion: Completion) -> Conversation | None:
            with suppress(ConversionError):
                answered = to_conversation(completion, asked)
                rules = self._rules
                if rules is None or rejection_of(completion, rules, answered) is None:
                    return answered
            return None

        return self._beside.known(index, body, read)

    def _note(self, index: int, outcome: Completion | FireworksError) -> Mapping[str, Any] | None:
        """Take the outcome of a row, or return its next request. What this raises ends the run."""
        if not isinstance(outcome, FireworksError):
            try:
                answered = to_conversation(outcome, self._conversations[index])
            except ConversionError as error:
                outcome = MalformedAnswerError(str(error))
            else:
                rejection = None
                if self._rules is not None:
                    rejection = rejection_of(outcome, self._rules, answered)
                if rejection is not None:
                    return self._reject(index, outcome, rejection)
                if index not in self._rejected:
                    self._beside.answered(index, outcome)
                self._take(index, answered)
                return None
        if self._end_rejected(index):
            return None
        of_the_row = InvalidRequestError | MalformedAnswerError | OverBudgetError
        if self._is_strict and not isinstance(outcome, of_the_row):
            raise outcome
        self._fail(index, to_failure(outcome))
        return None

    def _take(self, index: int, answered: Conversation) -> None:
        if self._metadata_prices is not None:
            self._metadata_prices.note(answered.metadata)
        if self._scratch is not None:
            self._scratch.write(answered.to_dict())
        self._feed.completed()
        self._settle(index, answered)

    def _settle(self, index: int, outcome: RowOutcome) -> None:
        """Note the outcome of a row, also for those that ask the same."""
        self._outcomes[index] = outcome
        for repeat in self._beside.waiting_for(index):
            self._repeat(repeat, index, outcome)

    def _repeat(self, index: int, first: int, outcome: RowOutcome) -> None:
        """Give a row the outcome of an earlier one that asks the same."""
        if isinstance(outcome, Conversation):
            asked = self._conversations[index]
            self._take(index, repeated(outcome, self._conversations[first], asked))
            return
        row = self._rejected.get(first)
        if row is not None and self._memory is not None:
            self._memory.add([(self._conversations[index].conversation_id, row)])
        self._fail(index, outcome)

    def _reject(
        self, index: int, completion: Completion, rejection: Rejection
    ) -> Mapping[str, Any] | None:
        """Keep an answer that does not hold, and return the row's next request; None without."""
        asked = self._conversations[index]
        before = self._rejected.get(index)
        row = RejectedRow(completion, rejection, 1)
        if before is not None:
            row = before.and_another(completion, rejection)
        self._rejected[index] = row
        if self._memory is not None:
            self._memory.add([(asked.conversation_id, row)])
        again = self._again(request_body(self._template, self._rules, prompt_of(asked)), row)
        if again is None:
            self._end_rejected(index)
        return again

    def _again(self, body: Mapping[str, Any], row: RejectedRow) -> dict[str, Any] | None:
        return None if self._rules is None else row.request(body, self._rules)

    def _end_rejected(self, index: int) -> bool:
        """Let the outcome of a row be its rejected answer, if it has one."""
        row = self._rejected.get(index)
        if row is None or self._rules is None:
            return False
        outcome = row.outcome(self._conversations[index], self._rules)
        if isinstance(outcome, Conversation):
            self._take(index, outcome)
        else:
            self._fail(index, outcome)
        return True

    def _fail(self, index: int, failure: FailureDetail) -> None:
        self._feed.failed()
        self._settle(index, failure)
