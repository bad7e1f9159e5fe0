"""TensorFlow Model Optimization, imported so that it leaves tf.keras what it was."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from edgecut.streams import caught_output

if TYPE_CHECKING:
    import tf_keras


class Packages(NamedTuple):
    """tf_keras (Keras 2) and TFMOT, which takes its models alone."""

    k2: ModuleType
    tfmot: ModuleType


def packages() -> Packages:
    """Both packages. TFMOT sets TF_USE_LEGACY_KERAS, which would make tf.keras Keras 2 if nobody had touched it yet."""
    _ = tf.keras.__version__
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        with caught_output():
            import tensorflow_model_optimization
            import tf_keras
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
    return Packages(tf_keras, tensorflow_model_optimization)


def own_name(weight: tf.Variable) -> str:
    """A Keras 2 weight's name without its layer's and without the ":0"."""
    return str(weight.name).rpartition("/")[2].partition(":")[0]


def last_activation(model: tf_keras.Model) -> str:
    """The activation of a tf_keras model's first output in lower case, as lowering/activation.py has it of Keras 3."""
    layer = model.outputs[0].node.layer
    layer = getattr(layer, "layer", layer)  # TFMOT's wrappers
    ends_in = type(layer).__name__ if type(layer).__name__ != "Activation" else ""
    return getattr(getattr(layer, "activation", None), "__name__", "").lower() or ends_in.lower()
