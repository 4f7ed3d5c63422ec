"""``oumi-fireworks batch check``: what a batch would be, and what would be refused."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import yaml  # type: ignore[import-untyped]
from rich.text import Text

from oumi_fireworks.batch.shards import Bound
from oumi_fireworks.batch.unsent import UnsentRows
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.cli.batch.arguments import price_option
from oumi_fireworks.cli.batch.cap import Cap
from oumi_fireworks.cli.batch.configuration import BatchSettings, Mode, load_settings
from oumi_fireworks.cli.batch.options import OnceFlags, PriceFlags
from oumi_fireworks.cli.batch.paths import choose_inputs, spool_inputs
from oumi_fireworks.cli.batch.pilot import Forecast, forecast, require_cache
from oumi_fireworks.cli.batch.probing import TrialOfAnswers
from oumi_fireworks.cli.batch.sample import RowSample
from oumi_fireworks.cli.batch.survey import HOW_ESTIMATED, Survey, take_survey
from oumi_fireworks.cli.costs import as_json as prices_as_json
from oumi_fireworks.cli.costs import in_words, no_price
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.facts import facts_table
from oumi_fireworks.cli.json_outputs import CostEstimateOutput, PlaceOutput, SurveyOutput
from oumi_fireworks.cli.terminal import busy, print_json, show, show_logs
from oumi_fireworks.display.words import dollars, size
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.engine.wiring import opened_cache
from oumi_fireworks.errors import Place
from oumi_fireworks.grammar import number
from oumi_fireworks.money import Prices, Usage, concern_about
from oumi_fireworks.request_fields import DEFAULT_MAX_TOKENS
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.formats import FileInput

_NO_LIMIT = f"max_new_tokens is not set: Fireworks stops at {DEFAULT_MAX_TOKENS:,}"

_BOUNDS = {
    Bound.BYTES: "full by what goes in",
    Bound.OUTPUT: "full by what may come out",
    Bound.ROWS: "full by rows",
    Bound.COST: "a step of the budget",
}


def check(
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    *,
    answers: Path | None,
    skip_bad: bool,
    as_json: bool,
    once: OnceFlags,
    price_flags: PriceFlags,
    pilot: int | None,
    pilot_mode: Mode | None,
    pilot_retry: bool,
    max_cost: float | None,
) -> ExitCode:
    """Check conversations and settings. Nothing is sent but a pilot, if there is to be one."""
    show_logs()
    settings = load_settings(
        config,
        overrides,
        **once._asdict(),
        price=price_option(price_flags),
        max_cost=max_cost,
    )
    require_followed(settings.fireworks, Way.RUN)
    prices = settings.prices()
    sample = None
    if pilot is None and pilot_mode is not None:
        raise WrongUseError("--pilot-mode says how a pilot is run: say --pilot N as well.")
    if pilot is None and pilot_retry:
        raise WrongUseError("--pilot-retry is for the rows of a pilot: say --pilot N as well.")
    if pilot is not None:
        require_cache(settings)
        settings.connection()  # a key that is missing is said before a long input is read
        sample = RowSample(pilot, settings.spec.model)
    with tempfile.TemporaryDirectory(prefix="oumi-fireworks-") as temporary:
        stdin = Path(temporary) / "stdin"
        files = choose_inputs(inputs, settings.input_path, leave_out=[], stdin=stdin)
        spool_inputs(files)
        reader = ConversationReader(
            FileInput(files, settings.fireworks.input_options), skip_bad=True
        )
        with busy("Reading the input"), _existing_cache(settings) as cache:
            unsent = UnsentRows(settings.spec.model, settings.options.dedupe, cache)
            survey = take_survey(reader, settings.prepare, settings.options.limits, unsent, sample)
        good = not survey.bad_lines or (skip_bad and survey.rows > 0)
        told = None
        if sample is not None and good and survey.rows:
            unanswered = survey.rows - unsent.counts.repeats - unsent.counts.from_cache
            told = forecast(
                settings,
                reader,
                sample.keys,
                unanswered,
                pilot_mode or "online",
                remembers=not pilot_retry,
            )
    names = [file.name for file in files]
    trial = _trial(answers, settings)
    if as_json:
        print_json(_as_json(names, survey, settings, prices, trial, told))
    else:
        _show(names, survey, settings, prices, trial, told)
    if not good:
        return ExitCode.FAILED
    return ExitCode.FINE if told is None else told.exit_code


def _trial(answers: Path | None, settings: BatchSettings) -> TrialOfAnswers | None:
    """Look at the answers that are named, else at those of the configuration's output."""
    name = settings.output_path
    if answers is None and name is not None and name.endswith(".jsonl") and Path(name).exists():
        answers = Path(name)
    return None if answers is None else TrialOfAnswers(answers, settings)


@contextmanager
def _existing_cache(settings: BatchSettings) -> Iterator[AnswerCache | None]:
    """Give the answer cache if there is one; none is made."""
    folder, key = settings.fireworks.cache, settings.options.key
    if folder is None or key is not None or not Path(folder).exists():
        yield None
        return
    with opened_cache(settings.fireworks) as cache:
        yield cache


def _as_json(
    names: Sequence[str],
    survey: Survey,
    settings: BatchSettings,
    prices: Prices | None,
    trial: TrialOfAnswers | None,
    told: Forecast | None,
) -> SurveyOutput:
    return {
        "input": list(names),
        "rows": survey.rows,
        "repeats": survey.unsent.repeats,
        "from_cache": survey.unsent.from_cache,
        "bad_lines": survey.bad_lines,
        "problems": [
            {**_place_output(place), "message": message} for place, message, _ in survey.problems
        ],
        "requests": {
            "bytes": survey.bytes,
            "largest": survey.largest,
            "jobs": len(survey.shards),
            "split_by": {bound.value: jobs for bound, jobs in survey.split_by.items()},
            "output_bytes_at_most": survey.output_bytes,
            "shared_system_message": {"rows": survey.shared_rows, "saved_bytes": survey.saved},
            "fields": settings.template.shared_fields,
        },
        "messages": dict(survey.roles),
        "images": survey.images,
        "with_tools": survey.with_tools,
        "dropped_fields": dict(survey.unknown_fields),
        "warnings": [*survey.cautions, *settings.warnings],
        "dropped_settings": dict(settings.ignored),
        "tokens": {
            "input": survey.prompt_tokens,
            "output_at_most": survey.completion_tokens,
            "how": HOW_ESTIMATED,
        },
        "cost": None if prices is None else _costs(survey, prices).as_json(),
        "budget": None if (cap := _cap(survey, settings)) is None else cap.as_json(),
        "prices": None if prices is None else prices_as_json(prices),
        "longest": [{**_place_output(place), "tokens": tokens} for tokens, place in survey.longest],
        "model": settings.spec.model,
        "answers": None if trial is None else trial.as_json(),
        "pilot": None if told is None else told.as_json(),
    }


def _place_output(place: Place) -> PlaceOutput:
    if place.unit == "row":
        return {"file": place.file, "row": place.number}
    return {"file": place.file, "line": place.number}


class _Costs(NamedTuple):
    """Dollars for an input.

    Attributes:
        input: For its prompts, estimated.
        output: For its answers, at the most.
        most: The most that all of it can cost, which is what a budget sets aside.
    """

    input: Decimal
    output: Decimal
    most: Decimal

    def as_json(self) -> CostEstimateOutput:
        return {
            "input": float(self.input),
            "output_at_most": float(self.output),
            "at_most": float(self.most),
        }


def _costs(survey: Survey, prices: Prices) -> _Costs:
    return _Costs(
        prices.cost(Usage(prompt=survey.prompt_tokens)),
        prices.cost(Usage(completion=survey.completion_tokens)),
        prices.dearest.cost(survey.most),
    )


def _show(
    names: Sequence[str],
    survey: Survey,
    settings: BatchSettings,
    prices: Prices | None,
    trial: TrialOfAnswers | None,
    told: Forecast | None,
) -> None:
    tried = () if trial is None else trial.lines()
    show(
        facts_table(
            [
                *_facts(names, survey, settings, prices, told),
                *(("Tried", line) for line in tried),
                *(() if told is None else told.facts()),
            ]
        )
    )
    if survey.bad_lines:
        bad = number(survey.bad_lines, "line")
        shown = len(survey.problems)
        first = f" The first {shown}:" if shown < survey.bad_lines else ""
        show(Text(f"\n{bad} cannot be sent.{first}", style="bold red"))
        show(*(Text(f"  {problem}") for problem in survey.problems))
    elif survey.rows:
        ready = Text("Ready to be sent.", style="green")
        show("", ready if told is None else told.verdict())
    else:
        show(
            Text(
                "\nThe input has no row to send: run would write an output without rows.",
                style="yellow",
            )
        )


def _cap(survey: Survey, settings: BatchSettings) -> Cap | None:
    budget = settings.options.budget
    if budget is None:
        return None
    return Cap.of(budget, survey.shards, is_whole=settings.options.key is not None)


def _cost_facts(
    survey: Survey, settings: BatchSettings, prices: Prices | None, told: Forecast | None
) -> Iterator[tuple[str, str]]:
    if prices is None:
        yield "Cost", no_price(settings.spec.model)
        return
    costs = _costs(survey, prices)
    yield "Cost", f"about {dollars(costs.input)} in, at most {dollars(costs.output)} out"
    yield "Prices", in_words(prices)
    if (cap := _cap(survey, settings)) is not None:
        yield from cap.facts(None if told is None else told.batch_cost)
    if (concern := concern_about(prices)) is not None:
        yield "Note", concern


def _facts(
    names: Sequence[str],
    survey: Survey,
    settings: BatchSettings,
    prices: Prices | None,
    told: Forecast | None,
) -> Iterator[tuple[str, str]]:
    yield (
        "Input",
        names[0] if len(names) == 1 else f"{number(len(names), 'file')}, {names[0]} first",
    )
    yield "Rows", f"{survey.rows:,}"
    for line in survey.unsent.lines(survey.rows):
        yield "Not paid", line
    yield "Model", settings.spec.model
    fields = settings.template.shared_fields
    plain = {name: value for name, value in fields.items() if not isinstance(value, dict | list)}
    yield "Settings", ", ".join(f"{name} {value}" for name, value in plain.items())
    for name, value in fields.items():
        if name not in plain:  # a schema, say
            yield name, yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()
    if survey.rows:
        yield from _row_facts(survey, settings, prices, told)
    for name, count in survey.unknown_fields.most_common(10):
        rows = number(count, "row")
        yield "Not sent", f"{name}, in {rows}: no part of a conversation; kept in the output"
    yield "Accept", _accepted(settings)
    for name, value in settings.ignored:
        yield "Left out", f"generation.{name}={value}: Fireworks has nothing like it"
    for warning in (*survey.cautions, *settings.warnings):
        yield "Note", warning


def _row_facts(
    survey: Survey, settings: BatchSettings, prices: Prices | None, told: Forecast | None
) -> Iterator[tuple[str, str]]:
    """Yield what the rows amount to."""
    jobs = number(len(survey.shards), "job")
    yield "Requests", f"{size(survey.bytes)} in {jobs}, the largest {size(survey.largest)}"
    for bound, ended in survey.split_by.items():
        yield "Split", f"by {bound}: {number(ended, 'job')}, {_BOUNDS[bound]}"
    yield "Answers", f"at most {size(survey.output_bytes)}"
    if survey.shared_rows:
        shared = number(survey.shared_rows, "row")
        saved = f"{size(survey.saved)} less to upload"
        yield "Shared", f"the system message of {shared} travels with the job: {saved}"
    roles = ", ".join(f"{count:,} {role}" for role, count in survey.roles.most_common())
    extras = [
        number(survey.images, "image") if survey.images else "",
        f"{survey.with_tools:,} with tools" if survey.with_tools else "",
    ]
    yield "Messages", "; ".join(filter(None, [roles, *extras]))
    yield (
        "Tokens",
        f"about {survey.prompt_tokens:,} in, at most {survey.completion_tokens:,} out",
    )
    yield "", f"({HOW_ESTIMATED})"
    if told is None:
        yield "", "(rough: --pilot 200 --cache DIR runs 200 rows and measures)"
    if survey.unlimited:
        yield "", f"({_NO_LIMIT} in {number(survey.unlimited, 'row')})"
    yield from _cost_facts(survey, settings, prices, told)
    if survey.longest:
        longest = (f"{place} ({number(tokens, 'token')})" for tokens, place in survey.longest)
        yield "Longest", ", ".join(longest)


def _accepted(settings: BatchSettings) -> str:
    """Say what an answer has to be, and what becomes of one that is not."""
    if settings.rules is None:
        return "every answer is taken, also one that is cut off or empty"
    options = settings.fireworks
    rules = yaml.safe_dump(options.accept, default_flow_style=True, width=10_000).strip()
    if options.on_reject is None:
        return f"{rules}; what is rejected is not asked for again (on_reject)"
    again = yaml.safe_dump(options.on_reject, default_flow_style=True, width=10_000).strip()
    return f"{rules}; what is rejected is asked for again: {again}"
