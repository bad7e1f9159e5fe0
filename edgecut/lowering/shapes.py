"""The shape that a layer puts out, by its class and settings; without Keras.

A shape of () is unknown, and so may a size of None be, or open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from edgecut.lowering.layer_call import LayerCall, UnsaidError
from edgecut.lowering.layer_operators import IDLE
from edgecut.records.json_value import Json, items, table

Shape = tuple[int | None, ...]


def output_shape(call: LayerCall) -> Shape:
    """The shape of what a call puts out, the batch first; () where its class and settings don't tell."""
    if call.is_input:
        return input_shape(call.config)
    if call.type in IDLE:
        return _same(call)
    rule = _RULES.get(call.type)
    try:
        return rule(call) if rule is not None and not call.is_channels_first else ()
    except UnsaidError:
        return ()


def input_shape(config: Mapping[str, Json]) -> Shape:
    """The shape that the settings of an input or of a first layer say; () where they don't."""
    shape = items(config.get("batch_shape") or config.get("batch_input_shape"))
    return tuple(size if isinstance(size, int) else None for size in shape)


def said_shape(value: Json) -> Shape:
    """The shape that a saved tensor says of itself; () where it doesn't."""
    shape = items(table(value).get("shape"))
    return tuple(shape) if all(size is None or isinstance(size, int) for size in shape) else ()  # type: ignore[arg-type]


def _given(call: LayerCall, rank: int | None = None) -> Shape:
    """The shape of the first input; one of open sizes where only its rank is known, by the class that takes it."""
    shape = call.inputs[0].shape if call.inputs else ()
    return (None,) * rank if rank is not None and len(shape) != rank else shape


def _same(call: LayerCall) -> Shape:
    return _given(call)


def _broadcast(call: LayerCall) -> Shape:
    shapes = [x.shape for x in call.inputs]
    if not shapes or any(len(shape) != len(shapes[0]) for shape in shapes):
        return ()
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*shapes, strict=True))


def _convolved(call: LayerCall) -> Shape:
    _, *sizes, _ = _given(call, 4)
    return (_given(call, 4)[0], *_windows(call, sizes, "kernel_size"), call.number("filters"))


def _depthwise(call: LayerCall) -> Shape:
    batch, *sizes, channels = _given(call, 4)
    width = None if channels is None else channels * call.number("depth_multiplier", 1)
    return (batch, *_windows(call, sizes, "kernel_size"), width)


def _pooled(call: LayerCall) -> Shape:
    batch, *sizes, channels = _given(call, 4)
    return (batch, *_windows(call, sizes, "pool_size"), channels)


def _windows(call: LayerCall, sizes: Sequence[int | None], key: str) -> tuple[int | None, ...]:
    """How often a window fits along each axis; None where a size is open or the settings don't say it."""
    try:
        windows, steps = call.pair(key), call.pair("strides" if call.config.get("strides") else key, 1)
    except UnsaidError:
        return (None,) * len(sizes)
    dilation = call.pair("dilation_rate", 1)
    reaches = [(window - 1) * rate + 1 for window, rate in zip(windows, dilation, strict=True)]
    if call.text("padding", "valid") == "same":
        reaches = [1, 1]
    rows = zip(sizes, reaches, steps, strict=True)
    return tuple(None if size is None or step < 1 else max(0, (size - reach) // step + 1) for size, reach, step in rows)


def _upwards(call: LayerCall) -> Shape:
    batch, *sizes, _ = _given(call, 4)
    steps, same = call.pair("strides", 1), call.text("padding", "valid") == "same"
    told = same and call.config.get("output_padding") is None
    return (
        batch,
        *(_times(size, step) if told else None for size, step in zip(sizes, steps, strict=True)),
        call.number("filters"),
    )


def _along_one_axis(call: LayerCall) -> Shape:
    return (_given(call, 3)[0], None, call.number("filters"))


def _averaged(call: LayerCall) -> Shape:
    rank = 3 if call.type.endswith("1D") else 4
    batch, *_, channels = _given(call, rank)
    return (batch, *(1,) * (rank - 2), channels) if call.config.get("keepdims") is True else (batch, channels)


def _resized(call: LayerCall) -> Shape:
    batch, height, width, channels = _given(call, 4)
    try:
        factors = call.pair("size")
    except UnsaidError:
        return (batch, None, None, channels)
    return (batch, _times(height, factors[0]), _times(width, factors[1]), channels)


def _edged(call: LayerCall) -> Shape:
    """With what is padded, or cut off, on either side."""
    batch, *sizes, channels = _given(call, 4)
    sign = 1 if call.type.startswith("Zero") else -1
    try:
        sides = call.sides("padding" if sign > 0 else "cropping")
    except UnsaidError:
        return (batch, None, None, channels)
    grown = (None if size is None else max(0, size + sign * sum(side)) for size, side in zip(sizes, sides, strict=True))
    return (batch, *grown, channels)


def _dense(call: LayerCall) -> Shape:
    shape = _given(call)
    return (*shape[:-1], call.number("units")) if shape else ()


def _contracted(call: LayerCall) -> Shape:
    """As EinsumDense says it, the batch left out."""
    value = call.config.get("output_shape")
    said = (value,) if isinstance(value, int) else items(value)
    shape = _given(call)
    batch = shape[0] if shape else None
    return (batch, *(size if isinstance(size, int) else None for size in said)) if said else ()


def _flattened(call: LayerCall) -> Shape:
    shape = _given(call)
    return (shape[0] if shape else None, _product(shape[1:]) if shape else None)


def _reshaped(call: LayerCall) -> Shape:
    sizes, shape = call.numbers("target_shape"), _given(call)
    if sizes.count(-1) > 1 or any(size < -1 or size == 0 for size in sizes):
        return ()
    whole, rest = _product(shape[1:]) if shape else None, math.prod(size for size in sizes if size > 0)
    left = None if whole is None else whole // rest
    return (None, *(left if size == -1 else size for size in sizes))


def _joined(call: LayerCall) -> Shape:
    shapes = [x.shape for x in call.inputs]
    axis = call.number("axis", -1)
    if (
        not shapes
        or any(len(shape) != len(shapes[0]) for shape in shapes)
        or not -len(shapes[0]) <= axis < len(shapes[0])
    ):
        return ()
    along = [shape[axis] for shape in shapes]
    size = sum(x for x in along if x is not None) if None not in along else None
    axis %= len(shapes[0])
    return (*shapes[0][:axis], size, *shapes[0][axis + 1 :])


def _permuted(call: LayerCall) -> Shape:
    shape, dims = _given(call), call.numbers("dims")
    return (shape[0], *(shape[dim] for dim in dims)) if sorted((0, *dims)) == list(range(len(shape))) else ()


def _product(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def _times(size: int | None, factor: int) -> int | None:
    return None if size is None else size * factor


_RULES: Mapping[str, Callable[[LayerCall], Shape]] = {
    **dict.fromkeys(
        (
            "Activation",
            "AddWeight",
            "BatchNormalization",
            "ELU",
            "LayerNormalization",
            "LayerScale",
            "LeakyReLU",
            "MultiHeadAttention",
            "MultiplyWeight",
            "Normalization",
            "PReLU",
            "ReLU",
            "Rescaling",
            "Softmax",
            "UnitNormalization",
        ),
        _same,
    ),
    **dict.fromkeys(
        ("Add", "Average", "Divide", "Maximum", "Minimum", "Multiply", "Subtract", "TrueDivide"), _broadcast
    ),
    "AveragePooling2D": _pooled,
    "Concatenate": _joined,
    "Conv1D": _along_one_axis,
    "Conv2D": _convolved,
    "Conv2DTranspose": _upwards,
    "Cropping2D": _edged,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "EinsumDense": _contracted,
    "Flatten": _flattened,
    "GlobalAveragePooling1D": _averaged,
    "GlobalAveragePooling2D": _averaged,
    "GlobalMaxPooling2D": _averaged,
    "MaxPooling2D": _pooled,
    "Permute": _permuted,
    "Reshape": _reshaped,
    "SeparableConv2D": _convolved,
    "UpSampling2D": _resized,
    "ZeroPadding2D": _edged,
}
