"""The examples in docstrings of rooms that need no TensorFlow are so."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from tests.house.test_floors import LIGHT_ROOMS, PACKAGE, modules, room_of


def has_examples(path: Path) -> bool:
    return ">>> " in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if room_of(path) in LIGHT_ROOMS | {"whole"} and has_examples(path)],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_examples_give_what_they_say(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    results = doctest.testmod(import_module(name))
    assert results.attempted > 0
    assert results.failed == 0, capsys.readouterr().out
