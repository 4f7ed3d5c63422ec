"""Our errors are Oumi's, too, and stay ours."""

from __future__ import annotations

import pickle

import pytest
from oumi.core.configs import RemoteParams
from oumi.exceptions import OumiConfigError
from oumi.utils.http import APIStatusError

from oumi_fireworks.emulator import Emulator, Fault
from oumi_fireworks.errors import ConfigurationError, ServerError
from tests.engine.conftest import EngineFactory, questions


def test_an_error_of_the_service_is_caught_as_oumis(
    make_engine: EngineFactory, at_emulator: Emulator
) -> None:
    at_emulator.faults.add(Fault(path="chat/completions", status=503, times=None))
    engine = make_engine(remote=RemoteParams(max_retries=0))
    with pytest.raises(APIStatusError) as caught:
        engine.infer(questions(1))
    error = caught.value
    assert isinstance(error, ServerError)
    assert (error.status_code, error.api_input) == (503, None)
    assert not isinstance(error, OumiConfigError), "that is for the command line alone"
    back = pickle.loads(pickle.dumps(error))
    assert isinstance(back, APIStatusError)
    assert isinstance(back, ServerError)
    assert (str(back), back.status_code) == (str(error), 503)


def test_what_is_no_answer_of_the_service_has_no_status(make_engine: EngineFactory) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_engine("llama").infer(questions(1))
    assert not isinstance(caught.value, APIStatusError | OumiConfigError)
