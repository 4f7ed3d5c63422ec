"""The options of the engine: ``model.model_kwargs.fireworks`` in YAML, keyword arguments in Python.

Standard library only, so that the command line reads the same options without loading Oumi.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, NamedTuple, TypeVar, cast

from oumi_fireworks.errors import OptionError

__all__ = [
    "FireworksParams",
    "Option",
    "REQUEST_FIELDS",
    "check_extra_body",
    "check_field_values",
    "options_table",
    "plain",
]

_T = TypeVar("_T")

REQUEST_FIELDS = frozenset(
    """
    messages model context_length_exceeded_behavior echo echo_last frequency_penalty
    function_call functions ignore_eos logit_bias logprobs max_completion_tokens max_tokens
    metadata min_p mirostat_lr mirostat_target n parallel_tool_calls perf_metrics_in_response
    prediction presence_penalty prompt_cache_isolation_key prompt_cache_key prompt_truncate_len
    raw_output reasoning_effort reasoning_history repetition_penalty response_format
    return_token_ids safe_tokenization seed service_tier speculation stop stream stream_options
    temperature thinking tool_choice tools top_k top_logprobs top_p typical_p user
    """.split()
)
"""Every field that a Fireworks chat completion request may have; any other is a 400."""

_NOT_IN_EXTRA_BODY = {
    "messages": "the messages are the conversation's",
    "model": "the model is model.model_name",
    "stream_options": "whether answers are streamed is up to the option stream",
}

_EXCLUSIVE_FIELDS = (("max_tokens", "max_completion_tokens"), ("thinking", "reasoning_effort"))

_RANGES = {
    "frequency_penalty": (-2, 2),
    "min_p": (0, 1),
    "presence_penalty": (-2, 2),
    "repetition_penalty": (0, 2),
    "temperature": (0, 2),
    "top_k": (0, 100),
    "top_logprobs": (0, 5),
    "top_p": (0, 1),
    "typical_p": (0, 1),
}
"""The numbers whose range the API reference requires: https://docs.fireworks.ai/api-reference/"""

_MOST_STOPS = 4


@dataclass(frozen=True)
class _Rule:
    """What a value must be, in words for the user and as a test of the value."""

    expected: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()

    def or_null(self) -> _Rule:
        return _Rule(f"{self.expected}, or null", lambda value: value is None or self.holds(value))


def _is_int(value: Any) -> bool:
    # A bool is an int to Python, but `row_retries: yes` is a mistake.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)


def _is_positive_number(value: Any) -> bool:
    return _is_number(value) and 0 < value < math.inf


def _one_of(*choices: str) -> _Rule:
    return _Rule(" or ".join(map(repr, choices)), choices.__contains__, choices)


_SECONDS = _Rule("a number of seconds above 0", _is_positive_number)
_AT_LEAST_ONE = _Rule("a whole number, 1 or more", lambda value: _is_int(value) and value >= 1)
_COUNT = _Rule("a whole number, 0 or more", lambda value: _is_int(value) and value >= 0)
_FLAG = _Rule("true or false", lambda value: isinstance(value, bool))
_TEXT = _Rule("a text that is not empty", lambda value: isinstance(value, str) and value != "")
_MAPPING = _Rule("a mapping of request fields", lambda value: isinstance(value, Mapping))
_ACCOUNT = _Rule(
    "an account id such as 'my-team', without 'accounts/'",
    # It becomes a part of URL paths.
    lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]+", value, re.ASCII) is not None,
)


def _option(default: _T, rule: _Rule, doc: str) -> _T:
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
        _one_of("online", "batch"),
        """How `infer` runs: request by request, or through the Batch API at half the price.""",
    )
    account_id: str | None = _option(
        None,
        _ACCOUNT.or_null(),
        """The Fireworks account that batch jobs belong to.
        Default: FIREWORKS_ACCOUNT_ID, else the key's account when it has exactly one.""",
    )
    extra_body: Mapping[str, Any] = _option(
        {},
        _MAPPING,
        """Further fields of every request, such as top_k or reasoning_effort.
        They win over what Oumi's generation parameters say; null takes a field out.""",
    )
    stream: Literal["auto", "always", "never"] = _option(
        "auto",
        _one_of("auto", "always", "never"),
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
        30.0,
        _SECONDS,
        """Longest wait between two looks at a batch job, in seconds.""",
    )
    batch_timeout: float | None = _option(
        None,
        _SECONDS.or_null(),
        """How long `infer` waits for a batch, in seconds; null: until it ends.
        The batch itself goes on; the same command picks it up again.""",
    )
    pending_warning: float = _option(
        1800.0,
        _SECONDS,
        """Warn when a job has not started after this many seconds.
        A model without batch support can stay pending for ever.""",
    )
    batch_min_rows: int = _option(
        0,
        _COUNT,
        """In batch mode, run fewer rows than this online.""",
    )
    max_shard_bytes: int = _option(
        480_000_000,
        _AT_LEAST_ONE,
        """Largest input file of one job, in bytes; a larger batch becomes several jobs.
        Fireworks takes 500 MB at least (1 GB in its current guide).""",
    )
    max_shard_rows: int | None = _option(
        None,
        _AT_LEAST_ONE.or_null(),
        """Most rows of one job; null: no limit, as Fireworks has none.""",
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
    on_failed_rows: Literal["raise", "keep"] = _option(
        "raise",
        _one_of("raise", "keep"),
        """What `infer` does when rows fail: `raise` an error at the end, or `keep` the others.
        The others are run to their end either way, and are not paid for again. `raise` is right
        where the next step needs every row, as judges do; `keep` for large inputs: the output has
        the answered rows, OUTPUT.errors.jsonl the failed ones, and `oumi infer` exits with 3.""",
    )
    resend_refused: bool = _option(
        False,
        _FLAG,
        """Send rows again that Fireworks has refused for good (a 400) in an earlier `infer`.
        With the same model, parameters and input they would be refused again.""",
    )
    delete_datasets: bool = _option(
        False,
        _FLAG,
        """Delete a batch's datasets on Fireworks once its results are safely on disk.""",
    )
    run_dir: str | None = _option(
        None,
        _TEXT.or_null(),
        """Folder where a batch run keeps its manifest, requests and results.
        Default: beside the output.""",
    )
    display_name: str | None = _option(
        None,
        _TEXT.or_null(),
        """Name of the batch jobs in the Fireworks console.""",
    )
    precision: str | None = _option(
        None,
        _TEXT.or_null(),
        """Precision that batch jobs serve the model with, such as FP8.
        Default: the model's own.""",
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_value(each.name, getattr(self, each.name), each.metadata["rule"])
        # A copy of our own: neither an OmegaConf container nor the caller's dictionary.
        object.__setattr__(self, "extra_body", plain(self.extra_body))
        check_extra_body(self.extra_body)

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
                f"model.model_kwargs.fireworks must be a mapping of options, got {_shown(raw)}."
            )
        options = {str(name): value for name, value in raw.items()}
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


def check_extra_body(extra_body: Mapping[str, Any]) -> None:
    """Refuse further request fields that cannot work, before any request is made.

    Args:
        extra_body: Request fields by name; None as a value leaves the field out of requests.

    Raises:
        OptionError: Fireworks has no such field, the field is not the user's to set, two fields
            exclude each other, or a value is outside its range.
    """
    for name, value in extra_body.items():
        if name not in REQUEST_FIELDS:
            raise OptionError(
                f"extra_body.{name} is not a field of Fireworks chat completions."
                f"{_did_you_mean(str(name), REQUEST_FIELDS)}"
            )
        if name in _NOT_IN_EXTRA_BODY:
            raise OptionError(f"extra_body.{name} cannot be set: {_NOT_IN_EXTRA_BODY[name]}.")
        if name == "stream" and value:
            raise OptionError("extra_body.stream cannot be true: say it with the option stream.")
        if name == "n" and value not in (None, 1):
            raise OptionError(
                f"extra_body.n cannot be {_shown(value)}: Oumi keeps one answer a conversation, "
                "the others would be paid for and lost. Repeat conversations in the input instead."
            )
    for one, other in _EXCLUSIVE_FIELDS:
        if extra_body.get(one) is not None and extra_body.get(other) is not None:
            raise OptionError(f"extra_body has both {one} and {other}: Fireworks takes only one.")
    check_field_values(extra_body)


def check_field_values(fields: Mapping[str, Any]) -> None:
    """Refuse values that the API reference rules out: in a batch they would fail the whole job.

    Args:
        fields: Request fields by name, wherever they come from.

    Raises:
        OptionError: A number is outside its range, or there are too many stop sequences.
    """
    for name, (low, high) in _RANGES.items():
        value = fields.get(name)
        if value is not None and not (_is_number(value) and low <= value <= high):
            raise OptionError(
                f"{name}: Fireworks takes numbers from {low} to {high}, got {_shown(value)}."
            )
    stop = fields.get("stop")
    if isinstance(stop, list) and len(stop) > _MOST_STOPS:
        raise OptionError(
            f"stop: Fireworks takes {_MOST_STOPS} sequences at most, got {len(stop)}."
        )


def plain(value: Any) -> Any:
    """Copy nested mappings and sequences (OmegaConf's too) into dictionaries and lists."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def _check_value(name: str, value: Any, rule: _Rule) -> None:
    if not rule.holds(value):
        hint = _did_you_mean(value, rule.choices) if isinstance(value, str) else ""
        raise OptionError(
            f"fireworks option {name}: expected {rule.expected}, got {_shown(value)}.{hint}"
        )


def _hint_for(unknown: str, known: Iterable[str]) -> str:
    said = f"There is no fireworks option {unknown!r}."
    if unknown in REQUEST_FIELDS:
        return f"{said} It is a request field: write it under extra_body."
    return said + _did_you_mean(unknown, known)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
