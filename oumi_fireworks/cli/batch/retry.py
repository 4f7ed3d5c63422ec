"""``oumi-fireworks batch retry``: run the open rows of an output again, and put them into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from oumi_fireworks.batch import BatchResults
from oumi_fireworks.batch.run_files import MANIFEST_NAME
from oumi_fireworks.cli.batch.arguments import batch_ids, price_option
from oumi_fireworks.cli.batch.conclusion import conclude
from oumi_fireworks.cli.batch.configuration import BatchSettings, load_settings
from oumi_fireworks.cli.batch.open_rows import (
    EarlierAnswers,
    copy_open_rows,
    has_rejected,
    places_of,
)
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.paths import choose_inputs, require_writable, spool_inputs
from oumi_fireworks.cli.batch.retried_outputs import (
    Further,
    RetriedConversations,
    RetriedOutput,
    RetriedResults,
    RetriedTable,
)
from oumi_fireworks.cli.batch.retry_batch import retry_batch
from oumi_fireworks.cli.batch.whole_run import batch_run, go, held
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.json_outputs import RetryOutput
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, print_json, say, show_logs
from oumi_fireworks.engine.online_rows import SETTINGS_NAME
from oumi_fireworks.engine.run_folder import run_folder
from oumi_fireworks.grammar import number
from oumi_fireworks.tables import InputFile
from oumi_fireworks.tables.answer_columns import AnswerColumns
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, deliver
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.json_lines import JsonLines
from oumi_fireworks.tables.kept_lines import KeptResults
from oumi_fireworks.tables.kept_outputs import kept_output
from oumi_fireworks.tables.openai_rows import OpenAIRows
from oumi_fireworks.tables.output import LocalOutput, errors_path
from oumi_fireworks.tables.remote import scheme_of
from oumi_fireworks.tables.source import InputRow


def retry(
    subject: str,
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    *,
    further: Sequence[str],
    as_json: bool,
    price_flags: PriceFlags,
    max_cost: float | None,
    events: str | None,
    notify: Sequence[str] | None,
) -> ExitCode:
    """Run the rows of an output or of a batch again that have no answer."""
    output = Path(subject).expanduser()
    if not output.is_file():
        if scheme_of(subject) is not None:
            raise WrongUseError(
                f"{subject} is not on this machine, and answers are put into local files. Copy it "
                "here with its .errors.jsonl, run them again, and copy both back."
            )
        try:
            ids = batch_ids([subject, *further])
        except WrongUseError as error:
            raise WrongUseError(f"There is no file {subject}, and {error}") from error
        return retry_batch(
            ids,
            config,
            overrides,
            inputs,
            as_json=as_json,
            price=price_option(price_flags),
            max_cost=max_cost,
            events=events,
            notify=notify,
        )
    if further:
        raise WrongUseError("--after is for a batch; an output knows what is open.")
    return _retry_output(
        output,
        config,
        overrides,
        inputs,
        as_json=as_json,
        price_flags=price_flags,
        max_cost=max_cost,
        events=events,
        notify=notify,
    )


def _retried(output: Path, settings: BatchSettings) -> RetriedOutput:
    """Return what an output is to its retry.

    Raises:
        InputError: If it cannot be read, or has no answers.
        ConfigurationError: If the configuration is not the one that it was made with.
    """
    kept = kept_output(output, settings.template.shared_fields)
    if kept is None:
        return RetriedConversations(output)
    if isinstance(kept, KeptResults):
        return RetriedResults(output, kept)
    return RetriedTable(output, kept, AnswerColumns(prices=settings.answer_prices()))


class _CopiedRows:
    """The rows of an input that were copied, each asked as in the whole of it.

    Args:
        path: The copy.
        name: What to call it, for people.
        whole: The input.
    """

    def __init__(self, path: Path, name: str, whole: FileInput) -> None:
        self._file = InputFile(path, name)
        self._whole = whole
        self.name = name

    def rows(self) -> Iterator[InputRow]:
        """Yield the rows."""
        kind = OpenAIRows if isinstance(self._whole.source, OpenAIRows) else JsonLines
        return kind([self._file]).rows()


def _require_no_run(folder: Path, output: Path) -> None:
    """Refuse to run rows again whose answers a run may still bring.

    Raises:
        WrongUseError: If the run that has written the output has not ended.
    """
    if (folder / MANIFEST_NAME).exists() or (folder / SETTINGS_NAME).exists():
        raise WrongUseError(
            f"The run of {output} has not ended: answers that are paid for may still come. "
            "Run the command again that has written it; that pays nothing twice. To give up what "
            f"is missing, and pay for it anew, remove {folder}."
        )


def _retry_output(
    output: Path,
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    *,
    as_json: bool,
    price_flags: PriceFlags,
    max_cost: float | None,
    events: str | None,
    notify: Sequence[str] | None,
) -> ExitCode:
    """Run the open rows of an output again.

    They are a run of its own, beside the output, whose input is a copy of their lines. It can be
    repeated after any interruption, like every run.
    """
    show_logs()
    settings = load_settings(
        config, overrides, price=price_option(price_flags), max_cost=max_cost
    ).without_key()
    prices = settings.prices()
    settings.warn()
    connection = settings.connection()
    run_dir = None if settings.run_dir is None else str(settings.run_dir)
    _require_no_run(run_folder(str(output), run_dir, ""), output)
    retried = _retried(output, settings)
    folder = run_folder(f"{output}.retry", run_dir, "")
    written = [output, errors_path(output)]
    files = choose_inputs(inputs, settings.input_path, leave_out=written, stdin=folder / "stdin")
    require_writable(*written)
    copied = folder / "stdin.open"
    whole = FileInput(files, settings.fireworks.input_options)
    open_reader = ConversationReader(_CopiedRows(copied, f"the open rows of {output}", whole))
    earlier = EarlierAnswers(folder / "stdin.rejected")
    has_earlier = earlier.exist or has_rejected(output, settings.asked)
    batch = batch_run(folder, open_reader, settings.after(earlier if has_earlier else None))
    everything = ConversationReader(whole, skip_bad=True)

    async def write(results: BatchResults) -> Delivery:
        answers = folder / "stdin.answers"
        with busy(f"Writing {output}"):
            delivery = await deliver(
                open_reader,
                results,
                retried.sink(answers),
                keep_rejected=settings.keeps_rejected,
                asked=settings.asked,
                metadata_prices=settings.metadata_prices(),
            )
            retried.merge(everything, Further(answers, copied, earlier))
        delivery.failures.place(place["index"] for place in places_of(copied))
        return delivery

    with settings.events(output, events, notify) as told, held(batch, lambda: None):
        spool_inputs(files, keep=batch.manifest_path.exists())
        for _ in everything.prepared(settings.require_sendable):
            pass
        if not batch.manifest_path.exists():
            open_rows = retried.open_rows(everything)
            found = copy_open_rows(open_rows, copied, earlier, settings.asked, settings.times_left)
            if found.left:
                say(
                    f"{number(found.left, 'rejected row')} of {output} would be asked for with the "
                    "parameters that they were asked for with before, and are not run again. "
                    "Change a parameter, or say with on_reject how they are asked for again.",
                    "yellow",
                )
            if not found.copied:
                if not found.left:
                    say(f"No row of {output} is open.")
                return ExitCode.ROWS_OPEN if found.left else ExitCode.FINE
            say(f"{number(found.copied, 'row')} of {output} to run again.")
        delivery, results = with_client(
            lambda client: go(client, batch, write, told, prices), connection
        )
    code = conclude(
        delivery, results, LocalOutput(output), prices, online_prices=settings.prices("online")
    )
    if as_json:
        described = RetryOutput(
            output=str(output),
            answered=delivery.answered,
            open=delivery.open,
            batches=[snapshot.batch_id for snapshot in results.snapshots],
        )
        print_json(described)
    return code
