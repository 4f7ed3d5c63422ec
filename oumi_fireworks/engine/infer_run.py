"""The rows of one ``infer``: run online or as a batch, but for those whose outcome is known."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from oumi.core.types.conversation import Conversation

from oumi_fireworks.api import check_model_name
from oumi_fireworks.batch import Dedupe
from oumi_fireworks.conversion import RequestTemplate
from oumi_fireworks.engine import batch
from oumi_fireworks.engine.answer_check import request_body
from oumi_fireworks.engine.beside import RowsBeside
from oumi_fireworks.engine.conversations import request_rows
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.engine.late_rows import sender
from oumi_fireworks.engine.online import OnlineRun
from oumi_fireworks.engine.outcomes import RunOutcome
from oumi_fireworks.engine.progress_feed import ProgressFeed
from oumi_fireworks.engine.refused_rows import RefusedRows
from oumi_fireworks.engine.rejected_rows import RejectedRow, RejectedRows
from oumi_fireworks.engine.run_folder import requests_key, run_folder
from oumi_fireworks.engine.scratch import spending_of
from oumi_fireworks.engine.service import Service
from oumi_fireworks.engine.wiring import (
    answer_rules,
    is_for_batch,
    job_spec,
    metadata_prices,
    online_budget,
    online_prices,
    opened_cache,
    run_events,
)
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.money import AnswerPrices
from oumi_fireworks.online import Pump, Purse, ScratchFile


class InferRun:
    """One run of rows.

    Args:
        service: The way to the account.
        model: Whom to ask.
        template_for: Makes the template of the requests to a model; of a batch's rows for None.
        pump: Gives the pump.
        output: Where Oumi writes the answers; None where it does not.
        scratch: Oumi's scratch file; None without an output.
        places: Where each row is in the whole input, by its id.
        feed: Oumi's progress file.
        is_strict: Whether all rows are wanted, so that what is wrong with one is raised before
            anything is sent.

    Raises:
        OptionError: If what the answers have to be cannot work with these requests, or an option
            cannot be followed online.
    """

    def __init__(
        self,
        service: Service,
        model: str,
        template_for: Callable[[str | None], RequestTemplate],
        pump: Callable[[], Pump],
        *,
        output: str | None,
        scratch: str | None,
        places: Mapping[str | None, int],
        feed: ProgressFeed,
        is_strict: bool,
    ) -> None:
        is_batch = service.options.mode == "batch"
        require_followed(service.options, Way.INFER_AS_BATCH if is_batch else Way.INFER_ONLINE)
        self._service = service
        self._options = service.options
        self._model = model
        self._template_for = template_for
        self._pump = pump
        self._output = output
        self._scratch = scratch
        self._places = places
        self._feed = feed
        self._is_strict = is_strict
        self._rules = answer_rules(service.options, template_for(None))

    def run(self, rows: Sequence[Conversation]) -> RunOutcome:
        """Run rows in the mode of the options: not those that were refused before, for one."""
        is_batch = is_for_batch(self._options, len(rows))
        run = functools.partial(self._run, is_batch=is_batch)
        if self._scratch is None:
            return run(rows, {})
        refused = RefusedRows(self._scratch)
        if self._options.resend_refused:
            refused.forget()
        rejected, scratch = RejectedRows(self._scratch), Path(self._scratch)
        return refused.run_others(
            rows,
            lambda others: rejected.run_others(
                others, self._rules, scratch, run, self._metadata_prices(is_batch=is_batch)
            ),
        )

    def _metadata_prices(self, *, is_batch: bool) -> AnswerPrices | None:
        fields = self._template_for(None).shared_fields
        return metadata_prices(self._options, self._model, fields, is_batch=is_batch)

    def _run(
        self,
        rows: Sequence[Conversation],
        earlier: Mapping[str | None, RejectedRow],
        *,
        is_batch: bool,
    ) -> RunOutcome:
        if not rows:
            return RunOutcome([])
        with run_events(
            self._options,
            self._model,
            mode="batch" if is_batch else "online",
            fields=self._template_for(None).shared_fields,
            rows=len(rows),
            output=self._output,
        ) as events:
            run = (self._as_batch if is_batch else self._online)(rows, earlier, events)
            if run.batch is not None:
                events.saw_results(run.batch.results)
            events.ended(
                answered=run.answered,
                rejected=run.rejected,
                failed=len(rows) - run.answered - run.rejected - run.over_budget,
                over_budget=run.over_budget,
                ended_by=run.ended_by,
            )
        return run

    def _as_batch(
        self,
        rows: Sequence[Conversation],
        earlier: Mapping[str | None, RejectedRow],
        events: RunEvents,
    ) -> RunOutcome:
        template, spec = self._template_for(None), job_spec(self._model, self._options)

        def run(sendable: Sequence[Conversation]) -> RunOutcome:
            name, key = "", self._options.key
            is_rest = len(sendable) < len(self._places)
            if self._output is None or (key is not None and is_rest):
                settings = {"model": spec.model, "precision": spec.precision}
                named = {} if key is None else {"key": key}
                name = requests_key(request_rows(sendable, template.body), settings | named)
            if key is not None and is_rest:
                # The key stands for the whole input: its rest is another batch, the same one
                # wherever the same rows are left.
                key = f"{key} rest {name}"
            return batch.run(
                self._service,
                sendable,
                template,
                spec,
                folder=run_folder(self._output, self._options.run_dir, name),
                scratch=Path(self._scratch) if self._scratch else None,
                feed=self._feed,
                key=key,
                events=events,
                rules=self._rules,
                earlier=earlier,
                send_online=sender(
                    self._pump(),
                    online_budget(self._options, spec.model, template.shared_fields),
                ),
                prices=self._metadata_prices(is_batch=True),
            )

        if self._is_strict:
            return run(rows)
        body_of = functools.partial(request_body, template, self._rules)
        return batch.run_sendable(rows, body_of, run)

    def _online(
        self,
        rows: Sequence[Conversation],
        earlier: Mapping[str | None, RejectedRow],
        events: RunEvents,
    ) -> RunOutcome:
        model, scratch = check_model_name(self._model), self._scratch
        spending = spending_of(scratch) if scratch else None
        template, pump = self._template_for(model), self._pump()
        fields = template.shared_fields
        budget = online_budget(self._options, model, fields)
        with opened_cache(self._options) as cache:
            run = OnlineRun(
                rows,
                template,
                scratch=ScratchFile(scratch) if scratch else None,
                feed=self._feed,
                events=events,
                beside=RowsBeside(model, Dedupe(self._options.dedupe), cache),
                is_strict=self._is_strict,
                rules=self._rules,
                earlier=earlier,
                memory=RejectedRows(scratch) if scratch else None,
                purse=None if budget is None else Purse(budget, spending),
                prices=lambda: online_prices(self._options, model, fields),
                metadata_prices=self._metadata_prices(is_batch=False),
            )
            return run.run(self._service.loop, pump)
