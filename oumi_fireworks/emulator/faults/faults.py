"""Faults on request: what can go wrong on the way, asked for by a test or a user."""

from __future__ import annotations

import random
import re
import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from oumi_fireworks.emulator.wire.numbers import is_amount, is_count

FaultKind = Literal[
    "status",
    "delay",
    "reset",
    "lost_answer",
    "cut",
    "stale_url",
    "truncated_json",
    "garbage",
    "stall",
    "stale",
    "other",
    "duplicate",
    "stop_reading",
    "scaling_up",
    "overloaded",
    "swapping",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and when.

    Args:
        method: HTTP method that it applies to, or None for any.
        path: Regular expression searched for in the request's path, or None for any.
        kind: What goes wrong:
            `status` answers with `status`, `body` and `headers`, and nothing is done;
            `delay` waits `delay` seconds, then all goes its way;
            `reset` drops the connection before anything is done;
            `lost_answer` does everything, then drops the connection without an answer;
            `cut` drops the connection after `bytes` bytes of the answer's body;
            `stale_url` answers that a signed URL has expired (403);
            `truncated_json` does everything and sends the first half of the answer, as if
            that were all of it;
            `garbage` does everything and answers 200 with `body` instead (but not a stream's);
            `stall` does nothing, sends headers, and then nothing more for `delay` seconds
            (None: for ever);
            `stale` shows everything as it was `delay` seconds ago: a GET of what was made since
            is a 404, a list lacks it, a job is in its earlier state;
            `other` answers with the record, or the files, of another job or dataset: of the one
            with the id `body`, or else of the latest;
            `duplicate` handles the request twice and gives the second answer; the body must
            fit into memory (64 MB);
            `stop_reading` reads `bytes` bytes of the request's body and then no more for
            `delay` seconds (None: for ever), then drops the connection;
            `scaling_up` answers 503 with the code DEPLOYMENT_SCALING_UP, as a deployment that
            was scaled to zero does while it starts;
            `overloaded` answers 503 "Service Overloaded", the load shedding of serverless;
            `swapping` answers 425, as while the weights of a model are being swapped.
        times: How often it strikes; None for always.
        after: How many matching requests go well before it begins.
        probability: With what probability it strikes a matching request.
        status: HTTP status, for `status` and `stale_url`.
        delay: Seconds, for `delay`, `stall`, `stale` and `stop_reading`.
        bytes: Length of the part of the body that arrives, for `cut` and `stop_reading`.
        body: Body of the answer, for `status` and `garbage`; anything but a string is sent as
            JSON. None stands for the service's usual error. An id, for `other`.
        headers: Further headers of the answer, for `status` and `garbage`.

    Raises:
        ValueError: If the kind is unknown, the path is no regular expression, or anything else
            is not what it should be: a fault that only broke when it strikes would be no use.
    """

    method: str | None = None
    path: str | None = None
    kind: FaultKind = "status"
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    status: int | None = None
    delay: float | None = None
    bytes: int = 0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(
                f"unknown kind of fault {self.kind!r}, use one of {', '.join(get_args(FaultKind))}"
            )
        for name, (is_good, wanted) in _VALUES.items():
            if not is_good(value := getattr(self, name)):
                raise ValueError(f"{name} must be {wanted}, got {value!r}")
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise ValueError(f"path {self.path!r} is no regular expression: {error}") from None
        if self.kind in ("delay", "stale") and self.delay is None:
            raise ValueError(f"{self.kind} needs to know its seconds: delay=...")
        if self.kind == "other" and not isinstance(self.body, str | None):
            raise ValueError(f"other shows a record by its id, body=..., got {self.body!r}")

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request is of the sort that this fault strikes."""
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or re.search(self.path, path) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, (*value.keys(), *value.values())))


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "method": (lambda v: v is None or _is_text(v), "a string"),
    "path": (lambda v: v is None or _is_text(v), "a string"),
    "times": (lambda v: v is None or is_count(v), "a whole number, or None for always"),
    "after": (is_count, "a whole number"),
    "probability": (lambda v: is_amount(v) and v <= 1, "between 0 and 1"),
    "status": (lambda v: v is None or (is_count(v) and 200 <= v <= 599), "between 200 and 599"),
    "delay": (lambda v: v is None or is_amount(v), "seconds, not fewer than 0"),
    "bytes": (is_count, "a whole number"),
    "headers": (_are_headers, "strings by strings"),
}
"""What the arguments of a fault may be, and the words for it."""

_NAMES = (*(each.name for each in fields(Fault) if each.name != "headers"), "header")
_READERS: dict[str, Callable[[str], Any]] = {
    "times": lambda text: None if text == "always" else int(text),
    "after": int,
    "probability": float,
    "status": int,
    "delay": float,
    "bytes": int,
}


def parse_fault(text: str) -> Fault:
    """Read a fault from `name=value` pairs, quoted as in a shell.

    The names are the arguments of `Fault`; `times` may be `always`, and a header is written
    `header='Name: value'`, as often as there are some.

    Raises:
        ValueError: If a name is unknown, a value is not of its kind, or `Fault` refuses it.
    """
    given: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for pair in shlex.split(text):
        name, equals, value = pair.partition("=")
        if not equals or name not in _NAMES:
            raise ValueError(f"expected name=value with one of {', '.join(_NAMES)}, got {pair!r}")
        if name == "header":
            header, _, content = value.partition(":")
            headers[header.strip()] = content.strip()
            continue
        try:
            given[name] = _READERS.get(name, str)(value)
        except ValueError:
            raise ValueError(f"{name} cannot be {value!r}") from None
    return Fault(**given, headers=headers)


@dataclass(slots=True)
class _Entry:
    fault: Fault
    seen: int = 0
    fired: int = 0


class FaultBook:
    """The faults that are waiting to happen. Safe to use from any thread.

    Args:
        rng: Source of chance for faults with a probability.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let this go wrong from now on."""
        with self._lock:
            self._entries.append(_Entry(fault))

    def clear(self) -> None:
        """Let all go well from now on."""
        with self._lock:
            self._entries.clear()

    @property
    def active(self) -> list[Fault]:
        """The faults that can still strike, in the order in which they were added."""
        with self._lock:
            return [
                e.fault for e in self._entries if e.fault.times is None or e.fired < e.fault.times
            ]

    def fired(self, fault: Fault) -> int:
        """Return how often a fault, which was added and not cleared, has struck."""
        with self._lock:
            return sum(e.fired for e in self._entries if e.fault is fault)

    def strike(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this request, if one does: the first one added."""
        if not self._entries:
            return None
        with self._lock:
            for entry in self._entries:
                if self._strikes(entry, method, path):
                    return entry.fault
        return None

    def _strikes(self, entry: _Entry, method: str, path: str) -> bool:
        fault = entry.fault
        if fault.times is not None and entry.fired >= fault.times:
            return False
        if not fault.matches(method, path):
            return False
        entry.seen += 1
        if entry.seen <= fault.after:
            return False
        if fault.probability < 1 and self._rng.random() >= fault.probability:
            return False
        entry.fired += 1
        return True
