"""The real numbers that a quantized file stands for, and the file that stands for other ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edgecut.quantize.pairs import FilePair, Weighted
from edgecut.tflite.flatbuffer import Tensor
from edgecut.tflite.patch import Grid, patched

# ai.google.dev/edge/litert/models/quantization_spec: weights are symmetric, -127..127; activations -128..127.
WEIGHT_MAX = 127
STEPS = 255
# Room for the sum in a 32-bit accumulator; the converter keeps biases within the same bound.
BIAS_MAX = 2**30

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Codes:
    """Weights that are rounded already. steps: int8, as the file lays them out; scales: one per channel, or one."""

    steps: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True, eq=False)
class Numbers:
    """What is to be rounded. By the int8 file's operator: weights, biases (float64). By its tensor: ranges.

    A tensor without an entry in `ranges` keeps the scale and zero point of the file. codes: by operator, where the
    weights aren't just rounded to the nearest step.
    """

    weights: Mapping[int, np.ndarray] = field(default_factory=dict)
    biases: Mapping[int, np.ndarray] = field(default_factory=dict)
    ranges: Mapping[int, Range] = field(default_factory=dict)
    codes: Mapping[int, Codes] = field(default_factory=dict)

    def with_weights(self, operator: int, weights: np.ndarray, bias: np.ndarray | None) -> Numbers:
        """The same with other weights and another bias for one operator."""
        codes = {k: v for k, v in self.codes.items() if k != operator}
        biases = self.biases if bias is None else {**self.biases, operator: bias}
        return replace(self, weights={**self.weights, operator: weights}, biases=biases, codes=codes)


def numbers_of(file_pair: FilePair) -> Numbers:
    """The float file's own weights and biases, and the int8 file's own ranges."""
    return Numbers(
        weights={k: w.weights.astype(np.float64) for k, w in file_pair.weighted.items()},
        biases={k: w.bias.astype(np.float64) for k, w in file_pair.weighted.items() if w.bias is not None},
    )


def grid_for(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of an int8 activation that reaches from low to high; 0 is always on the grid."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / STEPS, 1e-9)
    zero = int(np.clip(np.rint(-128 - low / scale), -128, 127))
    return float(np.float32(scale)), zero


def scale_of(numbers: Numbers, tensor: Tensor) -> tuple[float, int]:
    """The scale and zero point that an activation tensor gets."""
    if tensor.index in numbers.ranges:
        return grid_for(*numbers.ranges[tensor.index])
    return tensor.scales[0], tensor.zero_points[0]


def nearest(
    file_pair: FilePair, weighted: Weighted, weights: np.ndarray, bias: np.ndarray | None, input_scale: float
) -> Codes:
    """Each weight at its nearest step."""
    scales = weight_scales(file_pair, weighted, weights, bias, input_scale)
    spread = along(scales, weighted.axis, weights.ndim) if len(scales) > 1 else scales
    return Codes(np.clip(np.rint(weights / spread), -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8), scales)


def weight_scales(
    file_pair: FilePair, weighted: Weighted, weights: np.ndarray, bias: np.ndarray | None, input_scale: float
) -> np.ndarray:
    """The scale of each output channel: the largest weight is 127, and the bias stays within its 32 bits.

    One scale for all where the file has only one.
    """
    others = tuple(k for k in range(weights.ndim) if k != weighted.axis)
    scales = np.abs(weights).max(axis=others) / WEIGHT_MAX
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (input_scale * BIAS_MAX))
    if len(file_pair.graph.tensors[weighted.weights_index].scales) == 1:
        scales = scales.max(keepdims=True)
    return np.asarray(np.where(scales > 0, scales, 1.0), np.float32).astype(np.float64)


def along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """One value per channel, shaped to be broadcast against an array of that rank."""
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def render(file_pair: FilePair, numbers: Numbers) -> bytes:
    """The int8 file with these numbers rounded into it; as large as before, with the same operators."""
    values: dict[int, np.ndarray] = {}
    grids: dict[int, Grid] = {}
    tensors = file_pair.graph.tensors
    for index in numbers.ranges:
        scale, zero = scale_of(numbers, tensors[index])
        grids[index] = Grid(np.array([scale]), np.array([zero]))
    for place, weighted in file_pair.weighted.items():
        weights, bias = numbers.weights[place], numbers.biases.get(place)
        input_scale, _ = scale_of(numbers, tensors[weighted.operator.inputs[0]])
        codes = numbers.codes.get(place) or nearest(file_pair, weighted, weights, bias, input_scale)
        scales = codes.scales
        values[weighted.weights_index] = codes.steps
        grids[weighted.weights_index] = Grid(scales, np.zeros(len(scales), np.int64))
        if bias is not None:
            bias_scales = (scales * input_scale).astype(np.float32).astype(np.float64)
            whole = np.clip(np.rint(bias / bias_scales), -(2**31) + 1, 2**31 - 1)
            values[weighted.bias_index] = np.broadcast_to(whole, bias.shape).astype(np.int32)
            if tensors[weighted.bias_index].scales:
                grids[weighted.bias_index] = Grid(bias_scales, np.zeros(len(bias_scales), np.int64))
    return patched(file_pair.int8, values, grids)
