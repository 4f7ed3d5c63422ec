"""How fast a run is of late."""

from __future__ import annotations

import pytest

from oumi_fireworks.online.progress import ProgressMeter


def test_speed_is_that_of_late() -> None:
    meter = ProgressMeter()
    assert meter.per_second(0.0, 0) == 0.0
    assert meter.per_second(1.0, 10) == pytest.approx(10.0)
    for second in range(2, 60):
        speed = meter.per_second(float(second), 10 + 100 * second)
    assert speed == pytest.approx(100.0)
