"""Cross-layer equalization: each channel scaled so that all of a tensor's channels use its whole range.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019, 4.1, with the ranges of the
activations instead of those of the weights: these files have a scale for each channel of the weights, so that a factor
on a maker's channel costs its weights nothing, while all channels of an activation share one scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgecut.quantize.numbers import Numbers, along
from edgecut.quantize.observed import Observed
from edgecut.quantize.pairs import FilePair
from edgecut.quantize.scale_groups import ChannelGroup

# Below this share of the widest channel a channel is rounding noise, and isn't blown up.
_DEAD = 1e-7
_LARGEST = 2.0**14
_RELU6 = 6.0


def factors(group: ChannelGroup, observed: Mapping[int, Observed], strength: float = 1.0) -> np.ndarray:
    """What to multiply each channel of a group by, at least 1: (widest / own range) to the power of strength.

    No channel grows beyond the widest one, nor beyond what a ReLU6 lets pass, so that none is clipped that wasn't.
    """
    reach = np.zeros(group.channels)
    for index in group.tensors:
        if index in observed and len(observed[index].high) == group.channels:
            reach = np.maximum(reach, np.maximum(np.abs(observed[index].low), np.abs(observed[index].high)))
    widest = float(reach.max(initial=0.0))
    alive = reach > _DEAD * widest
    wanted = (widest / np.where(alive, reach, max(widest, 1.0))) ** strength
    for index in group.bounded:
        high = observed[index].high if index in observed else np.full(group.channels, _RELU6)
        wanted = np.minimum(wanted, _RELU6 / np.maximum(high, 1e-30))
    return np.where(alive, np.clip(wanted, 1.0, _LARGEST), 1.0)


def scaled(file_pair: FilePair, numbers: Numbers, group: ChannelGroup, channel_factors: np.ndarray) -> Numbers:
    """The numbers of the same model after the group's channels were multiplied by factors.

    The makers' weights and biases are multiplied, the takers' weights divided. Ranges stay as they are.
    """
    for place in group.makers:
        weighted = file_pair.weighted[place]
        weights, bias = numbers.weights[place], numbers.biases.get(place)
        spread = along(channel_factors, weighted.axis, weights.ndim)
        numbers = numbers.with_weights(place, weights * spread, None if bias is None else bias * channel_factors)
    for place in group.takers:
        weighted, weights = file_pair.weighted[place], numbers.weights[place]
        divisors = channel_factors
        if weighted.operator.name == "DEPTHWISE_CONV_2D":
            # Input channel c feeds the output channels c * multiplier and on.
            divisors = np.repeat(channel_factors, weights.shape[-1] // group.channels)
        numbers = numbers.with_weights(place, weights / divisors, numbers.biases.get(place))
    return numbers
