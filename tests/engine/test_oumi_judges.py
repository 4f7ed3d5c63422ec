"""Judges in the forms that Oumi's own configurations have, in both modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from oumi.core.configs import (
    GenerationParams,
    InferenceConfig,
    InferenceEngineType,
    JudgeConfig,
    ModelParams,
)
from oumi.core.configs.params.judge_params import (
    JudgeOutputType,
    JudgeParams,
    JudgeResponseFormat,
)
from oumi.judges.rubric_judge import RubricJudge
from oumi.judges.simple_judge import SimpleJudge

from oumi_fireworks.emulator import Emulator
from tests.engine.conftest import MODEL

PAIRS = [
    {"request": "Name a prime.", "response": "7"},
    {"request": "Name a river.", "response": "Paris"},
]
CHOICES = {"good": 1.0, "bad": 0.0}
FORMS: dict[str, dict[str, Any]] = {
    "yes or no": {"judgment_type": JudgeOutputType.BOOL},
    "a choice": {"judgment_type": JudgeOutputType.ENUM, "judgment_scores": CHOICES},
    "a number": {"judgment_type": JudgeOutputType.INT},
    "a fraction": {"judgment_type": JudgeOutputType.FLOAT},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["online", "batch"])
def test_a_judge_gets_a_judgment_for_each_pair(
    at_emulator: Emulator, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, mode: str, form: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {"mode": mode, "poll_interval": 0.05}
    judge = SimpleJudge(
        JudgeConfig(
            judge_params=JudgeParams(
                prompt_template="[user request]: {request}\n[response]: {response}",
                response_format=JudgeResponseFormat.JSON,
                include_explanation=True,
                **FORMS[form],
            ),
            inference_config=InferenceConfig(
                model=ModelParams(model_name=MODEL, model_kwargs={"fireworks": options}),
                engine=InferenceEngineType.FIREWORKS,
                generation=GenerationParams(max_new_tokens=8192, temperature=0.0),
            ),
        )
    )
    judged = judge.judge([dict(pair) for pair in PAIRS])
    assert len(judged) == len(PAIRS)
    for each in judged:
        assert each.field_values["judgment"] is not None
        assert each.field_values["explanation"]
        if "judgment_scores" in FORMS[form]:
            assert each.field_values["judgment"] in CHOICES
    assert len(at_emulator.jobs) == (mode == "batch")


JUDGES = Path(__file__).parents[2] / "configs" / "judges"


@pytest.mark.parametrize("mode", ["online", "batch"])
@pytest.mark.parametrize("name", ["simple", "rubric"])
def test_a_judgement_that_does_not_parse_is_asked_for_again(
    at_emulator: Emulator, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, mode: str, name: str
) -> None:
    """The examples in configs/judges/, with and without what they say of answers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def judgements(mark: str, **taken: None) -> list[dict[str, Any]]:
        config = JudgeConfig.from_path(str(JUDGES / f"{name}.yaml"))
        assert config.inference_config is not None
        options = config.inference_config.model.model_kwargs["fireworks"]
        options |= {"mode": mode, "poll_interval": 0.02, **taken}
        judge = (RubricJudge if config.rubric_judge_params else SimpleJudge)(config)
        pairs = [
            {"question": "Name a prime.", "answer": f"7 {mark}"},
            {"question": "Name a river.", "answer": "The Nile"},
        ]
        return [each.field_values for each in judge.judge(pairs)]

    broken, sound = judgements("[[bad 1]] without", accept=None, on_reject=None)
    assert None in broken.values()
    assert None not in sound.values()
    repaired, sound = judgements("[[bad 1]] with")
    assert None not in repaired.values()
    assert None not in sound.values()
    assert repaired.keys() == broken.keys()
