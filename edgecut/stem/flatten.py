"""Dense layers behind Flatten, which keep their meaning at another resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from edgecut.graph.calls import Call, Calls, Tensor, flat
from edgecut.graph.rebuild import Splice
from edgecut.lowering.activation import is_dropped_in_inference
from edgecut.stem.resolution import interpolation_matrix, resample_matrix, resized_dense


@dataclass(frozen=True, eq=False)
class Flattened:
    """A map that is flattened and goes into one Dense layer."""

    map: Tensor
    flatten: Call
    dense: Call


def flattened_maps(graph: Calls) -> list[Flattened]:
    """Every Flatten of a 4-D map of fixed size that a Dense layer alone follows, dropout in between or not."""
    found = []
    for call in graph:
        if type(call.operation) is not keras.layers.Flatten or None in call.inputs[0].shape[1:]:
            continue
        tensor, behind = call.outputs[0], None
        while len(graph.consumers[tensor]) == 1 and tensor not in flat(graph.outputs):
            behind = graph.consumers[tensor][0]
            if not is_dropped_in_inference(behind):
                break
            tensor = behind.outputs[0]
        if behind is not None and type(behind.operation) is keras.layers.Dense and len(call.inputs[0].shape) == 4:
            found.append(Flattened(call.inputs[0], call, behind))
    return found


def resized_flattens(graph: Calls) -> dict[Tensor, Splice]:
    """Splices under which the Dense layers take maps of other sizes as they would take them resized to their own.

    The new kernel is the adjoint of the resizing times the old one. A map of the old size gives the same weights.
    """
    return {found.dense.outputs[0]: Splice((found.map,), _resized(found)) for found in flattened_maps(graph)}


def resized_maps(graph: Calls) -> dict[Tensor, Splice]:
    """Splices under which the source's own Dense layers get maps of other sizes resized to their own: the reference."""
    return {found.map: Splice((found.map,), _to_shape(found.map.shape[1:])) for found in flattened_maps(graph)}


def _resized(found: Flattened) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    height, width, channels = (int(size or 0) for size in found.map.shape[1:])
    layer = found.dense.operation

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        x_flat = keras.layers.Flatten(name=found.flatten.layer)(x)
        new = keras.layers.Dense.from_config({**layer.get_config(), "name": found.dense.layer})
        result = new(x_flat)
        weights = [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
        if x.shape[1:3] != (height, width):
            rows, columns = resample_matrix(height, x.shape[1]), resample_matrix(width, x.shape[2])
            weights[0] = resized_dense(weights[0], (height, width, channels), rows, columns).astype("float32")
        new.set_weights(weights)
        new.trainable = layer.trainable
        return result

    return call


def _to_shape(shape: tuple[int | None, ...]) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    height, width = (int(size or 0) for size in shape[:2])

    def call(x: keras.KerasTensor) -> keras.KerasTensor:
        if tuple(x.shape[1:3]) == (height, width):
            return x
        return keras.ops.image.resize(x, (height, width), interpolation="bilinear", antialias=True)

    return call


def resample(pixels: np.ndarray, mode: str, factor: tuple[int, int], size: tuple[int | None, int | None]) -> np.ndarray:
    """Pictures (n, height, width, channels) with pixels repeated, averaged by `factor`, or interpolated to `size`."""
    if mode == "bilinear":
        rows, columns = (interpolation_matrix(to or own, own) for to, own in zip(size, pixels.shape[1:3], strict=True))
        return np.einsum("yh,xw,nhwc->nyxc", rows, columns, pixels.astype("float64"), optimize=True)
    down, right = factor
    if mode != "average":
        return pixels.repeat(down, axis=1).repeat(right, axis=2)
    count, height, width, channels = pixels.shape
    parts = pixels.reshape(count, height // down, down, width // right, right, channels)
    return parts.mean(axis=(2, 4), dtype="float64")
