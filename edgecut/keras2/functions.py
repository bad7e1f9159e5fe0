"""A Keras 2 model's graph of layers: walked, and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from edgecut.graph.keras_types import Structure

if TYPE_CHECKING:
    import tf_keras

Entry: TypeAlias = "Callable[[tf_keras.layers.Layer], keras.KerasTensor]"
LayerCall: TypeAlias = "Callable[[tf_keras.layers.Layer, Sequence[object], Mapping[str, object]], Structure]"
Pairs: TypeAlias = "list[tuple[str, tf.Tensor, keras.KerasTensor]]"


def recomputed(model: tf_keras.Model, entry: Entry, call: LayerCall) -> tuple[Structure, Structure, Pairs]:
    """The inputs and outputs of a Functional or built Sequential model computed anew, in the structures of its own.

    entry: what stands for an input layer. call: what stands for a layer's outputs, given the layer and its arguments
    without those that are None. The third: (layer, its own tensor, the new one) of every tensor.
    """
    tensors: dict[int, keras.KerasTensor] = {}
    pairs: Pairs = []

    def of(value: object) -> object:
        return tensors.get(id(value), value)

    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                results = [entry(node.layer)]
            else:
                args, kwargs = (tf.nest.map_structure(of, x) for x in (node.call_args, node.call_kwargs))
                given = {key: value for key, value in kwargs.items() if value is not None}
                results = tf.nest.flatten(call(node.layer, args, given))
            for old, new in zip(tf.nest.flatten(node.outputs), results, strict=True):
                tensors[id(old)] = new
                pairs.append((node.layer.name, old, new))
    inputs, outputs = (tf.nest.map_structure(of, x) for x in (model._nested_inputs, model._nested_outputs))
    return inputs, outputs, pairs


def outputs_of(model: tf_keras.Model, values: Sequence[tf.Tensor]) -> list[np.ndarray]:
    """What a model puts out in inference for one value for each of its inputs, flat."""
    given = tf.nest.pack_sequence_as(model._nested_inputs, list(values))
    return [np.asarray(x) for x in tf.nest.flatten(model(given, training=False))]
