"""What becomes of Keras layers that a converter writes as many operators: normalization over channels, attention."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgecut.graph.callgraph import Call, Tensor
from edgecut.lowering.builder import GraphBuilder

# What a call of MultiHeadAttention can be given without another operator coming of it.
_OF_ATTENTION = frozenset({"query", "value", "key", "training"})


def layer_normalization(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """Mean, variance, and x * scale - mean * scale + beta, as TensorFlow's nn.batch_normalization orders it.

    A converter leaves a beta of zeros out, which an untrained layer has.
    """
    layer, shape, x = call.operation, call.outputs[0].shape, taken[0]
    axes = {axis % len(shape) for axis in ([layer.axis] if isinstance(layer.axis, int) else layer.axis)}
    small = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    if getattr(layer, "rms_scaling", False):
        return work.chain((call.type,), taken, shape)
    mean = work.operator("MEAN", (x,), small)
    shift = work.operator("NEG", (mean,), small)
    variance = work.operator("MEAN", (work.operator("SQUARED_DIFFERENCE", (x, mean), shape),), small)
    scale = work.chain(("ADD", "RSQRT"), (variance,), small)
    if layer.scale:
        scale = work.operator("MUL", (scale,), shape)
    shift = work.operator("MUL", (scale, shift), shape if layer.scale else small)
    if layer.center and np.any(layer.beta):
        shift = work.operator("ADD", (shift,), shape)
    return work.operator("ADD", (work.operator("MUL", (x, scale), shape), shift), shape)


def attention(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """Attention over the middle axis without masks: (batch, places, features); anything else isn't modelled."""
    layer, shape = call.operation, call.outputs[0].shape
    given = _arguments(call)
    if not _is_plain(layer, given) or len(call.outputs) > 1:
        return work.chain((call.type,), taken, shape)
    place = {tensor: number for tensor, number in zip(call.inputs, taken, strict=True)}
    query, value = given["query"], given["value"]
    key = given.get("key", value)
    heads, places, others = layer.num_heads, query.shape[1], key.shape[1]

    def split(source: Tensor, width: int) -> int:
        weights = (heads * width, int(source.shape[-1] or 1))
        flat = _dense(work, place[source], weights, (*source.shape[:2], heads * width))
        return work.operator("RESHAPE", (flat,), (*source.shape[:2], heads, width))

    if layer.dropout:
        # Keras takes the scale into the query's projection, and keys times queries.
        keys = work.operator("TRANSPOSE", (split(key, layer.key_dim),), (None, heads, others, layer.key_dim))
        queries = work.operator("TRANSPOSE", (split(query, layer.key_dim),), (None, heads, layer.key_dim, places))
        scores = work.operator("BATCH_MATMUL", (keys, queries), (None, heads, others, places))
        weights = work.chain(("TRANSPOSE", "SOFTMAX"), (scores,), (None, heads, places, others))
    else:
        keys, queries = split(key, layer.key_dim), split(query, layer.key_dim)
        queries = work.operator("TRANSPOSE", (queries,), (None, heads, places, layer.key_dim))
        keys = work.operator("TRANSPOSE", (keys,), (None, heads, layer.key_dim, others))
        scores = work.operator("BATCH_MATMUL", (queries, keys), (None, heads, places, others))
        weights = work.chain(("MUL", "SOFTMAX"), (scores,), (None, heads, places, others))
    values = split(value, layer.value_dim)
    values = work.operator("TRANSPOSE", (values,), (None, heads, others, layer.value_dim))
    mixed = work.operator("BATCH_MATMUL", (weights, values), (None, heads, places, layer.value_dim))
    mixed = work.operator("TRANSPOSE", (mixed,), (None, places, heads, layer.value_dim))
    width = heads * layer.value_dim
    mixed = work.operator("RESHAPE", (mixed,), (None, places, width))
    return _dense(work, mixed, (int(shape[-1] or 1), width), shape)


def einsum_dense(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """A dense layer on the last axes, which are flattened where they are several; no other equation is modelled."""
    layer, shape, source = call.operation, call.outputs[0].shape, taken[0]
    given, weights, result = layer.equation.replace("->", ",").split(",")
    inner = sum(letter in given for letter in weights)
    if not given.endswith(weights[:inner]) or result != given[: len(given) - inner] + weights[inner:]:
        return work.chain((call.type,), taken, shape)
    sizes = [int(size) for size in layer.kernel.shape]
    matrix = (math.prod(sizes[inner:]), math.prod(sizes[:inner]))
    places = call.inputs[0].shape[:-inner]
    if inner > 1:
        maker, flat = work.maker(source), (*places, matrix[1])
        split = maker is not None and maker.name == "RESHAPE" and work.sole(call.inputs[0])
        if maker is not None and split and work.tensors[maker.inputs[0]].shape[1:] == flat[1:]:
            source = maker.inputs[0]  # flattening takes back what splitting did
        else:
            source = work.operator("RESHAPE", (source,), flat)
    source = _dense(work, source, matrix, (*places, matrix[0]))
    if len(sizes) > inner + 1:
        source = work.operator("RESHAPE", (source,), shape)
    return work.activation(call, source, shape)


def transpose(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """The axes in another order, which matrix_product asks for."""
    axes = list(range(len(call.inputs[0].shape)))
    if call.type == "Permute":
        axes[1:] = call.operation.dims
    elif call.type == "Swapaxes":
        first, second = call.operation.axis1, call.operation.axis2
        axes[first], axes[second] = axes[second], axes[first]
    else:
        axes = list(call.operation.axes or axes[::-1])
    return work.operator("TRANSPOSE", taken, call.outputs[0].shape, {"axes": tuple(axes)})


def matrix_product(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """The product of two computed values, one of which may be turned: that is an option of the operator."""
    if len(taken) != 2 or len(call.inputs[1].shape) < 3:
        return work.operator(call.type, taken, call.outputs[0].shape)
    given, options = list(taken), {}
    for side, option in enumerate(("adjX", "adjY")):
        maker = work.maker(taken[side])
        if maker is not None and maker.name == "TRANSPOSE" and work.sole(call.inputs[side]):
            last = len(call.inputs[side].shape) - 1
            if maker.options.get("axes") == (*range(last - 1), last, last - 1):
                given[side], options[option] = maker.inputs[0], True
    return work.operator("BATCH_MATMUL", given, call.outputs[0].shape, options)


def _dense(work: GraphBuilder, source: int, weights: Sequence[int], shape: Sequence[int | None]) -> int:
    return work.operator("FULLY_CONNECTED", (source, work.constant(weights), work.constant(weights[:1])), shape)


def _arguments(call: Call) -> Mapping[str, Any]:
    given = inspect.signature(call.operation.call).bind(*call.args, **call.kwargs).arguments
    return {key: value for key, value in given.items() if value is not None and value is not False}


def _is_plain(layer: Any, given: Mapping[str, Any]) -> bool:
    tensors = [given[key] for key in ("query", "value", "key") if key in given]
    special = any(getattr(layer, name, None) for name in ("_use_gate", "_sliding_window"))
    return given.keys() <= _OF_ATTENTION and not special and {len(x.shape) for x in tensors} == {3}
