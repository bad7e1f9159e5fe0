"""Cures that go through a model layer by layer, each on what the mended layers before it really put out.

Bias correction: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, 4.2, the
empirical form. Adaptive rounding: edgecut/quantize/rounding.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgecut.quantize.interior import quantized_rows, run_operator
from edgecut.quantize.numbers import Codes, Numbers, render, scale_of, weight_scales
from edgecut.quantize.observed import Observed
from edgecut.quantize.pairs import FilePair, Weighted
from edgecut.quantize.rounding import round_operator
from edgecut.records.progress import SILENT, Progress
from edgecut.tflite.cut import Parts
from edgecut.tflite.flatbuffer import Operator, TfliteGraph

ROUNDS = 3
# A channel of which nearly nothing lies between the activation's bounds hardly answers to its bias.
_SMALLEST_SLOPE = 0.05
_LARGEST_STEP = 4.0

Values = Mapping[int, Sequence[np.ndarray]]


def mended(
    file_pair: FilePair,
    numbers: Numbers,
    images: np.ndarray,
    observed: Mapping[int, Observed],
    *,
    steps: Collection[str] = ("bias correction",),
    progress: Progress = SILENT,
) -> Numbers:
    """The numbers with weights rounded and biases shifted so that each layer's output is nearest the float model's.

    images: (n, ...) as the model takes them. observed: the float model's values on these images, and perhaps more
    behind them, by int8 tensor, with the channel factors of the numbers. steps: "bias correction" makes each
    channel's mean the float model's.
    """
    graph = file_pair.graph
    fed = map(list, zip(*quantized_rows(images, graph), strict=True))
    values: dict[int, list[np.ndarray]] = dict(zip(graph.inputs, fed, strict=True))
    parts, last = Parts(render(file_pair, numbers), graph), last_uses(graph)
    with progress.task("layer by layer", len(graph.operators)) as advance:
        for operator in graph.operators:
            if operator.index in file_pair.weighted and operator.inputs[0] in values:
                if "adaptive rounding" in steps:
                    numbers = _rounded(file_pair, numbers, operator, values[operator.inputs[0]])
                seen = observed.get(operator.outputs[0])
                if "bias correction" in steps and operator.index in numbers.biases and seen is not None:
                    numbers = _corrected(file_pair, numbers, operator, values, seen)
                parts = Parts(render(file_pair, numbers), graph)
            values.update(run_operator(parts, operator, values))
            for index in set(operator.inputs):
                if last.get(index) == operator.index:
                    values.pop(index, None)
            advance(1)
    return numbers


def last_uses(graph: TfliteGraph) -> dict[int, int]:
    """The last operator that takes each tensor."""
    return {index: op.index for op in graph.operators for index in op.inputs}


def _rounded(file_pair: FilePair, numbers: Numbers, operator: Operator, inputs: Sequence[np.ndarray]) -> Numbers:
    weighted, weights = file_pair.weighted[operator.index], numbers.weights[operator.index]
    scale, zero = scale_of(numbers, file_pair.graph.tensors[operator.inputs[0]])
    scales = weight_scales(file_pair, weighted, weights, numbers.biases.get(operator.index), scale)
    real = [(codes.astype(np.float32) - zero) * np.float32(scale) for codes in inputs]
    each = np.broadcast_to(scales, weights.shape[weighted.axis : weighted.axis + 1])
    steps = round_operator(weighted, weights, each, real)
    if steps is None:
        return numbers
    return replace(numbers, codes={**numbers.codes, operator.index: Codes(steps, scales)})


def _corrected(file_pair: FilePair, numbers: Numbers, operator: Operator, values: Values, seen: Observed) -> Numbers:
    """Newton's steps on the biases; a step that leaves more error than the one before isn't taken."""
    index = operator.outputs[0]
    slope = np.maximum(_slope(seen, file_pair.weighted[operator.index]), _SMALLEST_SLOPE)
    scale, zero = scale_of(numbers, file_pair.graph.tensors[index])
    best, least = numbers, np.inf
    for _ in range(ROUNDS + 1):
        raw = run_operator(Parts(render(file_pair, numbers), file_pair.graph), operator, values)[index]
        mean = np.mean([x.reshape(-1, x.shape[-1]).mean(axis=0, dtype=np.float64) for x in raw], axis=0)
        shift = seen.means[: len(raw)].mean(axis=0) - (mean - zero) * scale
        error = float(np.sum(shift**2))
        if error >= least:
            break
        best, least = numbers, error
        bias = numbers.biases[operator.index] + np.clip(shift / slope, -_LARGEST_STEP, _LARGEST_STEP)
        numbers = replace(numbers, biases={**numbers.biases, operator.index: bias})
    return best


def _slope(seen: Observed, weighted: Weighted) -> np.ndarray:
    """The share of each channel's values that answer to the bias: those between the activation's bounds."""
    if weighted.activation == "none":
        return np.ones(seen.sample.shape[-1])
    inside = seen.sample > 0
    if weighted.activation == "relu6":
        inside &= seen.sample < 6
    return np.asarray(inside.mean(axis=0))
