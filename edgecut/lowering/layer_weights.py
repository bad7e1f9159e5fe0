"""The shapes of a layer's weights, in the order in which Keras makes them, by its class and settings; without Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from edgecut.graph.layer_call import LayerCall, UnsaidError
from edgecut.graph.tensor import Tensor
from edgecut.lowering.layer_operators import IDLE, PLAIN
from edgecut.lowering.rules import RULES
from edgecut.records.json_value import items, table

Shape = tuple[int, ...]
Rule = Callable[[LayerCall], Iterator[Shape]]


def layer_weights(call: LayerCall) -> tuple[Shape, ...]:
    """The shape of each weight, trainable ones first. Raises UnsaidError where class and settings don't tell."""
    rule = WEIGHTS.get(call.type)
    if rule is None:
        if call.type in WEIGHTLESS:
            return ()
        raise UnsaidError(f"the weights of {call.type} aren't foreseen")
    return tuple(rule(call))


def known_weights(call: LayerCall) -> tuple[Shape, ...]:
    """The same, () where they aren't told."""
    try:
        return layer_weights(call)
    except UnsaidError:
        return ()


def _read(call: LayerCall, axis: int = -1) -> int:
    """The size of the first input along an axis. Raises UnsaidError if it is open or unknown."""
    shape = call.inputs[0].shape
    size = shape[axis] if -len(shape) <= axis < len(shape) else None
    if size is None:
        raise UnsaidError(f"{call.name} reads an open size")
    return size


def _channels(call: LayerCall) -> int:
    return _read(call, 1 if call.is_channels_first else -1)


def _kernel(call: LayerCall) -> Shape:
    """The size of a kernel along each axis, one for each of the input's but batch and channels."""
    size = call.config.get("kernel_size")
    return (size,) * (len(call.inputs[0].shape) - 2) if isinstance(size, int) else call.numbers("kernel_size")


def _has(call: LayerCall, key: str) -> bool:
    return call.config.get(key, True) is True


def _convolution(call: LayerCall) -> Iterator[Shape]:
    filters = call.number("filters")
    yield (*_kernel(call), _channels(call) // max(1, call.number("groups", 1)), filters)
    yield from [(filters,)] * _has(call, "use_bias")


def _transposed(call: LayerCall) -> Iterator[Shape]:
    filters = call.number("filters")
    yield (*_kernel(call), filters, _channels(call))
    yield from [(filters,)] * _has(call, "use_bias")


def _depthwise(call: LayerCall) -> Iterator[Shape]:
    multiplier = call.number("depth_multiplier", 1)
    yield (*_kernel(call), _channels(call), multiplier)
    yield from [(_channels(call) * multiplier,)] * _has(call, "use_bias")


def _separable(call: LayerCall) -> Iterator[Shape]:
    multiplier, filters, kernel = call.number("depth_multiplier", 1), call.number("filters"), _kernel(call)
    yield (*kernel, _channels(call), multiplier)
    yield (*(1,) * len(kernel), _channels(call) * multiplier, filters)
    yield from [(filters,)] * _has(call, "use_bias")


def _dense(call: LayerCall) -> Iterator[Shape]:
    units = call.number("units")
    yield (_read(call), units)
    yield from [(units,)] * _has(call, "use_bias")


def _einsum_dense(call: LayerCall) -> Iterator[Shape]:
    parts = call.text("equation").replace("->", ",").split(",")
    if len(parts) != 3 or "." in "".join(parts):
        raise UnsaidError(f"{call.name} has the equation {call.text('equation')!r}")
    read, weights, result = parts
    sizes = {**dict(zip(result, call.shape, strict=False)), **dict(zip(read, call.inputs[0].shape, strict=False))}
    yield tuple(_known(call, sizes.get(letter)) for letter in weights)
    axes = call.config.get("bias_axes")
    if axes:
        first = min(result.index(letter) for letter in str(axes) if letter in result)
        yield tuple(_known(call, sizes.get(x)) if x in str(axes) else 1 for x in result[first:])


def _known(call: LayerCall, size: int | None) -> int:
    if size is None:
        raise UnsaidError(f"{call.name} has weights of an open size")
    return size


def _batch_normalization(call: LayerCall) -> Iterator[Shape]:
    axis = call.config.get("axis", -1)
    size = (_read(call, axis if isinstance(axis, int) else call.numbers("axis")[0]),)
    yield from [size] * (_has(call, "scale") + _has(call, "center") + 2)


def _layer_normalization(call: LayerCall) -> Iterator[Shape]:
    axis = call.config.get("axis", -1)
    size = tuple(_read(call, k) for k in ((axis,) if isinstance(axis, int) else call.numbers("axis")))
    if call.config.get("rms_scaling"):
        raise UnsaidError(f"{call.name} scales by the root of the mean square")
    yield from [size] * (_has(call, "scale") + _has(call, "center"))


def _group_normalization(call: LayerCall) -> Iterator[Shape]:
    axis = call.number("axis", -1)
    yield from [(_read(call, axis),)] * (_has(call, "scale") + _has(call, "center"))


def _normalization(call: LayerCall) -> Iterator[Shape]:
    if call.config.get("mean") is not None:
        return
    axis = call.config.get("axis", -1)
    axes = () if axis is None else (axis,) if isinstance(axis, int) else call.numbers("axis")
    size = tuple(_read(call, k) for k in axes)
    yield from (size, size, ())


def _prelu(call: LayerCall) -> Iterator[Shape]:
    shared = items(call.config.get("shared_axes"))
    yield tuple(1 if axis in shared else _read(call, axis) for axis in range(1, len(call.inputs[0].shape)))


def _embedding(call: LayerCall) -> Iterator[Shape]:
    yield (call.number("input_dim"), call.number("output_dim"))


def _recurrent(call: LayerCall) -> Iterator[Shape]:
    units, gates = call.number("units"), {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[call.type]
    yield (_read(call), gates * units)
    yield (units, gates * units)
    if _has(call, "use_bias"):
        yield (2, gates * units) if call.type == "GRU" and _has(call, "reset_after") else (gates * units,)


def _both_ways(call: LayerCall) -> Iterator[Shape]:
    """Of a Bidirectional, whose second layer is like its first where it has none of its own."""
    for key in ("layer", "backward_layer"):
        said = table(call.config.get(key)) or table(call.config.get("layer"))
        if said.get("class_name") not in {"LSTM", "GRU", "SimpleRNN"}:
            raise UnsaidError(f"{call.name} wraps a {said.get('class_name')}")
        yield from _recurrent(_inner(call, said.get("class_name"), table(said.get("config"))))


def _inner(call: LayerCall, kind: object, config: Mapping[str, object]) -> LayerCall:
    return LayerCall(call.name, str(kind), config, call.args, call.kwargs, call.inputs, call.outputs)  # type: ignore[arg-type]


def _attention(call: LayerCall) -> Iterator[Shape]:
    """The kernels and biases of query, key, value and output."""
    given = {**dict(zip(("query", "value", "key"), call.args, strict=False)), **call.kwargs}
    query, value = given.get("query"), given.get("value")
    key = given.get("key") if given.get("key") is not None else value
    tensors = [x for x in (query, key, value) if isinstance(x, Tensor) and x.shape]
    if len(tensors) != 3 or call.config.get("use_gate") or call.config.get("output_shape") is not None:
        raise UnsaidError(f"{call.name} is called in an unusual way")
    heads, width = call.number("num_heads"), call.number("key_dim")
    values = width if call.config.get("value_dim") is None else call.number("value_dim")
    made = _known(call, tensors[0].shape[-1])
    for tensor, size in zip(tensors, (width, width, values), strict=True):
        yield (_known(call, tensor.shape[-1]), heads, size)
        yield from [(heads, size)] * _has(call, "use_bias")
    yield (heads, values, made)
    yield from [(made,)] * _has(call, "use_bias")


def _scale(call: LayerCall) -> Iterator[Shape]:
    """Of the scale of a residual branch in ConvNeXt."""
    yield (call.number("projection_dim"),)


def _own(call: LayerCall) -> Iterator[Shape]:
    """Of a layer that edgecut registers with Keras."""
    yield call.numbers("shape")


WEIGHTS: Mapping[str, Rule] = {
    **dict.fromkeys(("AddWeight", "MultiplyWeight", "Weight"), _own),
    "BatchNormalization": _batch_normalization,
    "Bidirectional": _both_ways,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    "Dense": _dense,
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    "EinsumDense": _einsum_dense,
    "Embedding": _embedding,
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN"), _recurrent),
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    "LayerScale": _scale,
    "MultiHeadAttention": _attention,
    "Normalization": _normalization,
    "PReLU": _prelu,
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
}
# Layers that no table of operators knows, without weights; CustomScaleLayer is InceptionResNetV2's.
_OTHERS = frozenset(
    f"{kind}3D" for kind in ("AveragePooling", "Cropping", "GlobalAveragePooling", "GlobalMaxPooling", "MaxPooling")
) | {"Cropping1D", "CustomScaleLayer", "InputLayer", "ZeroPadding3D"}
WEIGHTLESS = (RULES.keys() | PLAIN.keys() | IDLE | _OTHERS) - WEIGHTS.keys()
