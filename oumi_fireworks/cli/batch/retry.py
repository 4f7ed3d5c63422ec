"""``oumi-fireworks batch retry``: run the open rows of an output again, and put them into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oumi_fireworks.batch import BatchResults
from oumi_fireworks.batch.run_files import MANIFEST_NAME
from oumi_fireworks.cli.batch.arguments import batch_ids, own_prices
from oumi_fireworks.cli.batch.conclusion import conclude
from oumi_fireworks.cli.batch.configuration import load_settings
from oumi_fireworks.cli.batch.options import PriceFlags
from oumi_fireworks.cli.batch.paths import choose_inputs, require_writable, spool_inputs
from oumi_fireworks.cli.batch.retry_batch import retry_batch
from oumi_fireworks.cli.batch.whole_run import batch_run, go, held
from oumi_fireworks.cli.exit_codes import ExitCode, WrongUseError
from oumi_fireworks.cli.json_outputs import RetryOutput
from oumi_fireworks.cli.service import with_client
from oumi_fireworks.cli.terminal import busy, print_json, say, show_logs
from oumi_fireworks.display.words import number
from oumi_fireworks.engine.run_folder import run_folder
from oumi_fireworks.errors import Problem
from oumi_fireworks.tables import InputFile, read_lines
from oumi_fireworks.tables.conversation_sink import ConversationSink
from oumi_fireworks.tables.conversations import ConversationReader
from oumi_fireworks.tables.delivery import Delivery, deliver
from oumi_fireworks.tables.formats import FileInput
from oumi_fireworks.tables.json_lines import JsonLines
from oumi_fireworks.tables.output import LocalOutput, errors_path
from oumi_fireworks.user_json import dumps, loads


def retry(
    subject: str,
    config: str,
    overrides: Sequence[str],
    inputs: Sequence[str],
    *,
    further: Sequence[str],
    as_json: bool,
    price_flags: PriceFlags,
    events: str | None,
    notify: Sequence[str] | None,
) -> ExitCode:
    """Run the rows of an output or of a batch again that have no answer."""
    output = Path(subject).expanduser()
    if not output.is_file():
        try:
            ids = batch_ids([subject, *further])
        except WrongUseError as error:
            raise WrongUseError(f"There is no file {subject}, and {error}") from error
        if events or notify:
            raise WrongUseError("--events and --notify are for an output; ID does not wait.")
        return retry_batch(ids, config, overrides, inputs, as_json=as_json)
    if further:
        raise WrongUseError("--after is for a batch; an output knows what is open.")
    return _retry_output(
        output,
        config,
        overrides,
        inputs,
        as_json=as_json,
        price_flags=price_flags,
        events=events,
        notify=notify,
    )


def _require_no_run(folder: Path, output: Path) -> None:
    """Refuse to run rows again whose answers a run may still bring.

    Raises:
        WrongUseError: If the run that has written the output is not at its end.
    """
    if (folder / MANIFEST_NAME).exists():
        raise WrongUseError(
            f"The run of {output} is not at its end: answers that are paid for may still come. "
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
    events: str | None,
    notify: Sequence[str] | None,
) -> ExitCode:
    """Run the open rows of an output again.

    They are a run of its own, beside the output, whose input is a copy of their lines. It can be
    repeated after any interruption, like every run.
    """
    own = own_prices(price_flags)
    show_logs()
    settings = load_settings(config, overrides).without_key()
    prices = settings.prices(own)
    settings.warn()
    connection = settings.connection()
    run_dir = None if settings.run_dir is None else str(settings.run_dir)
    _require_no_run(run_folder(str(output), run_dir, ""), output)
    folder = run_folder(f"{output}.retry", run_dir, "")
    written = [output, errors_path(output)]
    files = choose_inputs(inputs, settings.input_path, leave_out=written, stdin=folder / "stdin")
    require_writable(*written)
    copied = folder / "stdin.open"
    open_reader = ConversationReader(JsonLines([InputFile(copied, f"the open rows of {output}")]))
    batch = batch_run(folder, open_reader, settings)
    everything = ConversationReader(
        FileInput(files, settings.fireworks.input_options), skip_bad=True
    )

    async def write(results: BatchResults) -> Delivery:
        answers = folder / "stdin.answers"
        with busy(f"Writing {output}"):
            delivery = await deliver(open_reader, results, ConversationSink(LocalOutput(answers)))
            _merge(everything, output, answers)
        return delivery

    with settings.events(output, events, notify) as told, held(batch, lambda: None):
        spool_inputs(files, keep=batch.manifest_path.exists())
        for _ in everything.prepared(lambda conversation, index: None):
            pass
        if not batch.manifest_path.exists():
            count = _copy_open_rows(everything, output, copied)
            if not count:
                say(f"No row of {output} is open.")
                return ExitCode.FINE
            say(f"{number(count, 'row')} of {output} to run again.")
        delivery, results = with_client(
            lambda client: go(
                client, batch, write, on_progress=told.saw_batch, on_kept=told.needs_a_look
            ),
            connection,
        )
        told.ended(answered=delivery.answered, failed=delivery.failed)
    code = conclude(delivery, results, output, prices)
    if as_json:
        described = RetryOutput(
            output=str(output),
            answered=delivery.answered,
            open=delivery.failed,
            batches=[snapshot.batch_id for snapshot in results.snapshots],
        )
        print_json(described)
    return code


def _copy_open_rows(reader: ConversationReader, output: Path, copied: Path) -> int:
    """Copy the lines of the rows without an answer; return how many there are.

    Each keeps the id that it has in the output, which comes from its place in the whole input.

    Raises:
        WrongUseError: If the output is not of this input.
    """
    answered, failed = _Cursor(output), _Cursor(errors_path(output))
    count = 0
    with copied.open("wb") as file:
        for item in reader.conversations():
            if isinstance(item, Problem):
                continue
            name = str(item.conversation_id)
            if answered.take(name) is not None:
                continue
            if failed.take(name) is None:
                raise WrongUseError(
                    f"{output} is not of this input: it has neither an answer nor a failure for "
                    f"the conversation {name}, or not in this order. Nothing was sent."
                )
            assert reader.current is not None
            line = reader.current.as_line() | {"conversation_id": name}
            file.write(dumps(line) + b"\n")
            count += 1
    for cursor in (answered, failed):
        if cursor.name is not None:
            raise WrongUseError(
                f"{output} is not of this input: the conversation {cursor.name} is not in it. "
                "Nothing was sent."
            )
    return count


def _merge(reader: ConversationReader, output: Path, answers: Path) -> None:
    """Put further answers into an output, each in its place, and leave the failures that remain.

    Right also where an earlier process was stopped between replacing the one file and the other.
    """
    before, further, failed = (
        _Cursor(output), _Cursor(answers), _Cursor(errors_path(answers))
    )  # fmt: skip
    place = LocalOutput(output)
    with place.writing() as kept, place.errors.writing(unless_empty=True) as errors:
        for line in _lines(errors_path(output)):
            if line.get("index") is None:  # a line of the input that was left out
                errors.write(dumps(line) + b"\n")
        rows = (item for item in reader.conversations() if not isinstance(item, Problem))
        for index, conversation in enumerate(rows):
            name = str(conversation.conversation_id)
            earlier = before.take(name)
            if (answer := further.take(name) or earlier) is not None:
                kept.write(answer + b"\n")
            elif (failure := failed.take(name)) is not None:
                line = loads(failure) | {"index": index}
                errors.write(dumps(line) + b"\n")


class _Cursor:
    """Goes through the rows of a file of ours, which are in the order of the input.

    Args:
        path: The file; one that is not there has no rows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = _raw_lines(path)
        self._line = b""
        self.name: str | None = None
        """The id of the next row's conversation; None after the last."""
        self._advance()

    def take(self, name: str) -> bytes | None:
        """Return the next row if it is this conversation's, and step over it."""
        if name != self.name:
            return None
        line = self._line
        self._advance()
        return line

    def _advance(self) -> None:
        self.name = None
        for line in self._raw:
            row = _parsed(self._path, line)
            if "index" not in row or row["index"] is not None:  # else it is no row
                self._line, self.name = line, str(row.get("conversation_id"))
                return


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file of ours, none where it is not there."""
    return (_parsed(path, line) for line in _raw_lines(path))


def _raw_lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        yield from (line for _, line in read_lines([InputFile(path, str(path))]))


def _parsed(path: Path, line: bytes) -> dict[str, Any]:
    try:
        value = loads(line)
    except ValueError as error:
        raise WrongUseError(f"{path} is not what `batch run` writes: {error}.") from error
    if not isinstance(value, dict):
        raise WrongUseError(f"{path} is not what `batch run` writes: a line is no JSON object.")
    return value
