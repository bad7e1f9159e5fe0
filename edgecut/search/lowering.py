"""What a cut costs before it is built: its calls as the TFLite operators that the converter makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgecut.graph.callgraph import Call, Calls, Tensor, ancestors, flat
from edgecut.tflite import flatbuffer

# What the converter folds into the operator before it, or drops in inference.
_FOLDED = frozenset({"BatchNormalization", "ReLU"})
_FUSED_ACTIVATIONS = frozenset({"relu", "relu6", "linear"})
_GONE = frozenset({"Dropout", "SpatialDropout2D", "SpatialDropout1D", "GaussianNoise", "ActivityRegularization"})
_TAKES_FOLDS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_NAMES = {
    "Add": "ADD", "Multiply": "MUL", "Subtract": "SUB", "Concatenate": "CONCATENATION", "Maximum": "MAXIMUM",
    "Average": "ADD", "ZeroPadding2D": "PAD", "MaxPooling2D": "MAX_POOL_2D", "AveragePooling2D": "AVERAGE_POOL_2D",
    "GlobalAveragePooling2D": "MEAN", "GlobalAveragePooling1D": "MEAN", "GlobalMaxPooling2D": "REDUCE_MAX",
    "Flatten": "RESHAPE", "Reshape": "RESHAPE", "Softmax": "SOFTMAX", "Rescaling": "MUL", "ReLU": "RELU",
    "BatchNormalization": "MUL", "LeakyReLU": "LEAKY_RELU", "PReLU": "PRELU", "UpSampling2D": "RESIZE_BILINEAR",
    "Activation": "LOGISTIC", "Normalization": "MUL", "GetItem": "STRIDED_SLICE", "LayerNormalization": "MUL",
    "Cropping2D": "STRIDED_SLICE",
}  # fmt: skip
# Of a written file beside its weights and biases: operator and tensor tables with their names; per filter a scale
# (4 bytes) and a zero point (8) for its weights and again for its bias. Least squares over 21 int8 files of five
# models (1.7 kB to 1.8 MB), which it meets within 7 kB.
_FILE_BYTES, _OPERATOR_BYTES, _FILTER_BYTES = 0, 950, 24


@dataclass
class _Rows:
    """The operators and tensors so far."""

    dtype: str
    tensors: list[flatbuffer.Tensor] = field(default_factory=list)
    operators: list[flatbuffer.Operator] = field(default_factory=list)
    weights: int = 0
    filters: int = 0

    def tensor(self, shape: tuple[int, ...], *, constant: bool = False) -> int:
        index = len(self.tensors)
        self.tensors.append(flatbuffer.Tensor(index, str(index), shape, self.dtype, is_constant=constant))
        return index

    def weight(self, shape: tuple[int, ...], filters: int) -> int:
        self.weights += math.prod(shape)
        self.filters += filters
        return self.tensor(shape, constant=True)

    def add(self, name: str, inputs: tuple[int, ...], shape: tuple[int, ...], **options: Any) -> int:
        output = self.tensor(shape)
        custom = name == "CUSTOM"
        self.operators.append(
            flatbuffer.Operator(len(self.operators), name, 1, inputs, (output,), options, custom=custom)
        )
        return output


def lowered(graph: Calls, cut: Tensor, classes: int, precision: str) -> flatbuffer.TfliteGraph:
    """The graph of the file that a cut with an average pooling and a Dense of `classes` will be, as far as is known.

    precision: "int8", or "float32" for whatever computes in float. What the converter folds away (BatchNormalization,
    ReLU behind a convolution, Dropout) costs nothing. An operation that isn't known is a custom operator, whose
    multiply-accumulates aren't modelled. size_bytes: an estimate of the written file's.
    """
    rows = _Rows("int8" if precision == "int8" else "float32")
    kept = ancestors(graph, [cut])
    places: dict[Tensor, int] = {}
    inputs = []
    for call in graph:
        if call not in kept:
            continue
        if call.is_input:
            places[call.outputs[0]] = rows.tensor(_shape(call.outputs[0]))
            inputs.append(places[call.outputs[0]])
        else:
            _lower(graph, call, kept, places, rows)
    features = places[cut]
    if len(cut.shape) > 2:
        features = rows.add("MEAN", (features,), (1, int(cut.shape[-1] or 1)))
    kernel = rows.weight((classes, int(cut.shape[-1] or 1)), classes)
    scores = rows.add("FULLY_CONNECTED", (features, kernel), (1, classes))
    output = rows.add("SOFTMAX", (scores,), (1, classes))
    return flatbuffer.TfliteGraph(
        tuple(rows.tensors), tuple(rows.operators), tuple(inputs), (output,), size_bytes=_size_bytes(rows)
    )


def _size_bytes(rows: _Rows) -> int:
    fixed = _FILE_BYTES + _OPERATOR_BYTES * len(rows.operators)
    if rows.dtype == "int8":
        return fixed + rows.weights + (4 + _FILTER_BYTES) * rows.filters
    return fixed + 4 * (rows.weights + rows.filters)


def _lower(graph: Calls, call: Call, kept: set[Call], places: dict[Tensor, int], rows: _Rows) -> None:
    sources = [tensor for tensor in flat((call.args, call.kwargs)) if tensor in places]
    rule = _RULES.get(call.type)
    if rule is not None and sources:
        places[call.outputs[0]] = rule(call, places[sources[0]], rows)
        return
    if sources and (call.type in _GONE or _is_folded(graph, call, sources[0], kept, places, rows)):
        places[call.outputs[0]] = places[sources[0]]
        return
    name = _NAMES.get(call.type, "CUSTOM")
    if call.type == "Activation" and _activation(call) in _FUSED_ACTIVATIONS:
        name = "RELU"
    for tensor in call.outputs:
        places[tensor] = rows.add(name, tuple(places[x] for x in sources), _shape(tensor))


def _is_folded(
    graph: Calls, call: Call, source: Tensor, kept: set[Call], places: dict[Tensor, int], rows: _Rows
) -> bool:
    """Whether the converter makes this call a part of the operator that puts its input out."""
    if call.type not in _FOLDED and not (call.type == "Activation" and _activation(call) in _FUSED_ACTIVATIONS):
        return False
    if sum(consumer in kept for consumer in graph.consumers[source]) > 1:
        return False
    maker = next((op for op in reversed(rows.operators) if places[source] in op.outputs), None)
    takes = _TAKES_FOLDS if call.type == "BatchNormalization" else _TAKES_FOLDS | {"ADD", "MUL"}
    return maker is not None and maker.name in takes


def _activation(call: Call) -> str:
    return str(getattr(getattr(call.operation, "activation", None), "__name__", ""))


def _window(layer: Any) -> dict[str, Any]:
    strides, dilation = layer.strides, getattr(layer, "dilation_rate", (1, 1))
    return {
        "strideH": strides[0], "strideW": strides[1], "dilationHFactor": dilation[0], "dilationWFactor": dilation[1],
    }  # fmt: skip


def _conv(call: Call, source: int, rows: _Rows) -> int:
    layer: Any = call.operation
    height, width, depth, filters = layer.kernel.shape
    kernel = rows.weight((filters, height, width, depth), filters)
    return rows.add("CONV_2D", (source, kernel), _shape(call.outputs[0]), **_window(layer))


def _depthwise(call: Call, source: int, rows: _Rows) -> int:
    layer: Any = call.operation
    filters = int(call.outputs[0].shape[-1] or 1)
    kernel = rows.weight((1, *layer.kernel_size, filters), filters)
    return rows.add("DEPTHWISE_CONV_2D", (source, kernel), _shape(call.outputs[0]), **_window(layer))


def _separable(call: Call, source: int, rows: _Rows) -> int:
    layer: Any = call.operation
    shape = _shape(call.outputs[0])
    middle, filters = layer.pointwise_kernel.shape[-2:]
    first = rows.weight((1, *layer.kernel_size, middle), middle)
    deep = rows.add("DEPTHWISE_CONV_2D", (source, first), (*shape[:-1], middle), **_window(layer))
    second = rows.weight((filters, 1, 1, middle), filters)
    return rows.add("CONV_2D", (deep, second), shape, strideH=1, strideW=1)


def _dense(call: Call, source: int, rows: _Rows) -> int:
    layer: Any = call.operation
    kernel = rows.weight((layer.units, layer.kernel.shape[0]), layer.units)
    return rows.add("FULLY_CONNECTED", (source, kernel), _shape(call.outputs[0]))


_RULES: dict[str, Callable[[Call, int, _Rows], int]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
}


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape of one image's tensor; an open size counts as 1."""
    return tuple(1 if size is None else size for size in tensor.shape)
