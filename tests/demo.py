"""One build of the demo for all the tests that look at it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import edgecut
from edgecut.records.recipe import read_recipe
from edgecut.records.report import Report
from tests.once import made_once

DEMO = Path(edgecut.__file__).parent / "demo_data"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """The demo's bundle with ONNX files beside the TFLite ones, and its report."""
    recipe = read_recipe(
        DEMO / "recipe.toml", {"export.formats": ["tflite", "onnx"], "bench.runs": 5, "bench.warmup": 1}
    )

    def build(folder: Path) -> None:
        report = edgecut.build(recipe, ["nucleo-l4r5zi", "host"], folder / "dist")
        (folder / "report.pickle").write_bytes(pickle.dumps(report))

    folder = made_once(tmp_path_factory, "demo", build)
    return folder / "dist", pickle.loads((folder / "report.pickle").read_bytes())
