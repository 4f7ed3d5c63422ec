"""The options of the engine: ``model.model_kwargs.fireworks`` in YAML, keyword arguments in Python.

Light, so that the command line reads the same options without loading Oumi.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

from oumi_fireworks.accept.rules import Test, read_accept, read_on_reject
from oumi_fireworks.errors import OptionError
from oumi_fireworks.options.fields import check_option, default_of, option, schema_of
from oumi_fireworks.options.rules import (
    ACCEPT,
    ACCOUNT,
    AT_LEAST_ONE,
    COUNT,
    DOLLARS,
    DURATION,
    FIELDS,
    ON_REJECT,
    PRICE,
    SECONDS,
    URLS,
)
from oumi_fireworks.options.tables import InputOptions, OutputOptions
from oumi_fireworks.request_fields import (
    FLAG,
    NULL,
    RULES,
    TEXT,
    check_extra_body,
    did_you_mean,
    one_of,
    plain,
    shown,
    undocumented_fields,
    whole,
)

__all__ = [
    "FireworksParams",
    "Option",
    "options_schema",
    "options_table",
]


@dataclass(frozen=True, kw_only=True)
class FireworksParams:
    """How the engine talks to Fireworks; every option has a default.

    Raises:
        OptionError: A value is not what its option takes.
    """

    mode: Literal["online", "batch"] = option(
        "online",
        one_of("online", "batch"),
        """How `infer` runs: request by request, or through the Batch API at half the price.""",
    )
    account_id: str | None = option(
        None,
        ACCOUNT | NULL,
        """The Fireworks account that batch jobs belong to.
        Default: FIREWORKS_ACCOUNT_ID, else the key's account when it has exactly one.""",
    )
    extra_body: Mapping[str, Any] = option(
        {},
        FIELDS,
        """Further fields of every request, such as top_k or reasoning_effort.
        They win over what Oumi's generation parameters say; null takes a field out. A field that
        is not known is left out with a warning, unless it is written under `unchecked`.""",
    )
    stream: Literal["auto", "always", "never"] = option(
        "auto",
        one_of("auto", "always", "never"),
        """Whether online answers are streamed, and put together again.
        auto: those that may have more tokens than the service answers without (4,096).""",
    )
    refusal_timeout: float = option(
        1800.0,
        SECONDS,
        """How long an online run goes on while nothing gets through, in seconds.
        Meanwhile single requests find out whether the rate limit is gone, or the deployment
        has started.""",
    )
    poll_interval: float = option(
        60.0,
        SECONDS,
        """Longest wait between two looks at a batch job, in seconds.
        The service moves a job's state and counts once a minute; the first looks come sooner.""",
    )
    batch_timeout: float | None = option(
        None,
        SECONDS | NULL,
        """How long `infer` waits for a batch, in seconds; null: until it ends.
        The batch itself goes on; the same command picks it up again.""",
    )
    pending_warning: float = option(
        1800.0,
        SECONDS,
        """Warn when a job has not started after this many seconds.
        A model without batch support can stay pending for ever.""",
    )
    gone_after: float | None = option(
        None,
        SECONDS | NULL,
        """Believe only after this many seconds of looks that a job or a dataset is gone.
        Default: 60. Reads of the service may lag: a single 404 proves nothing.""",
    )
    results_timeout: float | None = option(
        None,
        SECONDS | NULL,
        """How long to wait for answers that Fireworks has counted and does not give, in seconds.
        Default: 600. After that the run is kept, and the same command goes on.""",
    )
    batch_window: Literal["12h", "24h", "48h", "72h"] | None = option(
        None,
        one_of("12h", "24h", "48h", "72h") | NULL,
        """How long a batch job may take; null: the service's own 24 hours.
        What is finished by then is kept and paid for; the other rows stay open.""",
    )
    batch_min_rows: int = option(
        0,
        COUNT,
        """In batch mode, run fewer rows than this online, unless they have a `key`.""",
    )
    max_shard_bytes: int = option(
        1_000_000_000,
        AT_LEAST_ONE,
        """Largest input file of one job, in bytes; a larger batch becomes several jobs.
        Fireworks takes 80 GiB in its current guide (500 MB and 1 GB in older ones).""",
    )
    max_shard_output_bytes: int = option(
        6_000_000_000,
        whole(1, 8_000_000_000),
        """Most bytes that the answers of one job may come to; more become several jobs.
        Estimated from max_new_tokens (2,048 where it is not set). Fireworks ends a job early when
        its output reaches 8 GB.""",
    )
    max_shard_rows: int | None = option(
        None,
        AT_LEAST_ONE | NULL,
        """Most rows of one job; null: no limit, as Fireworks has none.""",
    )
    hoist_system_prompt: Literal["auto", "off"] = option(
        "auto",
        one_of("auto", "off"),
        """Whether a system message that a job's rows share is uploaded once: `auto` or `off`.
        The answers are the same; rows with another one or none keep what they have.""",
    )
    upload_concurrency: int = option(
        4,
        AT_LEAST_ONE,
        """How many input files are uploaded at once.""",
    )
    row_retries: int = option(
        1,
        COUNT,
        """How often the failed rows of a batch are run again, each time as a further job.""",
    )
    key: str | None = option(
        None,
        TEXT | NULL,
        """Name of a batch: whoever submits these rows under it, anywhere, gets the same batch.
        For one input: other rows or parameters under the same key are an error. Without a key
        each new run is a batch of its own.""",
    )
    accept: Mapping[str, Any] | Test | None = option(  # noqa: RUF009 - as all options are
        None,
        ACCEPT | NULL,
        """What an answer has to be: `{finish_reason: [stop, tool_calls], json: true, ...}`.
        One that is not is rejected. The rules: finish_reason (a list), not_empty, json, schema
        (true: that of guided_decoding, or a JSON schema), tools (calls fit the tools that were
        offered); keep puts the best rejected answer into the output, marked. In Python also a
        function: it gets the answered conversation, and returns None or why it does not hold.""",
    )
    on_reject: Mapping[str, Any] | None = option(
        None,
        ON_REJECT | NULL,
        """How a rejected row is asked for again: `{max_new_tokens: x2, temperature: +0.2, ...}`.
        Never with the same parameters; without this not at all. max_new_tokens: x2 each time, up
        to 8192, or a number. temperature: what is added each time. repair: 1 shows the model its
        answer and what is wrong with it, once. attempts: how often (1).""",
    )
    dedupe: Literal["auto", "on", "off"] = option(
        "auto",
        one_of("auto", "on", "off"),
        """Whether rows that ask the same are sent once and all get the answer: `auto`, `on`, `off`.
        auto: those whose answer is determined, by a temperature of 0 or a seed. The same means
        the same model and the same request, byte by byte.""",
    )
    cache: str | None = option(
        None,
        TEXT | NULL,
        """Folder of answers that outlive runs: what is in it is not asked and paid for again.
        For all commands and both modes; on a local disk. Failed answers are never kept. A batch
        with a key sends all its rows, and only adds its answers.""",
    )
    cache_max_age: str | None = option(
        None,
        DURATION | NULL,
        """How old an answer of the cache may be, such as 30d or 12h; null: any age.""",
    )
    deadline: str | None = option(
        None,
        DURATION | NULL,
        """When a batch run stops waiting for its batch, such as 6h; null: it waits to the end.
        Counted from the run's beginning, also when it goes on. What is finished by then is kept,
        the batch is stopped, and the other rows run online (`then`). Not together with a key.""",
    )
    then: Literal["online"] | None = option(
        None,
        one_of("online") | NULL,
        """What happens at the `deadline` to rows that are not finished: they run `online`.
        Nothing else is possible so far, so it need not be said.""",
    )
    on_failed_rows: Literal["raise", "keep"] = option(
        "raise",
        one_of("raise", "keep"),
        """What `infer` does when rows fail: `raise` an error at the end, or `keep` the others.
        The others are run to their end either way, and are not paid for again. `raise` is right
        where the next step needs every row, as judges do; `keep` for large inputs: the output has
        the answered rows, OUTPUT.errors.jsonl the failed ones, and `oumi infer` exits with 3.""",
    )
    resend_refused: bool = option(
        False,
        FLAG,
        """Send rows again that Fireworks has refused for good (a 400) in an earlier `infer`.
        With the same model, parameters and input they would be refused again.""",
    )
    delete_datasets: bool = option(
        False,
        FLAG,
        """Delete a batch's datasets on Fireworks once its results are safely on disk.""",
    )
    run_dir: str | None = option(
        None,
        TEXT | NULL,
        """Folder where a batch run keeps its manifest, requests and results.
        Default: beside the output.""",
    )
    input: Mapping[str, Any] = option(
        {},
        InputOptions.rule(),
        """What the columns of an input are for: `prompt`, `system`, `id_column` and others.
        For `batch run`, `run_table` and `infer_table`; see docs/tables.md.""",
    )
    output: Mapping[str, Any] = option(
        {},
        OutputOptions.rule(),
        """How the rows of an output are written: `format`, `prefix`, `expand`.
        For `batch run`, `run_table` and `infer_table`; see docs/tables.md.""",
    )
    display_name: str | None = option(
        None,
        TEXT | NULL,
        """Name of the batch jobs in the Fireworks console.""",
    )
    price: Mapping[str, float] | None = option(
        None,
        PRICE | NULL,
        """Dollars for a million tokens, as billed: `{input: 0.1, cached_input: 0.05, output: 0.4}`.
        Default: the price that genai-prices lists, half of it for batches. Without cached_input,
        cached tokens count as others.""",
    )
    cost_in_metadata: bool = option(
        False,
        FLAG,
        """Whether the metadata of an answer say what it has cost: `cost`, in dollars.
        Of the answer that the row has at last. 0 where it is from the cache or another row's;
        absent where no price is known.""",
    )
    max_cost: float | None = option(
        None,
        DOLLARS | NULL,
        """Most dollars that a run may cost; null: no bound.
        What was spent and the most that what is under way can cost never exceed it. At the bound
        the run ends, and the same call with a higher one goes on.""",
    )
    precision: str | None = option(
        None,
        TEXT | NULL,
        """Precision that batch jobs serve the model with, such as FP8.
        Default: the model's own.""",
    )

    events: str | None = option(
        None,
        TEXT | NULL,
        """File to which a run appends what happens in it, one JSON object a line.
        Each line is on the disk before the run goes on. `oumi-fireworks schema events` describes
        them.""",
    )
    notify: str | Sequence[str] | None = option(
        None,
        URLS | NULL,
        """URL, or list of URLs, of Apprise that get a message when a run ends or needs a look.
        Needs the extra: pip install 'oumi-fireworks[notify]'.""",
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            check_option(each.name, getattr(self, each.name), each.metadata["rule"])
        for name in ("run_dir", "cache", "events"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, os.path.expanduser(path))
        # Copies of our own: neither OmegaConf containers nor the caller's dictionaries.
        for name in ("extra_body", "accept", "on_reject", "input", "output", "price", "notify"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        InputOptions.from_dict(self.input)
        OutputOptions.from_dict(self.output)
        check_extra_body(self.extra_body)
        if read_accept(self.accept) is None and read_on_reject(self.on_reject) is not None:
            raise OptionError(
                "on_reject says how rejected rows are asked for again, and without accept no row "
                "is rejected: say what an answer has to be, such as accept: {json: true}."
            )

    @property
    def input_options(self) -> InputOptions:
        """The option ``input``."""
        return InputOptions.from_dict(self.input)

    @property
    def output_options(self) -> OutputOptions:
        """The option ``output``."""
        return OutputOptions.from_dict(self.output)

    @property
    def warnings(self) -> list[str]:
        """What the user should know of these options, each a sentence."""
        return undocumented_fields(self.extra_body)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | None) -> FireworksParams:
        """Read the options from YAML.

        Args:
            raw: Option names and values, plain or in OmegaConf containers; None has no options.

        Raises:
            OptionError: An option does not exist, or has a value that it does not take.
        """
        if raw is None:
            return cls()
        if not isinstance(raw, Mapping):
            raise OptionError(
                f"model.model_kwargs.fireworks must be a mapping of options, got {shown(raw)}."
            )
        options = {str(name): value for name, value in raw.items()}
        for name in ("hoist_system_prompt", "dedupe"):  # what YAML makes of `off` and `on`
            if isinstance(value := options.get(name), bool):
                options[name] = "on" if value else "off"
        known = [each.name for each in fields(cls)]
        unknown = [name for name in options if name not in known]
        if unknown:
            hints = " ".join(_hint_for(name, known) for name in unknown)
            raise OptionError(f"{hints} The options are: {', '.join(known)}.")
        return cls(**options)


class Option(NamedTuple):
    """One option, as a table of them shows it."""

    name: str
    type: str
    default: Any
    summary: str


def options_table() -> list[Option]:
    """List every option in the order of `FireworksParams`, with its type, default and summary."""
    return [
        Option(
            name=each.name,
            type=str(each.type),
            default=default_of(each),
            summary=each.metadata["doc"].splitlines()[0],
        )
        for each in fields(FireworksParams)
    ]


def options_schema() -> dict[str, object]:
    """Return the JSON Schema of the mapping ``model.model_kwargs.fireworks``."""
    description = "Options of the Fireworks engine. An unknown one is an error."
    return {"type": "object", "description": description, **schema_of(FireworksParams)}


def _hint_for(unknown: str, known: Iterable[str]) -> str:
    said = f"There is no fireworks option {unknown!r}."
    if unknown in RULES:
        return f"{said} It is a request field: write it under extra_body."
    return said + did_you_mean(unknown, known)
