"""Oumi's inference configuration, and what a batch makes of it. Importing Oumi takes seconds."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oumi_fireworks.cli.exit_codes import WrongUseError

if TYPE_CHECKING:
    from oumi.core.configs import InferenceConfig, RemoteParams
    from oumi.core.types.conversation import Conversation

    from oumi_fireworks.api import Connection
    from oumi_fireworks.batch import JobSpec, RunOptions
    from oumi_fireworks.conversion import RequestTemplate
    from oumi_fireworks.params import FireworksParams

_ENGINE = "FIREWORKS"


@dataclass(frozen=True)
class BatchSettings:
    """All that a configuration says about a batch.

    Attributes:
        template: Makes the requests.
        spec: What the jobs have in common.
        options: How a run behaves.
        run_dir: Where runs keep their files; None is beside the output.
        input_path: The configuration's own.
        output_path: The configuration's own.
        ignored: Generation parameters that are set and do not reach Fireworks, with their values.
        remote: Where and with which key.
        fireworks: The engine's options.
    """

    template: RequestTemplate
    spec: JobSpec
    options: RunOptions
    run_dir: str | None
    input_path: str | None
    output_path: Path | None
    ignored: tuple[tuple[str, Any], ...]
    remote: RemoteParams
    fireworks: FireworksParams

    def prepare(self, conversation: Conversation, index: int) -> dict[str, Any]:
        """Make the request of a conversation.

        Raises:
            ValueError: If Fireworks would refuse it.
        """
        from oumi_fireworks.conversion import check_conversation

        check_conversation(conversation, index)
        return self.template.body(conversation)

    def warn(self) -> None:
        """Say which settings come to nothing."""
        from oumi_fireworks.cli.terminal import say

        for name, value in self.ignored:
            say(f"generation.{name}={value} is left out: Fireworks has nothing like it.", "yellow")

    def connection(self) -> Connection:
        """Return how to reach the account.

        Raises:
            ConfigurationError: If there is no key, or the URL may not carry one.
        """
        from oumi_fireworks.engine.wiring import connection

        return connection(self.remote, self.fireworks)


def load_settings(config: str, overrides: Sequence[str]) -> BatchSettings:
    """Read a configuration as ``oumi infer`` does, and work out what it means for a batch.

    Args:
        config: A YAML file, or one of Oumi's names for its own (``oumi://...`` too).
        overrides: ``key=value``; they win.

    Raises:
        WrongUseError: If it cannot be read, or is for another engine.
        OptionError: If a fireworks option or a parameter cannot work.
        ConfigurationError: If the model's name cannot be one of Fireworks'.
    """
    from oumi_fireworks.cli.terminal import busy

    with busy("Loading Oumi"):
        return _settings(_read(config, overrides))


def _read(config: str, overrides: Sequence[str]) -> InferenceConfig:
    if "://" not in config and config.endswith((".yaml", ".yml")) and not Path(config).is_file():
        raise WrongUseError(f"There is no configuration file {config}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from oumi.cli.alias import AliasType, try_get_config_name_for_alias
        from oumi.cli.cli_utils import resolve_and_fetch_config
        from oumi.core.configs import InferenceConfig
        from oumi.exceptions import OumiConfigError
        from yaml import YAMLError  # type: ignore[import-untyped]

        from oumi_fireworks.api import check_model_name
        from oumi_fireworks.cli.terminal import show_oumi_logs
        from oumi_fireworks.errors import ConfigurationError

    show_oumi_logs()
    try:
        path = resolve_and_fetch_config(try_get_config_name_for_alias(config, AliasType.INFER))
        parsed = InferenceConfig.from_yaml_and_arg_list(str(path), list(overrides))
        # Before Oumi looks for the model: a name that is no Fireworks model's it would seek on
        # the network.
        check_model_name(parsed.model.model_name)
        parsed.finalize_and_validate()
    except ConfigurationError:
        raise
    except AssertionError as error:
        if not overrides or "Unexpected type for root" not in str(error):
            raise
        raise WrongUseError(
            f"{config} has no section for one of {', '.join(overrides)}. Write the section into "
            "the file; its settings can be replaced then."
        ) from error
    except (OumiConfigError, YAMLError, OSError, ValueError, TypeError) as error:
        raise WrongUseError(f"{config} cannot be used: {_reason(error)}") from error
    return parsed


def _reason(error: Exception) -> str:
    """Say in one line why Oumi cannot use a configuration, and what may have been meant."""
    from oumi.core import configs

    if (mark := getattr(error, "problem_mark", None)) is not None:  # PyYAML's
        said = getattr(error, "problem", None) or error
        return f"it, or an override, is no YAML: {said} (line {mark.line + 1})"
    reason = next(iter(str(error.__cause__ or error).strip().splitlines()), type(error).__name__)
    unknown = re.match(r"Key '(\w+)' not in '(\w+)'", reason)
    if unknown is None:
        return reason
    names = [field.name for field in fields(getattr(configs, unknown[2], configs.InferenceConfig))]
    near = difflib.get_close_matches(unknown[1], names, n=1)
    return f"{unknown[2]} has no {unknown[1]!r}." + (f" Did you mean {near[0]!r}?" if near else "")


def _settings(config: InferenceConfig) -> BatchSettings:
    from oumi.core.configs import GenerationParams, RemoteParams

    from oumi_fireworks.conversion import SUPPORTED_PARAMS
    from oumi_fireworks.engine.wiring import (
        job_spec,
        read_options,
        request_template,
        run_options,
    )

    if config.engine is not None and config.engine.name != _ENGINE:
        raise WrongUseError(
            f"The configuration is for engine: {config.engine.name}. Batches run on Fireworks: set "
            f"engine: {_ENGINE}, or add --engine {_ENGINE}."
        )
    options = read_options(config.model.model_kwargs)
    generation, default = config.generation, GenerationParams()
    remote = config.remote_params or RemoteParams()
    try:
        template = request_template(generation, remote, options)
    except ValueError as error:
        raise WrongUseError(str(error)) from error
    return BatchSettings(
        template=template,
        spec=job_spec(config.model.model_name, options),
        options=run_options(options),
        run_dir=options.run_dir,
        input_path=config.input_path,
        output_path=Path(config.output_path) if config.output_path else None,
        ignored=tuple(
            (name, value)
            for name, value in generation
            if name not in SUPPORTED_PARAMS and value != getattr(default, name)
        ),
        remote=remote,
        fireworks=options,
    )
