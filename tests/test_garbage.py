"""The collector looks less often, and is as it was afterwards."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from oumi_fireworks.garbage import collection_paused, older_objects_spared


class Knot:
    """An object that only the collector can remove."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_in_a_pause_and_again_afterwards() -> None:
    with collection_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_pause_leaves_a_collector_off_that_was_off() -> None:
    gc.disable()
    with collection_paused():
        pass
    assert not gc.isenabled()


def test_older_objects_are_looked_at_again_afterwards() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    with older_objects_spared():
        del knot
        gc.collect()
        assert gone() is not None
        new = weakref.ref(Knot())
        gc.collect()
        assert new() is None
    gc.collect()
    assert gone() is None


def test_what_is_new_is_looked_at_less_often_meanwhile() -> None:
    before = gc.get_threshold()
    with older_objects_spared():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_threshold()[1:] == before[1:]
    assert gc.get_threshold() == before


def test_what_somebody_else_has_frozen_stays_so() -> None:
    gc.freeze()
    with older_objects_spared():
        pass
    assert gc.get_freeze_count()


@pytest.mark.parametrize("context", [collection_paused, older_objects_spared])
def test_both_end_with_an_error_too(context: Callable[[], AbstractContextManager[None]]) -> None:
    before = gc.get_threshold()
    with pytest.raises(LookupError), context():
        raise LookupError
    assert gc.isenabled()
    assert not gc.get_freeze_count()
    assert gc.get_threshold() == before
