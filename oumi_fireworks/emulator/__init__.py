"""A Fireworks server of our own, to try and to test with, without a key or a network.

In a test::

    with Emulator() as emulator:
        ...  # point a client at emulator.url, with emulator.api_key

On the command line: `oumi-fireworks emulator --help`. What it does and what it leaves out is
in docs/emulator.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oumi_fireworks.emulator.faults.faults import Fault, FaultBook, parse_fault
    from oumi_fireworks.emulator.faults.weather import Lag, Weather, parse_weather
    from oumi_fireworks.emulator.server import Emulator
    from oumi_fireworks.emulator.settings import Upstream
    from oumi_fireworks.emulator.state.clock import Clock
    from oumi_fireworks.emulator.state.job_timeline import Pace
    from oumi_fireworks.emulator.work.emulator_state import RecordedRequest
    from oumi_fireworks.emulator.work.ledger import JobCharge, Ledger
    from oumi_fireworks.emulator.work.limits import Limits
    from oumi_fireworks.emulator.work.online_charge import OnlineCharge
    from oumi_fireworks.emulator.work.traffic import Latency, RateLimit
    from oumi_fireworks.emulator.work.views import DatasetView, JobView

__all__ = [
    "Clock",
    "DatasetView",
    "Emulator",
    "Fault",
    "FaultBook",
    "JobCharge",
    "JobView",
    "Lag",
    "Latency",
    "Ledger",
    "Limits",
    "OnlineCharge",
    "Pace",
    "RateLimit",
    "RecordedRequest",
    "Upstream",
    "Weather",
    "parse_fault",
    "parse_weather",
]

_HOME_OF = {
    "Clock": "state.clock",
    "DatasetView": "work.views",
    "Emulator": "server",
    "Fault": "faults.faults",
    "FaultBook": "faults.faults",
    "JobCharge": "work.ledger",
    "JobView": "work.views",
    "Lag": "faults.weather",
    "Latency": "work.traffic",
    "Ledger": "work.ledger",
    "Limits": "work.limits",
    "OnlineCharge": "work.online_charge",
    "Pace": "state.job_timeline",
    "RateLimit": "work.traffic",
    "RecordedRequest": "work.emulator_state",
    "Upstream": "settings",
    "Weather": "faults.weather",
    "parse_fault": "faults.faults",
    "parse_weather": "faults.weather",
}
"""The module of each public name, below this package."""


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562): pytest imports this package at each start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
