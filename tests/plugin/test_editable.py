"""The project as `pip install --editable` leaves it."""

from __future__ import annotations

from pathlib import Path

from tests.plugin.environments import ROOT, make_environment


def test_an_editable_install_starts_the_loader_from_the_source(tmp_path: Path) -> None:
    editable = make_environment(tmp_path)
    editable.install("--editable", ROOT)
    done = editable.run(
        "-c",
        "import sys, oumi_fireworks.plugin as plugin;"
        "print(sys.modules[type(sys.meta_path[0]).__module__].__file__);"
        "print(plugin.__file__);"
        "print(plugin.find()[0].value)",
    )
    assert done.stdout.splitlines() == [
        str(ROOT / "_oumi_fireworks_startup.py"),
        str(ROOT / "oumi_fireworks" / "plugin.py"),
        "oumi_fireworks.engine:FireworksInferenceEngine",
    ]


def test_where_the_tests_run_fireworks_is_our_engine() -> None:
    from oumi.builders.inference_engines import ENGINE_MAP
    from oumi.core.configs import InferenceEngineType

    from oumi_fireworks import FireworksInferenceEngine

    assert ENGINE_MAP[InferenceEngineType.FIREWORKS] is FireworksInferenceEngine
