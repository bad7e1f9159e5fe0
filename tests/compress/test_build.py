"""A build with [compress]: what it says of the model before and after, and the file in the bundle."""

from __future__ import annotations

import numpy as np
import pytest

import edgecut
from edgecut.graph.threads import threads
from edgecut.records.recipe import make_recipe
from edgecut.runtime.files import FileRunner
from tests.compress.test_compress import pictures, small

pytestmark = pytest.mark.tensorflow


def test_a_build_reports_the_trained_file_next_to_what_it_was_before(tmp_path):
    images, labels = pictures(160)
    np.savez(tmp_path / "data.npz", x_train=images[:96], y_train=labels[:96], x_test=images[96:], y_test=labels[96:])
    small().save(tmp_path / "small.keras")
    tables = {
        "name": "small", "source": {"model": str(tmp_path / "small.keras")}, "bench": {"runs": 2, "warmup": 0},
        "data": {"train": str(tmp_path / "data.npz")}, "export": {"precisions": ["int8"]},
        "compress": {"prune": {"sparsity": 0.5}, "qat": True, "epochs": 1, "skip": ["conv"]},
        "budget": {"accuracy_drop": 0.5},
    }  # fmt: skip
    report = edgecut.build(make_recipe(tables, {}, where="test"), out=tmp_path / "dist")
    found = {(m.metric, m.artifact): m.value for m in report.measurements}
    steps = {step.name: step for step in report.steps}
    assert report.environment["threads"] == threads()

    assert steps["compress"].proof["tensors"] >= 4
    assert steps["compress"].after["prune"]["zeros"] == 0.5
    assert "qat leaves out 'conv' (Conv2D): is in compress.skip" in steps["compress"].notes
    scores = FileRunner(tmp_path / "dist" / "models" / "small.int8.tflite").predict(images[96:].astype("float32"))
    accuracy = float(np.mean(scores.argmax(axis=1) == labels[96:]))
    assert found["accuracy", "small.int8.tflite"] == accuracy

    own = np.asarray(small()(images[96:].astype("float32"))).argmax(axis=1)
    before = float(np.mean(own == labels[96:]))
    assert found["accuracy", "small.uncompressed.keras"] == before
    assert found["accuracy_drop", "small.int8.tflite"] == before - accuracy
    for name in ("small.int8.tflite", "small.uncompressed.int8.tflite"):
        assert 0 < found["gzip", name] < found["size", name]
    (sentence,) = steps["uncompressed"].notes
    assert sentence.startswith("tflite int8, compressed against uncompressed: gzip ")
    assert not list((tmp_path / "dist").rglob("*uncompressed*"))
