"""A command under blows: it and the workers of its cluster are killed, again and again."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.distributed.ray_cluster import Cluster

_DRIVERS = 0.15
"""Of the blows, the share that hits the driver."""

_LOOK_AFTER_SECONDS = 0.2

DRIVER = "driver"


@dataclass
class Blows:
    """Kills the driver and busy workers, at random moments between which something was done.

    Without the latter a machine that is slow today would be beaten to a standstill.

    Attributes:
        chance: Decides when, and whom.
        most: How many blows.
        progress: Returns a number that grows as the work goes on.
        step: By how much it grows between two blows, at the least and at the most.
        watch: Called a few times a second.
        killed: What was killed so far.
    """

    chance: random.Random
    most: int
    progress: Callable[[], int]
    step: tuple[int, int]
    watch: Callable[[], None] = lambda: None
    killed: list[str] = field(default_factory=list)

    def run(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], cluster: Cluster
    ) -> int:
        """Run a command until it comes to its end, however often it is killed; return its code."""
        while True:
            with subprocess.Popen(command, cwd=folder, env=dict(environment)) as driver:
                if not self._beat(driver, cluster):
                    return driver.returncode

    def _beat(self, driver: subprocess.Popen[bytes], cluster: Cluster) -> bool:
        """Kill workers now and then while a driver runs; tell whether the driver was killed."""
        due = self._next()
        while True:
            try:
                driver.wait(_LOOK_AFTER_SECONDS)
            except subprocess.TimeoutExpired:
                self.watch()
            else:
                return False
            if len(self.killed) >= self.most or self.progress() < due:
                continue
            if self.chance.random() < _DRIVERS:
                driver.kill()
                self.killed.append(DRIVER)
                return True
            if (worker := cluster.kill_worker(self.chance)) is not None:
                self.killed.append(worker)
                due = self._next()

    def _next(self) -> int:
        return self.progress() + self.chance.randint(*self.step)
