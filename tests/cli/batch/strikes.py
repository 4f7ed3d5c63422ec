"""Commands that are processes of their own, to be killed at each of their steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.batch.gate import Moment
from tests.batch.nursery import Nursery
from tests.cli.batch.support import CONFIG, question, write_lines


def steps(stride: int, moment: Moment) -> pytest.MarkDecorator:
    """Which steps are struck, and when: by the suite every so many-th, by ``make soak`` each."""
    return pytest.mark.parametrize(
        ("stride", "moment"),
        [
            pytest.param(1, "before", marks=pytest.mark.soak),
            pytest.param(1, "after", marks=pytest.mark.soak),
            (stride, moment),
        ],
    )


class Processes:
    """Commands in a folder of their own, one after the other.

    Args:
        nursery: Where their processes come from.
        env: What leads them to the service.
        folder: Where they run; it is made, with a configuration and an input.
        texts: The questions of the input.
    """

    def __init__(
        self, nursery: Nursery, env: Mapping[str, str], folder: Path, texts: Iterable[str]
    ) -> None:
        self._nursery, self._folder = nursery, folder
        self.env = dict(env)
        folder.mkdir()
        (folder / "config.yaml").write_text(CONFIG)
        write_lines(folder / "in.jsonl", [question(text) for text in texts])

    def begin(self, arguments: Sequence[str], **how: object) -> int:
        """Start a command; return its process's id."""
        order = {"arguments": [*arguments], "folder": str(self._folder), "env": self.env, **how}
        return self._nursery.start(order)

    def end(self) -> int:
        """Wait for its end; return its exit code, or minus the signal."""
        status, error = self._nursery.wait()
        assert not error, (error, self.said)
        return status

    @property
    def said(self) -> str:
        return (self._folder / "said").read_text()
