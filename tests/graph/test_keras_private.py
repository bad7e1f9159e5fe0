"""Keras' private names: all in one place, all there."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest

import edgecut
from edgecut.graph import keras_private
from edgecut.graph.keras_private import ATTRIBUTES, has_attribute

pytestmark = pytest.mark.tensorflow

PACKAGE = Path(edgecut.__file__).parent
CONVERTER = PACKAGE / "export" / "converter.py"
ROOMS = ("graph", "source", "lowering", "stem", "head", "export", "quantize", "pipeline", "search")


def sources() -> list[Path]:
    """Without the converter's module: its private names are TensorFlow Lite's, and tests/export holds its bytes."""
    files = [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]
    return [path for path in files if path not in {PACKAGE / "graph" / "keras_private.py", CONVERTER}]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_keras_still_has_the_attribute(name: str) -> None:
    listed = ATTRIBUTES[name]
    assert has_attribute(name), (
        f"Keras {keras.__version__} has no {listed.owner}.{name} any more, which edgecut reads for {listed.why}: see "
        "edgecut/graph/keras_private.py"
    )


@pytest.mark.parametrize("name", [name for name in keras_private.__all__ if name != "ATTRIBUTES"])
def test_the_private_names_are_there(name: str) -> None:
    assert getattr(keras_private, name) is not None


def test_no_other_module_imports_from_keras_src() -> None:
    found = [
        p.relative_to(PACKAGE).as_posix() for p in sources() if re.search(r"^\s*from keras\.src", p.read_text(), re.M)
    ]
    assert found == []


def test_every_private_attribute_that_is_read_is_listed() -> None:
    """Of edgecut's own objects only self, cls and modules have private names that a file reads."""
    read = {
        name
        for path in sources()
        for owner, name in re.findall(r"(\w+|\))\.(_[a-z]\w*)", path.read_text())
        if owner not in {"self", "cls", "np", "tf", "os"}
    }
    assert read - set(ATTRIBUTES) == set()
