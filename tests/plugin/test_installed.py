"""The wheel in an environment among other distributions that bring engines, good and bad.

Importing what Oumi's engines need takes many seconds, so one process answers all questions, once
with the loader switched off and then, importing the engines anew, with it on.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plugin.environments import Environment, build, make_environment

OURS = "oumi_fireworks.engine.engine.FireworksInferenceEngine"
STOCK = "oumi.inference.fireworks_inference_engine.FireworksInferenceEngine"

QUESTIONS = """
import importlib, importlib.util, json, os, sys, threading, warnings

TARGET = "oumi.builders.inference_engines"
facts = {}

def name_of(engine_map, kind):
    chosen = {key.name: engine for key, engine in engine_map.items()}[kind]
    return f"{chosen.__module__}.{chosen.__qualname__}"

warnings.simplefilter("ignore")
import oumi.core.synthesis.attribute_synthesizer as synthesizer
module = sys.modules[TARGET]
facts["switched off"] = name_of(module.ENGINE_MAP, "FIREWORKS")

import oumi_fireworks.plugin
oumi_fireworks.plugin.register()
facts["by hand"] = name_of(module.ENGINE_MAP, "FIREWORKS")
facts["by hand, where the name was imported"] = name_of(synthesizer.ENGINE_MAP, "FIREWORKS")
before = module.ENGINE_MAP
oumi_fireworks.plugin.register()
facts["by hand again is a change"] = module.ENGINE_MAP is not before

del sys.modules[TARGET], os.environ["OUMI_FIREWORKS_LOADER"]
facts["source"] = importlib.util.find_spec(TARGET).loader.get_source(TARGET)
barrier, seen = threading.Barrier(4), []
def race():
    barrier.wait()
    seen.append(name_of(importlib.import_module(TARGET).ENGINE_MAP, "FIREWORKS"))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    threads = [threading.Thread(target=race) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
facts["seen by threads"] = seen
facts["warnings"] = [str(w.message) for w in caught if w.category.__name__ == "EngineWarning"]

module = sys.modules[TARGET]
facts["parasail"] = name_of(module.ENGINE_MAP, "PARASAIL")
facts["cerebras"] = name_of(module.ENGINE_MAP, "CEREBRAS")
facts["openai"] = name_of(module.ENGINE_MAP, "OPENAI")
facts["size"] = len(module.ENGINE_MAP)
facts["type"] = type(module.ENGINE_MAP).__name__
facts["loader"] = [type(module.__loader__).__name__, type(module.__spec__.loader).__name__]

from oumi.core.configs import InferenceEngineType, ModelParams, RemoteParams
built = module.build_inference_engine(
    InferenceEngineType.FIREWORKS,
    ModelParams(model_name="accounts/fireworks/models/m"),
    RemoteParams(api_key="fw_x"),
)
facts["built"] = f"{type(built).__module__}.{type(built).__qualname__}"

before = module.ENGINE_MAP
oumi_fireworks.plugin.register()
facts["by hand after the loader is a change"] = module.ENGINE_MAP is not before
facts["reloaded"] = name_of(importlib.reload(module).ENGINE_MAP, "FIREWORKS")
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = make_environment(tmp_path_factory.mktemp("environment"))
    made.install(build("wheel", tmp_path_factory.mktemp("wheel")))
    (made.site_packages / "other_engines.py").write_text(
        "from oumi.inference import RemoteInferenceEngine\n"
        "class Engine(RemoteInferenceEngine): ...\n"
        "class SecondEngine(RemoteInferenceEngine): ...\n"
    )
    (made.site_packages / "quits.py").write_text("raise SystemExit('wants its own license')\n")
    made.install_engine("aa-missing", "TOGETHER = not_there:Engine")
    made.install_engine("bb-unknown", "NOBODY = other_engines:Engine")
    made.install_engine("cc-no-engine", "OPENAI = json:JSONDecoder")
    made.install_engine("dd-quits", "DEEPSEEK = quits:Engine")
    made.install_engine("ee-good", "PARASAIL = other_engines:Engine")
    made.install_engine("ff-late", "PARASAIL = other_engines:SecondEngine")
    made.install_engine("gg-damaged", "CEREBRAS = other_engines:Engine")
    (made.site_packages / "gg_damaged-1.0.dist-info" / "METADATA").unlink()
    made.install_engine("zz-rival", "FIREWORKS = other_engines:Engine")
    return made


@pytest.fixture(scope="module")
def facts(environment: Environment) -> dict[str, Any]:
    done = environment.run("-c", QUESTIONS, OUMI_FIREWORKS_LOADER="off")
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_fireworks_is_our_engine_for_all_threads_that_import_at_once(facts: dict[str, Any]) -> None:
    assert facts["seen by threads"] == [OURS] * 4
    assert facts["built"] == OURS


def test_another_distribution_brings_its_engine_and_the_rest_stays(facts: dict[str, Any]) -> None:
    assert facts["parasail"] == "other_engines.Engine"
    assert facts["openai"] == "oumi.inference.openai_inference_engine.OpenAIInferenceEngine"
    assert facts["type"] == "mappingproxy"
    assert facts["size"] >= 19


def test_a_distribution_without_its_metadata_disturbs_nobody(facts: dict[str, Any]) -> None:
    assert facts["cerebras"] == "other_engines.Engine"


@pytest.mark.parametrize(
    ("distribution", "reason"),
    [
        ("aa-missing", "ModuleNotFoundError: No module named 'not_there'"),
        ("bb-unknown", "Oumi has no engine type 'NOBODY', only NATIVE, VLLM,"),
        ("cc-no-engine", "not a subclass of BaseInferenceEngine"),
        ("dd-quits", "SystemExit: wants its own license"),
        ("ff-late", "'ee-good' brings this engine already"),
        ("zz-rival", "'oumi-fireworks' brings this engine already"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_a_warning_that_names_it(
    facts: dict[str, Any], distribution: str, reason: str
) -> None:
    (warning,) = [text for text in facts["warnings"] if f"distribution {distribution!r}" in text]
    assert reason in warning
    assert "Repair or uninstall" in warning


def test_nothing_else_is_warned_about(facts: dict[str, Any]) -> None:
    assert len(facts["warnings"]) == 6


def test_the_module_and_its_spec_are_as_without_the_loader(facts: dict[str, Any]) -> None:
    assert "ENGINE_MAP" in facts["source"]
    assert facts["loader"] == ["SourceFileLoader"] * 2


def test_a_second_import_and_a_reload_keep_our_engine(facts: dict[str, Any]) -> None:
    assert facts["seen by threads"][0] == OURS  # the module had been imported before
    assert facts["reloaded"] == OURS


def test_a_variable_switches_the_loader_off(facts: dict[str, Any]) -> None:
    assert facts["switched off"] == STOCK


def test_registering_by_hand_does_the_same_once(facts: dict[str, Any]) -> None:
    assert facts["by hand"] == OURS
    assert facts["by hand, where the name was imported"] == OURS
    assert facts["by hand again is a change"] is False
    assert facts["by hand after the loader is a change"] is False
