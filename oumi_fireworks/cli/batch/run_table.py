"""``run_table``: what ``oumi-fireworks batch run`` does, from Python."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf

from oumi_fireworks.cli.batch.options import OnceFlags, PriceFlags
from oumi_fireworks.cli.batch.run import run_rows
from oumi_fireworks.cli.batch.table_flags import override
from oumi_fireworks.cli.exit_codes import WrongUseError
from oumi_fireworks.errors import ConfigurationError, OptionError
from oumi_fireworks.options.tables import InputOptions, OutputOptions
from oumi_fireworks.params import FireworksParams
from oumi_fireworks.request_fields import did_you_mean

_PLACES = {
    **{name: f"input.{name}" for name in InputOptions.names() if name != "format"},
    **{name: f"output.{name}" for name in OutputOptions.names() if name != "format"},
    "input_format": "input.format",
    "output_format": "output.format",
}
"""The options of a table, by the names that they have here."""


@dataclass(frozen=True)
class TableRun:
    """What has become of the rows of a table.

    Attributes:
        answered: Rows with an answer.
        rejected: Rows whose answers do not hold.
        failed: Rows without an answer.
        over_budget: Rows that were not sent, since ``max_cost`` did not allow it.
        bad_rows: Rows of the input that could not be sent, and were left out.
        output: Where the rows are.
    """

    answered: int
    rejected: int
    failed: int
    over_budget: int
    bad_rows: int
    output: str

    @property
    def is_complete(self) -> bool:
        """Whether every row of the input is answered."""
        return not (self.rejected or self.failed or self.over_budget or self.bad_rows)


def run_table(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    sink: str | os.PathLike[str],
    config: str | os.PathLike[str] | Mapping[str, Any] | object,
    *,
    mode: Literal["batch", "online"] = "batch",
    overwrite: bool = False,
    skip_bad: bool = False,
    report: str | os.PathLike[str] | None = None,
    key: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_max_age: str | None = None,
    dedupe: Literal["auto", "on", "off"] | None = None,
    deadline: str | None = None,
    then: Literal["online"] | None = None,
    price: Mapping[str, float] | None = None,
    max_cost: float | None = None,
    cost_in_metadata: bool | None = None,
    events: str | os.PathLike[str] | None = None,
    notify: str | Sequence[str] | None = None,
    **options: Any,
) -> TableRun:
    """Run the rows of a table, from file to file: what ``oumi-fireworks batch run`` does.

    Killed at any moment, the same call goes on, and nothing is paid twice. Rows that fail raise
    nothing: they are in the output with their error, and in ``SINK.errors.jsonl``.

    Args:
        source: A file, a pattern, a URL, a dataset, or several files.
        sink: A file or a URL; its name says how it is written.
        config: Oumi's inference configuration: a YAML file, a mapping, or an ``InferenceConfig``.
        mode: Through the Batch API, or request by request.
        overwrite: Whether to replace what is there.
        skip_bad: Whether to leave rows out that cannot be sent.
        report: Where a report for a browser goes, an HTML file; None writes none.
        key: A name under which these rows are one batch, however often and wherever they are run.
        cache: A folder of answers that outlive runs: what is in it is not asked again.
        cache_max_age: How old an answer of the cache may be: ``30d``, ``12h``.
        dedupe: Whether rows that ask the same are sent once.
        deadline: How long to wait for the batch, from the run's beginning: ``6h``.
        then: How rows run that are not finished by then.
        price: Dollars for a million tokens, as billed: ``input``, ``output``, ``cached_input``.
        max_cost: Dollars that the run never exceeds. What fits is run; the same call with more
            goes on.
        cost_in_metadata: Whether each answer's cost is put into its conversation's metadata.
        events: A file to which what happens is appended, one JSON object a line.
        notify: Addresses of Apprise that get a message when the run ends or needs a look.
            What is None here, from ``key`` on, is as the configuration says.
        **options: ``prompt``, ``prompt_column``, ``messages_column``, ``system``,
            ``image_column``, ``id_column``, ``input_format``, ``output_format``, ``prefix`` and
            ``expand``: they win over the options ``input`` and ``output`` of the configuration.

    Returns:
        How many rows have which outcome.

    Raises:
        ConfigurationError: If something is set that cannot work. Nothing was sent.
        InputError: If the input cannot be read, or has rows that cannot be sent.
        FireworksError: What ended it; the same call goes on.
    """
    several = isinstance(source, Sequence) and not isinstance(source, str)
    inputs = [os.fspath(each) for each in source] if several else [os.fspath(source)]  # type: ignore[union-attr, arg-type]
    overrides = [_override(name, value) for name, value in options.items() if value is not None]
    once = OnceFlags(key, _path(cache), cache_max_age, dedupe, deadline, then)
    prices = _prices(price)

    def run() -> TableRun:
        with _file_of(config) as file:
            _, delivery = run_rows(
                file,
                overrides,
                inputs,
                os.fspath(sink),
                overwrite=overwrite,
                skip_bad=skip_bad,
                report=None if report is None else Path(report).expanduser(),
                once=once,
                price_flags=prices,
                max_cost=max_cost,
                cost_in_metadata=cost_in_metadata,
                events=_path(events),
                notify=[notify] if isinstance(notify, str) else notify,
                mode=mode,
                shown_config=None if isinstance(config, str | os.PathLike) else "CONFIG.yaml",
            )
        return TableRun(
            answered=delivery.answered,
            rejected=delivery.rejected + delivery.kept,
            failed=delivery.failed,
            over_budget=delivery.over_budget,
            bad_rows=delivery.bad_lines,
            output=os.fspath(sink),
        )

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(run)
    with ThreadPoolExecutor(1) as thread:  # a loop runs here, as in Jupyter
        return thread.submit(_run, run).result()


def _run(run: Any) -> TableRun:
    try:
        found: TableRun = run()
    except WrongUseError as error:
        raise ConfigurationError(str(error)) from error
    return found


def _path(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else str(Path(path).expanduser())


def _prices(price: Mapping[str, float] | None) -> PriceFlags:
    if price is None:
        return PriceFlags(None, None, None)
    FireworksParams(price=price)  # refuses what is none
    return PriceFlags(price["input"], price.get("cached_input"), price["output"])


def _override(name: str, value: object) -> str:
    place = _PLACES.get(name)
    if place is None:
        raise OptionError(
            f"There is no option {name!r} for a table.{did_you_mean(name, _PLACES)} The options "
            f"are: {', '.join(_PLACES)}."
        )
    return override(place, value)


@contextmanager
def _file_of(config: object) -> Iterator[str]:
    """Give a configuration as a file."""
    if isinstance(config, str | os.PathLike):
        yield os.fspath(config)
        return
    if is_dataclass(config) and not isinstance(config, type):
        text = OmegaConf.to_yaml(OmegaConf.structured(config))
    elif isinstance(config, Mapping):
        text = OmegaConf.to_yaml(OmegaConf.create(dict(config)))
    else:
        raise ConfigurationError(
            f"A configuration is a YAML file, a mapping or an InferenceConfig, not {config!r:.80}."
        )
    with tempfile.TemporaryDirectory(prefix="oumi-fireworks-") as folder:
        file = Path(folder) / "config.yaml"
        file.touch(0o600)  # it may hold a key
        file.write_text(text, encoding="utf-8")
        yield str(file)
