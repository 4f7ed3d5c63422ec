"""The fixture that every project has that installs this package."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

import oumi_fireworks.emulator

pytest_plugins = "pytester"


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run tests as another project would, in a process of its own."""
    pytester.makepyfile(source)
    return pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider", *arguments)


def test_pytest_finds_it_by_its_entry_point() -> None:
    (found,) = entry_points(group="pytest11", name="oumi_fireworks")
    assert found.value == "oumi_fireworks.emulator.pytest_plugin"


def test_until_it_is_used_nothing_is_loaded(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import sys

        def test_none_of_it():
            assert "oumi_fireworks.emulator.pytest_plugin" in sys.modules
            assert not {"aiohttp", "oumi", "orjson", "oumi_fireworks.emulator.server"} & set(
                sys.modules
            )
        """,
    )
    result.assert_outcomes(passed=1)


def test_a_test_has_an_emulator_and_an_environment_of_its_own(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import os
        import urllib.request

        import pytest

        def ask():
            request = urllib.request.Request(
                os.environ["FIREWORKS_BASE_URL"] + "/v1/accounts",
                headers={"Authorization": "Bearer " + os.environ["FIREWORKS_API_KEY"]},
            )
            return urllib.request.urlopen(request).status

        @pytest.mark.parametrize("number", range(2))
        def test_fresh(fireworks_emulator, number):
            assert fireworks_emulator.requests == []
            assert ask() == 200
            assert [each.path for each in fireworks_emulator.requests] == ["/v1/accounts"]

        def test_without():
            assert "FIREWORKS_BASE_URL" not in os.environ

        @pytest.mark.fireworks_emulator(account="my-team", speed=0)
        def test_settings(fireworks_emulator):
            assert os.environ["FIREWORKS_ACCOUNT_ID"] == "my-team"
        """,
    )
    result.assert_outcomes(passed=4)


def test_a_failed_test_shows_what_was_asked_and_a_wrong_setting_is_named(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import os
        import urllib.error
        import urllib.request

        import pytest

        def test_no_key(fireworks_emulator):
            urllib.request.urlopen(os.environ["FIREWORKS_BASE_URL"] + "/v1/accounts")

        @pytest.mark.fireworks_emulator(sped=0)
        def test_typing_mistake(fireworks_emulator):
            pass

        @pytest.mark.fireworks_emulator("fireworks")
        def test_position(fireworks_emulator):
            pass
        """,
    )
    result.assert_outcomes(failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*pytest.mark.fireworks_emulator: *unexpected keyword argument 'sped'*",
            "*takes settings by name, such as speed=0.*",
            "*Requests to the Fireworks emulator*",
            "401 GET /v1/accounts",
        ]
    )


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test(fireworks_emulator): pass", "-p", "no:oumi_fireworks")
    result.assert_outcomes(errors=1)


@pytest.mark.parametrize("name", oumi_fireworks.emulator.__all__)
def test_each_public_name_is_loaded_on_first_use(name: str) -> None:
    value = getattr(oumi_fireworks.emulator, name)
    assert getattr(value, "__name__", name) == name
