"""A module imports from lower floors only, never sideways across rooms, never upwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.quick import HEAVY

PACKAGE = Path(__file__).parents[2] / "edgecut"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("interrupts", "whole"),
    ("errors", "units", "streams", "version"),
    ("records",),
    ("memory", "rooms"),
    ("sandbox", "cache"),
    ("score", "tflite", "images", "render"),
    ("graph", "runtime"),
    ("lowering", "engine"),
    ("keras2",),
    ("source",),
    ("stem", "head", "compress", "export"),
    ("quantize", "bench"),
    ("handoff", "calibrate"),
    ("pipeline",),
    ("search",),
    ("cli",),
)
"""shared/design/architecture.md, bottom first. units is a room of its own there and lives in records here."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# Room -> the heavy packages that it alone may import.
HOMES = {
    "click": {"cli"},
    "rich": {"cli", "render"},
    "keras": {
        "graph",
        "lowering",
        "keras2",
        "source",
        "stem",
        "head",
        "compress",
        "export",
        "quantize",
        "pipeline",
        "search",
        "cli",
    },
    "tensorflow": {"graph", "keras2", "source", "compress", "export"},
    "tf_keras": {"graph", "keras2", "source", "compress"},
    "tensorflow_model_optimization": {"compress"},
    "tf2onnx": {"export"},
    "pyarrow": {"images"},
}

# What may be imported where it is needed, and not before.
LAZY = HEAVY
LIGHT_ROOMS = {
    "interrupts", "memory",
    "errors", "streams", "records", "score", "tflite", "images", "render", "bench", "handoff", "cli", "runtime",
    "engine", "sandbox",
}  # fmt: skip


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def modules() -> list[Path]:
    roots = {"__init__.py", "__main__.py"}
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p.parent != PACKAGE or p.name not in roots]


@cache
def parsed(path: Path) -> ast.Module:
    """The tree of a file, which no test changes."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """(module, line, whether it is imported with the file rather than inside a function or for types)."""
    for node, at_once in _statements(tree, True):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            names = [f"edgecut.{a.name}" for a in node.names] if node.module == "edgecut" else [node.module or ""]
            yield from ((name, node.lineno, at_once) for name in names)


def _statements(node: ast.AST, at_once: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Each statement beneath a node, with whether it is run with the file; an import is in no expression."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(child)
            yield child, at_once and not later
            yield from _statements(child, at_once and not later)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def breaches(room: str, tree: ast.AST) -> list[str]:
    """What a file in a room imports that it must not, one sentence each."""
    faults = []
    for module, line, at_once in imports_of(tree):
        package, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if package == "edgecut" and other in FLOOR and other != room and FLOOR[other] >= FLOOR[room]:
            faults.append(f"line {line}: {room} imports {module}, which is on no lower floor")
        elif package == "edgecut" and other not in FLOOR:
            faults.append(f"line {line}: {module} is on no floor")
        if package in HOMES and room not in HOMES[package]:
            faults.append(f"line {line}: {room} imports {package}")
        if package in LAZY and at_once and room in LIGHT_ROOMS:
            faults.append(f"line {line}: {room} imports {package} with the file")
    return faults


def circles(imports: dict[str, set[str]]) -> list[str]:
    """The modules that are imported by what they import themselves, directly or on the way."""

    def reached(start: str) -> set[str]:
        seen, pending = set[str](), [*imports[start]]
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += imports.get(name, ())
        return seen

    return sorted(name for name in imports if name in reached(name))


def test_no_module_is_in_a_circle_of_imports() -> None:
    """Late imports and those for types alone count, too: who reads one file of a circle has to read all."""
    names = {"edgecut." + p.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): p for p in modules()}
    imports = {
        name: {f"{module}.{alias.name}" if f"{module}.{alias.name}" in names else module
               for node, _ in _statements(parsed(path), True) if isinstance(node, ast.ImportFrom)
               for module in [node.module or ""] for alias in node.names}
        for name, path in names.items()
    }  # fmt: skip
    assert circles(imports) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} <= set(FLOOR) | {"demo_data", "profiles"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_from_lower_floors_only(path: Path) -> None:
    assert breaches(room_of(path), parsed(path)) == []


@pytest.mark.parametrize(
    ("room", "source", "breach"),
    [
        ("images", "import edgecut.tflite", "line 1: images imports edgecut.tflite, which is on no lower floor"),
        ("head", "def f():\n  from edgecut import cli", "line 2: head imports edgecut.cli, which is on no lower floor"),
        ("records", "import click", "line 1: records imports click"),
        ("render", "def f():\n    import keras", "line 2: render imports keras"),
        ("cli", "import keras", "line 1: cli imports keras with the file"),
        ("cli", "from edgecut.misc import x", "line 1: edgecut.misc is on no floor"),
        ("cli", "import edgecut", "line 1: edgecut is on no floor"),
        ("cli", "from edgecut import __version__", "line 1: edgecut.__version__ is on no floor"),
    ],
)  # fmt: skip
def test_a_breach_is_found(room: str, source: str, breach: str) -> None:
    assert breaches(room, ast.parse(source)) == [breach]


def test_types_and_late_imports_of_heavy_packages_are_allowed() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras\ndef f():\n    import keras\n"
    assert breaches("cli", ast.parse(source)) == []
