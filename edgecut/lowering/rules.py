"""What becomes of a Keras layer in a TFLite file where a table of names (layer_operators.py) isn't enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from edgecut.graph.layer_call import LayerCall, channels
from edgecut.graph.tensor import Tensor
from edgecut.lowering.blocks import attention, einsum_dense, layer_normalization, matrix_product, transpose
from edgecut.lowering.builder import GraphBuilder
from edgecut.lowering.layer_operators import ACTIVATIONS, PLAIN, REPEATED
from edgecut.lowering.sequences import convolution, depthwise, pooling, separable, zero_padding
from edgecut.tflite.kinds import FOLDS_NORMALIZATION, FOLDS_SCALE, FUSES_RELU

# What a mean over a map's places becomes, by whether there is more than one place.
_MEAN_OF_ONE, _MEAN = "RESHAPE", "MEAN"


def _conv(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    weights = (call.number("filters"), *call.pair("kernel_size"), channels(call) // max(1, call.number("groups", 1)))
    return work.weighted("CONV_2D", call, _unpadded(work, call, taken[0]), weights, call.shape, _strides(call))


def _depthwise(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    weights = (1, *call.pair("kernel_size"), channels(call) * call.number("depth_multiplier", 1))
    source = _unpadded(work, call, taken[0])
    return work.weighted("DEPTHWISE_CONV_2D", call, source, weights, call.shape, _strides(call))


def _separable(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    middle, strides = channels(call) * call.number("depth_multiplier", 1), _strides(call)
    weights, filters = (1, *call.pair("kernel_size"), middle), call.number("filters")
    picture, shape = _unpadded(work, call, taken[0]), (*call.shape[:-1], middle)
    kernel, bias = work.constant(weights), work.constant((middle,))
    source = work.operator("DEPTHWISE_CONV_2D", (picture, kernel, bias), shape, strides)
    return work.weighted("CONV_2D", call, source, (filters, 1, 1, middle), call.shape, {})


def _transposed(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    weights, strides = (call.number("filters"), *call.pair("kernel_size"), channels(call)), _strides(call)
    sizes, kernel = work.constant((4,)), work.constant(weights)
    bias = work.constant(weights[:1])
    output = work.operator("TRANSPOSE_CONV", (sizes, kernel, taken[0], bias), call.shape, strides)
    work.biased.add(output)
    return work.activation(call, output, call.shape)


def _dense(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    weights = (call.number("units"), int((call.inputs[0].shape or (1,))[-1] or 1))
    return work.weighted("FULLY_CONNECTED", call, taken[0], weights, call.shape, {})


def _batch_normalization(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    if work.fuses(call, taken[0], FOLDS_NORMALIZATION):
        # TensorFlow 2.21's converter fuses a ReLU behind a TRANSPOSE_CONV only with a bias that isn't all zeros,
        # as it is before training, or a normalization's shift.
        work.biased.add(taken[0])
        return taken[0]
    return work.chain(("MUL", "ADD"), taken[:1], call.shape)


def _with_constant(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """Arithmetic on two values, or on one and a constant, which a converter folds into weights and bias before it."""
    if len(taken) == 1 and work.fuses(call, taken[0], FOLDS_SCALE):
        return taken[0]
    return work.chain(PLAIN[call.type], taken, call.shape)


def _divide(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A quotient; of a constant divisor a converter takes the reciprocal, as of a factor."""
    if len(taken) > 1 or not call.args or not isinstance(call.args[0], Tensor):
        return work.chain(("DIV",), taken, call.shape)
    return taken[0] if work.fuses(call, taken[0], FOLDS_SCALE) else work.chain(("MUL",), taken, call.shape)


def _relu(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    plain = _relu_name(call)
    if plain is not None and work.fuses(call, taken[0], FUSES_RELU):
        work.closed.add(taken[0])
        return taken[0]
    return work.chain((plain or "LEAKY_RELU",), taken[:1], call.shape)


def _activation(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    name = call.activation
    if name in {"relu", "relu6"} and not work.sole(call.inputs[0]):
        return work.chain(ACTIVATIONS[name], taken[:1], call.shape)
    return work.activation(call, taken[0], call.shape)


def _rescaling(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    steps = ("MUL", "ADD") if call.config.get("offset") else ("MUL",)
    return work.chain(steps, taken[:1], call.shape)


def _silu(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    gate = work.operator("LOGISTIC", taken, call.shape)
    return work.operator("MUL", (taken[0], gate), call.shape)


def _pad(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    return work.operator("PAD", taken[:1], call.shape, {"padding": call.sides("padding")})


def _repeated(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """The values repeated axis by axis: flattened to runs, of which each is resized to several."""
    source = taken[0]
    shape = [int(size or 1) for size in call.inputs[0].shape]
    if call.type == "RepeatVector":
        shape.insert(1, 1)
    if len(shape) < 2 or len(shape) != len(call.shape):
        return work.chain(PLAIN.get(call.type, REPEATED), taken[:1], call.shape)
    for axis, size in enumerate(call.shape):
        if axis and size != shape[axis]:
            flat = work.operator("RESHAPE", (source,), shape)
            shape[axis] = int(size or 1)
            source = work.operator("RESIZE_NEAREST_NEIGHBOR", (flat,), shape)
    return work.operator("RESHAPE", (source,), shape) if source != taken[0] else source


def _upsampling(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    names = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR"}
    name = names.get(call.text("interpolation", "nearest"))
    if call.is_channels_first or name is None:
        return work.chain((call.type,), taken[:1], call.shape)
    return work.operator(name, taken[:1], call.shape)


def _mean(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    # An open or unknown size may be more than 1.
    places = call.inputs[0].shape[1:-1] or (None,)
    name = _MEAN_OF_ONE if all(size == 1 for size in places) else _MEAN
    return work.operator(name, taken[:1], call.shape)


def _reshape(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    maker = work.maker(taken[0])
    # A mean whose axes of size 1 come back keeps them in the first place.
    if maker is not None and maker.name in {_MEAN, _MEAN_OF_ONE} and work.sole(call.inputs[0]):
        work.reshape(taken[0], call.shape)
        return taken[0]
    return work.operator("RESHAPE", taken[:1], call.shape)


def _unpadded(work: GraphBuilder, call: LayerCall, source: int) -> int:
    """What a convolution reads: what is before a PAD that pads as SAME would, which a converter leaves out."""
    maker = work.maker(source)
    if maker is None or maker.name != "PAD" or call.text("padding", "valid") != "valid":
        return source
    before, strides, sizes = (
        work.tensors[maker.inputs[0]].shape[1:-1],
        call.pair("strides", 1),
        call.pair("kernel_size"),
    )
    if len(before) != 2:
        return source
    for size, stride, kernel, padding in zip(before, strides, sizes, maker.options["padding"], strict=True):
        total = max(0, (math.ceil(size / max(1, stride)) - 1) * stride + kernel - size)
        if tuple(padding) != (total // 2, total - total // 2):
            return source
    work.leave_out(call.inputs[0])
    return maker.inputs[0]


def _relu_name(call: LayerCall) -> str | None:
    """RELU or RELU6; None for a ReLU with a slope, a threshold or another maximum."""
    if call.type != "ReLU":
        return call.type.upper()
    if call.config.get("negative_slope") or call.config.get("threshold"):
        return None
    most = call.config.get("max_value")
    return "RELU" if most is None else "RELU6" if most == 6 else None


def _pool(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    size = call.pair("pool_size", 2)
    strides = size if call.config.get("strides") is None else call.pair("strides", 1)
    window = {"strideH": strides[0], "strideW": strides[1], "filterHeight": size[0], "filterWidth": size[1]}
    return work.operator(PLAIN[call.type][0], taken[:1], call.outputs[0].shape, window)


def _strides(call: LayerCall) -> dict[str, int]:
    strides, dilation = call.pair("strides", 1), call.pair("dilation_rate", 1)
    return {
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
    }


def _of_another_rank(work: GraphBuilder, call: LayerCall, taken: Sequence[int]) -> int:
    """A convolution along one axis or three, whose operators no rule knows, and its activation, which one does."""
    return work.activation(call, work.chain(PLAIN.get(call.type, (call.type,)), taken, call.shape), call.shape)


# Layers and operators that need more than that.
RULES: Mapping[str, Callable[[GraphBuilder, LayerCall, Sequence[int]], int]] = {
    "Activation": _activation,
    "Add": _with_constant,
    "AddWeight": _with_constant,
    "AveragePooling1D": pooling,
    "AveragePooling2D": _pool,
    "BatchNormalization": _batch_normalization,
    "Conv1D": convolution,
    "Conv1DTranspose": _of_another_rank,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed,
    "Conv3D": _of_another_rank,
    "Conv3DTranspose": _of_another_rank,
    "Dense": _dense,
    "DepthwiseConv1D": depthwise,
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
    "MaxPooling1D": pooling,
    "MaxPooling2D": _pool,
    "Multiply": _with_constant,
    "MultiplyWeight": _with_constant,
    "ReLU": _relu,
    "Relu": _relu,
    "Relu6": _relu,
    "Rescaling": _rescaling,
    "Repeat": _repeated,
    "RepeatVector": _repeated,
    "Reshape": _reshape,
    "SeparableConv1D": separable,
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
    "ZeroPadding1D": zero_padding,
    "ZeroPadding2D": _pad,
}
