"""By what cross-layer equalization scaled the channels of a file's tensors, as its weights tell."""

from __future__ import annotations

import numpy as np

from edgecut.quantize.alignment import Alignment, Side, computed
from edgecut.quantize.grids import real_values
from edgecut.tflite.flatbuffer import Operator
from edgecut.tflite.kinds import BOUNDARIES, CHANNELWISE, SETTABLE

# A layer was scaled if a tenth of its channels have weights a fifth larger than the source's; rounding to steps changes
# those of a channel that uses 16 of them by a few percent.
_LEAST_FACTOR, _LEAST_SHARE, _LEAST_STEPS = 1.2, 0.1, 16
_ROUNDING = 0.05


def channel_factors(quantized: Side, floats: Side, alignment: Alignment) -> dict[int, np.ndarray]:
    """The factors (channels,) of each tensor that the float file has, too; ones where it wasn't scaled.

    A maker's weights are multiplied by them and a taker's divided. Equalization only scales up, and not the widest
    channel, so that a factor which all channels share is a preprocessing that was folded into the weights.
    """
    tensors = quantized.graph.tensors
    found = {i: np.ones(tensors[i].shape[-1] if tensors[i].shape else 1) for i in alignment.tensors}
    for operator in quantized.graph.operators:
        is_known = operator.name in BOUNDARIES or operator.index in alignment.operators
        fed, index = list(computed(quantized.graph, operator).values()), operator.outputs[0]
        if not is_known or index not in found:
            continue
        if operator.name in SETTABLE:
            other = floats.graph.operators[alignment.operators[operator.index]]
            found[index] = _by_weights(quantized, operator, floats, other, found.get(fed[0]) if fed else None)
        elif operator.name in CHANNELWISE | BOUNDARIES and fed and fed[0] in found:
            found[index] = found[fed[0]] if found[fed[0]].shape == found[index].shape else found[index]
    return found


def _by_weights(
    quantized: Side, operator: Operator, floats: Side, other: Operator, divisors: np.ndarray | None
) -> np.ndarray:
    """divisors: the factors of what the operator reads, None where it reads what the float file doesn't have."""
    tensors, index = quantized.graph.tensors, operator.inputs[1]
    channels = tensors[operator.outputs[0]].shape[-1]
    codes, real = quantized.constants.get(index), floats.constants.get(other.inputs[1])
    is_depthwise = operator.name == "DEPTHWISE_CONV_2D"
    if codes is None or real is None or codes.shape[-1 if is_depthwise else 0] != channels:
        return np.ones(channels)
    weights = real_values(codes, tensors[index]).astype(np.float64)
    if divisors is not None and is_depthwise and channels % len(divisors) == 0:
        weights = weights * np.repeat(divisors, channels // len(divisors))
    elif divisors is not None and len(divisors) == weights.shape[-1]:
        weights = weights * divisors
    first = -1 if is_depthwise else 0
    rows, wanted, steps = (np.moveaxis(x, first, 0).reshape(channels, -1) for x in (weights, real, codes))
    squares = (wanted.astype(np.float64) ** 2).sum(axis=1)
    told = (squares > 0) & (np.abs(steps.astype(np.int64)).max(axis=1, initial=0) >= _LEAST_STEPS)
    ratios = np.where(told, (rows * wanted).sum(axis=1) / np.where(told, squares, 1.0), 1.0)
    if divisors is None and told.any():
        ratios = np.where(told, ratios / max(float(ratios[told].min()), 1e-30), 1.0)
    if np.mean(ratios > _LEAST_FACTOR) < _LEAST_SHARE:
        return np.ones(channels)
    return np.where(np.abs(ratios - 1) < _ROUNDING, 1.0, np.maximum(ratios, 1.0))
