"""Tests lie in the folder of their room, and those of a file that isn't marked need no TensorFlow."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.house.test_floors import PACKAGE, imports_of, modules, parsed, room_of
from tests.quick import HEAVY, needs_tensorflow

TESTS = Path(__file__).parents[1]
# What isn't of one room: laws over the whole tree, other people's models, files for tests.
OTHERS = {"house", "real", "fixtures", "__pycache__"}


def test_every_room_has_a_folder_of_tests() -> None:
    folders = {room_of(path) for path in modules() if path.parent != PACKAGE}
    assert {path.name for path in TESTS.iterdir() if path.is_dir()} - OTHERS == folders
    assert [room for room in sorted(folders) if not list((TESTS / room).glob("test_*.py"))] == []


@cache
def file_of(module: str) -> Path | None:
    """The file of a module of the checkout."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def loaded_by(path: Path) -> list[str]:
    """The modules that are loaded with a file; a name that it takes from a package may be a module as well."""
    tree = parsed(path)
    names = (f"{n.module}.{alias.name}" for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names)
    return [*(module for module, _, at_once in imports_of(tree) if at_once), *(name for name in names if file_of(name))]


def heavy_of(path: Path) -> frozenset[str]:
    """The heavy packages that are loaded with a file."""
    seen, pending, heavy = {path}, [path], set[str]()
    while pending:
        for module in loaded_by(pending.pop()):
            file = file_of(module)
            if module.partition(".")[0] in HEAVY:
                heavy.add(module.partition(".")[0])
            elif file is not None and file not in seen:
                seen.add(file)
                pending.append(file)
    return frozenset(heavy)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(TESTS.rglob("*.py")) if path.name.startswith("test_") or path.name == "conftest.py"],
    ids=lambda path: path.relative_to(TESTS).as_posix(),
)
def test_a_file_that_loads_tensorflow_is_marked(path: Path) -> None:
    """One that a conftest.py loads is loaded by the quick tests of its folder."""
    assert needs_tensorflow(path) or heavy_of(path) == frozenset()


def test_the_mark_is_the_line_of_the_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    for line, marked in {
        "pytestmark = pytest.mark.tensorflow": True,
        "pytestmark = [pytest.mark.tensorflow, pytest.mark.real]": True,
        "    pytestmark = pytest.mark.tensorflow": False,
        "# pytest.mark.tensorflow": False,
    }.items():
        path.write_text(f"import pytest\n{line}\n", encoding="utf-8")
        assert needs_tensorflow(path) is marked
