"""SavedModel folders through `edgecut export` to files that run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from edgecut.errors import ExportError
from edgecut.export.artifacts import export
from edgecut.runtime.files import FileRunner
from edgecut.source.exported import load_exported
from tests.graph import models
from tests.keras2 import test_bridge

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "exported"
    models.chain().export(folder, verbose=False)
    return folder


@pytest.mark.parametrize(
    ("format_", "precision", "tolerance"),
    [
        ("tflite", "float32", 1e-5),
        ("tflite", "float16", 0.01),
        ("tflite", "dynamic", 0.05),
        ("tflite", "int8", 0.2),
        ("onnx", "float32", 1e-5),
        ("onnx", "int8", 0.2),
    ],
)
def test_an_exported_saved_model_is_written_in_every_precision(
    folder: Path, tmp_path: Path, format_: str, precision: str, tolerance: float
) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype("float32")
    path = tmp_path / f"m.{format_}"
    artifact = export(load_exported(str(folder)), format_, precision, calibration=images, path=path)
    assert artifact.inputs[0].shape == (1, 16, 16, 3)
    assert not set(artifact.operators) & {"SHAPE", "PACK", "STRIDED_SLICE", "Shape"}
    expected = np.asarray(models.chain()(images))
    assert np.abs(FileRunner(path).predict(images) - expected).max() < tolerance


def test_a_keras_2_saved_model_is_exported_by_its_function(tmp_path: Path) -> None:
    old = test_bridge.functional()
    old.save(tmp_path / "folder")
    export(load_exported(str(tmp_path / "folder")), "tflite", "float32", path=tmp_path / "m.tflite")
    images = np.random.default_rng(0).uniform(-1, 1, (4, 9, 9, 3)).astype("float32")
    np.testing.assert_allclose(FileRunner(tmp_path / "m.tflite").predict(images), np.asarray(old(images)), atol=1e-5)


class Buckets(tf.Module):
    """What each value lies between; TFLite has an operator for it, and ONNX none."""

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
    def look_up(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.cast(tf.raw_ops.Bucketize(input=x, boundaries=[0.0, 1.0]), tf.float32)}


def test_an_operator_that_onnx_has_not_is_named(tmp_path: Path) -> None:
    buckets = Buckets()
    tf.saved_model.save(buckets, tmp_path / "folder", signatures=buckets.look_up)
    with pytest.raises(ExportError) as error:
        export(load_exported(str(tmp_path / "folder")), "onnx", "float32", path=tmp_path / "m.onnx")
    assert str(error.value).endswith("has no ONNX form: no counterpart of BUCKETIZE is known; write tflite")
    assert not (tmp_path / "m.onnx").exists()


def test_a_table_that_no_runtime_fills_is_no_file(tmp_path: Path) -> None:
    class Table(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            words = tf.lookup.TextFileInitializer(str(tmp_path / "words"), tf.string, line, tf.int64, number)
            self.table = tf.lookup.StaticHashTable(words, -1)

        @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
        def look_up(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": x + tf.cast(self.table.lookup(tf.constant(["a"])), tf.float32)}

    (tmp_path / "words").write_text("a")
    table = Table()
    tf.saved_model.save(table, tmp_path / "folder", signatures=table.look_up)
    with pytest.raises(ExportError) as error:
        export(load_exported(str(tmp_path / "folder"), unsafe=True), "onnx", "float32", path=tmp_path / "m.onnx")
    assert str(error.value) == (
        "export: nothing is written, since the file can't be run: model.tflite: LiteRT failed while running it: "
        "hashtable need to be initialized before usingNode number 1 (HASHTABLE_FIND) failed to invoke"
    )
    assert not (tmp_path / "m.onnx").exists()
