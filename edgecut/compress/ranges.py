"""The ranges from which quantization-aware training starts.

TFMOT starts every range at -6..6 and moves it by a thousandth of the way at each step, so that a short training would
end with ranges that have little to do with the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from edgecut.compress.tfmot import Packages, last_activation, own_name
from edgecut.errors import StepError
from edgecut.records.facts import TrainingFacts
from edgecut.score.answer import answer_of
from edgecut.score.distance import sqnr

if TYPE_CHECKING:
    import tf_keras

# Of activations; TFMOT names a range's weights so, and "kernel_min" for the kernel.
_ACTIVATIONS = ("pre_activation", "post_activation", "output")
# Below, the errors are larger than the scores themselves.
WORST_SQNR = 0.0


def set_ranges(
    packages: Packages, aware: tf_keras.Model, model: tf_keras.Model, batches: Iterable[np.ndarray], pixels: np.ndarray
) -> None:
    """Set all ranges of a quantization-aware model to those of the float model that it was made of.

    A range is the mean over the batches of their extremes, which is where TFMOT's moving average would come to. pixels:
    the calibration images as the model takes them, whose extremes are the input's range.
    """
    wrapped = {name: layer for layer in aware.layers if (name := _ranged(layer)) is not None}
    seen = _extremes(packages, model, list(wrapped), batches)
    for name, layer in wrapped.items():
        for weight in layer.weights:
            kind, _, end = own_name(weight).rpartition("_")
            if kind in _ACTIVATIONS and end in {"min", "max"}:
                # TFLite needs zero within the range.
                low, high = seen[name]
                weight.assign(min(low, 0.0) if end == "min" else max(high, 0.0))
    for layer in aware.layers:
        _set_kernel_ranges(layer)
    set_input_range(aware, pixels)


def set_input_range(aware: tf_keras.Model, pixels: np.ndarray) -> None:
    """Set the range of what a quantization-aware model takes to the extremes of these images."""
    for layer in (layer for layer in aware.layers if type(layer).__name__ == "QuantizeLayer"):
        for weight in layer.weights:
            name = own_name(weight)
            if name.endswith(("_min", "_max")):
                weight.assign(min(float(pixels.min()), 0.0) if name.endswith("_min") else float(pixels.max()))


def check_parity(model: tf_keras.Model, aware: tf_keras.Model, pixels: np.ndarray) -> TrainingFacts:
    """How near the quantization-aware model is to the float one before training.

    sqnr: of the outputs, dB; the agreement is called by the answer's kind. Raises StepError if it computes something
    else.
    """
    before, after = (np.asarray(x(pixels, training=False)) for x in (model, aware))
    ratio = sqnr(before, after)
    answer = answer_of("classes", before.shape[1:], last_activation(model))
    agreement = answer.agreement(before, after)
    if not ratio > WORST_SQNR:
        raise StepError(
            f"compress.qat: with the same weights the quantization-aware model isn't the float one any more "
            f"({ratio:.1f} dB); set compress.qat = false: an int8 file is then quantized after training"
        )
    agreed = {} if agreement is None else {str(answer.agreement_metric): agreement}
    return TrainingFacts.model_validate({"inputs": len(pixels), "sqnr": round(ratio, 1), **agreed})


def _ranged(layer: tf_keras.layers.Layer) -> str | None:
    """The name of the layer inside a wrapper that has a range of activations."""
    inner = getattr(layer, "layer", None)
    names = {own_name(weight) for weight in layer.weights}
    return inner.name if inner is not None and names & {f"{kind}_min" for kind in _ACTIVATIONS} else None


def _extremes(
    packages: Packages, model: tf_keras.Model, names: list[str], batches: Iterable[np.ndarray]
) -> Mapping[str, tuple[float, float]]:
    """layer -> (min, max) of what it puts out."""
    probe = packages.k2.Model(model.inputs, [model.get_layer(name).output for name in names])

    def extremes(x: tf.Tensor) -> tf.Tensor:
        outputs = tf.nest.flatten(probe(x, training=False))
        return tf.stack([(tf.reduce_min(y), tf.reduce_max(y)) for y in outputs])

    run = tf.function(extremes, reduce_retracing=True)
    found = np.mean([run(tf.constant(batch)).numpy() for batch in batches], axis=0)
    return {name: (float(low), float(high)) for name, (low, high) in zip(names, found, strict=True)}


def _set_kernel_ranges(layer: tf_keras.layers.Layer) -> None:
    weights = {own_name(weight): weight for weight in layer.weights}
    for name in ("kernel", "depthwise_kernel"):
        low, high = weights.get(f"{name}_min"), weights.get(f"{name}_max")
        if low is None or high is None:
            continue
        kernel = np.abs(weights[name].numpy())
        largest = kernel.max(axis=tuple(range(kernel.ndim - 1))) if len(low.shape) else kernel.max()
        low.assign(-largest)
        high.assign(largest)
