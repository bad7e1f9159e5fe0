"""A Keras 3 model over to Keras 2 in layers that TFMOT knows, and its trained weights back into a copy of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import keras
import numpy as np

from edgecut.compress.tfmot import Packages
from edgecut.errors import GraphError, StepError
from edgecut.graph.calls import calls
from edgecut.graph.first_kernels import holds_stem_constants
from edgecut.graph.keras_types import Structure
from edgecut.graph.proof import call_flat
from edgecut.graph.rebuild import rebuild
from edgecut.keras2.agreement import TOLERANCE, compare, proof_of, seeded_values
from edgecut.keras2.bridge import Crossing, cross_to_tf_keras
from edgecut.keras2.functions import outputs_of, recomputed
from edgecut.records.proof import OutputProof

if TYPE_CHECKING:
    import tensorflow as tf
    import tf_keras

# Layers whose activation TFMOT quantizes with them, and the activations that it knows there.
_WITH_ACTIVATION = frozenset({"Conv2D", "DepthwiseConv2D", "Dense", "SeparableConv2D", "Conv2DTranspose"})
# Statistics have to follow the weights within a short training. Without training them, a ResNet at 60 % zeros came to
# .791 on CIFAR-10, with them to .816 (1,800 images, 4 epochs, 1,000 test images; .811 before).
BN_MOMENTUM = 0.9
_KEPT_ACTIVATIONS = frozenset({"linear", "relu"})
_FROM_DEPTHWISE = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "depth_multiplier", "dtype")
_FROM_POINTWISE = ("filters", "data_format", "use_bias", "dtype")


@dataclass(frozen=True, eq=False)
class Across:
    """A model on Keras 2's side.

    model: the tf_keras model, whose weights are the model's, and whose layers are all trainable but for a stem's
    constants. homes: Keras 2 layer
    of the bridge -> the layers that hold its weights, in order. proof: that it computes what the source does, see
    Crossing.
    """

    source: keras.Model
    model: tf_keras.Model
    homes: Mapping[str, tuple[str, ...]]
    proof: OutputProof


def go_across(packages: Packages, model: keras.Model) -> Across:
    """The model on Keras 2's side, proven equal before anything is trained.

    A separable convolution becomes its two convolutions, and an activation that TFMOT doesn't quantize within its
    layer a layer of its own; both compute the same. Raises GraphError with the layer's name if one can't cross.
    """
    crossing = cross_to_tf_keras(model)
    builder = _Splitting(packages.k2)
    result = builder.model(crossing.model)
    values = seeded_values(crossing.model.inputs)
    names = [f"output {k}" for k in range(len(result.outputs))]
    compare(names, outputs_of(crossing.model, values), outputs_of(result, values))
    for layer in result.layers:
        layer.trainable = not holds_stem_constants(layer.name)
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = min(layer.momentum, BN_MOMENTUM)
    return Across(model, result, builder.homes, crossing.proof)


def come_back(across: Across) -> Crossing:
    """A copy of the source with the weights of `across.model`, and the proof that it computes the same.

    Raises StepError if it doesn't.
    """
    copy = rebuild(calls(across.source))
    for call in calls(copy):
        layer = call.operation
        if not isinstance(layer, keras.Layer) or not layer.weights:
            continue
        name = call.layer if call.layer in across.homes else f"{call.layer}_linear"
        trained = [weight for home in across.homes[name] for weight in across.model.get_layer(home).weights]
        for old, new in zip(layer.weights, trained, strict=True):
            old.assign(np.asarray(new))
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    values = seeded_values(across.model.inputs)
    old = outputs_of(across.model, values)
    new = [np.asarray(x) for x in keras.tree.flatten(call_flat(copy, values))]
    proof = proof_of(old, new, len(old))
    limit = TOLERANCE * max(float(np.max(np.abs(x), initial=1e-9)) for x in old)
    if not proof.max_abs_error <= limit:
        raise StepError(
            f"compress: the trained weights compute something else in Keras 3, up to {proof.max_abs_error:.2g} apart"
        )
    return Crossing(copy, proof)


def fresh_copy(packages: Packages, model: tf_keras.Model) -> tf_keras.Model:
    """A tf_keras model with the same layers and weights that shares nothing with it."""
    copy = packages.k2.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


class _Splitting:
    """The layers of a tf_keras model made anew, some of them as two."""

    def __init__(self, k2: ModuleType) -> None:
        self.k2 = k2
        self.made: dict[int, tuple[tf_keras.layers.Layer, ...]] = {}
        self.homes: dict[str, tuple[str, ...]] = {}

    def model(self, model: tf_keras.Model) -> tf_keras.Model:
        """The model of the new layers."""
        inputs, outputs, _ = recomputed(model, self.entry, self.call)
        return self.k2.Model(inputs, outputs, name=model.name)

    def entry(self, layer: tf_keras.layers.Layer) -> tf.Tensor:
        """An input like the layer's."""
        return self.k2.Input(batch_shape=layer.output.shape, dtype=layer.output.dtype, name=layer.name)

    def call(self, layer: tf_keras.layers.Layer, args: Sequence[object], kwargs: Mapping[str, object]) -> Structure:
        """What the new layers put out; on their first call they get the weights."""
        known = id(layer) in self.made
        if not known:
            self.made[id(layer)] = self.layers(layer)
        first, *rest = self.made[id(layer)]
        value = first(*args, **kwargs)
        for part in rest:
            value = part(value)
        if not known and first is not layer:
            weights = iter(layer.get_weights())
            for part in (first, *rest):
                part.set_weights([next(weights) for _ in part.weights])
        holders = tuple(part.name for part in self.made[id(layer)] if part.weights)
        self.homes[layer.name] = holders
        return value

    def layers(self, layer: tf_keras.layers.Layer) -> tuple[tf_keras.layers.Layer, ...]:
        """The layers that take a layer's place, in the order of computation."""
        kind, layers = type(layer).__name__, self.k2.layers
        if kind == "Lambda":
            return (layer,)
        config = layer.get_config()
        activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
        if kind == "Activation" and activation == "relu6":
            return (layers.ReLU(6.0, name=layer.name),)
        tail: tuple[tf_keras.layers.Layer, ...] = ()
        if kind in _WITH_ACTIVATION and activation not in _KEPT_ACTIVATIONS:
            tail = (self.activation(activation, config["activation"], f"{layer.name}_{activation}"),)
            config = {**config, "activation": "linear"}
        if kind != "SeparableConv2D":
            return (type(layer).from_config(config), *tail)
        depthwise = layers.DepthwiseConv2D(
            **{key: config[key] for key in _FROM_DEPTHWISE}, use_bias=False, name=f"{layer.name}_depthwise"
        )
        pointwise = {key: config[key] for key in _FROM_POINTWISE}
        return (
            depthwise,
            layers.Conv2D(**pointwise, kernel_size=1, activation=config["activation"], name=layer.name),
            *tail,
        )

    def activation(self, kind: str, setting: object, name: str) -> tf_keras.layers.Layer:
        """The layer of an activation, the one that TFMOT fuses where there is a choice."""
        layers = self.k2.layers
        if kind == "relu6":
            return layers.ReLU(6.0, name=name)
        return layers.Softmax(name=name) if kind == "softmax" else layers.Activation(setting, name=name)


def check_trainable(model: keras.Model) -> None:
    """Raises GraphError unless the model takes one picture and puts out one row of scores."""
    inputs, outputs = ([tuple(x.shape) for x in tensors] for tensors in (model.inputs, model.outputs))
    if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0]) != 2 or None in inputs[0][1:]:
        raise GraphError(
            f"compress: trains on labelled images, and the model takes {inputs} and gives {outputs}; one input of "
            "fixed size and scores (batch, classes) are expected: add a [head], or cut elsewhere"
        )
