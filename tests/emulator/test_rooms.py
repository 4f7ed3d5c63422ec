"""The rooms of the emulator: which of them may import which."""

from __future__ import annotations

import pytest

from tests.imports import PACKAGE, imports_of

MAY_IMPORT: dict[str, set[str]] = {
    "wire": set(),
    "toy": {"wire"},
    "state": {"wire"},
    "faults": {"state", "wire"},
    "settings": {"state"},
    "work": {"settings", "faults", "state", "toy", "wire"},
    "routes": {"settings", "work", "faults", "state", "toy", "wire"},
    "app": {"routes", "work", "faults", "wire"},
    "server": {"app", "settings", "routes", "work", "faults", "state", "wire"},
    "pytest_plugin": {"server"},
    "__init__": {"server", "settings", "work", "faults", "state"},
}
"""Which rooms and root modules each of them may import; there is no way round in a circle."""

IMPORTS = [each for each in imports_of(PACKAGE) if each.room == "emulator"]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_those_below_it(room: str) -> None:
    own = [each for each in IMPORTS if each.file.parts[1].removesuffix(".py") == room]
    assert own, f"there is no emulator/{room}"
    for each in own:
        _, _, inner = each.name.partition("oumi_fireworks.emulator.")
        target = inner.partition(".")[0]
        where = f"oumi_fireworks/{each.file}:{each.line}"
        assert not inner or target in {room, *MAY_IMPORT[room]}, f"{where}: {room} -> {target}"


def test_every_room_has_its_rule() -> None:
    assert {each.file.parts[1].removesuffix(".py") for each in IMPORTS} == set(MAY_IMPORT)
