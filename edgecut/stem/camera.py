"""A model that takes raw pixels, made to be written in int8: the camera's bytes go in as they are (xor 0x80).

An int8 input of scale 1 and zero point -128 holds the byte minus 128, and stands for 0..255, as the float model takes
it. The convolution then multiplies each rounded weight by values whose mean is far from zero, so that the rounding of
the weights shifts the outputs. Here the weights are rounded first and the bias takes the shift back, at the middle of
the range: int8 then computes what it would on values about zero, but without the half step by which
(byte - 128) / 127.5 misses byte / 127.5 - 1. Measured, top-1 agreement with the float model: CIFAR-10 ResNet, 1,000
images: normalized .964, raw .961, raw with this .971; MobileNetV1 at 224, 160 photos: .9125, .906, .9125.
"""

from __future__ import annotations

import keras
import numpy as np

from edgecut.graph.calls import Call, Calls, Tensor, calls, flat
from edgecut.graph.rebuild import rebuild
from edgecut.stem.channels import LinearMap
from edgecut.stem.first import first_operators

SCALE, ZERO_POINT = 1.0, -128
_BYTE_CENTRE = 127.5
# tensorflow.org/lite/performance/quantization_spec: weights are symmetric, -127..127, a scale for each filter.
_INT8_MAX = 127
_PADDING = {"Pad", "ZeroPadding2D"}
_RESAMPLING = {"UpSampling2D", "AveragePooling2D", "Resizing", "Resize"}


def for_bytes(model: keras.Model) -> keras.Model:
    """A copy of a model that takes 0..255, its first kernels on the grid that an int8 file holds exactly.

    On a picture of the middle gray it gives what `model` gives. A first operator that isn't one convolution, one that
    has its preprocessing in front of it, and one without a bias or a BatchNormalization behind it that could take the
    shift, is left as it is.
    """
    graph = calls(model)
    source = _resampled(graph)
    channels = int(source.shape[3] or 0)
    own = LinearMap(np.eye(channels), np.zeros(channels))
    size = (source.shape[1], source.shape[2])
    firsts = first_operators(graph, source, own, size, fold=False)
    takers = [first.call for first in firsts if _sees_pixels(graph, source, first.call)]
    copy = rebuild(graph)
    layers = {layer.name: layer for layer in copy.layers}
    for call in takers:
        if type(call.operation) in {keras.layers.Conv2D, keras.layers.DepthwiseConv2D} and call.layer in layers:
            behind = graph.consumers[call.outputs[0]]
            normalization = layers.get(behind[0].layer) if len(behind) == 1 else None
            _round(layers[call.layer], normalization)
    return copy


def _resampled(graph: Calls) -> Tensor:
    """The picture, behind what only repeats, interpolates or averages its pixels: an even picture stays what it is."""
    (tensor,) = flat(graph.inputs)
    while len(following := graph.consumers[tensor]) == 1 and following[0].type in _RESAMPLING:
        tensor = following[0].outputs[0]
    return tensor


def _sees_pixels(graph: Calls, source: Tensor, call: Call) -> bool:
    """Whether nothing but padding is between the picture and a call."""
    tensor = call.inputs[0]
    while tensor != source and graph.producer[tensor].type in _PADDING:
        tensor = graph.producer[tensor].inputs[0]
    return tensor == source


def _round(layer: keras.Layer, normalization: keras.Layer) -> None:
    """Bring a layer's kernel to the int8 grid; its bias, or the normalization behind it, takes the shift."""
    normalized = type(normalization) is keras.layers.BatchNormalization and _is_linear(layer)
    if not layer.use_bias and not normalized:
        return
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype("float64")
    depthwise = type(layer) is keras.layers.DepthwiseConv2D
    taps = (0, 1) if depthwise else (0, 1, 2)
    step = np.abs(kernel).max(axis=taps, keepdims=True) / _INT8_MAX
    rounded = np.rint(kernel / np.where(step > 0, step, 1)) * step
    shift = (kernel - rounded).sum(axis=taps).reshape(-1) * _BYTE_CENTRE
    layer.kernel.assign(rounded.astype("float32"))
    taker, sign = (layer.bias, 1) if layer.use_bias else (normalization.moving_mean, -1)
    taker.assign((keras.ops.convert_to_numpy(taker) + sign * shift).astype("float32"))


def _is_linear(layer: keras.Layer) -> bool:
    return layer.activation is None or layer.activation is keras.activations.linear
