"""The stem: a model made to take what the device feeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from edgecut.errors import GraphError, StemError
from edgecut.graph.calls import Call, Calls, Tensor, calls, flat
from edgecut.graph.proof import INPUTS, OPEN_SIZE
from edgecut.graph.rebuild import rebuild, run
from edgecut.records.recipe import Preprocess
from edgecut.stem.channels import LinearMap, channel_map, fold_kernel, offset_kernel, pad_value
from edgecut.stem.pixels import layer_affine, source_preprocess

TOLERANCE = 1e-5
TOLERANCE_REASON = "folded kernels round once more in float32"


@dataclass(frozen=True)
class StemResult:
    """A model with another input, and the proof that it sees what its source saw.

    construction: how the edit was made: "none", "kernel sum", "kernel fold", "bias fold", "constant padding",
    "ones channel" or "1x1 convolution", with "reuse" for another resolution.
    proof: {"inputs", "max_abs_error", "relative_error", "exact", "tolerance", "tolerance_reason"}: the result on
    device pixels against the source on the equivalent input at the same size.
    """

    model: keras.Model
    construction: str
    proof: dict[str, Any]
    notes: tuple[str, ...] = ()


def stem(
    model: keras.Model,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    preprocess: Preprocess = "none",
    resolution: str = "reuse",
    pixels: str = "normalized",
) -> StemResult:
    """A copy of `model` that takes (batch, height, width, channels) as the device feeds it, float32.

    channels: 1 or 3; a gray pixel counts as the same value in each of the source's channels, a colour pixel for a
    gray source as its luma. size: (height, width); the weights are reused as they are. preprocess: what the source
    was trained on. pixels: "normalized" takes what the source took, "raw" takes 0..255 with the preprocessing folded
    into the first convolution, exact at zero-padded borders too.
    Raises StemError for what can't be exact or can't be made: the message says which part, and what can.
    """
    if resolution != "reuse":
        raise StemError(f"stem: resolution {resolution!r} isn't built; use 'reuse'")
    graph = calls(model)
    source = _image_input(graph)
    linear, device_channels = _device_map(graph, source, channels, preprocess, pixels)
    shape = (*(size or source.shape[1:3]), device_channels)
    device = keras.Input(shape, dtype=source.dtype, batch_size=source.shape[0], name=graph.producer[source].name)
    construction, replaced, value = _cheapest(graph, source, device, linear)
    try:
        edited = rebuild(graph, entries={replaced: value}, inputs=device)
    except GraphError as exc:
        raise StemError(f"stem: size {shape[0]}x{shape[1]}: {exc}") from exc
    if size is not None and tuple(size) != tuple(source.shape[1:3]):
        construction = "reuse" if construction == "none" else f"{construction}, reuse"
    proof = _prove(graph, source, edited, linear, raw=pixels == "raw")
    return StemResult(edited, construction, proof, _notes(construction, proof))


def _image_input(graph: Calls) -> Tensor:
    inputs = flat(graph.inputs)
    if len(inputs) != 1:
        raise StemError(f"stem: the model has {len(inputs)} inputs; a stem edit needs exactly one image input")
    (tensor,) = inputs
    if len(tensor.shape) != 4:
        raise StemError(
            f"stem: the model's input has shape {tensor.shape}; (batch, height, width, channels) is expected"
        )
    if tensor.shape[3] not in {1, 3}:
        raise StemError(f"stem: the model's input has {tensor.shape[3]} channels; 1 or 3 are expected")
    return tensor


def _device_map(
    graph: Calls, source: Tensor, channels: int | None, preprocess: Preprocess, pixels: str
) -> tuple[LinearMap, int]:
    """What the source takes, as a linear map of what the device feeds."""
    source_channels = int(source.shape[3] or 0)
    device_channels = channels or source_channels
    if device_channels not in {1, 3}:
        raise StemError(f"stem: channels is {channels}; 1 (gray) or 3 (colour) is expected")
    if pixels not in {"normalized", "raw"}:
        raise StemError(f"stem: pixels is {pixels!r}; 'normalized' or 'raw' is expected")
    linear = channel_map(source_channels, device_channels)
    if pixels == "raw":
        trained_on = source_preprocess(preprocess, source_channels)
        linear = LinearMap(trained_on.matrix @ linear.matrix, trained_on.matrix @ linear.offset + trained_on.offset)
    return linear, device_channels


@dataclass(frozen=True)
class _FirstConv:
    """The model's first convolution, and how the picture gets to it.

    linear: from the device to the convolution's input, layers that are affine per channel included.
    explicit: ((top, bottom), (left, right)) of a ZeroPadding2D in front of it.
    """

    call: Call
    linear: LinearMap
    explicit: tuple[tuple[int, int], tuple[int, int]]


def _cheapest(
    graph: Calls, source: Tensor, device: keras.KerasTensor, linear: LinearMap
) -> tuple[str, Tensor, keras.KerasTensor]:
    """(construction, the source's tensor that is replaced, its new value): the cheapest exact one."""
    if linear.is_identity:
        return "none", source, device
    first = _first_conv(graph, source, linear)
    if first is None:
        return "1x1 convolution", source, _pointwise(linear.matrix, linear.offset, "stem_adapter")(device)
    replaced = first.call.outputs[0]
    layer = first.call.operation
    kernel = _array(layer.kernel)
    folded = fold_kernel(kernel, first.linear.matrix)
    if not first.linear.offset.any():
        name = "kernel sum" if kernel.shape[2] == 3 and folded.shape[2] == 1 else "kernel fold"
        padded = _zero_padded(device, first.explicit)
        return name, replaced, _conv(layer, folded, None, layer.padding)(padded)
    bias = offset_kernel(kernel, first.linear.offset).sum(axis=(0, 1, 2))
    pads = _total_padding(layer, device.shape, first.explicit)
    if pads is not None and not np.any(pads):
        return "bias fold", replaced, _conv(layer, folded, bias, "valid")(device)
    value = pad_value(first.linear)
    if pads is not None and value is not None:
        padded = keras.ops.pad(device, ((0, 0), *pads, (0, 0)), mode="constant", constant_values=value)
        return "constant padding", replaced, _conv(layer, folded, bias, "valid")(padded)
    if folded.shape[2] + 1 < kernel.shape[2]:
        return "ones channel", replaced, _with_ones(device, first, layer, folded, kernel)
    return "1x1 convolution", source, _pointwise(linear.matrix, linear.offset, "stem_adapter")(device)


def _first_conv(graph: Calls, source: Tensor, linear: LinearMap) -> _FirstConv | None:
    """The convolution that the picture reaches through affine layers and padding alone; None if there is none."""
    tensor, explicit = source, ((0, 0), (0, 0))
    channels = linear.matrix.shape[0]
    while len(graph.consumers[tensor]) == 1 and tensor not in flat(graph.outputs):
        (call,) = graph.consumers[tensor]
        operation = call.operation
        affine = layer_affine(operation, channels)
        if affine is not None and explicit == ((0, 0), (0, 0)):
            linear = linear.then(*affine)
        elif type(operation) is keras.layers.ZeroPadding2D and explicit == ((0, 0), (0, 0)):
            explicit = operation.padding
        elif type(operation) is keras.layers.Conv2D and _foldable(operation):
            return _FirstConv(call, linear, explicit)
        else:
            return None
        tensor = call.outputs[0]
    return None


def _foldable(layer: keras.layers.Conv2D) -> bool:
    return (
        layer.groups == 1 and layer.data_format == "channels_last" and getattr(layer, "quantization_mode", None) is None
    )


def _total_padding(
    layer: keras.layers.Conv2D,
    shape: tuple[int | None, ...],
    explicit: tuple[tuple[int, int], tuple[int, int]],
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The zeros around the picture, by side: explicit ones and those of "same"; None if the size is open.

    "same" as TensorFlow pads: ceil(size / stride) outputs, the odd zero at the end.
    """
    if layer.padding == "valid":
        return explicit
    pads = []
    for axis in (0, 1):
        size = shape[1 + axis]
        if size is None:
            return None
        before, after = explicit[axis]
        size += before + after
        reach = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
        total = max((-(-size // layer.strides[axis]) - 1) * layer.strides[axis] + reach - size, 0)
        pads.append((before + total // 2, after + total - total // 2))
    return pads[0], pads[1]


def _with_ones(
    device: keras.KerasTensor,
    first: _FirstConv,
    layer: keras.layers.Conv2D,
    folded: np.ndarray,
    kernel: np.ndarray,
) -> keras.KerasTensor:
    """The convolution over the device's channels and one that is constant in the picture and zero in the padding.

    The constant is as large as a bright pixel of the device would be, so that one int8 scale fits both.
    """
    channels = folded.shape[2]
    constant = max(1.0, float(np.abs(first.linear.offset).max() / np.abs(first.linear.matrix).max()))
    offset = np.append(np.zeros(channels), constant)
    extended = _pointwise(np.eye(channels + 1, channels), offset, "stem_ones")(device)
    weights = np.concatenate([folded, offset_kernel(kernel, first.linear.offset) / constant], axis=2)
    return _conv(layer, weights, None, layer.padding)(_zero_padded(extended, first.explicit))


def _conv(
    layer: keras.layers.Conv2D, kernel: np.ndarray, bias: np.ndarray | None, padding: str
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """A convolution like `layer` with another kernel, `bias` added to its own, and another padding."""

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        config = layer.get_config()
        use_bias = layer.use_bias or bias is not None
        clone = keras.layers.Conv2D.from_config({**config, "padding": padding, "use_bias": use_bias})
        result = clone(x)
        clone.kernel.assign(kernel.astype("float32"))
        if use_bias:
            own = _array(layer.bias).astype("float64") if layer.use_bias else np.zeros(kernel.shape[3])
            clone.bias.assign((own + (0.0 if bias is None else bias)).astype("float32"))
        clone.trainable = layer.trainable
        return result

    return call


def _pointwise(matrix: np.ndarray, offset: np.ndarray, name: str) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """A 1x1 convolution that applies matrix (out, in) and offset (out,) to each pixel."""

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        layer = keras.layers.Conv2D(matrix.shape[0], 1, use_bias=bool(offset.any()), name=name)
        result = layer(x)
        layer.kernel.assign(matrix.T[None, None].astype("float32"))
        if layer.use_bias:
            layer.bias.assign(offset.astype("float32"))
        return result

    return call


def _zero_padded(x: keras.KerasTensor, pads: tuple[tuple[int, int], tuple[int, int]]) -> keras.KerasTensor:
    return x if pads == ((0, 0), (0, 0)) else keras.layers.ZeroPadding2D(pads, name="stem_pad")(x)


def _array(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def _prove(graph: Calls, source: Tensor, edited: keras.Model, linear: LinearMap, *, raw: bool) -> dict[str, Any]:
    """The edited model on seeded device pixels against the source's own layers on the equivalent input."""
    height, width, channels = (size or OPEN_SIZE for size in edited.inputs[0].shape[1:])
    random = np.random.default_rng(0)
    batch = source.shape[0] or INPUTS
    if raw:
        pixels = random.integers(0, 256, (batch, height, width, channels)).astype("float32")
    else:
        pixels = random.uniform(-1, 1, (batch, height, width, channels)).astype("float32")
    equivalent = linear(pixels).astype("float32")
    expected = run(graph, {source: keras.ops.convert_to_tensor(equivalent)}, flat(graph.outputs))
    got = keras.tree.flatten(edited(pixels, training=False))
    error = max(float(np.max(np.abs(_array(a) - _array(b)))) for a, b in zip(got, expected, strict=True))
    largest = max(float(np.max(np.abs(_array(b)))) for b in expected)
    relative = error / largest if largest else error
    return {
        "inputs": batch, "max_abs_error": error, "relative_error": relative, "exact": relative <= TOLERANCE,
        "tolerance": TOLERANCE, "tolerance_reason": TOLERANCE_REASON,
    }  # fmt: skip


def _notes(construction: str, proof: dict[str, Any]) -> tuple[str, ...]:
    if proof["exact"]:
        return ()
    return (
        f"the {construction} is exact in real numbers, and this model amplifies float32 rounding to "
        f"{proof['relative_error']:.1e} of its largest output",
    )
