"""Errors where older code of users looks for them."""

from __future__ import annotations

import importlib

import pytest

import oumi_fireworks
from oumi_fireworks import errors


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("oumi_fireworks.api", "APIError"),
        ("oumi_fireworks.api", "NotFoundError"),
        ("oumi_fireworks.api", "SuspendedError"),
        ("oumi_fireworks.batch", "IncompleteBatchError"),
        ("oumi_fireworks.batch", "WaitTimeoutError"),
    ],
)
def test_an_old_place_of_an_error_still_works_and_says_where_it_is_now(
    module: str, name: str
) -> None:
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} has moved.*oumi_fireworks"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(errors, name) is getattr(oumi_fireworks, name)
    missing = "Nothing"
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Nothing'"):
        getattr(importlib.import_module(module), missing)


def test_the_old_place_of_the_error_of_options_is_one_still() -> None:
    from oumi_fireworks import params

    assert vars(params)["OptionError"] is errors.OptionError
