"""Where a model can be cut, and what a cut keeps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from edgecut.graph.callgraph import Call, Calls, Tensor, ancestors, descendants, flat
from edgecut.graph.calls import calls


@dataclass(frozen=True)
class CutPoint:
    """One tensor at which a model can be cut.

    shape: with the batch axis. legal_start: whether everything behind it can be computed from it alone; `bypass`
    names the other tensors that are needed where not. macs, params: what the model up to here costs in
    multiply-accumulates of one inference (None where an operator isn't modelled or a size is open) and in weights.
    activation_bytes: the size of this tensor for one image in its own dtype, None where a size is open.
    """

    name: str
    position: int
    type: str
    shape: tuple[int | None, ...]
    legal_start: bool
    bypass: tuple[str, ...]
    macs: int | None
    params: int
    activation_bytes: int | None


def cut_points(model: keras.Model | Calls) -> tuple[CutPoint, ...]:
    """Every tensor of a model in calling order, model inputs included, with what a cut there means.

    >>> points = edgecut.cut_points(edgecut.load("bell.keras"))
    >>> [(point.name, point.shape, point.macs) for point in points[1:3]]
    [('conv', (None, 4, 4, 4), 1728), ('pool', (None, 4), 1728)]
    """
    graph = model if isinstance(model, Calls) else calls(model)
    frontiers = _frontiers(graph)
    order = {call: position for position, call in enumerate(graph)}
    masks = _ancestor_masks(graph, order)
    call_macs = [macs_of(call) for call in graph]
    layer_params = {id(call.operation): params_of(call.operation) for call in graph}
    points = []
    for call in graph:
        upto = [graph[i] for i in _bits(masks[call])]
        kept = {id(c.operation) for c in upto}
        counts = [call_macs[order[c]] for c in upto]
        for tensor in call.outputs:
            bypass = frontiers[tensor]
            points.append(
                CutPoint(
                    name=graph.tensor_name[tensor],
                    position=order[call],
                    type=call.type,
                    shape=tensor.shape,
                    legal_start=bypass == (),
                    bypass=() if bypass is None else tuple(graph.tensor_name[t] for t in bypass),
                    macs=None if any(c is None for c in counts) else sum(c for c in counts if c is not None),
                    params=sum(layer_params[i] for i in kept),
                    activation_bytes=tensor_bytes(tensor),
                )
            )
    return tuple(points)


def frontier(calls: Calls, starts: Iterable[Tensor], outputs: Iterable[Tensor] | None = None) -> tuple[Tensor, ...]:
    """The tensors besides `starts` from which `outputs` (default: the model's) are computed: what a start needs more.

    The calls behind the starts are kept; each tensor that they take from elsewhere is named. () means that the starts
    suffice.
    """
    starts = tuple(starts)
    wanted = flat(calls.outputs) if outputs is None else tuple(outputs)
    behind = descendants(calls, starts) & ancestors(calls, wanted, stop=starts)
    made = {tensor for call in behind for tensor in call.outputs} | set(starts)
    taken = [tensor for call in calls if call in behind for tensor in call.inputs]
    missing = dict.fromkeys(tensor for tensor in [*taken, *wanted] if tensor not in made)
    return _without_derived(calls, starts, list(missing))


def _without_derived(calls: Calls, starts: Sequence[Tensor], missing: list[Tensor]) -> tuple[Tensor, ...]:
    """The missing tensors without those that can be computed from the others and the starts."""
    for tensor in missing[::-1]:
        rest = [*starts, *(x for x in missing if x is not tensor)]
        if len(missing) > 1 and not any(call.is_input for call in ancestors(calls, [tensor], stop=rest)):
            missing.remove(tensor)
    return tuple(missing)


def legal_starts(calls: Calls) -> tuple[str, ...]:
    """The names of the tensors from which alone all outputs can be computed, in calling order."""
    return tuple(calls.tensor_name[tensor] for tensor, is_legal in _sweep(calls).items() if is_legal)


def tensor_bytes(tensor: Tensor) -> int | None:
    """The bytes of a tensor for one image in its own dtype; None where a size is open."""
    sizes = tensor.shape[1:] if tensor.shape[:1] == (None,) else tensor.shape
    if any(size is None for size in sizes) or tensor.dtype == "string":
        return None
    width = (
        1 if tensor.dtype == "bool" else np.dtype("float16" if tensor.dtype == "bfloat16" else tensor.dtype).itemsize
    )
    return math.prod(size for size in sizes if size is not None) * width


def params_of(operation: keras.Operation) -> int:
    """The number of weights of a layer, trainable or not; 0 for an operator."""
    return operation.count_params() if isinstance(operation, keras.Layer) and operation.built else 0


def _frontiers(graph: Calls) -> dict[Tensor, tuple[Tensor, ...] | None]:
    """For each tensor what a start there needs besides it; None where no output depends on it."""
    return {
        tensor: None if is_legal is None else () if is_legal else frontier(graph, (tensor,))
        for tensor, is_legal in _sweep(graph).items()
    }


def _sweep(graph: Calls) -> dict[Tensor, bool | None]:
    """Whether all outputs can be computed from a tensor alone, for each; None where no output depends on it.

    One pass over the live set: a tensor is a legal start if right after it nothing else is live.
    """
    wanted = set(flat(graph.outputs))
    useful = ancestors(graph, wanted)
    last: dict[Tensor, int] = {}
    for position, call in enumerate(graph):
        if call in useful:
            last.update(dict.fromkeys(call.inputs, position))
    last.update(dict.fromkeys(wanted, len(graph)))
    inputs = set(flat(graph.inputs))
    live = inputs & last.keys()
    found: dict[Tensor, bool | None] = {}
    inputs_to_come = len(inputs)
    for position, call in enumerate(graph):
        live.difference_update(tensor for tensor in call.inputs if last.get(tensor) == position)
        live.update(tensor for tensor in call.outputs if last.get(tensor, -1) > position)
        inputs_to_come -= sum(tensor in inputs for tensor in call.outputs)
        for tensor in call.outputs:
            found[tensor] = (not inputs_to_come and live == {tensor}) if tensor in last else None
    return found


def _ancestor_masks(graph: Calls, order: Mapping[Call, int]) -> dict[Call, int]:
    """For each call the set of calls that it needs, itself included, as a bit mask over positions."""
    masks: dict[Call, int] = {}
    for position, call in enumerate(graph):
        mask = 1 << position
        for tensor in call.inputs:
            mask |= masks[graph.producer[tensor]]
        masks[call] = mask
    return masks


def _bits(mask: int) -> Iterable[int]:
    return (i for i, bit in enumerate(reversed(bin(mask)[2:])) if bit == "1")


def _size(shape: tuple[int | None, ...]) -> int | None:
    """The elements of a tensor for one image; None where a size is open."""
    sizes = shape[1:]
    return None if any(s is None for s in sizes) else math.prod(s for s in sizes if s is not None)


def macs_of(call: Call) -> int | None:
    """The multiply-accumulates of one call for one image.

    0 for operations without weights, of which only matrix products count; None where the operation isn't modelled.
    """
    rule = _MACS.get(call.type)
    if call.type in {"MultiHeadAttention", "Matmul"}:
        return _attention_macs(call) if call.type == "MultiHeadAttention" else _product_macs(call)
    if rule is not None:
        out, inp = _size(call.outputs[0].shape), _size(call.inputs[0].shape)
        return None if out is None or inp is None else rule(call.operation, inp, out)
    if isinstance(call.operation, keras.Layer):
        return 0 if not _has_kernels(call.operation) else None
    return None if call.type in {"Einsum", "Dot", "Tensordot", "Conv", "DepthwiseConv"} else 0


_ELEMENTWISE = frozenset({"AddWeight", "MultiplyWeight", "Weight"})
"""Layers of an imported .onnx file with a weight of any shape."""


def _has_kernels(layer: keras.Layer) -> bool:
    # Vectors (BatchNormalization, biases, scalings) are element-wise and count as 0, as in the field's usual counts.
    if isinstance(layer, keras.layers.LayerNormalization) or type(layer).__name__ in _ELEMENTWISE:
        return False  # over several axes its weights are no vectors
    return any(len(weight.shape) > 1 for weight in layer.weights) or type(layer).__name__ in {
        "Attention",
        "Dot",
    }


def _attention_macs(call: Call) -> int | None:
    """The four projections of (batch, places, features), and of each head places x places products twice."""
    layer = call.operation
    bound = inspect.signature(layer.call).bind(*call.args, **call.kwargs).arguments
    query, value = bound["query"].shape, bound["value"].shape
    if len(query) != 3 or len(value) != 3 or query[1] is None or value[1] is None:
        return None
    ends = (
        (layer._query_dense, query[1]),
        (layer._key_dense, value[1]),
        (layer._value_dense, value[1]),
        (layer._output_dense, query[1]),
    )
    scores = layer.num_heads * query[1] * value[1] * (layer.key_dim + layer.value_dim)
    return scores + sum(places * math.prod(part.kernel.shape) for part, places in ends)


def _product_macs(call: Call) -> int | None:
    """Of two matrices: the elements of the product times the length of the sums."""
    left = call.args[0]
    shape = left.shape if isinstance(left, Tensor) else np.asarray(left).shape
    inner, out = shape[-1], _size(call.outputs[0].shape)
    return None if inner is None or out is None else out * inner


def _kernel_macs(layer: keras.Layer, inp: int, out: int) -> int:
    return out * math.prod(layer.kernel.shape[:-1])


def _einsum_macs(layer: keras.Layer, inp: int, out: int) -> int:
    given, weights = layer.equation.partition("->")[0].split(",")
    return inp * math.prod(
        size for letter, size in zip(weights, layer.kernel.shape, strict=True) if letter not in given
    )


def _depthwise_macs(layer: keras.Layer, inp: int, out: int) -> int:
    return out * math.prod(layer.kernel_size)


def _separable_macs(layer: keras.Layer, inp: int, out: int) -> int:
    pixels = out // layer.filters
    middle = layer.pointwise_kernel.shape[-2]
    return pixels * middle * (math.prod(layer.kernel_size) + layer.filters)


def _transposed_macs(layer: keras.Layer, inp: int, out: int) -> int:
    return inp * math.prod(layer.kernel.shape[:-1])


_MACS: Mapping[str, Callable[[keras.Layer, int, int], int]] = {
    "Conv1D": _kernel_macs,
    "Conv2D": _kernel_macs,
    "Conv3D": _kernel_macs,
    "Dense": _kernel_macs,
    "DepthwiseConv1D": _depthwise_macs,
    "DepthwiseConv2D": _depthwise_macs,
    "EinsumDense": _einsum_macs,
    "SeparableConv1D": _separable_macs,
    "SeparableConv2D": _separable_macs,
    "Conv1DTranspose": _transposed_macs,
    "Conv2DTranspose": _transposed_macs,
    "Conv3DTranspose": _transposed_macs,
}
