"""Write tests/fixtures: one tiny network in every precision and both formats.

Run by hand where the fixtures must change: `python tools/make_fixtures.py tests/fixtures`. The network is a
scaled-down MobileNet start (convolution, depthwise, pointwise, average pool, dense, softmax) with seeded
weights, so that each file is a few kilobytes and holds the operators that matter on a microcontroller. The
pointwise layer has more than 1,024 weights: the converter leaves smaller ones in float under dynamic range.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16x8")


def tiny_network() -> keras.Model:
    """A network from (12, 12, 1) to 4 classes, with seeded weights."""
    keras.utils.set_random_seed(7)
    image = keras.Input((12, 12, 1), batch_size=1, name="image")
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="stem")(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = keras.layers.Conv2D(144, 1, activation="relu", name="pointwise")(x)
    x = keras.layers.AveragePooling2D(6, name="pool")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dense(4, activation="softmax", name="scores")(x)
    return keras.Model(image, x, name="tiny")


def calibration_images() -> np.ndarray:
    """(32, 12, 12, 1) float32 in -1..1, seeded."""
    return np.random.default_rng(7).uniform(-1, 1, (32, 12, 12, 1)).astype(np.float32)


def convert(saved_model: str, precision: str) -> bytes:
    """The .tflite content of a SavedModel in one precision."""
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in ("int8", "int16x8"):
        converter.representative_dataset = lambda: ([image[None]] for image in calibration_images())
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide if precision == "int16x8" else tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int16 if precision == "int16x8" else tf.int8
        converter.inference_output_type = converter.inference_input_type
    return converter.convert()


def main(folder: Path) -> None:
    """Write every fixture into `folder`."""
    import tf2onnx

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        archive = keras.export.ExportArchive()
        model = tiny_network()
        archive.track(model)
        archive.add_endpoint("serve", lambda image: {"scores": model(image)}, input_signature=[
            tf.TensorSpec((1, 12, 12, 1), tf.float32, name="image")
        ])  # fmt: skip
        archive.write_out(scratch, verbose=False)
        for precision in PRECISIONS:
            path = folder / f"tiny.{precision}.tflite"
            path.write_bytes(convert(scratch, precision))
            if precision in ("float32", "int8"):
                tf2onnx.convert.from_tflite(str(path), opset=17, output_path=str(folder / f"tiny.{precision}.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
