"""Weather: how late, and in what order, the control plane shows what has happened.

A control plane that is spread over many machines shows a change here sooner than there. The
weather says by how much: lags of reads, results that appear after the job has ended, an upload
that is digested slowly, a removal that takes its time. What goes wrong with a single call is a
`Fault`; both can be at work at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from oumi_fireworks.emulator.wire.numbers import is_amount, is_count


@dataclass(frozen=True, slots=True)
class Lag:
    """How far reads are behind what has happened.

    A read that lags shows everything as it was then: what was made since is missing, what has
    changed since is in its earlier state, and what was removed since is still there.

    Args:
        seconds: It shows what was true this many seconds earlier, on the emulator's clock.
        reads: It shows what the read this many reads before it, of the same resource or list,
            could have shown; before the first of them there was nothing.
        probability: How likely a read is to lag. Below 1, late reads and fresh ones mix, so
            that an earlier state can be served after a later one.

    Raises:
        ValueError: If one of them is not what it should be.
    """

    seconds: float = 0.0
    reads: int = 0
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not is_amount(self.seconds):
            raise ValueError(f"the seconds of a lag must not be negative, got {self.seconds!r}")
        if not is_count(self.reads):
            raise ValueError(f"the reads of a lag must be a whole number, got {self.reads!r}")
        if not (is_amount(self.probability) and self.probability <= 1):
            raise ValueError(f"a probability is between 0 and 1, got {self.probability!r}")

    def __bool__(self) -> bool:
        return bool((self.seconds or self.reads) and self.probability)


@dataclass(frozen=True, slots=True)
class Weather:
    """How late the control plane shows what has happened. All times are seconds on its clock.

    Lags of `jobs` and `datasets` hold for every call that names one by its id, whatever the
    method: a DELETE does not find a job that is not visible yet. The creation of a resource
    always knows all others.

    The output of a job goes through four stages, one after the other, each as long as given
    here, beginning when the job is first seen to have ended.

    Args:
        jobs: Lag of calls that name a job.
        datasets: Lag of calls that name a dataset.
        lists: Lag of both lists.
        output_missing: How long the output dataset is a 404.
        files_missing: How long its list of files is empty then.
        files_partial: How long only the later half of its files is listed then.
        files_growing: How long its files hold only the first half of their bytes then.
        files_shuffled: Whether its files are listed in another order each time.
        ready: How long an uploaded dataset takes to be READY, at least.
        deleting: How long a deleted job is shown as JOB_STATE_DELETING, at least, and another
            DELETE is refused (400).

    Raises:
        ValueError: If a time is not a finite, non-negative number.
    """

    jobs: Lag = field(default_factory=Lag)
    datasets: Lag = field(default_factory=Lag)
    lists: Lag = field(default_factory=Lag)
    output_missing: float = 0.0
    files_missing: float = 0.0
    files_partial: float = 0.0
    files_growing: float = 0.0
    files_shuffled: bool = False
    ready: float = 0.0
    deleting: float = 0.0

    def __post_init__(self) -> None:
        for name in LAGS:
            if not isinstance(getattr(self, name), Lag):
                raise ValueError(f"{name} must be a Lag, got {getattr(self, name)!r}")
        for name in _TIMES:
            if not is_amount(value := getattr(self, name)):
                raise ValueError(f"{name} must be seconds, not fewer than 0, got {value!r}")
        if not isinstance(self.files_shuffled, bool):
            raise ValueError(f"files_shuffled must be true or false, got {self.files_shuffled!r}")


LAGS = ("jobs", "datasets", "lists")
"""The fields of `Weather` that are lags."""

_TIMES = tuple(each.name for each in fields(Weather) if each.name not in (*LAGS, "files_shuffled"))
_LAG_READERS = {"seconds": float, "reads": int, "probability": float}
_BOOLEANS = {"true": True, "false": False}


def weather_from(given: Mapping[str, Any]) -> Weather:
    """Make a weather from a JSON object; a lag is an object or a number of seconds.

    Raises:
        ValueError: If a field is unknown or not of its kind.
    """
    known = {each.name for each in fields(Weather)}
    if unknown := sorted(given.keys() - known):
        raise ValueError(f"unknown weather {unknown[0]!r}, use one of {', '.join(sorted(known))}")
    values = dict(given)
    for name in LAGS & values.keys():
        values[name] = _lag_from(name, values[name])
    return Weather(**values)


def parse_weather(text: str) -> Weather:
    """Read a weather from `name=value` pairs, quoted as in a shell.

    The names are the fields of `Weather`; a lag is given in seconds (`jobs=3`) or by its parts
    (`lists.reads=2 lists.probability=0.5`).

    Raises:
        ValueError: If a name is unknown or a value is not of its kind.
    """
    given: dict[str, Any] = {}
    for pair in shlex.split(text):
        name, equals, value = pair.partition("=")
        name, _, part = name.partition(".")
        if not equals or (part and (name not in LAGS or part not in _LAG_READERS)):
            raise ValueError(f"expected name=value, such as jobs=3 or jobs.reads=2, got {pair!r}")
        try:
            if name in LAGS:
                part = part or "seconds"
                given.setdefault(name, {})[part] = _LAG_READERS[part](value)
            else:
                given[name] = _BOOLEANS[value] if name == "files_shuffled" else float(value)
        except (KeyError, ValueError):
            raise ValueError(f"{name} cannot be {value!r}") from None
    return weather_from(given)


def _lag_from(name: str, value: Any) -> Lag:
    if isinstance(value, Mapping):
        if unknown := sorted(value.keys() - _LAG_READERS.keys()):
            raise ValueError(f"{name} has no {unknown[0]!r}, use {', '.join(_LAG_READERS)}")
        return Lag(**value)
    return Lag(seconds=value)
