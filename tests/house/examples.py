"""Running the examples of docstrings."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import numpy as np

import edgecut
from tests.house.test_floors import LIGHT_ROOMS, PACKAGE, modules, room_of


def with_examples(*, light: bool) -> list[Path]:
    """The files whose docstrings have examples, of the rooms that need no TensorFlow or of the others."""
    rooms = LIGHT_ROOMS | {"whole"}
    return [path for path in modules() if ">>> " in path.read_text("utf-8") and (room_of(path) in rooms) is light]


def check_examples(path: Path, package: Path = PACKAGE.parent) -> int:
    """How many examples of a file fail; it prints them. `edgecut` and `np` are imported in each, and a folder with the
    files of tests/bell.py is where they run.
    """
    name = ".".join(path.relative_to(package).with_suffix("").parts)
    results = doctest.testmod(import_module(name), extraglobs={"edgecut": edgecut, "np": np})
    assert results.attempted > 0
    return results.failed
