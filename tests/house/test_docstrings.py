"""The examples in docstrings are so, and every public function has one; here those that need no TensorFlow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import edgecut
from edgecut import rooms
from tests.house.examples import check_examples, with_examples
from tests.house.test_floors import PACKAGE

PUBLIC = {**edgecut._HOMES, **{name: rooms.HOMES[name] for name in edgecut._CALLABLE_ROOMS}}


@pytest.mark.parametrize("path", with_examples(light=True), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_examples_give_what_they_say(path: Path, bell: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_examples(path) == 0, capsys.readouterr().out


def docstring(source: str, name: str) -> str:
    """What a function of a file says of itself."""
    (function,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return ast.get_docstring(function) or ""


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_function_has_an_example_that_calls_it(name: str) -> None:
    path = PACKAGE.parent.joinpath(*PUBLIC[name].split(".")).with_suffix(".py")
    examples = [line for line in docstring(path.read_text("utf-8"), name).splitlines() if line.startswith(">>> ")]
    assert any(f"edgecut.{name}(" in line for line in examples), f"{PUBLIC[name]}.{name} has no example"


def test_an_example_that_is_not_so_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.py").write_text('"""\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert check_examples(tmp_path / "wrong.py", package=tmp_path) == 1
