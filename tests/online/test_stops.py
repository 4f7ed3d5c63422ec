"""What ends a run: an error that every row would have, or one of the caller's own."""

from __future__ import annotations

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import (
    AuthenticationError,
    FireworksError,
    PaymentRequiredError,
    SuspendedError,
)
from oumi_fireworks.online import Completion
from tests.online.conftest import CHAT, ECHOES, Drive, Harvest, asked


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (402, PaymentRequiredError),
        (403, AuthenticationError),
        (412, SuspendedError),
    ],
)
def test_what_would_fail_every_row_stops_the_pump(
    drive: Drive, emulator: Emulator, status: int, kind: type[FireworksError]
) -> None:
    emulator.faults.add(Fault(path=CHAT, status=status, after=10, times=None))
    harvest = Harvest()
    with pytest.raises(kind):
        drive(ECHOES, harvest=harvest, workers=4)
    assert len(asked(emulator)) <= 10 + 4
    assert not harvest.errors()


def test_what_the_caller_raises_ends_the_run(drive: Drive, emulator: Emulator) -> None:
    class EnoughError(Exception):
        pass

    class Picky(Harvest):
        def take(self, index: int, outcome: Completion | FireworksError) -> None:
            super().take(index, outcome)
            if len(self.outcomes) == 10:
                raise EnoughError

    harvest = Picky()
    with pytest.raises(EnoughError):
        drive(ECHOES, harvest=harvest, workers=4)
    assert 10 <= len(harvest.outcomes) <= 10 + 4
    assert len(asked(emulator)) <= 10 + 4
