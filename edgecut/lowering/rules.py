"""What becomes of a Keras layer in a TFLite file where a table of names (layer_operators.py) isn't enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgecut.graph.callgraph import Call, Tensor
from edgecut.lowering.blocks import attention, einsum_dense, layer_normalization, matrix_product, transpose
from edgecut.lowering.builder import GraphBuilder, activation_of
from edgecut.lowering.layer_operators import ACTIVATIONS, PLAIN
from edgecut.tflite.kinds import FOLDS_NORMALIZATION, FOLDS_SCALE, FUSES_RELU

# What a mean over a map's places becomes, by whether there is more than one place.
_MEAN_OF_ONE, _MEAN = "RESHAPE", "MEAN"


def _conv(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    layer, shape = call.operation, call.outputs[0].shape
    weights = (layer.filters, *layer.kernel_size, int(layer.kernel.shape[-2]))
    return work.weighted("CONV_2D", call, _unpadded(work, call, taken[0]), weights, shape, _strides(layer))


def _depthwise(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    layer, shape = call.operation, call.outputs[0].shape
    weights = (1, *layer.kernel_size, int(shape[-1] or 1))
    return work.weighted("DEPTHWISE_CONV_2D", call, _unpadded(work, call, taken[0]), weights, shape, _strides(layer))


def _separable(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    layer, shape = call.operation, call.outputs[0].shape
    channels = int(layer.pointwise_kernel.shape[-2])
    middle = (*shape[:-1], channels)
    kernel, bias = work.constant((1, *layer.kernel_size, channels)), work.constant((channels,))
    source = work.operator(
        "DEPTHWISE_CONV_2D", (_unpadded(work, call, taken[0]), kernel, bias), middle, _strides(layer)
    )
    return work.weighted("CONV_2D", call, source, (layer.filters, 1, 1, channels), shape, {})


def _transposed(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    layer, shape = call.operation, call.outputs[0].shape
    weights = (layer.filters, *layer.kernel_size, int(layer.kernel.shape[-1]))
    sizes, kernel = work.constant((4,)), work.constant(weights)
    bias = work.constant(weights[:1])
    output = work.operator("TRANSPOSE_CONV", (sizes, kernel, taken[0], bias), shape, _strides(layer))
    work.biased.add(output)
    return work.activation(call, output, shape)


def _dense(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    layer, shape = call.operation, call.outputs[0].shape
    return work.weighted("FULLY_CONNECTED", call, taken[0], (layer.units, int(layer.kernel.shape[0])), shape, {})


def _batch_normalization(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    if work.fuses(call, taken[0], FOLDS_NORMALIZATION):
        # TensorFlow 2.21's converter fuses a ReLU behind a TRANSPOSE_CONV only with a bias that isn't all zeros,
        # as it is before training, or a normalization's shift.
        work.biased.add(taken[0])
        return taken[0]
    return work.chain(("MUL", "ADD"), taken[:1], call.outputs[0].shape)


def _with_constant(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """Arithmetic on two values, or on one and a constant, which a converter folds into weights and bias before it."""
    if len(taken) == 1 and work.fuses(call, taken[0], FOLDS_SCALE):
        return taken[0]
    return work.chain(PLAIN[call.type], taken, call.outputs[0].shape)


def _divide(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """A quotient; of a constant divisor a converter takes the reciprocal, as of a factor."""
    if len(taken) > 1 or not isinstance(call.args[0], Tensor):
        return work.chain(("DIV",), taken, call.outputs[0].shape)
    return taken[0] if work.fuses(call, taken[0], FOLDS_SCALE) else work.chain(("MUL",), taken, call.outputs[0].shape)


def _relu(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    plain = _relu_name(call)
    if plain is not None and work.fuses(call, taken[0], FUSES_RELU):
        work.closed.add(taken[0])
        return taken[0]
    return work.chain((plain or "LEAKY_RELU",), taken[:1], call.outputs[0].shape)


def _activation(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    name = activation_of(call)
    if name in {"relu", "relu6"} and not work.sole(call.inputs[0]):
        return work.chain(ACTIVATIONS[name], taken[:1], call.outputs[0].shape)
    return work.activation(call, taken[0], call.outputs[0].shape)


def _rescaling(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    steps = ("MUL", "ADD") if call.operation.offset else ("MUL",)
    return work.chain(steps, taken[:1], call.outputs[0].shape)


def _silu(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    gate = work.operator("LOGISTIC", taken, call.outputs[0].shape)
    return work.operator("MUL", (taken[0], gate), call.outputs[0].shape)


def _pad(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    return work.operator("PAD", taken[:1], call.outputs[0].shape, {"padding": call.operation.padding})


def _repeated(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    """The values repeated axis by axis: flattened to runs, of which each is resized to several."""
    source = taken[0]
    shape = [int(size or 1) for size in call.inputs[0].shape]
    if call.type == "RepeatVector":
        shape.insert(1, 1)
    for axis, size in enumerate(call.outputs[0].shape):
        if axis and size != shape[axis]:
            flat = work.operator("RESHAPE", (source,), shape)
            shape[axis] = int(size or 1)
            source = work.operator("RESIZE_NEAREST_NEIGHBOR", (flat,), shape)
    return work.operator("RESHAPE", (source,), shape) if source != taken[0] else source


def _upsampling(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    layer, shape = call.operation, call.outputs[0].shape
    names = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR"}
    if layer.data_format == "channels_first" or layer.interpolation not in names:
        return work.chain((call.type,), taken[:1], shape)
    return work.operator(names[layer.interpolation], taken[:1], shape)


def _mean(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    name = _MEAN_OF_ONE if math.prod(work.tensors[taken[0]].shape[1:-1]) == 1 else _MEAN
    return work.operator(name, taken[:1], call.outputs[0].shape)


def _reshape(work: GraphBuilder, call: Call, taken: Sequence[int]) -> int:
    maker = work.maker(taken[0])
    # A mean whose axes of size 1 come back keeps them in the first place.
    if maker is not None and maker.name in {_MEAN, _MEAN_OF_ONE} and work.sole(call.inputs[0]):
        work.reshape(taken[0], call.outputs[0].shape)
        return taken[0]
    return work.operator("RESHAPE", taken[:1], call.outputs[0].shape)


def _unpadded(work: GraphBuilder, call: Call, source: int) -> int:
    """What a convolution reads: what is before a PAD that pads as SAME would, which a converter leaves out."""
    maker, layer = work.maker(source), call.operation
    if maker is None or maker.name != "PAD" or layer.padding != "valid":
        return source
    before, strides = work.tensors[maker.inputs[0]].shape[1:3], _pair(layer.strides)
    for size, stride, kernel, padding in zip(before, strides, layer.kernel_size, maker.options["padding"], strict=True):
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        if tuple(padding) != (total // 2, total - total // 2):
            return source
    return maker.inputs[0]


def _relu_name(call: Call) -> str | None:
    """RELU or RELU6; None for a ReLU with a slope, a threshold or another maximum."""
    layer = call.operation
    if call.type != "ReLU":
        return call.type.upper()
    if layer.negative_slope or layer.threshold:
        return None
    return {None: "RELU", 6: "RELU6"}.get(layer.max_value)


def _strides(layer: Any) -> dict[str, int]:
    strides, dilation = _pair(layer.strides), _pair(layer.dilation_rate)
    return {
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
    }


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


# Layers and operators that need more than that.
RULES: Mapping[str, Callable[[GraphBuilder, Call, Sequence[int]], int]] = {
    "Activation": _activation,
    "Add": _with_constant,
    "BatchNormalization": _batch_normalization,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Divide": _divide,
    "EinsumDense": einsum_dense,
    "Flatten": _reshape,
    "GlobalAveragePooling2D": _mean,
    "LayerNormalization": layer_normalization,
    "LayerScale": _with_constant,
    "Matmul": matrix_product,
    "MultiHeadAttention": attention,
    "Permute": transpose,
    "Multiply": _with_constant,
    "ReLU": _relu,
    "Relu": _relu,
    "Relu6": _relu,
    "Rescaling": _rescaling,
    "Repeat": _repeated,
    "RepeatVector": _repeated,
    "Reshape": _reshape,
    "SeparableConv2D": _separable,
    "Silu": _silu,
    "Subtract": _with_constant,
    "Swapaxes": transpose,
    "Transpose": transpose,
    "Tile": _repeated,
    "TrueDivide": _divide,
    "UpSampling1D": _repeated,
    "UpSampling2D": _upsampling,
    "UpSampling3D": _repeated,
    "ZeroPadding2D": _pad,
}
