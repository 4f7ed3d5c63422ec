"""The batch commands: signatures and help, and nothing heavy.

What a command does is in a module of its own, loaded when the command runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from oumi_fireworks.cli.batch.options import (
    AnswersPath,
    BatchIds,
    Cache,
    CacheMaxAge,
    ConfigPath,
    CostInMetadata,
    Deadline,
    Dedupe,
    EventsPath,
    InputPaths,
    Json,
    Key,
    MaxCost,
    MaxCostOfAll,
    NotifyUrls,
    OnceFlags,
    OutputPath,
    Overwrite,
    PagePath,
    PilotMode,
    PilotRetry,
    PilotRows,
    PriceCached,
    PriceFlags,
    PriceIn,
    PriceOut,
    ReportPath,
    ResultsPath,
    RulesPath,
    RunMode,
    SkipBad,
    SubmittedPaths,
    Then,
    Yes,
)
from oumi_fireworks.cli.batch.overrides import read_extras
from oumi_fireworks.cli.batch.ray_flags import (
    MaxBatches,
    RayAddress,
    RayCommand,
    RowsPerBatch,
    refuse_what_ray_lacks,
)
from oumi_fireworks.cli.batch.table_flags import (
    FETCHED_ROWS,
    INPUT_FLAGS,
    ROWS_IN_AND_OUT,
    table_options,
    with_flags,
)
from oumi_fireworks.cli.ending import reports_errors
from oumi_fireworks.cli.exit_codes import ExitCode
from oumi_fireworks.cli.strict import StrictCommand

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=(
        "Run conversations through the Batch API, at half the price.\n\n"
        "[cyan]run[/cyan] goes the whole way and can be repeated after any interruption; "
        "[cyan]submit[/cyan], [cyan]status[/cyan] and [cyan]results[/cyan] are its steps one by "
        "one.\n\n"
        "Exit codes: 0 all rows answered, 1 failed, 2 wrong use, 3 finished with rows that have "
        "no answer, 130 interrupted."
    ),
)

_WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Whatever is not an option of the command is an override of the configuration."""


def _command(
    name: str | None = None,
    *,
    with_overrides: bool = False,
    flags: Mapping[str, object] | None = None,
    kind: type[StrictCommand] = StrictCommand,
) -> Callable[[Callable[..., ExitCode]], None]:
    """Add a command, its docstring as help: a paragraph of it is one, however it is wrapped."""

    def add(function: Callable[..., ExitCode]) -> None:
        paragraphs = (function.__doc__ or "").split("\n\n")
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        context = _WITH_OVERRIDES if with_overrides else None
        command = with_flags(function, flags) if flags else function
        app.command(name, cls=kind, help=text, context_settings=context)(reports_errors(command))

    return add


@contextmanager
def _loading() -> Iterator[None]:
    """Show that something happens while Oumi's conversations load: more than a second."""
    from oumi_fireworks.cli.terminal import busy

    with busy("Loading"):
        yield


@_command(with_overrides=True, flags=ROWS_IN_AND_OUT, kind=RayCommand)
def run(
    context: typer.Context,
    config: ConfigPath,
    inputs: InputPaths = None,
    output: OutputPath = None,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = False,
    report: ReportPath = None,
    key: Key = None,
    cache: Cache = None,
    cache_max_age: CacheMaxAge = None,
    dedupe: Dedupe = None,
    deadline: Deadline = None,
    then: Then = None,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
    max_cost: MaxCost = None,
    cost_in_metadata: CostInMetadata = None,
    events: EventsPath = None,
    notify: NotifyUrls = None,
    mode: RunMode = "batch",
    ray: RayAddress = None,
    rows_per_batch: RowsPerBatch = 50_000,
    max_batches: MaxBatches = 64,
) -> ExitCode:
    """Run rows through the Batch API, from an input to an output of answers.

    With [cyan]--mode online[/cyan] they run request by request instead.

    The answers are in OUTPUT in the order of the input, the failures in OUTPUT.errors.jsonl.
    Interrupted or killed, the same command goes on where it was: it never pays twice. With
    [cyan]--key[/cyan] it does so on another machine, too. Settings of
    the configuration can be replaced as with [cyan]oumi infer[/cyan]:
    [cyan]--generation.max_new_tokens 5[/cyan]. An input without rows gives an output without rows.

    With [cyan]--ray[/cyan] a cluster does it: tables in, and a folder of tables out.
    """
    extras = read_extras(context)
    if ray is not None:
        refuse_what_ray_lacks(context)
        with _loading():
            from oumi_fireworks.cli.batch.on_ray import run_on_ray
        return run_on_ray(
            config,
            extras.overrides,
            [*(inputs or []), *extras.files],
            output,
            address=ray,
            overwrite=overwrite,
            skip_bad=skip_bad,
            rows_per_batch=rows_per_batch,
            max_batches=max_batches,
            once=OnceFlags(key, cache, cache_max_age, dedupe, deadline, then),
            price_flags=PriceFlags(price_in, price_cached, price_out),
            max_cost=max_cost,
            events=events,
            notify=notify,
        )
    with _loading():
        from oumi_fireworks.cli.batch.run import run_rows
    code, _ = run_rows(
        config,
        extras.overrides,
        [*(inputs or []), *extras.files],
        output,
        overwrite=overwrite,
        skip_bad=skip_bad,
        report=report,
        once=OnceFlags(key, cache, cache_max_age, dedupe, deadline, then),
        price_flags=PriceFlags(price_in, price_cached, price_out),
        max_cost=max_cost,
        cost_in_metadata=cost_in_metadata,
        events=events,
        notify=notify,
        mode=mode,
    )
    return code


@_command(with_overrides=True, flags=INPUT_FLAGS)
def check(
    context: typer.Context,
    config: ConfigPath,
    inputs: InputPaths = None,
    answers: AnswersPath = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Exit with 0 as long as any line can be sent.")
    ] = False,
    as_json: Json = False,
    cache: Cache = None,
    cache_max_age: CacheMaxAge = None,
    dedupe: Dedupe = None,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
    pilot: PilotRows = None,
    pilot_mode: PilotMode = None,
    pilot_retry: PilotRetry = False,
    max_cost: MaxCost = None,
) -> ExitCode:
    """Check conversations and settings without sending anything; no key is needed.

    With [cyan]--pilot N[/cyan] it then runs N rows, drawn at random, online or as a small batch
    ([cyan]--pilot-mode batch[/cyan]), and tells from them what the others will cost. Their answers
    are kept ([cyan]--cache[/cyan]) for the run that follows, which does not pay for them again.

    Counts rows, bytes, jobs and roles, estimates tokens and their cost, and names each line that
    Fireworks would refuse. One such line would fail the whole batch. With
    [cyan]--answers[/cyan] it says which answers of an earlier output the option accept would
    reject: a way to try rules.

    Exits with 1 when there are such lines (with [cyan]--skip-bad[/cyan] when there are no others),
    or when every row of a pilot has failed; with 3 when rows of it have no answer.
    """
    extras = read_extras(context)
    with _loading():
        from oumi_fireworks.cli.batch.check import check
    return check(
        config,
        extras.overrides,
        [*(inputs or []), *extras.files],
        answers=answers,
        skip_bad=skip_bad,
        as_json=as_json,
        once=OnceFlags(None, cache, cache_max_age, dedupe),
        price_flags=PriceFlags(price_in, price_cached, price_out),
        pilot=pilot,
        pilot_mode=pilot_mode,
        pilot_retry=pilot_retry,
        max_cost=max_cost,
    )


@_command(with_overrides=True, flags=INPUT_FLAGS)
def submit(
    context: typer.Context,
    config: ConfigPath,
    inputs: InputPaths = None,
    skip_bad: SkipBad = False,
    key: Key = None,
    max_cost: MaxCostOfAll = None,
) -> ExitCode:
    """Submit conversations, and print the batch's id.

    All of them or nothing: when it fails or is interrupted, no job is left behind. With
    [cyan]--key[/cyan] the same command goes on instead, and prints the same id whenever it is
    repeated. Settings of the configuration can be replaced as with [cyan]oumi infer[/cyan].

    An input without a row to send is wrong use (exit code 2), since there is no id to print.
    """
    extras = read_extras(context)
    with _loading():
        from oumi_fireworks.cli.batch.submit import submit
    files = [*(inputs or []), *extras.files]
    return submit(config, extras.overrides, files, skip_bad=skip_bad, key=key, max_cost=max_cost)


@_command()
def status(
    batch_id: Annotated[str, typer.Argument(metavar="ID", help="The batch.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait until it has ended.")] = False,
    as_json: Json = False,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
) -> ExitCode:
    """Show the state of a batch: rows, tokens, times, and the cost where the price is known.

    With [cyan]--watch[/cyan] the exit code says how the batch has ended; otherwise it is 0.
    """
    from oumi_fireworks.cli.batch.status import status

    return status(
        batch_id,
        wait=watch,
        as_json=as_json,
        price_flags=PriceFlags(price_in, price_cached, price_out),
    )


@_command("list")
def list_batches(
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="Only batches in this state: running, completed, failed, ... May be repeated.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at the most.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    as_json: Json = False,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
) -> ExitCode:
    """List batches, newest first. The jobs of one batch are one line.

    The cost so far is shown where the price of the model is known.
    """
    from oumi_fireworks.cli.batch.listing import list_batches

    return list_batches(
        states or [],
        limit=None if everything else limit,
        as_json=as_json,
        price_flags=PriceFlags(price_in, price_cached, price_out),
    )


@_command(flags=FETCHED_ROWS)
def results(
    context: typer.Context,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The batch, then further runs of its rows.")
    ],
    inputs: SubmittedPaths = None,
    config: RulesPath = None,
    output: ResultsPath = None,
    overwrite: Overwrite = False,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad", hidden=True, help="Not needed: the batch knows what it left out."
        ),
    ] = False,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked",
            help="Believe that FILE is what was submitted where nothing shows it: another client "
            "has made the batch, and Fireworks no longer has its input.",
        ),
    ] = False,
    report: ReportPath = None,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
    cost_in_metadata: CostInMetadata = None,
) -> ExitCode:
    """Fetch the results of a batch that has ended.

    With [cyan]--input[/cyan], the files that were submitted, they become conversations in the same
    order, and the failures go to OUTPUT.errors.jsonl. An answer is only put beside the prompt that
    was sent: another input is refused. With [cyan]--config[/cyan] answers that its option accept
    rejects are among the failures; nothing is asked again. Without [cyan]--input[/cyan] they are
    the rows as the service gives them. Several ids are merged: a batch, and the further runs of its
    failed rows.
    """
    if not inputs and report is None:
        from oumi_fireworks.cli.batch.raw_results import raw_results

        return raw_results(
            ids,
            output,
            overwrite=overwrite,
            price_flags=PriceFlags(price_in, price_cached, price_out),
        )
    with _loading():
        from oumi_fireworks.cli.batch.results import results
    return results(
        ids,
        inputs or [],
        output,
        config=config,
        overwrite=overwrite,
        unchecked=unchecked,
        table=table_options(context),
        report=report,
        price_flags=PriceFlags(price_in, price_cached, price_out),
        cost_in_metadata=cost_in_metadata,
    )


@_command(with_overrides=True, flags=INPUT_FLAGS)
def retry(
    context: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="ID|OUTPUT", help="An output of run, or a batch.")
    ],
    config: ConfigPath,
    inputs: SubmittedPaths = None,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--after",
            metavar="ID",
            help="A batch that has run rows of this one again. May be repeated.",
        ),
    ] = None,
    as_json: Json = False,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
    max_cost: MaxCost = None,
    events: EventsPath = None,
    notify: NotifyUrls = None,
) -> ExitCode:
    """Run the rows again that have no answer, and no others.

    Of an OUTPUT of [cyan]run[/cyan] or [cyan]results[/cyan], be it conversations or a table: those
    in OUTPUT.errors.jsonl. Their answers are put into OUTPUT, each in its place; interrupted or
    killed, the same command goes on.

    Of a batch by its ID: a further batch is submitted, whose id is printed;
    [cyan]results ID FURTHER_ID[/cyan] merges both.
    """
    extras = read_extras(context)
    files = [*(inputs or []), *extras.files]
    with _loading():
        from oumi_fireworks.cli.batch.retry import retry
    return retry(
        subject,
        config,
        extras.overrides,
        files,
        further=further or [],
        as_json=as_json,
        price_flags=PriceFlags(price_in, price_cached, price_out),
        max_cost=max_cost,
        events=events,
        notify=notify,
    )


@_command()
def cancel(ids: BatchIds, yes: Yes = False, as_json: Json = False) -> ExitCode:
    """Stop batches. The rows that they have finished are kept and billed; the others cost nothing.

    A batch that has ended is left alone.
    """
    from oumi_fireworks.cli.batch.cancel import cancel

    return cancel(ids, yes=yes, as_json=as_json)


@_command()
def clean(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Only those that are older: 7d, 36h, 90m; 0 for all.")
    ] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list them.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> ExitCode:
    """Remove input and result datasets of this tool that no batch at work uses.

    They are listed first. Results that have not been fetched are lost with their dataset.
    """
    from oumi_fireworks.cli.batch.clean import clean

    return clean(older_than, dry_run=dry_run, yes=yes, as_json=as_json)


@_command()
def report(
    subject: Annotated[
        str, typer.Argument(metavar="ID|OUTPUT", help="A batch, or an output of run or results.")
    ],
    output: PagePath = None,
    price_in: PriceIn = None,
    price_cached: PriceCached = None,
    price_out: PriceOut = None,
) -> ExitCode:
    """Write a report for a browser: one page that needs no network.

    It shows totals, failures by kind, how long the answers are, which were cut off, and a sample of
    conversations to search; for a batch also the time line of its jobs.
    """
    from oumi_fireworks.cli.batch.report import report

    return report(subject, output, price_flags=PriceFlags(price_in, price_cached, price_out))
