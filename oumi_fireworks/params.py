"""The options of the engine: ``model.model_kwargs.fireworks`` in YAML, keyword arguments in Python.

Light, so that the command line reads the same options without loading Oumi.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, NamedTuple, TypeVar, cast

from oumi_fireworks.accept.rules import FINISH_REASONS, Test, read_accept, read_on_reject
from oumi_fireworks.durations import OPTION_PATTERN, is_duration
from oumi_fireworks.errors import OptionError
from oumi_fireworks.request_fields import (
    FLAG,
    MAPPING,
    NULL,
    RULES,
    TEXT,
    Rule,
    check_extra_body,
    did_you_mean,
    fields_schema,
    is_number,
    one_of,
    plain,
    shown,
    undocumented_fields,
    whole,
)
from oumi_fireworks.table_options import InputOptions, OutputOptions

__all__ = [
    "FireworksParams",
    "Option",
    "options_schema",
    "options_table",
]

_T = TypeVar("_T")

_URL_SCHEMA = {"type": "string", "pattern": "://"}


def _is_url(value: object) -> bool:
    return isinstance(value, str) and "://" in value


def _are_urls(value: object) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    return all(map(_is_url, value))


_SECONDS = Rule(
    "a number of seconds above 0",
    lambda value: is_number(value) and value > 0,  # type: ignore[operator]
    schema={"type": "number", "exclusiveMinimum": 0},
)
_DOLLARS = Rule(
    "a number of dollars above 0",
    lambda value: is_number(value) and value > 0,  # type: ignore[operator]
    schema={"type": "number", "exclusiveMinimum": 0},
)
_AT_LEAST_ONE, _COUNT = whole(1), whole(0)
_DURATION = Rule(
    "a duration such as 30d, 12h or 90m",
    is_duration,
    schema={"type": "string", "pattern": OPTION_PATTERN},
)
_FIELDS = Rule("a mapping of request fields", MAPPING.holds, schema=fields_schema())


def _is_price(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and {"input", "output"} <= set(value) <= {"input", "cached_input", "output"}
        and all(is_number(each) and each >= 0 for each in value.values())
    )


_PRICE = Rule(
    "the dollars for a million tokens, as {input: 0.10, output: 0.40}, and cached_input if that is "
    "another price",
    _is_price,
    schema={
        "type": "object",
        "properties": {
            name: {"type": "number", "minimum": 0} for name in ("input", "cached_input", "output")
        },
        "required": ["input", "output"],
        "additionalProperties": False,
    },
)
_ACCOUNT = Rule(
    "an account id such as 'my-team', without 'accounts/'",
    # It becomes a part of URL paths.
    lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]+", value, re.ASCII) is not None,
    schema={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
)

_URLS = Rule(
    "a URL or a list of URLs",
    lambda value: _is_url(value) or _are_urls(value),
    schema={"anyOf": [_URL_SCHEMA, {"type": "array", "items": _URL_SCHEMA}]},
)


_ACCEPT = Rule(
    "a mapping of rules such as {json: true}",
    lambda value: isinstance(value, Mapping) or callable(value),
    schema={
        "type": "object",
        "properties": {
            "finish_reason": {
                "anyOf": [
                    {"enum": list(FINISH_REASONS)},
                    {"type": "array", "minItems": 1, "items": {"enum": list(FINISH_REASONS)}},
                ]
            },
            "schema": {"type": ["boolean", "object", "string"]},
            **{name: {"type": "boolean"} for name in ("not_empty", "json", "tools", "keep")},
        },
        "additionalProperties": False,
    },
)
_ON_REJECT = Rule(
    "a mapping such as {max_new_tokens: x2, attempts: 2}",
    MAPPING.holds,
    schema={
        "type": "object",
        "properties": {
            "max_new_tokens": {
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {"type": "string", "pattern": r"^[x×][0-9]+(\.[0-9]+)?$"},
                ]
            },
            "temperature": {
                "anyOf": [
                    {"type": "number", "exclusiveMinimum": 0, "maximum": 2},
                    {"type": "string", "pattern": r"^\+[0-9]+(\.[0-9]+)?$"},
                ]
            },
            "repair": {"type": "integer", "minimum": 0},
            "attempts": {"type": "integer", "minimum": 1},
        },
        "anyOf": [{"required": [each]} for each in ("max_new_tokens", "temperature", "repair")],
        "additionalProperties": False,
    },
)


def _option(default: _T, rule: Rule, doc: str) -> _T:
    """Declare a dataclass field with its rule and its documentation (first line: the summary)."""
    metadata = {"rule": rule, "doc": doc}
    if isinstance(default, dict):
        return cast(_T, field(default_factory=default.copy, metadata=metadata))
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class FireworksParams:
    """How the engine talks to Fireworks; every option has a default.

    Raises:
        OptionError: A value is not what its option takes.
    """

    mode: Literal["online", "batch"] = _option(
        "online",
        one_of("online", "batch"),
        """How `infer` runs: request by request, or through the Batch API at half the price.""",
    )
    account_id: str | None = _option(
        None,
        _ACCOUNT | NULL,
        """The Fireworks account that batch jobs belong to.
        Default: FIREWORKS_ACCOUNT_ID, else the key's account when it has exactly one.""",
    )
    extra_body: Mapping[str, Any] = _option(
        {},
        _FIELDS,
        """Further fields of every request, such as top_k or reasoning_effort.
        They win over what Oumi's generation parameters say; null takes a field out. A field that
        is not known is left out with a warning, unless it is written under `unchecked`.""",
    )
    stream: Literal["auto", "always", "never"] = _option(
        "auto",
        one_of("auto", "always", "never"),
        """Whether online answers are streamed, and put together again.
        auto: those that may have more tokens than the service answers without (4,096).""",
    )
    refusal_timeout: float = _option(
        1800.0,
        _SECONDS,
        """How long an online run goes on while nothing gets through, in seconds.
        Meanwhile single requests find out whether the rate limit is gone, or the deployment
        has started.""",
    )
    poll_interval: float = _option(
        60.0,
        _SECONDS,
        """Longest wait between two looks at a batch job, in seconds.
        The service moves a job's state and counts once a minute; the first looks come sooner.""",
    )
    batch_timeout: float | None = _option(
        None,
        _SECONDS | NULL,
        """How long `infer` waits for a batch, in seconds; null: until it ends.
        The batch itself goes on; the same command picks it up again.""",
    )
    pending_warning: float = _option(
        1800.0,
        _SECONDS,
        """Warn when a job has not started after this many seconds.
        A model without batch support can stay pending for ever.""",
    )
    gone_after: float | None = _option(
        None,
        _SECONDS | NULL,
        """Believe only after this many seconds of looks that a job or a dataset is gone.
        Default: 60. Reads of the service may lag: a single 404 proves nothing.""",
    )
    results_timeout: float | None = _option(
        None,
        _SECONDS | NULL,
        """How long to wait for answers that Fireworks has counted and does not give, in seconds.
        Default: 600. After that the run is kept, and the same command goes on.""",
    )
    batch_window: Literal["12h", "24h", "48h", "72h"] | None = _option(
        None,
        one_of("12h", "24h", "48h", "72h") | NULL,
        """How long a batch job may take; null: the service's own 24 hours.
        What is finished by then is kept and paid for; the other rows stay open.""",
    )
    batch_min_rows: int = _option(
        0,
        _COUNT,
        """In batch mode, run fewer rows than this online.""",
    )
    max_shard_bytes: int = _option(
        1_000_000_000,
        _AT_LEAST_ONE,
        """Largest input file of one job, in bytes; a larger batch becomes several jobs.
        Fireworks takes 80 GiB in its current guide (500 MB and 1 GB in older ones).""",
    )
    max_shard_output_bytes: int = _option(
        6_000_000_000,
        whole(1, 8_000_000_000),
        """Most bytes that the answers of one job may come to; more become several jobs.
        Estimated from max_new_tokens (2,048 where it is not set). Fireworks ends a job early when
        its output reaches 8 GB.""",
    )
    max_shard_rows: int | None = _option(
        None,
        _AT_LEAST_ONE | NULL,
        """Most rows of one job; null: no limit, as Fireworks has none.""",
    )
    hoist_system_prompt: Literal["auto", "off"] = _option(
        "auto",
        one_of("auto", "off"),
        """Whether a system message that a job's rows share is uploaded once: `auto` or `off`.
        The answers are the same; rows with another one or none keep what they have.""",
    )
    upload_concurrency: int = _option(
        4,
        _AT_LEAST_ONE,
        """How many input files are uploaded at once.""",
    )
    row_retries: int = _option(
        1,
        _COUNT,
        """How often the failed rows of a batch are run again, each time as a further job.""",
    )
    key: str | None = _option(
        None,
        TEXT | NULL,
        """Name of a batch: whoever submits these rows under it, anywhere, gets the same batch.
        For one input: other rows or parameters under the same key are an error. Without a key
        each new run is a batch of its own.""",
    )
    accept: Mapping[str, Any] | Test | None = _option(  # noqa: RUF009 - as all options are
        None,
        _ACCEPT | NULL,
        """What an answer has to be: `{finish_reason: [stop, tool_calls], json: true, ...}`.
        One that is not is rejected. The rules: finish_reason (a list), not_empty, json, schema
        (true: that of guided_decoding, or a JSON schema), tools (calls fit the tools that were
        offered); keep puts the best rejected answer into the output, marked. In Python also a
        function: it gets the answered conversation, and returns None or why it does not hold.""",
    )
    on_reject: Mapping[str, Any] | None = _option(
        None,
        _ON_REJECT | NULL,
        """How a rejected row is asked for again: `{max_new_tokens: x2, temperature: +0.2, ...}`.
        Never with the same parameters; without this not at all. max_new_tokens: x2 each time, up
        to 8192, or a number. temperature: what is added each time. repair: 1 shows the model its
        answer and what is wrong with it, once. attempts: how often (1).""",
    )
    dedupe: Literal["auto", "on", "off"] = _option(
        "auto",
        one_of("auto", "on", "off"),
        """Whether rows that ask the same are sent once and all get the answer: `auto`, `on`, `off`.
        auto: those whose answer is determined, by a temperature of 0 or a seed. The same means
        the same model and the same request, byte by byte.""",
    )
    cache: str | None = _option(
        None,
        TEXT | NULL,
        """Folder of answers that outlive runs: what is in it is not asked and paid for again.
        For all commands and both modes; on a local disk. Failed answers are never kept. A batch
        with a key sends all its rows, and only adds its answers.""",
    )
    cache_max_age: str | None = _option(
        None,
        _DURATION | NULL,
        """How old an answer of the cache may be, such as 30d or 12h; null: any age.""",
    )
    deadline: str | None = _option(
        None,
        _DURATION | NULL,
        """When a batch run stops waiting for its batch, such as 6h; null: it waits to the end.
        Counted from the run's beginning, also when it goes on. What is finished by then is kept,
        the batch is stopped, and the other rows run online (`then`). Not together with a key.""",
    )
    then: Literal["online"] = _option(
        "online",
        one_of("online"),
        """What happens at the `deadline` to rows that are not finished: they run `online`.""",
    )
    on_failed_rows: Literal["raise", "keep"] = _option(
        "raise",
        one_of("raise", "keep"),
        """What `infer` does when rows fail: `raise` an error at the end, or `keep` the others.
        The others are run to their end either way, and are not paid for again. `raise` is right
        where the next step needs every row, as judges do; `keep` for large inputs: the output has
        the answered rows, OUTPUT.errors.jsonl the failed ones, and `oumi infer` exits with 3.""",
    )
    resend_refused: bool = _option(
        False,
        FLAG,
        """Send rows again that Fireworks has refused for good (a 400) in an earlier `infer`.
        With the same model, parameters and input they would be refused again.""",
    )
    delete_datasets: bool = _option(
        False,
        FLAG,
        """Delete a batch's datasets on Fireworks once its results are safely on disk.""",
    )
    run_dir: str | None = _option(
        None,
        TEXT | NULL,
        """Folder where a batch run keeps its manifest, requests and results.
        Default: beside the output.""",
    )
    input: Mapping[str, Any] = _option(
        {},
        InputOptions.rule(),
        """What the columns of an input are for: `prompt`, `system`, `id_column` and others.
        For `batch run`, `run_table` and `infer_table`; see docs/tables.md.""",
    )
    output: Mapping[str, Any] = _option(
        {},
        OutputOptions.rule(),
        """How the rows of an output are written: `format`, `prefix`, `expand`.
        For `batch run`, `run_table` and `infer_table`; see docs/tables.md.""",
    )
    display_name: str | None = _option(
        None,
        TEXT | NULL,
        """Name of the batch jobs in the Fireworks console.""",
    )
    price: Mapping[str, float] | None = _option(
        None,
        _PRICE | NULL,
        """Dollars for a million tokens, as billed: `{input: 0.1, cached_input: 0.05, output: 0.4}`.
        Default: the price that genai-prices lists, half of it for batches. Without cached_input,
        cached tokens count as others.""",
    )
    max_cost: float | None = _option(
        None,
        _DOLLARS | NULL,
        """Most dollars that a run may cost; null: no bound.
        What was spent and the most that what is under way can cost never exceed it. At the bound
        the run ends, and the same call with a higher one goes on.""",
    )
    precision: str | None = _option(
        None,
        TEXT | NULL,
        """Precision that batch jobs serve the model with, such as FP8.
        Default: the model's own.""",
    )

    events: str | None = _option(
        None,
        TEXT | NULL,
        """File to which a run appends what happens in it, one JSON object a line.
        Each line is on the disk before the run goes on. `oumi-fireworks schema events` describes
        them.""",
    )
    notify: str | Sequence[str] | None = _option(
        None,
        _URLS | NULL,
        """URL, or list of URLs, of Apprise that get a message when a run ends or needs a look.
        Needs the extra: pip install 'oumi-fireworks[notify]'.""",
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_value(each.name, getattr(self, each.name), each.metadata["rule"])
        if self.run_dir is not None:
            object.__setattr__(self, "run_dir", os.path.expanduser(self.run_dir))
        if self.cache is not None:
            object.__setattr__(self, "cache", os.path.expanduser(self.cache))
        # Copies of our own: neither OmegaConf containers nor the caller's dictionaries.
        for name in ("extra_body", "input", "output", "notify"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if self.deadline is not None and self.key is not None:
            raise OptionError(
                "fireworks option deadline: it stops the batch, which under a key may be somebody "
                "else's as well. Leave out one of them, deadline or key."
            )
        InputOptions.from_dict(self.input)
        OutputOptions.from_dict(self.output)
        if self.price is not None:
            object.__setattr__(self, "price", plain(self.price))
        if self.events is not None:
            object.__setattr__(self, "events", os.path.expanduser(self.events))
        check_extra_body(self.extra_body)
        for name in ("accept", "on_reject"):
            object.__setattr__(self, name, plain(getattr(self, name)))
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
            default=each.default if each.default_factory is MISSING else each.default_factory(),
            summary=each.metadata["doc"].splitlines()[0],
        )
        for each in fields(FireworksParams)
    ]


def options_schema() -> dict[str, object]:
    """Return the JSON Schema of the mapping ``model.model_kwargs.fireworks``."""
    properties = {}
    for each, (name, _, default, _) in zip(fields(FireworksParams), options_table(), strict=True):
        text = " ".join(each.metadata["doc"].split())
        properties[name] = {**each.metadata["rule"].schema, "default": default, "description": text}
    return {
        "type": "object",
        "description": "Options of the Fireworks engine. An unknown one is an error.",
        "properties": properties,
        "additionalProperties": False,
    }


def _check_value(name: str, value: Any, rule: Rule) -> None:
    if not rule.holds(value):
        hint = did_you_mean(value, rule.choices) if isinstance(value, str) else ""
        raise OptionError(
            f"fireworks option {name}: expected {rule.expected}, got {shown(value)}.{hint}"
        )


def _hint_for(unknown: str, known: Iterable[str]) -> str:
    said = f"There is no fireworks option {unknown!r}."
    if unknown in RULES:
        return f"{said} It is a request field: write it under extra_body."
    return said + did_you_mean(unknown, known)
