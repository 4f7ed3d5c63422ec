"""Which room imports which: read from the source, and printed by ``python -m tests.imports``.

A room is a folder of the package or a module at its root. An arrow is an import from one room
into another one. A circle is a set of rooms, or of files, each of which reaches each other one.
Imports inside functions and those for the type checker alone count as any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "oumi_fireworks"
PACKAGE = ROOT / NAME


@dataclass(frozen=True)
class Import:
    """One name that a file imports.

    Attributes:
        file: The file, relative to the package.
        line: The line that the import stands on, from 1.
        name: The whole dotted name; "" for a relative import.
        lazy: Whether it stands inside a function, so that only a call loads it.
    """

    file: Path
    line: int
    name: str
    lazy: bool

    @property
    def room(self) -> str:
        """The room that imports."""
        return room_of(self.file)

    @property
    def target(self) -> str | None:
        """The room that is imported; None outside the package."""
        top, _, rest = self.name.partition(".")
        return (rest.partition(".")[0] or "__init__") if top == NAME else None


def room_of(file: Path) -> str:
    """Return the room of a file that is named relative to the package."""
    return file.parts[0].removesuffix(".py")


def imports_of(package: Path) -> list[Import]:
    """Read every import of a package."""
    return [
        found
        for path in sorted(package.rglob("*.py"))
        for found in _imports_in(path.relative_to(package), ast.parse(path.read_text("utf-8")))
    ]


def _imports_in(file: Path, tree: ast.AST, lazy: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        for name in _names(node):
            yield Import(file, node.lineno, name, lazy)  # type: ignore[attr-defined]
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports_in(file, node, lazy or inside)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the dotted names that a statement or a call imports."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=0):
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.ImportFrom():
            yield ""
        case ast.Call(
            func=ast.Name(id="import_module" | "__import__")
            | ast.Attribute(attr="import_module" | "__import__"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name


def arrows(imports: Iterable[Import]) -> dict[str, set[str]]:
    """Return for each room the other rooms that it imports."""
    found: dict[str, set[str]] = {}
    for each in imports:
        into = found.setdefault(each.room, set())
        if each.target and each.target not in (each.room, "__init__", "__version__"):
            into.add(each.target)
    return found


def file_arrows(imports: Iterable[Import], package: Path) -> dict[str, set[str]]:
    """Return for each module of the package the other modules that it imports."""
    modules = {_module(path.relative_to(package)) for path in package.rglob("*.py")}
    found: dict[str, set[str]] = {module: set() for module in modules}
    for each in imports:
        target = each.name
        while target and target not in modules:  # a name inside a module
            target = target.rpartition(".")[0]
        if target and target != _module(each.file):
            found[_module(each.file)].add(target)
    return found


def _module(file: Path) -> str:
    parts = [NAME, *file.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other, each sorted, the largest first."""
    reach = {node: _reached(graph, node) for node in graph}
    found = {
        frozenset(other for other in reach[node] if node in reach.get(other, set()))
        for node in graph
    }
    return sorted((sorted(each) for each in found if len(each) > 1), key=lambda c: (-len(c), c))


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for node in graph.get(todo.pop(), set()) - seen:
            seen.add(node)
            todo.append(node)
    return seen


def main(package: Path) -> None:
    """Print the arrows of each room, the circles, and the counts."""
    imports = imports_of(package)
    rooms = arrows(imports)
    files = file_arrows(imports, package)
    for room in sorted(rooms):
        inside = [
            path for path in package.rglob("*.py") if room_of(path.relative_to(package)) == room
        ]
        lines = sum(len(path.read_text("utf-8").splitlines()) for path in inside)
        print(f"{room:16} {len(inside):3} files {lines:6} lines -> {' '.join(sorted(rooms[room]))}")
    for circle in circles(rooms):
        print("circle of rooms:", " ".join(circle))
    for circle in circles(files):
        print("circle of files:", " ".join(circle))
    lazy = {(each.file, each.line) for each in imports if each.lazy}
    print(
        f"{len(rooms)} rooms, {sum(map(len, rooms.values()))} arrows, "
        f"{len(circles(rooms))} circles; {len(files)} files, "
        f"{sum(map(len, files.values()))} arrows, {len(circles(files))} circles; "
        f"{len(lazy)} imports inside functions"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
