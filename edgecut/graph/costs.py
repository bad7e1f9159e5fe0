"""What a call computes and what a tensor takes, from plain values; without Keras."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgecut.graph.layer_call import LayerCall
from edgecut.graph.tensor import Tensor
from edgecut.records.json_value import items

# Layers of an imported .onnx file with a weight of any shape, and normalization, over several axes no vector, either.
_ELEMENTWISE = frozenset({"AddWeight", "LayerNormalization", "MultiplyWeight", "Weight"})
# Layers and operators that multiply what they are given, in a way that isn't counted.
_NOT_COUNTED = frozenset({"Attention", "Conv", "DepthwiseConv", "Dot", "Einsum", "Tensordot"})


def tensor_bytes(tensor: Tensor) -> int | None:
    """The bytes of a tensor for one image in its own dtype; None where a size is open."""
    sizes = tensor.shape[1:] if tensor.shape[:1] == (None,) else tensor.shape
    if any(size is None for size in sizes) or tensor.dtype == "string":
        return None
    width = (
        1 if tensor.dtype == "bool" else np.dtype("float16" if tensor.dtype == "bfloat16" else tensor.dtype).itemsize
    )
    return math.prod(size for size in sizes if size is not None) * width


def macs_of(call: LayerCall) -> int | None:
    """The multiply-accumulates of one call for one image.

    0 for operations without weights, of which only matrix products count; None where the operation isn't modelled.
    Vectors (BatchNormalization, biases, scalings) are element-wise and count as 0, as in the field's usual counts.
    """
    if call.type in {"MultiHeadAttention", "Matmul"}:
        return _attention_macs(call) if call.type == "MultiHeadAttention" else _product_macs(call)
    rule = _MACS.get(call.type)
    if rule is not None and _kernel(call):
        out, inp = _size(call.outputs[0].shape), _size(call.inputs[0].shape)
        return None if out is None or inp is None else rule(call, inp, out)
    if call.type in _ELEMENTWISE:
        return 0
    return None if call.type in _NOT_COUNTED or any(len(shape) > 1 for shape in call.weights) else 0


def _size(shape: tuple[int | None, ...]) -> int | None:
    """The elements of a tensor for one image; None where a size is open."""
    sizes = shape[1:]
    return None if any(s is None for s in sizes) else math.prod(s for s in sizes if s is not None)


def _attention_macs(call: LayerCall) -> int | None:
    """The four projections of (batch, places, features), and of each head places x places products twice."""
    given = {**dict(zip(("query", "value", "key"), call.args, strict=False)), **call.kwargs}
    query, value = given.get("query"), given.get("value")
    key = given.get("key") if isinstance(given.get("key"), Tensor) else value
    if not (isinstance(query, Tensor) and isinstance(value, Tensor) and isinstance(key, Tensor)):
        return None
    shapes = (query.shape, value.shape, key.shape)
    if any(len(shape) != 3 or None in shape[1:] for shape in shapes):
        return None
    (places, read), (others, features), (_, keys) = ([int(size or 0) for size in shape[1:]] for shape in shapes)
    heads, key_width = call.number("num_heads"), call.number("key_dim")
    value_width = key_width if call.config.get("value_dim") is None else call.number("value_dim")
    made = math.prod(size or 0 for size in call.shape[2:])
    projected = places * (read * key_width + value_width * made) + others * (keys * key_width + features * value_width)
    return heads * (projected + places * others * (key_width + value_width))


def _product_macs(call: LayerCall) -> int | None:
    """Of two matrices: the elements of the product times the length of the sums."""
    left = call.args[0]
    shape = left.shape if isinstance(left, Tensor) else np.asarray(left).shape
    inner, out = shape[-1], _size(call.outputs[0].shape)
    return None if inner is None or out is None else out * inner


def _kernel_macs(call: LayerCall, inp: int, out: int) -> int:
    return out * math.prod(_kernel(call)[:-1])


def _einsum_macs(call: LayerCall, inp: int, out: int) -> int:
    read, letters = call.text("equation").partition("->")[0].split(",")
    return inp * math.prod(size for letter, size in zip(letters, _kernel(call), strict=True) if letter not in read)


def _depthwise_macs(call: LayerCall, inp: int, out: int) -> int:
    return out * _window(call)


def _separable_macs(call: LayerCall, inp: int, out: int) -> int:
    filters, (*_, channels, multiplier) = call.number("filters"), _kernel(call)
    return out // filters * channels * multiplier * (_window(call) + filters)


def _transposed_macs(call: LayerCall, inp: int, out: int) -> int:
    return inp * math.prod(_kernel(call)[:-1])


def _kernel(call: LayerCall) -> tuple[int, ...]:
    """The first weight that is no vector; a quantized layer has its bias before it."""
    return next((shape for shape in call.weights if len(shape) > 1), ())


def _window(call: LayerCall) -> int:
    """The places that a kernel covers."""
    size = call.config.get("kernel_size")
    sizes = call.numbers("kernel_size") if items(size) else (call.number("kernel_size"),) * (len(_kernel(call)) - 2)
    return math.prod(sizes)


_MACS: Mapping[str, Callable[[LayerCall, int, int], int]] = {
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
