"""The README: what it shows works as it is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from oumi_fireworks.emulator import Emulator
from oumi_fireworks.params import options_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def snippets(language: str) -> list[str]:
    """The code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """What the shell snippets run of a program, in words, without comments."""
    lines = [line for snippet in snippets("sh") for line in snippet.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [each for each in words if each[:1] == [program]]


def shown(default: Any) -> str:
    """A default value as the table shows it."""
    if default is None:
        return "–"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_options_table_is_the_engines_own() -> None:
    table = README.partition("<!-- options -->\n")[2].partition("<!-- /options -->")[0]
    assert table.splitlines()[2:] == [
        f"| `{option.name}` | {shown(option.default)} | {option.summary} |"
        for option in options_table()
    ]


@pytest.mark.parametrize("snippet", snippets("yaml"))
def test_yaml_is_a_config_that_oumi_takes(snippet: str) -> None:
    from oumi.core.configs import InferenceConfig

    from oumi_fireworks.params import FireworksParams

    config = InferenceConfig.from_str(snippet)
    config.finalize_and_validate()
    assert config.engine == "FIREWORKS"
    assert FireworksParams.from_dict(config.model.model_kwargs["fireworks"]).mode == "batch"


@pytest.mark.parametrize("snippet", snippets("python"))
def test_python_runs(snippet: str, at_emulator: Emulator) -> None:
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert "toy model" in names["answered"][0].messages[-1].content
    assert [job.id for job in at_emulator.jobs] == [
        names[name] for name in ["batch_id"] if name in names
    ]


def test_make_has_the_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [words[1] for words in commands("make")]
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_commands_of_others_name_files_that_exist() -> None:
    for path in re.findall(r"(?<![\w/])(?:configs|benchmarks|demo|tests|docs)/[\w./-]*\w", README):
        assert (ROOT / path).exists(), path
