"""Python's collector of cycles, kept from looking again and again at what stays anyway."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 50_000
"""How many there are before the collector looks at them. Python's own 700 are there after some
forty answers, beside the thousands of the requests under way, each time the same ones."""


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keep Python from looking for cycles, where none are made.

    What a caller keeps of the answers makes it look again and again, at more and more objects:
    that takes longer than all the rest.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # Move what is new to the oldest generation, where it is looked at last.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


@contextmanager
def older_objects_spared() -> Iterator[None]:
    """Let the collector leave alone what is there already, where cycles are made beside it.

    Oumi and torch bring a million objects, and the conversations of a run more. A look at all of
    them takes longer than some thousand requests. What is new is looked at less often.
    """
    if gc.get_freeze_count():  # somebody else's, as before a fork: not to be undone here
        yield
        return
    before = gc.get_threshold()
    gc.freeze()
    if before[0]:  # 0 switches it off
        gc.set_threshold(max(_NEW_OBJECTS, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
