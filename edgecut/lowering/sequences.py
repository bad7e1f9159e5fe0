"""What becomes of layers along one axis: those of a picture that is one row high, between a RESHAPE to it and back."""

from __future__ import annotations

from collections.abc import Sequence

from edgecut.graph.layer_call import LayerCall, UnsaidError, channels
from edgecut.lowering.builder import GraphBuilder


def convolution(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A Conv1D."""
    weights = (call.number("filters"), 1, _one(call, "kernel_size"), channels(call) // max(1, call.number("groups", 1)))
    row = work.weighted("CONV_2D", call, _read_row(work, call, taken[0]), weights, _as_row(call.shape), _strides(call))
    return _sequence(work, call, row)


def depthwise(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A DepthwiseConv1D."""
    weights = (1, 1, _one(call, "kernel_size"), channels(call) * call.number("depth_multiplier", 1))
    source = _read_row(work, call, taken[0])
    row = work.weighted("DEPTHWISE_CONV_2D", call, source, weights, _as_row(call.shape), _strides(call))
    return _sequence(work, call, row)


def separable(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A SeparableConv1D."""
    middle, filters = channels(call) * call.number("depth_multiplier", 1), call.number("filters")
    kernel, bias = work.constant((1, 1, _one(call, "kernel_size"), middle)), work.constant((middle,))
    shape = _as_row((*call.shape[:-1], middle))
    source = (_read_row(work, call, taken[0]), kernel, bias)
    by_channel = work.operator("DEPTHWISE_CONV_2D", source, shape, _strides(call))
    row = work.weighted("CONV_2D", call, by_channel, (filters, 1, 1, middle), _as_row(call.shape), {})
    return _sequence(work, call, row)


def pooling(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A MaxPooling1D or an AveragePooling1D."""
    size = _one(call, "pool_size", 2)
    stride = size if call.config.get("strides") is None else _one(call, "strides")
    window = {"strideH": 1, "strideW": stride, "filterHeight": 1, "filterWidth": size}
    name = "MAX_POOL_2D" if call.type == "MaxPooling1D" else "AVERAGE_POOL_2D"
    row = work.operator(name, (_read_row(work, call, taken[0]),), _as_row(call.shape), window)
    return _sequence(work, call, row)


def zero_padding(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A ZeroPadding1D, which needs no row."""
    return work.operator("PAD", taken[:1], call.shape)


def _read_row(work: GraphBuilder, call: LayerCall, place: int) -> int:
    """The row that a layer reads: what a sequence was reshaped from, since a converter leaves out both RESHAPEs.

    Raises UnsaidError where the layer is dilated, for which a converter brings the sequence into other batches.
    """
    dilation = _one(call, "dilation_rate", 1)
    if call.is_channels_first or dilation > 1:
        raise UnsaidError(f"{call.type}: channels first or dilated")
    if call.text("padding", "valid") == "causal":
        batch, length, width = work.tensors[place].shape
        place = work.operator("PAD", (place,), (batch, length + _one(call, "kernel_size") - 1, width))
    known = work.rows.get(place)
    return known if known is not None else work.operator("RESHAPE", (place,), _as_row(work.tensors[place].shape))


def _sequence(work: GraphBuilder, call: LayerCall, row: int) -> int:
    place = work.operator("RESHAPE", (row,), call.shape)
    work.rows[place] = row
    return place


def _as_row(shape: Sequence[int | None]) -> tuple[int, ...]:
    return (1, 1, *(int(size or 1) for size in shape[1:]))


def _strides(call: LayerCall) -> dict[str, int]:
    stride = _one(call, "strides", 1)
    return {"strideH": 1, "strideW": stride, "dilationHFactor": 1, "dilationWFactor": 1}


def _one(call: LayerCall, key: str, default: int | None = None) -> int:
    """A whole number, or the only one of a row. Raises UnsaidError if it is neither."""
    if call.config.get(key) is None and default is not None:
        return default
    first, *more = call.numbers(key)
    if more:
        raise UnsaidError(f"{call.type}: {key} has {1 + len(more)} numbers")
    return first
