"""One build of the demo for all the tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgecut
from edgecut.records.recipe import read_recipe
from edgecut.records.report import Report

DEMO = Path(edgecut.__file__).parent / "demo_data"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """The demo's bundle with ONNX files beside the TFLite ones, and its report."""
    out = tmp_path_factory.mktemp("demo") / "dist"
    recipe = read_recipe(
        DEMO / "recipe.toml", {"export.formats": ["tflite", "onnx"], "bench.runs": 5, "bench.warmup": 1}
    )
    return out, edgecut.build(recipe, ["nucleo-l4r5zi", "host"], out)
