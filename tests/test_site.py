"""The site: what its pages show exists, and a page that would leave its reader alone is found."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]
from selenium.webdriver import Chrome

import oumi_fireworks
from docs.check_site import problems_of
from docs.cures import CURES
from docs.reference_pages import PAGES, commands, error_names
from oumi_fireworks.cli.schemas import SCHEMAS, schema_of
from oumi_fireworks.params import options_table
from tests.imports import ROOT
from tests.report.conftest import chromium  # noqa: F401 (a fixture)
from tests.snippets import calls_in, snippets_of

DOCS = ROOT / "docs"
DOCUMENTS = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
COMMANDS = {tuple(path): command for path, command in commands()}
CONFIG = schema_of("config")


SNIPPETS = [each for document in DOCUMENTS for each in snippets_of(document)]


def snippets(*languages: str) -> list[Any]:
    return [
        pytest.param(each.text, id=each.place) for each in SNIPPETS if each.language in languages
    ]


def _calls() -> Iterator[Any]:
    """Every call of the command line in a shell snippet, in words."""
    for each in SNIPPETS:
        for call in calls_in(each):
            yield pytest.param(call, id=f"{each.place}: {' '.join(call)}")


@pytest.mark.parametrize("call", list(_calls()))
def test_a_command_and_its_options_exist(call: list[str]) -> None:
    path = next((tuple(call[:size]) for size in (3, 2, 1) if tuple(call[:size]) in COMMANDS), None)
    options = {"--install-completion", "--version", "--help"}
    if path is None:
        assert set(call[1:]) <= options, "there is no such command"
        return
    command = COMMANDS[path]
    options |= {name for parameter in command.params for name in parameter.opts}
    takes_overrides = command.ignore_unknown_options
    for word in call[len(path) :]:
        name = word.partition("=")[0]
        if name.startswith("-") and name not in options:
            assert takes_overrides, name
            assert "." in name, name  # an override of the configuration


EVERYBODYS = {
    name for command in COMMANDS.values() for each in command.params for name in each.opts
}
OTHERS = {"--env-file", "--install-completion", "--help", "--", "--version"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_an_option_that_is_named_in_a_sentence_exists(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    named = {
        word.partition("=")[0]
        for code in re.findall(r"`([^`\n]+)`", text)
        for word in re.findall(r"(?<!\S)--[a-z][a-z.-]*", code)
    }
    assert {name for name in named if "." not in name} <= EVERYBODYS | OTHERS


@pytest.mark.parametrize("text", snippets("yaml"))
def test_yaml_is_a_configuration_that_follows_the_schema(text: str) -> None:
    read = yaml.safe_load(text)
    config = read.get("inference_config", read)
    if config.get("engine", config.get("inference_engine")) == "FIREWORKS":
        known = {name: config[name] for name in CONFIG["properties"] if name in config}
        jsonschema.validate(known, CONFIG)
        assert set(config) - set(known) <= {"inference_engine", "tasks", "output_dir"}
    elif "model" in read:
        jsonschema.validate(read, CONFIG)


@pytest.mark.parametrize("text", snippets("json"))
def test_json_is_json(text: str) -> None:
    for line in text.splitlines():
        json.loads(line)


@pytest.mark.parametrize("text", snippets("python"))
def test_python_is_python(text: str) -> None:
    ast.parse(text)


def test_every_error_has_a_cure_and_no_cure_is_left_over() -> None:
    assert set(error_names()) == set(CURES)
    assert set(CURES) <= set(oumi_fireworks.__all__)


def test_the_reference_has_every_option_and_command_and_schema() -> None:
    options, every_command = PAGES["reference/options.md"](), PAGES["reference/commands.md"]()
    for option in options_table():
        assert f"## `{option.name}`" in options
    for path, command in COMMANDS.items():
        section = every_command.partition(f"## `{' '.join(path)}`\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if not getattr(parameter, "hidden", False) and parameter.opts[0].startswith("-"):
                assert parameter.opts[0] in section, (path, parameter.opts)
    printed = PAGES["reference/json.md"]()
    assert all(f"`{name}`" in printed for name in SCHEMAS)
    assert all(f"| {code} |" in PAGES["reference/exit-codes.md"]() for code in (0, 1, 2, 3, 130))


def _places(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for each in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _places(each)


def test_the_table_of_contents_has_every_page_once() -> None:
    nav = list(_places(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} | set(PAGES)
    assert sorted(nav) == sorted(pages)


def test_examples_that_are_named_exist() -> None:
    for document in DOCUMENTS:
        for path in re.findall(
            r"`((?:configs|examples|benchmarks)/[\w./-]*\w)`", document.read_text()
        ):
            assert (ROOT / path).exists(), (document.name, path)


GOOD = '<html><script src="a.js"></script><h1 id="top">x</h1><a href="b.html#there">b</a></html>'


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (GOOD, None),
        (GOOD.replace("a.js", "https://unpkg.com/a.js"), "without a network"),
        (GOOD.replace("a.js", "//cdn.example/a.js"), "without a network"),
        (GOOD.replace("a.js", "c.js"), "c.js, which is not there"),
        (GOOD.replace("b.html#there", "c.html"), "c.html, which is not there"),
        (GOOD.replace("#there", "#nowhere"), "b.html#nowhere has no such heading"),
        (GOOD.replace("b.html#there", "https://example.org"), None),
        (GOOD.replace("<h1", '<a data-md-component="source"></a><h1'), "api.github.com"),
    ],
)
def test_a_page_that_leaves_its_reader_alone_is_found(
    tmp_path: Path, page: str, problem: str | None
) -> None:
    (tmp_path / "a.js").write_text("")
    (tmp_path / "b.html").write_text('<h2 id="there"></h2>')
    (tmp_path / "index.html").write_text(page)
    found = problems_of(tmp_path)
    assert len(found) == (0 if problem is None else 1)
    assert problem is None or problem in found[0]


def test_a_style_that_loads_from_elsewhere_and_a_site_without_pages_are_found(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.css").write_text("@font-face{src:url(https://fonts.example/a)}")
    assert len(problems_of(tmp_path)) == 2


def test_a_search_that_needs_a_server_is_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html></html>")
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search_index.json").write_text("{}")
    assert problems_of(tmp_path) == ["the search needs a server: search_index.js is not there"]
    (tmp_path / "search" / "search_index.js").write_text("var __index = {}")
    assert problems_of(tmp_path) == []


def test_the_search_of_a_page_in_a_folder_gets_answers(
    tmp_path: Path,
    chromium: Chrome,  # noqa: F811
) -> None:
    (tmp_path / "worker.js").write_text(
        "addEventListener('message', async event => {"
        " await importScripts('more.js'); postMessage(more(event.data)) })"
    )
    (tmp_path / "more.js").write_text("function more(text) { return text + '!' }")
    shim = (DOCS / "assets" / "iframe-worker.js").as_uri()
    page = tmp_path / "index.html"
    page.write_text(f'<!doctype html><script src="{shim}"></script><body></body>')
    chromium.get(page.as_uri())
    answer = chromium.execute_async_script(
        "const worker = new Worker('worker.js');"
        "worker.addEventListener('message', event => arguments[0](event.data));"
        "worker.postMessage('found')"
    )
    assert answer == "found!"
