"""What happens to a pixel before the first convolution, as one linear map."""

from __future__ import annotations

import keras
import numpy as np

from edgecut.errors import StemError
from edgecut.images.preprocess import affine
from edgecut.records.recipe import Preprocess
from edgecut.stem.channels import LinearMap


def source_preprocess(preprocess: Preprocess, channels: int) -> LinearMap:
    """The source model's preprocessing, from 0..255 in RGB order to what it takes.

    Raises StemError for a gray source whose preprocessing would need three channels.
    """
    facts = affine(preprocess)
    scale, offset = np.asarray(facts.scale, "float64"), np.asarray(facts.offset, "float64")
    if channels == 3:
        order = [2, 1, 0] if facts.order == "bgr" else [0, 1, 2]
        return LinearMap(np.diag(scale)[:, np.argsort(order)], offset)
    if np.ptp(scale) or np.ptp(offset):
        raise StemError(
            f"stem: preprocess {preprocess!r} has a scale and an offset for each of three channels, and the source "
            f"takes {channels}; give {{scale = ..., offset = ...}} with one number each"
        )
    return LinearMap(np.eye(channels) * scale[0], np.full(channels, offset[0]))


def layer_affine(layer: keras.Operation, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(scale, offset), each (channels,), of a layer that is affine per channel; None if it isn't such a layer."""
    if isinstance(layer, keras.layers.Rescaling):
        scale, offset = np.asarray(layer.scale, "float64"), np.asarray(layer.offset, "float64")
    elif isinstance(layer, keras.layers.Normalization) and not layer.invert:
        mean = np.asarray(keras.ops.convert_to_numpy(layer.mean), "float64")
        deviation = np.sqrt(np.asarray(keras.ops.convert_to_numpy(layer.variance), "float64"))
        # As the layer itself does, so that a variance of zero stays finite.
        scale = 1 / np.maximum(deviation, keras.config.epsilon())
        offset = -mean * scale
    else:
        return None
    if scale.size not in {1, channels} or offset.size not in {1, channels}:
        return None
    return np.broadcast_to(scale.ravel(), channels), np.broadcast_to(offset.ravel(), channels)
