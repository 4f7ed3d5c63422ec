"""Online inference: a pump for chat completions that finds the service's limits by itself.

It works on request bodies and completions, and knows nothing of Oumi.
"""

from oumi_fireworks.online.completions import Completion
from oumi_fireworks.online.progress import OnlineProgress
from oumi_fireworks.online.pump import Pump
from oumi_fireworks.online.purse import Purse
from oumi_fireworks.online.run import OnOutcome, OnProgress, PumpReport
from oumi_fireworks.online.scratch import ScratchFile
from oumi_fireworks.online.settings import PumpSettings

__all__ = [
    "Completion",
    "OnOutcome",
    "OnProgress",
    "OnlineProgress",
    "Pump",
    "PumpReport",
    "PumpSettings",
    "Purse",
    "ScratchFile",
]
