"""``oumi-fireworks batch run``: from conversations to answered conversations, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from oumi_fireworks.batch import BatchResults
from oumi_fireworks.cli.batch.arguments import price_option
from oumi_fireworks.cli.batch.conclusion import conclude, conclude_online
from oumi_fireworks.cli.batch.configuration import BatchSettings, Mode, load_settings
from oumi_fireworks.cli.batch.empty_run import run_empty
from oumi_fireworks.cli.batch.online import online_rows, run_online
from oumi_fireworks.cli.batch.options import OnceFlags, PriceFlags
from oumi_fireworks.cli.batch.page import (
    ReportFeed,
    notes_on,
    rejected_answers,
    write_page,
    write_report,
)
from oumi_fireworks.cli.batch.paths import (
    STDOUT,
    choose_inputs,
    local_files,
    local_inputs,
    output_named,
    require_free,
    require_report_apart,
    require_writable,
    spool_inputs,
)
from oumi_fireworks.cli.batch.pilot import warn_of_pilots
from oumi_fireworks.cli.batch.probing import ProbeFeed, probe_of
from oumi_fireworks.cli.batch.suggestions import Given, suggested
from oumi_fireworks.cli.batch.whole_run import batch_run, go, held, require_still_free
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, say_command, show_logs
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.engine.online_rows import OnlineResults
from oumi_fireworks.engine.run_folder import key_of, run_folder
from oumi_fireworks.engine.wiring import opened_cache
from oumi_fireworks.errors import NoRowsError
from oumi_fireworks.report import RejectedAnswers, ReportBuilder, RunFacts
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, RowObserver, deliver
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.remote import local_name
from oumi_fireworks.tables.sink import Sink
from oumi_fireworks.tables.sinks import open_sink


def run_rows(
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    output: str | None,
    *,
    overwrite: bool,
    skip_bad: bool,
    report: Path | None,
    once: OnceFlags,
    price_flags: PriceFlags,
    max_cost: float | None,
    cost_in_metadata: bool | None,
    events: str | None,
    notify: Sequence[str] | None,
    mode: Mode,
    shown_config: str | None = None,
) -> tuple[ExitCode, Delivery]:
    """Run rows through the Batch API or online, all the way.

    ``shown_config`` is the name of the configuration in a command that is suggested, where the
    file itself will be gone.
    """
    show_logs()
    given = Given(
        config=shown_config or config,
        inputs=inputs,
        overrides=overrides,
        once=once,
        prices=price_flags,
        max_cost=max_cost,
        cost_in_metadata=cost_in_metadata,
        events=events,
        notify=notify or (),
    )
    settings = load_settings(
        config,
        overrides,
        **once._asdict(),
        price=price_option(price_flags),
        max_cost=max_cost,
        cost_in_metadata=cost_in_metadata,
    )
    require_followed(settings.fireworks, Way.RUN_ONLINE if mode == "online" else Way.RUN)
    prices = settings.prices(mode)
    settings.warn()
    warn_of_pilots(settings)
    named = output or settings.output_path
    if named is None:
        raise WrongUseError("There is no output. Name one with --output FILE.")
    folder = _folder_of(named, settings, inputs)
    place = output_named(named, folder)
    written = local_files(place)
    connection = settings.connection()
    files = choose_inputs(inputs, settings.input_path, leave_out=written, stdin=folder / "stdin")
    require_writable(*written, report)
    require_report_apart(report, [*written, *local_inputs(files)])
    rows = FileInput(files, settings.fireworks.input_options)
    reader = ConversationReader(rows, skip_bad=skip_bad)
    batch = batch_run(folder, reader, settings, written[0] if written else None)
    page = None if report is None else ReportBuilder(title=Path(named).name)
    probe, rejections = probe_of(settings), list[RejectedAnswers]()
    observers: list[RowObserver] = [ProbeFeed(probe)]
    if page is not None:
        observers.append(ReportFeed(page))

    def require_output() -> None:
        require_free(place, overwrite=overwrite)

    def sink_of_input(*, is_begun: bool) -> Sink:
        spool_inputs(files, keep=is_begun)
        options, fields = settings.fireworks.output_options, settings.template.shared_fields
        return open_sink(place, options, rows, fields, settings.answer_prices(mode))

    def note_rejections(results: BatchResults | OnlineResults) -> None:
        if page is not None:
            rejections[:] = rejected_answers(results.index)

    async def write(results: BatchResults) -> Delivery:
        require_still_free(folder, place, is_own=batch.has_own_file, overwrite=overwrite)
        with busy(f"Writing {place.name}"):
            begin_delivery = partial(batch.begin_delivery, is_whole=results.is_over)
            note_rejections(results)
            return await deliver(
                reader,
                results,
                sink,
                observers,
                begin_delivery,
                keep_rejected=settings.keeps_rejected,
                asked=settings.asked,
                metadata_prices=settings.metadata_prices(),
            )

    if mode == "online":
        with (
            settings.events(named, events, notify, mode) as told,
            opened_cache(settings.fireworks) as cache,
            online_rows(folder, reader, settings, cache) as online,
        ):
            if not online.is_begun:
                require_output()
            sink = sink_of_input(is_begun=online.is_begun)
            delivery, answers = run_online(
                online,
                settings,
                connection,
                reader,
                sink,
                observers,
                told,
                note_rejections,
                overwrite=overwrite,
            )
        code = conclude_online(delivery, answers, place, prices, probe.advice())
        if report is not None and page is not None:
            notes = (*notes_on(delivery.bad_lines), *probe.advice())
            page.set_run(
                RunFacts(
                    model=settings.spec.model,
                    prices=prices,
                    notes=notes,
                    rejections=tuple(rejections),
                )
            )
            write_page(page, report)
        if written and not answers.is_held:
            _say_retry(delivery, named, given)
        return code, delivery

    with settings.events(named, events, notify) as told, held(batch, require_output):
        sink = sink_of_input(is_begun=batch.manifest_path.exists())
        try:
            delivery, results = with_client(
                lambda client: go(client, batch, write, told, prices, require_output), connection
            )
        except NoRowsError:
            code, delivery = run_empty(reader, sink, observers, told)
            if report is not None and page is not None:
                write_page(page, report)
            return code, delivery
    code = conclude(delivery, results, place, prices, probe.advice(), settings.prices("online"))
    if report is not None and page is not None:
        facts = [f"{line}." for line in results.unsent.lines(len(results.index))]
        write_report(
            page,
            report,
            results,
            prices,
            settings.prices("online"),
            delivery.bad_lines,
            rejections,
            [*facts, *probe.advice()],
        )
    if written and results.is_over:
        _say_retry(delivery, named, given)
    return code, delivery


def _say_retry(delivery: Delivery, output: str, given: Given) -> None:
    """Say how the rows are run again that are open, as a batch, however they were run before."""
    if not delivery.open:
        return
    # With the same parameters rejected rows are not run again.
    when = "" if delivery.failed else ", once a parameter or on_reject has changed"
    say_command(f"Retry{when}: ", suggested("retry", [output], given))


def _folder_of(output: str, settings: BatchSettings, inputs: Sequence[str]) -> Path:
    """Return where a run keeps its files; without an output the same command has the same place."""
    run_dir = None if settings.run_dir is None else str(settings.run_dir)
    if output != STDOUT:
        return run_folder(local_name(output), run_dir, "")
    shared = settings.template.shared_fields
    command = [str(Path.cwd()), settings.spec.model, shared, *inputs, settings.input_path]
    key = settings.options.key
    return run_folder(None, run_dir, key_of(command if key is None else [*command, {"key": key}]))
