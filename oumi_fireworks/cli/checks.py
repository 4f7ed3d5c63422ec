"""What ``oumi-fireworks doctor`` looks at, each thing a function that returns a `Check`."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from oumi_fireworks.api import Account, Root
    from oumi_fireworks.plugin import Resolution

DISTRIBUTION = "oumi-fireworks"
ENGINE = "FIREWORKS"
ENGINE_CLASS = "oumi_fireworks.engine.engine.FireworksInferenceEngine"
PACKAGES = (DISTRIBUTION, "oumi", "aiohttp", "orjson", "stamina", "rich", "typer")

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """What one look found.

    Attributes:
        name: What was looked at.
        status: ``skipped`` when something else must be right first.
        found: What there is, a sentence for people.
        next_step: What to do about it; empty unless it failed.
        details: The same for programs.
    """

    name: str
    status: Status
    found: str
    next_step: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def check_python() -> Check:
    """Name the interpreter, since a package in another one is a common reason for trouble."""
    number = ".".join(map(str, sys.version_info[:3]))
    return Check(
        "python",
        "ok",
        f"{number}, {sys.executable}",
        details={"version": number, "executable": sys.executable},
    )


def check_packages() -> Check:
    """List the versions of the packages that matter here."""
    versions = {name: _version(name) for name in PACKAGES}
    missing = [name for name, number in versions.items() if number is None]
    found = ", ".join(f"{name} {number or 'missing'}" for name, number in versions.items())
    if missing:
        install = f"{sys.executable} -m pip install {' '.join(missing)}"
        return Check("packages", "failed", found, f"Run: {install}", versions)
    return Check("packages", "ok", found, details=versions)


def is_complete(packages: Check) -> bool:
    """Tell whether the other checks can run: all but our own metadata is there."""
    return all(packages.details[name] for name in PACKAGES if name != DISTRIBUTION)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def check_engines() -> tuple[Check, Check]:
    """Load Oumi's engines (some seconds) and see which class `ENGINE` is, and why.

    Returns:
        A check of the installed entry points, and one of the class.
    """
    from oumi_fireworks import plugin

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the loader's come again in what resolve() returns
            from oumi.builders.inference_engines import ENGINE_MAP
            from oumi.core.configs import InferenceEngineType

            resolution = plugin.resolve(plugin.find())
    except Exception as error:
        reason = f"Oumi's engines cannot be imported: {type(error).__name__}: {error}"
        step = f"Repair Oumi: {sys.executable} -m pip install --force-reinstall oumi"
        return (
            Check("entry points", "skipped", "Not loaded, since Oumi cannot be imported."),
            Check("engine", "failed", reason, step),
        )
    chosen = ENGINE_MAP[InferenceEngineType[ENGINE]]
    name = f"{chosen.__module__}.{chosen.__qualname__}"
    details = {"class": name}
    found = f"engine: {ENGINE} is {name}."
    if name == ENGINE_CLASS:
        engine = Check("engine", "ok", found, details=details)
    else:
        reason, step = explain(
            installed=_version(DISTRIBUTION) is not None,
            switched_off=plugin.switched_off(),
            waiting="_oumi_fireworks_startup" in sys.modules,
            resolution=resolution,
        )
        engine = Check("engine", "failed", f"{found} {reason}", step, details)
    return check_entry_points(resolution), engine


def check_entry_points(resolution: Resolution) -> Check:
    """Tell which distributions bring engines, and which of those cannot be used."""
    engines = [f"{name} from {owner}" for name, owner in resolution.owners.items()]
    found = " ".join([f"{', '.join(engines) or 'None'}.", *resolution.problems])
    details = {"engines": dict(resolution.owners), "problems": resolution.problems}
    if resolution.problems:
        step = "Repair or uninstall the distribution; until then Oumi goes on without it."
        return Check("entry points", "failed", found, step, details)
    return Check("entry points", "ok", found, details=details)


def explain(
    *, installed: bool, switched_off: bool, waiting: bool, resolution: Resolution
) -> tuple[str, str]:
    """Say why `ENGINE` is not our class, and what to do.

    Args:
        installed: This package's metadata is found by this interpreter.
        switched_off: The loader's switch is off.
        waiting: The loader was started with Python.
        resolution: What the entry points come to.

    Returns:
        The reason and the next step, each a sentence.
    """
    from oumi_fireworks.plugin import SWITCH

    owner = resolution.owners.get(ENGINE)
    if not installed:
        return (
            f"{DISTRIBUTION} is not installed in this interpreter, only importable.",
            f"Run: {sys.executable} -m pip install {DISTRIBUTION}",
        )
    if switched_off:
        return f"The loader is off: {SWITCH}={os.environ.get(SWITCH)}.", f"Unset {SWITCH}."
    if owner is None:
        return (
            f"No installed distribution has an entry point {ENGINE} that can be used.",
            f"Run: {sys.executable} -m pip install --force-reinstall {DISTRIBUTION}",
        )
    if owner != DISTRIBUTION:
        return (
            f"The distribution {owner!r} brings an engine of that name and comes first.",
            f"Run: {sys.executable} -m pip uninstall {owner}",
        )
    if not waiting:
        return (
            "The loader did not start with Python: oumi_fireworks_startup.pth was not processed, "
            "as with `python -S`, `pip install --target` or PYTHONPATH.",
            "Install the package into the environment itself, or call "
            "oumi_fireworks.plugin.register() before the engine is built.",
        )
    return (
        "Another program put it there after the loader.",
        "Look for code that sets oumi.builders.inference_engines.ENGINE_MAP.",
    )


def check_url(environ: Mapping[str, str]) -> tuple[Check, Root | None]:
    """Tell where requests go, and which setting says so."""
    from oumi_fireworks.api import BASE_URL_VARIABLE, resolve_root
    from oumi_fireworks.errors import ConfigurationError

    try:
        root = resolve_root(environ=environ)
    except ConfigurationError as error:
        return Check("url", "failed", str(error), f"Correct or unset {BASE_URL_VARIABLE}."), None
    found = f"{root.url} ({root.source}; remote_params.api_url in a YAML file goes before it)"
    return Check("url", "ok", found, details={"url": root.url, "source": root.source}), root


def check_key(environ: Mapping[str, str]) -> tuple[Check, str | None]:
    """Tell whether there is a key, without showing it."""
    from oumi_fireworks.api import KEY_VARIABLE, configured_key
    from oumi_fireworks.errors import ConfigurationError

    present = bool(environ.get(KEY_VARIABLE, "").strip())
    details = {"variable": KEY_VARIABLE, "present": present}
    try:
        key = configured_key(environ=environ)
    except ConfigurationError as error:
        if present:
            return Check("key", "failed", str(error), f"Correct {KEY_VARIABLE}.", details), None
    else:
        return Check("key", "ok", f"{KEY_VARIABLE} is set.", details=details), key
    step = (
        f"Make a key at https://app.fireworks.ai/settings/users/api-keys and set {KEY_VARIABLE} "
        "to it, or try without one: oumi-fireworks emulator exec -- oumi-fireworks doctor"
    )
    return Check("key", "failed", f"{KEY_VARIABLE} is not set.", step, details), None


async def check_service(root: Root | None, key: str | None) -> tuple[Check, list[Account] | None]:
    """List the key's accounts, once and without patience, to see whether Fireworks answers."""
    from oumi_fireworks.api import Accounts, RetryPolicy, Transport
    from oumi_fireworks.errors import FireworksError

    if root is None or key is None:
        return Check("service", "skipped", "Not asked: the URL or the key is missing."), None
    transport = Transport(root.url, key, retry=RetryPolicy(attempts=1), timeout=15)
    started = time.perf_counter()
    try:
        async with transport:
            accounts = await Accounts(transport).list()
    except FireworksError as error:
        step = f"See that {root.url} is right, that it can be reached from here, and the key."
        return Check("service", "failed", str(error), step), None
    seconds = time.perf_counter() - started
    found = f"{root.url} answered in {seconds * 1000:.0f} ms, connecting included."
    return Check("service", "ok", found, details={"seconds": round(seconds, 4)}), accounts


def check_account(environ: Mapping[str, str], listed: list[Account] | None) -> Check:
    """Tell which account is used, which setting says so, and whether the key may use it."""
    from oumi_fireworks.api import ACCOUNT_VARIABLE, configured_account

    configured = configured_account(environ=environ)
    source = ACCOUNT_VARIABLE if configured else "the key's only one"
    if listed is None:
        if configured:
            return Check("account", "skipped", f"{configured} ({source}), not verified.")
        return Check("account", "skipped", "Not looked up: the service gave no answer.")
    ids = [account.id for account in listed]
    details: dict[str, object] = {"listed": ids}
    names = ", ".join(ids) or "none"
    if configured is None and len(ids) != 1:
        found = f"The key's accounts: {names}; say which of them to use."
        return Check("account", "failed", found, f"Set {ACCOUNT_VARIABLE}.", details)
    account = configured or ids[0]
    details |= {"account": account, "source": source}
    found = f"{account} ({source})"
    if account not in ids:
        step = f"Set {ACCOUNT_VARIABLE} to one of: {names}." if ids else "Check the key."
        return Check(
            "account", "failed", f"{found} is not among the key's: {names}.", step, details
        )
    return Check("account", "ok", found, details=details)
