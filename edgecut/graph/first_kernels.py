"""The first kernels of a model brought to inputs of about one, where they can be trained, and back.

A step of Adam is about as large as its learning rate, whatever the gradient. That suits kernels whose inputs are about
one. Where pixels reach them as 0..255, or less a mean as Caffe's do, the kernels are a hundred times smaller, and a
step of 3e-4 destroys them: a network of four classes fell from .995 to .385.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from edgecut.graph.calls import Call, Calls, Tensor, calls, flat
from edgecut.graph.naming import unique_name
from edgecut.graph.rebuild import Splice, rebuild, run

L = keras.layers
STEM_ADAPTER, STEM_ONES = "stem_adapter", "stem_ones"
"""1x1 convolutions of a stem that hold constants, such as from YUV to RGB, and learn nothing."""

IMAGES = 32  # whose values are looked at
# Largest values within which steps and kernels fit each other.
_FITTING = (0.25, 8.0)
_KERNELS: dict[type, str] = {
    L.Conv2D: "kernel",
    L.DepthwiseConv2D: "kernel",
    L.SeparableConv2D: "depthwise_kernel",
    L.Conv2DTranspose: "kernel",
    L.Dense: "kernel",
}
# Layers whose outputs all move alike where their inputs do, but for those at a padding of zeros.
_CENTRED = frozenset({L.Conv2D, L.DepthwiseConv2D, L.Dense})


@dataclass(frozen=True)
class Unit:
    """What first layers see, as a multiple of about one: value = scale * unit + centre.

    layers: all that take the same tensor, by their names in calls. scale: a power of two, so that the kernels come
    back bit-equal. centre: 0 where a padding of zeros or a missing bias would make it another function.
    """

    layers: tuple[str, ...]
    scale: float
    centre: float


def holds_stem_constants(name: str) -> bool:
    """Whether a layer of that name is one of a stem that isn't trained."""
    return re.fullmatch(rf"({STEM_ADAPTER}|{STEM_ONES})(_\d+)?", name) is not None


def first_units(model: keras.Model, values: np.ndarray) -> tuple[Unit, ...]:
    """The units of the first layers with kernels; none for those whose inputs fit already, or that can't be changed.

    values: (n, ...), what the model takes, of which the first 32 are looked at.
    """
    graph = calls(model)
    tensors = list(dict.fromkeys(call.inputs[0] for call in _first_calls(graph)))
    takers = {tensor: graph.consumers[tensor] for tensor in tensors}
    tensors = [tensor for tensor in tensors if _can_change(graph, tensor, takers[tensor])]
    if not tensors or len(flat(graph.inputs)) != 1:
        return ()
    seen = run(graph, {flat(graph.inputs)[0]: keras.ops.convert_to_tensor(values[:IMAGES])}, tensors)
    found = []
    for tensor, array in zip(tensors, seen, strict=True):
        low, high = float(np.min(np.asarray(array))), float(np.max(np.asarray(array)))
        reach = max(abs(low), abs(high))
        if not math.isfinite(reach) or reach == 0 or _FITTING[0] <= reach <= _FITTING[1]:
            continue
        centre = (low + high) / 2 if low < high and all(map(_is_centred, takers[tensor])) else 0.0
        scale = 2.0 ** round(math.log2(max(abs(low - centre), abs(high - centre))))
        found.append(Unit(tuple(call.layer for call in takers[tensor]), scale, centre))
    return tuple(found)


def unfolded(model: keras.Model, units: Sequence[Unit]) -> keras.Model:
    """A copy of the model that computes the same, the first kernels behind a Rescaling to their units."""
    graph = calls(model)
    by_layer, names = {call.layer: call for call in graph}, {call.layer for call in graph}
    splices = {}
    for unit in units:
        tensor = by_layer[unit.layers[0]].inputs[0]
        name = unique_name(f"{unit.layers[0]}_unit", names)
        splices[tensor] = Splice((tensor,), L.Rescaling(1 / unit.scale, -unit.centre / unit.scale, name=name))
    copy = rebuild(graph, splices=splices)
    for layer, unit in _layers_of(copy, units):
        _unfold(layer, unit)
    return copy


def folded(model: keras.Model, units: Sequence[Unit], source: keras.Model) -> keras.Model:
    """A copy of a model that `unfolded` made of `source`, trained or not, without what that put in.

    First layers that training left as they were have the source's weights again, to the bit.
    """
    own = {call.layer: call.operation for call in calls(source)}
    graph = calls(model)
    by_layer = {call.layer: call for call in graph}
    splices = {}
    for unit in units:
        tensor = by_layer[unit.layers[0]].inputs[0]
        splices[tensor] = Splice((graph.producer[tensor].inputs[0],), lambda value: value)
    copy = rebuild(graph, splices=splices)
    for (layer, unit), name in zip(_layers_of(copy, units), (name for u in units for name in u.layers), strict=True):
        trained = layer.get_weights()
        layer.set_weights(own[name].get_weights())
        _unfold(layer, unit)
        if all(np.array_equal(a, b) for a, b in zip(trained, layer.get_weights(), strict=True)):
            layer.set_weights(own[name].get_weights())
            continue
        layer.set_weights(trained)
        kernel = _kernel(layer) / unit.scale
        _assign(layer, kernel, -_shift(layer, kernel, unit))
    return copy


def _unfold(layer: keras.Layer, unit: Unit) -> None:
    kernel = _kernel(layer)
    _assign(layer, kernel * unit.scale, _shift(layer, kernel, unit))


def _kernel(layer: keras.Layer) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(getattr(layer, _KERNELS[type(layer)])), "float64")


def _first_calls(graph: Calls) -> Iterator[Call]:
    """The calls with kernels that no other call with a kernel is in front of."""
    behind: set[Tensor] = set()
    for call in graph:
        if any(tensor in behind for tensor in call.inputs):
            behind.update(call.outputs)
        elif _has_kernel(call):
            behind.update(call.outputs)
            yield call


def _has_kernel(call: Call) -> bool:
    layer = call.operation
    if not isinstance(layer, keras.Layer) or holds_stem_constants(call.layer):
        return False
    return any(len(weight.shape) >= 2 for weight in layer.weights)


def _can_change(graph: Calls, tensor: Tensor, takers: Sequence[Call]) -> bool:
    """Whether nothing but first layers of their own takes a tensor."""
    names = [call.layer for call in graph]
    return tensor not in flat(graph.outputs) and all(
        type(call.operation) in _KERNELS
        and names.count(call.layer) == 1
        and call.operation.dtype_policy.name == "float32"
        for call in takers
    )


def _is_centred(call: Call) -> bool:
    layer = call.operation
    return type(layer) in _CENTRED and layer.use_bias and getattr(layer, "padding", "valid") == "valid"


def _layers_of(model: keras.Model, units: Sequence[Unit]) -> Iterator[tuple[keras.Layer, Unit]]:
    layers = {call.layer: call.operation for call in calls(model)}
    return ((layers[name], unit) for unit in units for name in unit.layers)


def _shift(layer: keras.Layer, kernel: np.ndarray, unit: Unit) -> np.ndarray:
    """What the centre adds to each output, (filters,)."""
    taps = kernel.ndim - (2 if type(layer) is L.DepthwiseConv2D else 1)
    return np.asarray(kernel.sum(axis=tuple(range(taps))).reshape(-1) * unit.centre)


def _assign(layer: keras.Layer, kernel: np.ndarray, shift: np.ndarray) -> None:
    getattr(layer, _KERNELS[type(layer)]).assign(kernel.astype("float32"))
    if shift.any():
        layer.bias.assign((keras.ops.convert_to_numpy(layer.bias) + shift).astype("float32"))
