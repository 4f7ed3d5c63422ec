"""What pyarrow says of a file that it cannot read, as an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from oumi_fireworks.errors import InputError
from oumi_fireworks.grammar import ended


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what goes wrong with a file into an InputError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = getattr(error, "strerror", None) or str(error)
        reason = next(iter(said.strip().splitlines()), type(error).__name__)
        raise InputError(f"Cannot read {name}: {ended(reason)}") from error
