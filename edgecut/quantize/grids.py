"""What the integers of a quantized tensor mean."""

from __future__ import annotations

import numpy as np

from edgecut.tflite.flatbuffer import Tensor


def grid_of(tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The scales and the zero points of a quantized tensor, shaped to be broadcast against its elements."""
    scales, zeros = np.array(tensor.scales, np.float64), np.array(tensor.zero_points, np.float64)
    if tensor.axis is None:
        return scales.reshape(()), zeros.reshape(())
    shape = [1] * len(tensor.shape)
    shape[tensor.axis] = -1
    return scales.reshape(shape), zeros.reshape(shape)


def real_values(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What a tensor's integers mean, float32; the elements themselves where it isn't quantized."""
    if not tensor.scales:
        return np.asarray(array, np.float32)
    scales, zeros = grid_of(tensor)
    return np.asarray((array.astype(np.float64) - zeros) * scales, np.float32)
