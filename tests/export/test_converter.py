"""Files of the converter that reads a SavedModel once, beside those that TensorFlow's public names write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgecut.export.tflite import convert, input_names, output_names, without_made_biases, write_saved_model
from edgecut.graph.traced import traced_for_tflite, unrolled
from edgecut.records.recipe import Precision
from edgecut.tflite.flatbuffer import name_io, parse
from tests.graph import models

pytestmark = pytest.mark.tensorflow


def gated() -> keras.Model:
    entry = keras.Input((6, 4))
    return keras.Model(entry, keras.layers.Dense(3)(keras.layers.GRU(5)(entry)))


def convolutions() -> keras.Model:
    """Without a sum or product, whose memory may be another tensor's (edgecut/export/ranges.py)."""
    x = entry = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.MaxPooling2D()(keras.layers.Conv2D(12, 1)(x))
    return models.settle(keras.Model(entry, keras.layers.Dense(5, "softmax")(keras.layers.Flatten()(x))))


def two_inputs() -> keras.Model:
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 2), name="right")
    both = keras.layers.Concatenate()([keras.layers.Conv2D(4, 3)(left), keras.layers.Conv2D(4, 3)(right)])
    return keras.Model([left, right], [keras.layers.GlobalAveragePooling2D()(both), both])


def public(model: keras.Model, folder: Path, precision: Precision, images: np.ndarray) -> bytes:
    """The file by Keras' ExportArchive and TFLiteConverter.from_saved_model, named as edgecut names it."""
    specs = [
        tf.TensorSpec((1, *x.shape[1:]), x.dtype, name=name)
        for x, name in zip(model.inputs, input_names(model), strict=True)
    ]

    def serve(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = list(inputs) if len(inputs) > 1 else inputs[0]
        return dict(zip(output_names(model), keras.tree.flatten(model(values, training=False)), strict=True))

    archive = keras.export.ExportArchive()
    archive.track(model)
    with unrolled(model):
        with traced_for_tflite():
            archive.add_endpoint("serve", tf.function(serve, input_signature=specs))
        archive.write_out(str(folder), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "int8":
        converter.representative_dataset = lambda: ({"input": row[None]} for row in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return without_made_biases(name_io(converter.convert(), input_names(model), output_names(model)))


@pytest.mark.parametrize(
    ("make", "precision"),
    [
        (models.chain, "float32"),
        (models.chain, "dynamic"),
        (two_inputs, "float32"),
        (gated, "float32"),
    ],
)
def test_a_file_has_the_bytes_that_the_public_converter_gives(
    make: Callable[[], keras.Model], precision: Precision, tmp_path: Path
) -> None:
    model = make()
    images = np.random.default_rng(0).uniform(-1, 1, (4, *model.inputs[0].shape[1:])).astype("float32")
    write_saved_model(model, tmp_path / "own", loops=False)
    own = convert(tmp_path / "own", model, precision, [images])
    assert own == public(model, tmp_path / "public", precision, images)


def test_an_int8_file_is_the_public_converters_but_for_the_last_bits_of_its_scales(tmp_path: Path) -> None:
    model = convolutions()
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    write_saved_model(model, tmp_path / "own", loops=False)
    own = convert(tmp_path / "own", model, "int8", [images])
    theirs = public(model, tmp_path / "public", "int8", images)
    ours, other = parse(own, "own"), parse(theirs, "public")
    assert [op.name for op in ours.operators] == [op.name for op in other.operators]
    for a, b in zip(ours.tensors, other.tensors, strict=True):
        assert a.zero_points == b.zero_points
        assert a.scales == pytest.approx(b.scales, rel=1e-6)  # XNNPACK sums in another order than TensorFlow's kernels


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_a_product_before_a_sum_has_a_scale_of_its_own(precision: Precision, tmp_path: Path) -> None:
    model = models.chain()
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    write_saved_model(model, tmp_path / "own", loops=False)
    graph = parse(convert(tmp_path / "own", model, precision, [images]), "own")
    product = next(op for op in graph.operators if op.name == "MUL").outputs[0]
    steps = 255 if precision == "int8" else 65535
    assert graph.tensors[product].scales[0] * steps == pytest.approx(np.ptp(images) / 127.5, rel=0.01)


def test_a_table_that_a_model_reads_is_written_with_it(tmp_path: Path) -> None:
    words = keras.Input((3,), dtype="string")
    model = keras.Model(words, keras.layers.StringLookup(vocabulary=["a", "b"])(words))
    write_saved_model(model, tmp_path / "words")
    graph = parse(convert(tmp_path / "words", model, "float32"), "words")
    assert "HASHTABLE_FIND" in {operator.name for operator in graph.operators}
