"""A Fireworks server of our own, to try and to test with, without a key or a network.

In a test::

    with Emulator() as emulator:
        ...  # point a client at emulator.url, with emulator.api_key

On the command line: `oumi-fireworks emulator --help`. What it does and what it leaves out is
in docs/emulator.md.
"""

from oumi_fireworks.emulator.faults.faults import Fault, FaultBook, parse_fault
from oumi_fireworks.emulator.faults.weather import Lag, Weather, parse_weather
from oumi_fireworks.emulator.server import Emulator
from oumi_fireworks.emulator.settings import Upstream
from oumi_fireworks.emulator.state.clock import Clock
from oumi_fireworks.emulator.state.job_timeline import Pace
from oumi_fireworks.emulator.work.emulator_state import RecordedRequest
from oumi_fireworks.emulator.work.ledger import JobCharge, Ledger
from oumi_fireworks.emulator.work.limits import Limits
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
    "Pace",
    "RateLimit",
    "RecordedRequest",
    "Upstream",
    "Weather",
    "parse_fault",
    "parse_weather",
]
