"""The emulator as a pytest fixture, in every project that has this package installed.

::

    def test_my_client(fireworks_emulator):
        answer_all_questions()  # your code, which reads FIREWORKS_BASE_URL and FIREWORKS_API_KEY
        assert len(fireworks_emulator.jobs) == 1

pytest finds this file by the entry point ``pytest11``. Until a test asks for the fixture nothing is
loaded but this file. ``-p no:oumi_fireworks`` switches it off.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from oumi_fireworks.emulator.server import Emulator

_MARKER = "fireworks_emulator"
_SHOWN_REQUESTS = 20
"""How many of the latest requests the report of a failed test shows."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that --strict-markers takes it."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**settings): settings of the emulator that the fixture {_MARKER} starts, such "
        "as limits='fireworks' or speed=0; those of oumi_fireworks.emulator.Emulator.",
    )


@pytest.fixture
def fireworks_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulator]:
    """Run a Fireworks server on this machine for the length of a test, with nothing in it.

    Meanwhile FIREWORKS_BASE_URL, FIREWORKS_API_KEY and FIREWORKS_ACCOUNT_ID lead to it. The marker
    ``fireworks_emulator`` gives it other settings.
    """
    from oumi_fireworks.emulator.server import Emulator

    marker = request.node.get_closest_marker(_MARKER)
    if marker is not None and marker.args:
        pytest.fail(f"@pytest.mark.{_MARKER} takes settings by name, such as speed=0.", False)
    settings = {} if marker is None else marker.kwargs
    try:
        emulator = Emulator(**settings)
    except (TypeError, ValueError) as error:
        pytest.fail(f"@pytest.mark.{_MARKER}: {error}", False)
    with emulator:
        for name, value in emulator.env.items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the emulator was asked, below a test that failed."""
    report = yield
    emulator = getattr(item, "funcargs", {}).get(_MARKER)
    if emulator is not None and report.when == "call" and report.failed:
        latest = emulator.requests[-_SHOWN_REQUESTS:]
        lines = [f"{each.status} {each.method} {each.path}" for each in latest]
        report.sections.append(("Requests to the Fireworks emulator", "\n".join(lines)))
    return report
