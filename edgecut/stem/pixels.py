"""What happens to a pixel before the first convolution, as one linear map."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from edgecut.errors import StemError
from edgecut.graph.calls import Call, Tensor
from edgecut.images.device import CHANNELS
from edgecut.images.preprocess import affine
from edgecut.records.recipe import Preprocess
from edgecut.stem.channels import LinearMap, channel_map

Affine = tuple[np.ndarray, np.ndarray]


def source_preprocess(preprocess: Preprocess, channels: int) -> LinearMap:
    """The source model's preprocessing, from 0..255 in RGB order to what it takes.

    Raises StemError for a gray source whose preprocessing would need three channels.
    """
    facts = affine(preprocess)
    scale, offset = np.asarray(facts.scale, "float64"), np.asarray(facts.offset, "float64")
    if channels == 3:
        order = [2, 1, 0] if facts.order == "bgr" else [0, 1, 2]
        return LinearMap(np.diag(scale)[:, np.argsort(order)], offset)
    if not facts.treats_channels_alike:
        raise StemError(
            f"stem: preprocess {preprocess!r} has a scale and an offset for each of three channels, and the source "
            f"takes {channels}; give {{scale = ..., offset = ...}} with one number each"
        )
    return LinearMap(np.eye(channels) * scale[0], np.full(channels, offset[0]))


def device_map(source_channels: int, order: str | None, preprocess: Preprocess, *, raw: bool) -> LinearMap:
    """What the source takes, as a linear map of what the device feeds.

    order: "gray", "rgb", "bgr", "rgba", "yuv"; None: what the source takes, in its own order. raw: the device feeds
    0..255; else each of its channels as the source's preprocessing would have made it.
    Raises StemError for a normalized order under a preprocessing that treats the channels differently.
    """
    if order is None and not raw:
        return LinearMap(np.eye(source_channels), np.zeros(source_channels))
    trained_on = source_preprocess(preprocess, source_channels)
    own = LinearMap(np.eye(source_channels), np.zeros(source_channels))
    bytes_map = trained_on.after(own if order is None else channel_map(source_channels, order))
    if raw or order is None:
        return bytes_map
    facts = affine(preprocess)
    if order == "gray":
        # One normalized value stands for the same normalized value in each channel.
        return LinearMap(np.ones((source_channels, 1)), np.zeros(source_channels))
    if not facts.treats_channels_alike:
        raise StemError(
            f"stem: preprocess {preprocess!r} treats the channels differently, so {order!r} pixels can't be normalized "
            "before they are mixed; set pixels = 'raw'"
        )
    scale, offset = float(facts.scale[0]), float(facts.offset[0])
    width = CHANNELS[order]
    mixed = bytes_map.after(LinearMap(np.eye(width) / scale, np.full(width, -offset / scale)))
    # Luma and alpha-free maps keep the offset, but for rounding in the last place.
    return LinearMap(mixed.matrix, np.where(np.abs(mixed.offset) < 1e-12, 0.0, mixed.offset))


def affine_of(call: Call, channels: int) -> Affine | None:
    """(scale, offset), each (channels,), of a call that is affine per channel in inference; None if it isn't one."""
    if call.kwargs.get("training"):
        return None  # BatchNormalization on the statistics of the batch
    found = layer_affine(call.operation) or _operator_affine(call)
    if found is None:
        return None
    scale, offset = (np.asarray(x, "float64").ravel() for x in found)
    if scale.size not in {1, channels} or offset.size not in {1, channels}:
        return None
    return np.broadcast_to(scale, channels), np.broadcast_to(offset, channels)


def flips_channels(call: Call) -> bool:
    """Whether a call turns the order of the channels round, as `x[..., ::-1]` does."""
    if call.type != "GetItem" or len(call.args) != 2:
        return False
    key = call.args[1]
    parts = key if isinstance(key, tuple) else (key,)
    before = [part for part in parts[:-1] if part is not Ellipsis and part != slice(None)]
    whole = Ellipsis in parts or len(parts) == len(call.outputs[0].shape)
    return whole and not before and parts[-1] == slice(None, None, -1)


def layer_affine(layer: keras.Operation) -> Affine | None:
    """(scale, offset) of Rescaling, Normalization or BatchNormalization over the last axis; None for others."""
    if type(layer) is keras.layers.Rescaling:
        return np.asarray(layer.scale, "float64"), np.asarray(layer.offset, "float64")
    if type(layer) is keras.layers.Normalization and not layer.invert:
        mean = _array(layer.mean)
        # As the layer itself does, so that a variance of zero stays finite.
        scale = 1 / np.maximum(np.sqrt(_array(layer.variance)), keras.config.epsilon())
        return scale, -mean * scale
    if type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, 3):
        mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
        scale = (_array(layer.gamma) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
        return scale, (_array(layer.beta) if layer.center else 0.0) - mean * scale
    return None


def _operator_affine(call: Call) -> Affine | None:
    """The same for an operator between the picture and a constant, such as x / 127.5 or x - mean."""
    rule = _OPERATORS.get(call.type)
    if rule is None or len(call.args) != 2 or call.kwargs:
        return None
    first, second = call.args
    constant = second if isinstance(first, Tensor) else first
    if isinstance(constant, Tensor) or not isinstance(first, Tensor | type(constant)):
        return None
    value = _constant(constant)
    return None if value is None else rule(value, isinstance(first, Tensor))


def _constant(value: object) -> np.ndarray | None:
    """A number, or one for each channel; None for another array."""
    array = np.asarray(keras.ops.convert_to_numpy(value), "float64")
    return array if array.size == 1 or (array.size == array.shape[-1]) else None


def _divide(value: np.ndarray, tensor_first: bool) -> Affine | None:
    return (1 / value, np.zeros(1)) if tensor_first and value.all() else None


_ONE, _ZERO = np.ones(1), np.zeros(1)
_OPERATORS: dict[str, Callable[[np.ndarray, bool], Affine | None]] = {
    "Add": lambda value, first: (_ONE, value),
    "Subtract": lambda value, first: (_ONE, -value) if first else (-_ONE, value),
    "Multiply": lambda value, first: (value, _ZERO),
    "Divide": _divide,
    "TrueDivide": _divide,
}


def _array(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), "float64")
