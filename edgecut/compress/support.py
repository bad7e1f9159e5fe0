"""Which layers TFMOT takes, and why it leaves the others as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import tensorflow as tf

from edgecut.compress.tfmot import Packages
from edgecut.errors import RequestError
from edgecut.graph.first_kernels import holds_stem_constants
from edgecut.records.nearest import closest
from edgecut.records.recipe import Compress, Prune

if TYPE_CHECKING:
    import tf_keras

Reasons = Mapping[str, str]
"""Layer -> why it is left as it is. Layers that are taken, and those that have nothing to take, aren't in it."""

# What QuantizeAwareActivation and Default8BitActivationQuantizeConfig of TFMOT 0.8 know.
_IN_LAYER = frozenset({"linear", "relu", "softmax", "sigmoid", "tanh", "swish", "gelu"})
_ALONE = frozenset({"linear", "relu", "relu6", "softmax", "sigmoid", "tanh", "swish", "gelu"})
_ACTIVATIONS = frozenset({"Activation", "ReLU"})
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel", "embeddings")


class Registry(Protocol):
    """What TFMOT knows of layers."""

    def supports(self, layer: tf_keras.layers.Layer) -> bool:
        """Whether it has a rule for a layer."""

    def make_prunable(self, layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
        """The layer with the weights named that pruning takes."""


def quantizable(packages: Packages, model: tf_keras.Model, skip: Sequence[str]) -> Reasons:
    """Why layers can't be trained quantization-aware."""
    registry = packages.tfmot.quantization.keras.default_8bit.Default8BitQuantizeRegistry()
    found: dict[str, str] = {}
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        reason = _skipped(layer, skip) or _not_quantized(registry, layer, found)
        if reason:
            found[layer.name] = reason
    return found


def _not_quantized(registry: Registry, layer: tf_keras.layers.Layer, left: Mapping[str, str]) -> str:
    kind = type(layer).__name__
    if len(layer._inbound_nodes) > 1:
        return "is called more than once, and TFMOT keeps one range for a layer"
    if kind == "BatchNormalization":
        return _not_folded(layer, left)
    if kind == "Conv2DTranspose":
        # Annotated, a file has one scale for the kernel, and a BatchNormalization behind it as operators of its own.
        return "TFMOT gives its kernel one scale, where an int8 file has one for each channel"
    if kind in _ACTIVATIONS and (owner := _owner(layer)) in left:
        # The file fuses the two only where neither has a range of its own.
        return f"belongs to {owner!r}, which is left as it is"
    if not registry.supports(layer):
        return f"TFMOT has no rule for {kind}"
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__)
    if activation is not None and name not in (_ALONE if kind == "Activation" else _IN_LAYER):
        return f"TFMOT has no rule for the activation {name}"
    return ""


def _owner(layer: tf_keras.layers.Layer) -> str:
    """The Conv2DTranspose that an activation is of, a BatchNormalization in between or not; "" for another layer."""
    source = tf.nest.flatten(layer._inbound_nodes[0].inbound_layers)[0]
    if type(source).__name__ == "BatchNormalization":
        source = tf.nest.flatten(source._inbound_nodes[0].inbound_layers)[0]
    return str(source.name) if type(source).__name__ == "Conv2DTranspose" else ""


def _not_folded(layer: tf_keras.layers.Layer, left: Mapping[str, str]) -> str:
    """TFMOT takes a BatchNormalization only with the convolution before it, into which TFLite folds it."""
    sources = tf.nest.flatten(layer._inbound_nodes[0].inbound_layers)
    source = sources[0]
    if type(source).__name__ not in {"Conv2D", "DepthwiseConv2D", "Dense"}:
        return f"TFMOT takes a BatchNormalization behind a convolution alone, and it is behind {source.name!r}"
    if len(source._outbound_nodes) > 1 or getattr(source.activation, "__name__", "") != "linear":
        return f"TFMOT takes a BatchNormalization with the convolution before it, and {source.name!r} has other readers"
    return f"belongs to {source.name!r}, which is left as it is" if source.name in left else ""


def prunable(model: tf_keras.Model, wanted: Prune, skip: Sequence[str]) -> Reasons:
    """Why layers with kernels can't be pruned."""
    from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

    return {layer.name: reason for layer in model.layers if (reason := _not_pruned(PruneRegistry, layer, wanted, skip))}


def _not_pruned(registry: Registry, layer: tf_keras.layers.Layer, wanted: Prune, skip: Sequence[str]) -> str:
    held = kernels(layer)
    if not held:
        return ""
    if reason := _kept_whole(layer, skip):
        return reason
    if not registry.supports(layer) or not registry.make_prunable(layer).get_prunable_weights():
        return f"TFMOT doesn't prune {type(layer).__name__}"
    rank, inputs = len(held[0].shape), int(held[0].shape[-2])
    if wanted.pattern == "block" and rank != 2:
        return "TFMOT prunes in blocks where a kernel has two axes, in Dense layers"
    if wanted.pattern == "2:4" and (rank not in {2, 4} or inputs % 4):
        return f"2:4 needs input channels in fours, and it has {inputs}"
    return ""


def clusterable(model: tf_keras.Model, clusters: int, skip: Sequence[str]) -> Reasons:
    """Why layers with kernels can't be clustered."""
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import ClusteringRegistry

    found: dict[str, str] = {}
    for layer in model.layers:
        held = kernels(layer)
        if not held:
            continue
        size = max(int(np.prod(kernel.shape)) for kernel in held)
        reason = _kept_whole(layer, skip)
        if not reason and type(layer).__name__ == "DepthwiseConv2D":
            reason = "TFMOT doesn't cluster DepthwiseConv2D"
        if not reason and not ClusteringRegistry.supports(layer):
            reason = f"TFMOT doesn't cluster {type(layer).__name__}"
        if not reason and size <= clusters:
            reason = f"has {size} weights, and {clusters} values are asked for"
        if reason:
            found[layer.name] = reason
    return found


def taken(model: tf_keras.Model, reasons: Reasons) -> tuple[str, ...]:
    """The layers with kernels that are taken."""
    return tuple(layer.name for layer in model.layers if kernels(layer) and layer.name not in reasons)


def sentences(model: tf_keras.Model, reasons: Reasons) -> tuple[str, ...]:
    """ "'pool' (AveragePooling3D): TFMOT has no rule for it", in the order of the model."""
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    return tuple(f"{name!r} ({kinds[name]}): {why}" for name, why in reasons.items())


def skipped(names: Sequence[str], homes: Mapping[str, tuple[str, ...]], wanted: Compress) -> tuple[str, ...]:
    """compress.skip as layers on Keras 2's side. names: the source's layers; homes: see crossing.Across.

    Raises RequestError for a layer that isn't there.
    """
    found: list[str] = []
    for name in wanted.skip:
        if name not in names:
            raise RequestError(f"compress.skip: no layer {name!r}{closest(name, names)}")
        found += [name, *homes.get(name, ()), *homes.get(f"{name}_linear", ())]
    return tuple(dict.fromkeys(found))


def kernels(layer: tf_keras.layers.Layer) -> list[tf.Variable]:
    """A layer's kernels: what multiplies its input, with two axes or more."""
    found = (getattr(layer, name, None) for name in _KERNELS)
    return [value for value in found if value is not None and len(value.shape) >= 2]


def _skipped(layer: tf_keras.layers.Layer, skip: Sequence[str]) -> str:
    return "is in compress.skip" if layer.name in skip else ""


def _kept_whole(layer: tf_keras.layers.Layer, skip: Sequence[str]) -> str:
    return "holds a stem's constants" if holds_stem_constants(layer.name) else _skipped(layer, skip)
