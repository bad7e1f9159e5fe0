"""What TFLite's converter writes wrongly, or as operators that TFLM lacks, traced as operators of equal values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.ops import gen_nn_ops

TfFunction = Callable[..., tf.Tensor]

NO_BIAS = np.float32(1e-45)
"""The smallest float32, which vanishes in every sum but one with 0; a bias of zeros the converter leaves out."""


@contextmanager
def traced_for_tflite() -> Iterator[None]:
    """Within it, what is traced holds

    - for a transposed convolution one with a bias of NO_BIAS: the converter of TensorFlow 2.21 takes a scalar that is
      added behind one without a bias for its bias, of which the kernel then reads as many values as there are filters;
    - for an upsampling by repetition one RESIZE_NEAREST_NEIGHBOR, and for any other repetition of floats that and
      RESHAPEs, where Keras' way becomes TILE, which TFLM hasn't;
    - for an Embedding one GATHER, where Keras' way counts indices below 0 from the end by SELECT, which TFLM hasn't.
    """
    with ExitStack() as stack:
        for owner, name, rewrite in _REWRITES:
            original = getattr(owner, name)
            stack.callback(setattr, owner, name, original)
            setattr(owner, name, rewrite(original))
        yield


@contextmanager
def unrolled(model: keras.Model) -> Iterator[None]:
    """Within it, the model's recurrent layers are traced step by step instead of as a loop.

    Those that go backwards stay loops: an int8 file of a Bidirectional LSTM was off by 0.27, its largest output 0.42.
    """
    layers = [layer for layer in _recurrent(model) if not layer.go_backwards]
    before = [layer.unroll for layer in layers]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll


def is_recurrent(model: keras.Model) -> bool:
    """Whether `unrolled` changes what is traced of a model."""
    return bool(_recurrent(model))


def _recurrent(model: keras.Model) -> list[keras.layers.RNN]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]


def repeated(x: tf.Tensor, length: int, times: int, shape: Sequence[int]) -> tf.Tensor:
    """Each run of `length` values in a row `times` times, in a shape; what tf.repeat and tf.tile do along an axis."""
    runs = tf.reshape(x, (-1, 1, 1, length))
    return tf.reshape(_resized(runs, times, 1), shape)


def _resized(images: tf.Tensor, height_factor: int, width_factor: int) -> tf.Tensor:
    # Of pixel centres, whose rounding can't reach the next pixel.
    size = (int(images.shape[1]) * height_factor, int(images.shape[2]) * width_factor)
    return tf.raw_ops.ResizeNearestNeighbor(images=images, size=size, half_pixel_centers=True)


def _with_bias(original: TfFunction) -> TfFunction:
    def conv2d_backprop_input(*args: tf.Tensor, **kwargs: tf.Tensor) -> tf.Tensor:
        result = original(*args, **kwargs)
        channels = result.shape[-1]
        if kwargs.get("data_format", "NHWC") != "NHWC" or channels is None or result.dtype != tf.float32:
            return result
        return result + tf.constant(np.full(channels, NO_BIAS))

    return conv2d_backprop_input


def _tile(original: TfFunction) -> TfFunction:
    def tile(input: tf.Tensor, multiples: tf.Tensor, name: str | None = None) -> tf.Tensor:
        times, x = tf.get_static_value(tf.convert_to_tensor(multiples)), tf.convert_to_tensor(input)
        if times is None or min(times, default=1) < 1 or not _is_known(x):
            return original(input, multiples, name)
        for axis, count in enumerate(times):
            if count > 1:
                shape = [int(size) for size in x.shape]
                grown = [*shape[:axis], shape[axis] * int(count), *shape[axis + 1 :]]
                x = repeated(x, math.prod(shape[axis:]), int(count), grown)
        return x

    return tile


def _repeat(original: TfFunction) -> TfFunction:
    def repeat(input: tf.Tensor, repeats: tf.Tensor, axis: int | None = None, name: str | None = None) -> tf.Tensor:
        x = tf.convert_to_tensor(input)
        if axis is None or not isinstance(repeats, int) or repeats < 2 or not _is_known(x):
            return original(input, repeats, axis, name)
        shape, axis = [int(size) for size in x.shape], axis % len(x.shape)
        grown = [*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]]
        return repeated(x, math.prod(shape[axis + 1 :]), repeats, grown)

    return repeat


def _is_known(x: tf.Tensor) -> bool:
    return x.dtype == tf.float32 and x.shape.is_fully_defined() and bool(x.shape.num_elements())


def _nearest(original: TfFunction) -> TfFunction:
    def resize(
        layer: keras.Layer,
        x: tf.Tensor,
        height_factor: int,
        width_factor: int,
        data_format: str,
        interpolation: str = "nearest",
    ) -> tf.Tensor:
        if interpolation != "nearest" or not _is_known(x):
            return original(layer, x, height_factor, width_factor, data_format, interpolation)
        if data_format == "channels_last":
            return _resized(x, height_factor, width_factor)
        return tf.transpose(_resized(tf.transpose(x, (0, 2, 3, 1)), height_factor, width_factor), (0, 3, 1, 2))

    return resize


def _gather(original: TfFunction) -> TfFunction:
    def call(layer: keras.layers.Embedding, inputs: tf.Tensor) -> tf.Tensor:
        if layer.lora_enabled or layer.quantization_mode is not None:
            return original(layer, inputs)
        rows = tf.gather(layer.embeddings, tf.cast(inputs, tf.int32), axis=0)
        return tf.cast(rows, layer.compute_dtype)

    return call


# TensorFlow and Keras call these by their names in these modules.
_REWRITES: tuple[tuple[object, str, Callable[[TfFunction], TfFunction]], ...] = (
    (gen_nn_ops, "conv2d_backprop_input", _with_bias),
    (tf, "repeat", _repeat),
    (tf, "tile", _tile),
    (keras.layers.UpSampling2D, "_resize_images", _nearest),
    (keras.layers.Embedding, "call", _gather),
)
