"""Read Oumi's inference configuration in a fraction of a second, where Oumi takes ten.

The file and the overrides are merged by OmegaConf, called as Oumi calls it: the same types,
``???``, interpolation in overrides alone. What Oumi does beyond that concerns models that run on
this machine.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from oumi_fireworks.engine.config_fields import InferenceConfig
from oumi_fireworks.errors import ConfigurationError
from oumi_fireworks.grammar import ended

_YAML_SUFFIXES = (".yaml", ".yml")
_INTERPOLATION = re.compile(r"(?<!\\)\$\{")
"""Finds ``${`` that a file does not escape already: as in Oumi it is text."""
_NO_SECTION = re.compile(r"(\w+) is not a subclass of (\w+)")


def read_config(name: str, overrides: Sequence[str] = ()) -> InferenceConfig:
    """Read a configuration as ``oumi infer`` does.

    Args:
        name: A YAML file, or one of Oumi's names for its own (``oumi://...`` too).
        overrides: Settings as ``generation.max_new_tokens=5``. They win over the
            file, and later ones over earlier ones.

    Raises:
        ConfigurationError: If it cannot be read, or has a setting that does not exist or cannot
            have its value. The message names the setting.
    """
    path = find_config(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"The configuration {name} cannot be read: {ended(reason)}"
        ) from error
    try:
        config = _merged(text)
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{name} cannot be used: {_reason(error)}") from error
    for override in overrides:
        try:
            _apply(config, override)
        except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError) as error:
            raise ConfigurationError(f"--{override} cannot be used: {_reason(error)}") from error
    try:
        return cast(InferenceConfig, OmegaConf.to_object(config))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        with_overrides = " with these overrides" if overrides else ""
        raise ConfigurationError(
            f"{name}{with_overrides} cannot be used: {_reason(error)}"
        ) from error


def find_config(name: str) -> Path:
    """Return the file of a configuration; one of Oumi's own is downloaded.

    Raises:
        ConfigurationError: If there is no such file.
    """
    path = Path(name).expanduser()
    if "://" not in name and (path.is_file() or path.suffix in _YAML_SUFFIXES):
        if not path.is_file():
            raise ConfigurationError(f"There is no configuration file {name}.")
        return path
    return _find_oumis_own(name)


def _find_oumis_own(name: str) -> Path:
    # Only here, since few configurations are Oumi's own: half a second.
    from oumi.cli.alias import AliasType, try_get_config_name_for_alias
    from oumi.cli.cli_utils import resolve_and_fetch_config

    try:
        path = resolve_and_fetch_config(try_get_config_name_for_alias(name, AliasType.INFER))
    except (OSError, yaml.YAMLError) as error:  # an error of `requests` is an OSError
        raise ConfigurationError(f"The configuration {name} cannot be fetched: {error}") from error
    if not path.is_file():
        raise ConfigurationError(f"There is no configuration file {name}.")
    return path


def _merged(text: str) -> DictConfig:
    schema = OmegaConf.structured(InferenceConfig)
    file = OmegaConf.create(_INTERPOLATION.sub(r"\\${", text))
    if not isinstance(file, DictConfig):
        raise ValueError("it is a list, not a mapping of settings.")
    return cast(DictConfig, OmegaConf.merge(schema, file))


def _apply(config: DictConfig, override: str) -> None:
    """Replace one setting."""
    key, _, text = override.partition("=")
    names = [name for name in re.split(r"[.\[\]]", key) if name]
    is_section = isinstance(yaml.safe_load(text), Mapping)
    _open_sections(config, names if is_section else names[:-1])
    config.merge_with_dotlist([override])


def _open_sections(config: DictConfig, names: Sequence[str]) -> None:
    """Fill sections that are null, so that something in them can be set."""
    node: Any = config
    kind: type | None = InferenceConfig
    for name in names:
        if not isinstance(node, DictConfig) or name not in node:
            return
        kind = _section_type(kind, name)
        if node[name] is None:
            node[name] = {} if kind is None else OmegaConf.structured(kind)
        node = node[name]


def _section_type(parent: type | None, name: str) -> type | None:
    """Return the class of a section of a section, None where any mapping will do."""
    hint = get_type_hints(parent).get(name) if parent is not None else None
    kinds = (kind for kind in (hint, *get_args(hint)) if isinstance(kind, type))
    return next(filter(is_dataclass, kinds), None)


def _reason(error: Exception) -> str:
    """Say in one line what is wrong, and what may have been meant."""
    if (mark := getattr(error, "problem_mark", None)) is not None:  # PyYAML's
        said = getattr(error, "problem", None) or error
        return f"it is no YAML: {said} (line {mark.line + 1})."
    message = next(iter(str(error).strip().splitlines()), type(error).__name__)
    key = getattr(error, "full_key", None)
    if misfit := _NO_SECTION.search(message):
        return f"{key or misfit[2]} must be a mapping of settings, not {misfit[1]}."
    if not key:
        return ended(message)
    if isinstance(error, MissingMandatoryValue):
        return f"{key} is missing (???)."
    kind = getattr(error, "object_type", None)
    if isinstance(error, ConfigKeyError | ConfigAttributeError) and is_dataclass(kind):
        return f"there is no setting {key}.{_did_you_mean(key, cast(type, kind))}"
    return f"{key}: {ended(message)}"


def _did_you_mean(key: str, section: type) -> str:
    above, _, name = key.rpartition(".")
    near = difflib.get_close_matches(name, [each.name for each in fields(section)], n=1)
    if not near:
        return ""
    return f" Did you mean {f'{above}.' if above else ''}{near[0]}?"
