"""The shape that a layer puts out, by its class and settings; without Keras.

A shape of () is unknown, and so may a size of None be, or open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from edgecut.graph.layer_call import LayerCall, UnsaidError
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
    batch, *sizes, _ = _given(call, _rank(call))
    return (batch, *_windows(call, sizes, "kernel_size"), call.number("filters"))


def _depthwise(call: LayerCall) -> Shape:
    batch, *sizes, channels = _given(call, _rank(call))
    width = None if channels is None else channels * call.number("depth_multiplier", 1)
    return (batch, *_windows(call, sizes, "kernel_size"), width)


def _pooled(call: LayerCall) -> Shape:
    batch, *sizes, channels = _given(call, _rank(call))
    return (batch, *_windows(call, sizes, "pool_size"), channels)


def _rank(call: LayerCall) -> int:
    """The axes of what a class takes by its name, such as 3 of a Conv1D."""
    return next((2 + int(letter) for letter in call.type if letter.isdigit()), 4)


def _along(call: LayerCall, key: str, sizes: Sequence[object], default: int | None = None) -> tuple[int, ...]:
    """A setting for each axis, of which one number says all. Raises UnsaidError if it isn't told."""
    value = call.config.get(key, default)
    row = (value,) * len(sizes) if isinstance(value, int) else call.numbers(key)
    if len(row) != len(sizes):
        raise UnsaidError(f"{call.type}: {key} = {value!r}")
    return row


def _windows(call: LayerCall, sizes: Sequence[int | None], key: str) -> tuple[int | None, ...]:
    """How often a window fits along each axis; None where a size is open or the settings don't say it."""
    try:
        windows = _along(call, key, sizes)
        steps = windows if key == "pool_size" else (1,) * len(sizes)
        steps = _along(call, "strides", sizes) if call.config.get("strides") else steps
    except UnsaidError:
        return (None,) * len(sizes)
    dilation = _along(call, "dilation_rate", sizes, 1)
    reaches = [(window - 1) * rate + 1 for window, rate in zip(windows, dilation, strict=True)]
    if call.text("padding", "valid") in {"same", "causal"}:
        reaches = [1] * len(sizes)
    rows = zip(sizes, reaches, steps, strict=True)
    return tuple(None if size is None or step < 1 else max(0, (size - reach) // step + 1) for size, reach, step in rows)


def _upwards(call: LayerCall) -> Shape:
    batch, *sizes, _ = _given(call, _rank(call))
    steps = _along(call, "strides", sizes, 1)
    grown: list[int | None] = [_times(size, step) for size, step in zip(sizes, steps, strict=True)]
    if call.config.get("output_padding") is not None:
        grown = [None] * len(sizes)
    elif call.text("padding", "valid") != "same":
        dilation = _along(call, "dilation_rate", sizes, 1)
        windows = zip(_along(call, "kernel_size", sizes), dilation, strict=True)
        reaches = [(window - 1) * rate + 1 for window, rate in windows]
        rows = zip(grown, reaches, steps, strict=True)
        grown = [None if size is None else size + max(reach - step, 0) for size, reach, step in rows]
    return (batch, *grown, call.number("filters"))


def _averaged(call: LayerCall) -> Shape:
    rank = _rank(call)
    batch, *_, channels = _given(call, rank)
    return (batch, *(1,) * (rank - 2), channels) if call.config.get("keepdims") is True else (batch, channels)


def _resized(call: LayerCall) -> Shape:
    batch, *sizes, channels = _given(call, _rank(call))
    try:
        factors = _along(call, "size", sizes)
    except UnsaidError:
        return (batch, *(None,) * len(sizes), channels)
    return (batch, *(_times(size, factor) for size, factor in zip(sizes, factors, strict=True)), channels)


def _edged(call: LayerCall) -> Shape:
    """With what is padded, or cut off, on either side."""
    batch, *sizes, channels = _given(call, _rank(call))
    sign = 1 if call.type.startswith("Zero") else -1
    try:
        key = "padding" if sign > 0 else "cropping"
        sides = call.sides(key) if len(sizes) == 2 else _sides_of_one(call, key, sizes)
    except UnsaidError:
        return (batch, *(None,) * len(sizes), channels)
    grown = (None if size is None else max(0, size + sign * sum(side)) for size, side in zip(sizes, sides, strict=True))
    return (batch, *grown, channels)


def _sides_of_one(call: LayerCall, key: str, sizes: Sequence[object]) -> tuple[tuple[int, int], ...]:
    """Before and behind, along the one axis. Raises UnsaidError if there are more, or it isn't told."""
    row = call.numbers(key)
    if len(sizes) != 1 or len(row) > 2:
        raise UnsaidError(f"{call.type}: {key} = {row!r}")
    return ((row[0], row[-1]),)


def _embedded(call: LayerCall) -> Shape:
    shape = _given(call)
    return (*shape, call.number("output_dim")) if shape else ()


def _recurrent(call: LayerCall) -> Shape:
    """One call's last state, or each; other than these only the model tells."""
    batch, steps, _ = _given(call, 3)
    if call.config.get("return_state"):
        return ()
    units = call.number("units")
    return (batch, steps, units) if call.config.get("return_sequences") else (batch, units)


def _repeated_rows(call: LayerCall) -> Shape:
    batch, width = _given(call, 2)
    return (batch, call.number("n"), width)


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
            "GroupNormalization",
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
    **dict.fromkeys((f"{kind}Pooling{axes}D" for kind in ("Average", "Max") for axes in (1, 2, 3)), _pooled),
    **dict.fromkeys((f"Global{kind}Pooling{axes}D" for kind in ("Average", "Max") for axes in (1, 2, 3)), _averaged),
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D"), _convolved),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _upwards),
    **dict.fromkeys(("Cropping1D", "Cropping2D", "ZeroPadding1D", "ZeroPadding2D"), _edged),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN"), _recurrent),
    **dict.fromkeys(("UpSampling1D", "UpSampling2D", "UpSampling3D"), _resized),
    "Concatenate": _joined,
    "Dense": _dense,
    "EinsumDense": _contracted,
    "Embedding": _embedded,
    "Flatten": _flattened,
    "Permute": _permuted,
    "RepeatVector": _repeated_rows,
    "Reshape": _reshaped,
}
