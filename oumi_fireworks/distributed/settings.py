"""What a configuration says about the rows of a block; it travels to every worker.

No key travels: each machine of the cluster takes it from its own environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from oumi_fireworks.accept.answer_rules import AnswerRules
from oumi_fireworks.api import Connection
from oumi_fireworks.batch import JobSpec
from oumi_fireworks.conversion import RequestTemplate
from oumi_fireworks.conversion.settings import GenerationSettings
from oumi_fireworks.engine.config_fields import InferenceEngineType, RemoteParams
from oumi_fireworks.engine.config_reader import read_config
from oumi_fireworks.engine.followed import Way, require_followed
from oumi_fireworks.engine.wiring import (
    RemoteSettings,
    answer_rules,
    batch_budget,
    connection,
    job_spec,
    own_prices,
    read_options,
    request_template,
    run_events,
)
from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.events.run_events import RunEvents
from oumi_fireworks.money import Budget, Prices, price_of
from oumi_fireworks.params import FireworksParams


class ModelSettings(Protocol):
    """What is read of Oumi's ``ModelParams``."""

    @property
    def model_name(self) -> str:
        """The model."""

    @property
    def model_kwargs(self) -> dict[str, Any]:
        """Holds the engine's options."""


class Configuration(Protocol):
    """What is read of Oumi's ``InferenceConfig``."""

    @property
    def model(self) -> ModelSettings:
        """The model, with the engine's options."""

    @property
    def generation(self) -> GenerationSettings:
        """How to generate."""

    @property
    def remote_params(self) -> RemoteSettings | None:
        """Where the service is."""

    @property
    def engine(self) -> object:
        """Which engine it is for."""


@dataclass(frozen=True)
class BlockSettings:
    """What all blocks have in common.

    Attributes:
        template: Makes the requests.
        spec: What the jobs have in common.
        options: The engine's options.
        remote: Where the service is.
        prices: What tokens cost; None where no price is known.
        budget: What all blocks together must not cost more than; None sets no bound.
        skip_bad: Whether rows that cannot be sent are left out.
    """

    template: RequestTemplate
    spec: JobSpec
    options: FireworksParams
    remote: RemoteSettings
    prices: Prices | None
    budget: Budget | None = None
    skip_bad: bool = False

    def rules(self) -> AnswerRules | None:
        """Return what the answers have to be; None where every answer is taken.

        Worked out on each machine, since a test of the user's is a function there.

        Raises:
            OptionError: If accept or on_reject cannot work.
        """
        return answer_rules(self.options, self.template)

    def connection(self) -> Connection:
        """Return how to reach the account from this machine.

        Raises:
            ConfigurationError: If there is no key here.
        """
        return connection(self.remote, self.options)

    def events(self, output: str | None = None) -> RunEvents:
        """Return what tells of a run: the driver's, for all machines.

        Args:
            output: Where the answers go.

        Raises:
            WriteError: If the file for events cannot be written.
            ConfigurationError: If a notification cannot be sent there.
        """
        return run_events(
            self.options,
            self.spec.model,
            mode="batch",
            fields=self.template.shared_fields,
            output=output,
        )


def load_settings(
    config: str | Path | Configuration, *, skip_bad: bool = False, **options: object
) -> BlockSettings:
    """Read a configuration.

    Args:
        config: A file, or Oumi's ``InferenceConfig``.
        skip_bad: Whether rows that cannot be sent are left out.
        **options: The engine's options that win over its own, but for None.

    Raises:
        ConfigurationError: If it cannot be used, or is for another engine.
    """
    if isinstance(config, str | Path):
        config = read_config(str(config))
    given = {name: value for name, value in options.items() if value is not None}
    return _settings(config, given, skip_bad=skip_bad)


def _settings(
    config: Configuration, options: Mapping[str, object], *, skip_bad: bool
) -> BlockSettings:
    engine = config.engine
    if engine is not None and getattr(engine, "name", engine) != InferenceEngineType.FIREWORKS.name:
        raise ConfigurationError(
            f"The configuration is for engine: {getattr(engine, 'name', engine)}. Blocks become "
            "batches on Fireworks: set engine: FIREWORKS."
        )
    params = read_options(config.model.model_kwargs, **options)
    remote = config.remote_params or RemoteParams()
    require_followed(params, Way.RAY)
    try:
        template = request_template(config.generation, remote, params)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if remote.api_key is not None:
        raise ConfigurationError(
            "remote_params.api_key would have to travel to every machine of the cluster. Leave it "
            "out, and set the environment variable FIREWORKS_API_KEY on each of them."
        )
    answer_rules(params, template)
    spec = job_spec(config.model.model_name, params)
    return BlockSettings(
        template=template,
        spec=spec,
        options=params,
        remote=remote,
        prices=price_of(spec.model, batch=True, own=own_prices(params)),
        budget=batch_budget(params, spec.model),
        skip_bad=skip_bad,
    )


def with_place(settings: BlockSettings, account: str, root_url: str) -> BlockSettings:
    """Fix the account and the server, so that all machines use the same ones."""
    remote = RemoteParams(
        api_url=root_url,
        api_key_env_varname=settings.remote.api_key_env_varname,
        user_id=settings.remote.user_id,
    )
    return replace(settings, remote=remote, options=replace(settings.options, account_id=account))
