"""The documents for those who carry it on: what they name exists, and the drawing is up to date."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from docs.draw_architecture import DRAWING, SAYS, draw, follows, levels
from docs.reference_pages import PAGES
from oumi_fireworks.cli.schemas import SCHEMAS
from tests.imports import PACKAGE, ROOT, arrows, imports_of

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
STEPS = re.findall(r"`([\w/]+\.py)`(?: `([\w.]+)`)?", ARCHITECTURE)


def made(document: Path, link: str) -> bool:
    """Tell whether a link leads to what is made from the code when the site is built."""
    place = (document.parent / link).resolve().relative_to(ROOT / "docs").as_posix()
    return place in {*PAGES, "llms.txt", *(f"schema/{name}.json" for name in SCHEMAS)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_make_has_the_targets(document: Path) -> None:
    text = document.read_text("utf-8")
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (document.parent / link).exists() or made(document, link), link
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_files_of_the_repository_that_are_named_are_there() -> None:
    rooms = "benchmarks|configs|docs|examples|oumi_fireworks|tests"
    for document in DOCUMENTS:
        if document.name == "CHANGELOG.md":  # says what was
            continue
        for file in re.findall(
            rf"(?<![\w/.])(?:{rooms})/[\w/.-]*\.\w+", document.read_text("utf-8")
        ):
            assert (ROOT / file).exists(), f"{document.relative_to(ROOT)}: {file}"


@pytest.mark.parametrize(("file", "name"), sorted(set(STEPS)))
def test_a_step_of_the_walk_names_what_is_there(file: str, name: str) -> None:
    body = ast.parse((PACKAGE / file).read_text("utf-8")).body
    for part in filter(None, name.split(".")):
        found = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == part
        ]
        assert found, f"{file} has no {name}"
        body = found[-1].body


def test_the_walk_has_the_four_ways_of_a_row() -> None:
    ways = re.findall(r"^### (.*)$", ARCHITECTURE, re.MULTILINE)
    assert len(ways) == 4
    assert len(STEPS) > 40


def test_the_layout_names_every_room_and_the_drawing_says_what_it_is() -> None:
    layout = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    listed = set(re.findall(r"`(\w+)(?:\.py|/)`", layout.partition("## Style")[0]))
    rooms = set(arrows(imports_of(PACKAGE))) - {"__init__"}
    assert rooms <= listed
    assert set(SAYS) == rooms | {"__init__"}


def test_the_drawing_is_what_the_source_says() -> None:
    drawn = draw(arrows(imports_of(PACKAGE)))
    assert DRAWING.read_text("utf-8") == drawn, "run `make drawing`"


def test_every_room_stands_below_all_that_import_it_and_no_arrow_is_said_twice() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "d": {"c"}}
    assert levels(graph) == [["a", "d"], ["b"], ["c"]]
    assert follows("a", "c", graph)
    assert not follows("a", "b", graph)
