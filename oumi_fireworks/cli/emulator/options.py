"""The emulator that the flags ask for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from oumi_fireworks.cli.emulator.running import say
from oumi_fireworks.emulator import (
    Emulator,
    Fault,
    Latency,
    RateLimit,
    Upstream,
    Weather,
    parse_fault,
    parse_weather,
)
from oumi_fireworks.grammar import ended

_KEPT_REQUESTS = 1000
"""How many of the latest requests the emulator remembers."""


@dataclass(frozen=True, kw_only=True)
class EmulatorOptions:
    """What the flags say, as they were given; see their help."""

    state: Path | None
    speed: float
    account: str
    tls: bool
    limits: str
    rate_limit: float | None
    latency: str | None
    cancel_route: bool
    faults: Sequence[str]
    weather: str | None
    upstream: str | None
    upstream_model: str | None
    upstream_key_env: str | None
    upstream_concurrency: int
    host: str = "127.0.0.1"
    port: int = 0
    key: str | None = None

    def emulator(self) -> Emulator:
        """Return the emulator, not started.

        Raises:
            typer.BadParameter: If a flag has a value that it does not take.
            typer.Exit: If the state folder cannot be used, which was said.
        """
        faults = [_fault(spec) for spec in self.faults]
        latency = _latency(self.latency) if self.latency else None
        weather = _weather(self.weather) if self.weather else None
        upstream = self._upstream()
        try:
            emulator = Emulator(
                host=self.host,
                port=self.port,
                state=self.state,
                speed=self.speed,
                key=self.key,
                account=self.account,
                tls=self.tls,
                limits=self.limits,
                rate_limit=RateLimit(self.rate_limit) if self.rate_limit else None,
                latency=latency,
                cancel_route=self.cancel_route,
                weather=weather,
                upstream=upstream,
                kept_requests=_KEPT_REQUESTS,
            )
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            say(f"The emulator cannot start: {where}{ended(error.strerror or error)}")
            raise typer.Exit(1) from None
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        for fault in faults:
            emulator.faults.add(fault)
        return emulator

    def _upstream(self) -> Upstream | None:
        variable = self.upstream_key_env
        if self.upstream is None:
            if self.upstream_model or variable:
                raise typer.BadParameter("it needs --upstream URL", param_hint="--upstream-...")
            return None
        key = os.environ.get(variable) if variable else None
        if variable and not key:
            raise typer.BadParameter(f"{variable} is not set", param_hint="--upstream-key-env")
        try:
            return Upstream(
                self.upstream,
                model=self.upstream_model,
                key=key,
                concurrency=self.upstream_concurrency,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--upstream") from None


def _fault(spec: str) -> Fault:
    try:
        return parse_fault(spec)
    except ValueError as error:
        raise typer.BadParameter(f"{spec!r}: {error}", param_hint="--fault") from None


def _weather(spec: str) -> Weather:
    try:
        return parse_weather(spec)
    except ValueError as error:
        raise typer.BadParameter(f"{spec!r}: {error}", param_hint="--weather") from None


def _latency(text: str) -> Latency:
    median, _, sigma = text.partition(",")
    try:
        return Latency(float(median), float(sigma or 0))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not seconds, nor seconds and a sigma such as 0.5,0.5; neither is "
            "negative",
            param_hint="--latency",
        ) from None
