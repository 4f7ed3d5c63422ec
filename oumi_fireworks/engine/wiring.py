"""What options and Oumi's settings come to, for the engine and the command line alike.

Light: neither torch nor ``oumi.core.configs`` is loaded. So the settings are known here by what
is read of them, and Oumi's own classes fit as well as any other with the same attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

from oumi_fireworks.accept.answer_rules import AnswerRules, bind_rules
from oumi_fireworks.api import KEY_VARIABLE, Connection, check_model_name
from oumi_fireworks.batch import Dedupe, JobSpec, RunOptions, ShardLimits, WaitPolicy
from oumi_fireworks.cache import AnswerCache
from oumi_fireworks.conversion import GenerationSettings, RequestTemplate
from oumi_fireworks.events.run_events import RunEvents, listeners_of
from oumi_fireworks.money import AnswerPrices, Budget, Prices, Usage, price_of, require_price
from oumi_fireworks.options.durations import read_duration
from oumi_fireworks.params import FireworksParams

_STEPS = 20
"""Jobs that a budget allows beside each other at the least, unless single rows cost more: so much
of it may be left over."""

OPTIONS_KEY = "fireworks"
"""Where ``model.model_kwargs`` holds the options."""


class RemoteSettings(Protocol):
    """What is read of Oumi's ``RemoteParams``."""

    @property
    def api_url(self) -> str | None:
        """The server; None leaves it to the environment."""

    @property
    def api_key(self) -> str | None:
        """The key; None leaves it to an environment variable."""

    @property
    def api_key_env_varname(self) -> str | None:
        """The environment variable that holds the key; None is the usual one."""

    @property
    def user_id(self) -> str | None:
        """The end user's id, which is sent to the service."""


def read_options(model_kwargs: Mapping[str, Any], **options: Any) -> FireworksParams:
    """Read the engine's options.

    Args:
        model_kwargs: Oumi's ``model.model_kwargs``.
        **options: Options that win over those.

    Raises:
        OptionError: If an option does not exist, or has a value that it does not take.
    """
    configured = model_kwargs.get(OPTIONS_KEY)
    if configured is None or isinstance(configured, Mapping):
        configured = {**(configured or {}), **options}
    return FireworksParams.from_dict(configured)


def connection(remote: RemoteSettings, options: FireworksParams) -> Connection:
    """Find the server, the key and the account.

    Raises:
        ConfigurationError: If there is no key, or the URL may not carry one.
    """
    return Connection.from_environment(
        api_url=remote.api_url,
        api_key=remote.api_key,
        account=options.account_id,
        key_variable=remote.api_key_env_varname or KEY_VARIABLE,
        gone_after=options.gone_after,
        results_timeout=options.results_timeout,
    )


def request_template(
    generation: GenerationSettings,
    remote: RemoteSettings,
    options: FireworksParams,
    *,
    model: str | None = None,
) -> RequestTemplate:
    """Work out what all requests have in common.

    Args:
        generation: How to generate.
        remote: Names the end user.
        options: Bring further request fields.
        model: The model of the requests; None for the rows of a batch, whose model is the job's.

    Raises:
        OptionError: If a parameter or a request field is outside what Fireworks takes.
        ValueError: If Fireworks cannot do the guided decoding.
    """
    return RequestTemplate(
        generation, model=model, extra_body=options.extra_body, user=remote.user_id
    )


def job_spec(model_name: str, options: FireworksParams) -> JobSpec:
    """Return what all jobs of a batch have in common.

    Raises:
        ConfigurationError: If the model's name cannot be one of Fireworks'.
    """
    return JobSpec(
        model=check_model_name(model_name),
        display_name=options.display_name or options.key or "",
        precision=options.precision,
        window=_window(options.batch_window),
    )


def _window(text: str | None) -> timedelta | None:
    return None if text is None else timedelta(hours=int(text.removesuffix("h")))


def is_for_batch(options: FireworksParams, rows: int) -> bool:
    """Tell whether so many rows run as a batch. A key names one, however few they are."""
    is_worth_it = options.key is not None or rows >= options.batch_min_rows
    return options.mode == "batch" and rows > 0 and is_worth_it


def own_prices(options: FireworksParams) -> Prices | None:
    """Return the prices that the options give; None leaves them to the table."""
    return None if options.price is None else Prices.of(options.price)


def shard_limits(options: FireworksParams) -> ShardLimits:
    """Return how a batch is split into jobs."""
    hoist = options.hoist_system_prompt == "auto"
    return ShardLimits(
        max_bytes=options.max_shard_bytes,
        max_rows=options.max_shard_rows,
        max_output_bytes=options.max_shard_output_bytes,
        by_kind=hoist,
        hoist=hoist,
    )


def wait_policy(options: FireworksParams) -> WaitPolicy:
    """Return how a batch is waited for."""
    return WaitPolicy(options.poll_interval, options.batch_timeout, options.pending_warning)


def run_events(
    options: FireworksParams,
    model: str,
    *,
    mode: Literal["online", "batch"],
    fields: Mapping[str, object],
    rows: int | None = None,
    output: str | None = None,
) -> RunEvents:
    """Return what tells of a run, to whom the options name.

    Args:
        options: The options.
        model: By its whole name.
        mode: How the rows are run.
        fields: What all requests have in common.
        rows: How many there are, or None.
        output: Where the answers go, or None.

    Raises:
        WriteError: If the file for events cannot be written.
        ConfigurationError: If a notification cannot be sent there.
    """
    urls = [options.notify] if isinstance(options.notify, str) else options.notify or ()
    listeners = listeners_of(options.events, urls)
    is_told = bool(listeners)  # the table of prices takes half a second to load
    own = own_prices(options)
    return RunEvents(
        listeners,
        mode=mode,
        model=model,
        rows=rows,
        output=output,
        batch_prices=price_of(model, batch=True, own=own) if is_told else None,
        online_prices=online_prices(options, model, fields) if is_told else None,
    )


def answer_rules(options: FireworksParams, template: RequestTemplate) -> AnswerRules | None:
    """Return what the answers to the requests have to be; None where every answer is taken.

    Raises:
        OptionError: If accept or on_reject cannot work with these requests.
    """
    return bind_rules(options.accept, options.on_reject, template.shared_fields)


def batch_budget(options: FireworksParams, model: str) -> Budget | None:
    """Return what a batch of a model must not cost more than; None sets no bound.

    Raises:
        ConfigurationError: If there is a bound, and no price of the model is known.
    """
    return _budget(options, model, lambda: price_of(model, batch=True, own=own_prices(options)))


def online_prices(
    options: FireworksParams, model: str, fields: Mapping[str, object]
) -> Prices | None:
    """Return what tokens of a model cost online; None where no price is known.

    Args:
        options: The options.
        model: The model.
        fields: What all requests have in common.
    """
    return price_of(model, batch=False, own=own_prices(options), fields=fields)


def answer_prices(
    options: FireworksParams, model: str, fields: Mapping[str, object], *, is_batch: bool
) -> AnswerPrices:
    """Return what the answers of a model cost.

    Args:
        options: The options.
        model: The model.
        fields: What all requests have in common.
        is_batch: Whether the rows run as a batch, though after a deadline online.
    """
    online = online_prices(options, model, fields)
    if not is_batch:
        return AnswerPrices(online)
    return AnswerPrices(price_of(model, batch=True, own=own_prices(options)), online)


def metadata_prices(
    options: FireworksParams, model: str, fields: Mapping[str, object], *, is_batch: bool
) -> AnswerPrices | None:
    """Return what is written into the metadata of answers; None where that is not asked for.

    See :func:`answer_prices`.
    """
    if not options.cost_in_metadata:
        return None
    return answer_prices(options, model, fields, is_batch=is_batch)


def online_budget(
    options: FireworksParams, model: str, fields: Mapping[str, object]
) -> Budget | None:
    """Return what requests to a model must not cost more than; None sets no bound.

    Args:
        options: The options.
        model: The model.
        fields: What all requests have in common.

    Raises:
        ConfigurationError: If there is a bound, and no price of the model is known.
    """
    return _budget(options, model, lambda: online_prices(options, model, fields))


def _budget(
    options: FireworksParams, model: str, prices: Callable[[], Prices | None]
) -> Budget | None:
    if options.max_cost is None:
        return None
    return Budget(Decimal(str(options.max_cost)), require_price(model, prices()))


def run_options(options: FireworksParams, rules: AnswerRules | None, model: str) -> RunOptions:
    """Return how a batch run behaves.

    Args:
        options: The options.
        rules: What the answers have to be.
        model: What answers them.

    Raises:
        ConfigurationError: If its cost is bounded, and no price of the model is known.
    """
    budget = batch_budget(options, model)
    return RunOptions(
        again=None if rules is None else rules.again,
        rules="" if rules is None else rules.digest,
        limits=_in_steps(shard_limits(options), budget),
        upload_concurrency=options.upload_concurrency,
        wait_policy=wait_policy(options),
        row_retries=options.row_retries,
        delete_datasets=options.delete_datasets,
        key=options.key,
        dedupe=Dedupe(options.dedupe),
        cache=None if options.cache is None else Path(options.cache),
        cache_max_age=cache_max_age(options),
        budget=budget,
        deadline=None if options.deadline is None else read_duration(options.deadline),
    )


def _in_steps(limits: ShardLimits, budget: Budget | None) -> ShardLimits:
    """Return limits of shards that are small enough for a budget to be used up."""
    if budget is None:
        return limits
    prompt, completion = (
        float(budget.at_most(usage)) for usage in (Usage(prompt=1), Usage(completion=1))
    )
    step = float(budget.most) / _STEPS
    return replace(limits, max_cost=step, token_costs=(prompt, completion))


def cache_max_age(options: FireworksParams) -> timedelta | None:
    """Return how old an answer of the cache may be; None for any age."""
    return None if options.cache_max_age is None else read_duration(options.cache_max_age)


@contextmanager
def opened_cache(options: FireworksParams) -> Iterator[AnswerCache | None]:
    """Give the answer cache; None where the options name none.

    Raises:
        AnswerCacheError: If its folder cannot be used.
    """
    if options.cache is None:
        yield None
        return
    with closing(AnswerCache(Path(options.cache), cache_max_age(options))) as cache:
        yield cache
