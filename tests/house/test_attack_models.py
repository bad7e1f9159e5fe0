"""A share of the crafted models of tools/attack, which Keras or TensorFlow could load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.test_attack import attacked

pytestmark = pytest.mark.tensorflow


def test_crafted_models_do_no_harm(tmp_path: Path) -> None:
    said = attacked(tmp_path, "--only", "keras", "h5", "savedmodel", "external", "--every", "9")
    assert said.splitlines()[-1].endswith(" files, 0 failed")
