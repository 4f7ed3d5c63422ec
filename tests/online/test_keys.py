"""The key goes to the service alone, and into no text."""

from __future__ import annotations

import pytest

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import AuthenticationError, ConfigurationError
from tests.online.conftest import CHAT, ECHOES, Drive, settings_for


def test_a_wrong_key_is_told_and_not_shown(drive: Drive) -> None:
    with pytest.raises(AuthenticationError, match="FIREWORKS_API_KEY") as caught:
        drive(ECHOES, headers={"Authorization": "Bearer fw_wrong"})
    assert "fw_wrong" not in str(caught.value)


def test_a_key_that_the_service_repeats_is_blanked_out(drive: Drive, emulator: Emulator) -> None:
    key = emulator.api_key
    for kind, body in (
        ("status", {"error": {"message": f"{key} may not"}}),
        ("garbage", {"error": {"message": f"{key} may not"}}),
        ("garbage", f"{key} may not"),
    ):
        emulator.faults.add(Fault(path=CHAT, kind=kind, status=400, body=body))  # type: ignore[arg-type]
        (error,) = drive(["x"], max_retries=0).errors().values()
        assert key not in str(error)
        assert "*** may not" in str(error)


def test_a_key_is_not_in_the_settings_text(emulator: Emulator) -> None:
    assert emulator.api_key not in repr(settings_for(emulator))


def test_the_key_does_not_follow_a_redirection(drive: Drive, emulator: Emulator) -> None:
    with Emulator() as elsewhere:
        target = f"{elsewhere.url}/inference/v1/chat/completions"
        emulator.faults.add(Fault(path=CHAT, status=307, headers={"Location": target}, times=None))
        with pytest.raises(ConfigurationError, match="redirects to"):
            drive(ECHOES[:3])
        assert elsewhere.requests == []
