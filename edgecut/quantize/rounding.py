"""Weights rounded with regard to one another, so that a layer's outputs err less than with each to its nearest step.

Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, 2022, algorithm 1:
one weight after the other is rounded, and what that does to the output is made up for by those that are still free, as
far as the inputs' covariance allows. The covariance is centred, since bias correction takes the mean shift back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecut.quantize.numbers import WEIGHT_MAX
from edgecut.quantize.pairs import Weighted
from edgecut.tflite.flatbuffer import Operator

POSITIONS = 256  # places of a map that are counted, per image
LARGEST_FAN_IN = 2304  # beyond it the covariance costs more than it brings
_DAMPING = 0.01


def rounded(weights: np.ndarray, scales: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Whole steps for weights, -127..127, float64.

    weights: (..., filters, inputs). scales: (..., filters). covariance: (..., inputs, inputs), of the inputs of each
    leading index. Falls back on the nearest step where a covariance is no use.
    """
    left = weights / scales[..., None]
    inverse = _inverse_factor(covariance)
    codes = np.empty_like(left)
    for k in range(left.shape[-1]):
        codes[..., k] = np.clip(np.rint(left[..., k]), -WEIGHT_MAX, WEIGHT_MAX)
        error = (left[..., k] - codes[..., k]) / inverse[..., k, k, None]
        left[..., k + 1 :] -= error[..., None] * inverse[..., None, k, k + 1 :]
    return codes


def round_operator(
    weighted: Weighted, weights: np.ndarray, scales: np.ndarray, inputs: Sequence[np.ndarray], seed: int = 0
) -> np.ndarray | None:
    """The int8 weights of an operator for the inputs that it gets; None for a grouped convolution, and for one of too
    many inputs per filter.

    inputs: real values, one array with a batch axis for each image.
    """
    operator, shape = weighted.operator, weights.shape
    depthwise = operator.name == "DEPTHWISE_CONV_2D"
    fan_in = int(np.prod(shape[1:3])) if depthwise else int(np.prod(shape[1:]))
    if fan_in > LARGEST_FAN_IN or (operator.name == "CONV_2D" and inputs[0].shape[-1] != shape[-1]):
        return None
    if not len(inputs):
        return None
    random = np.random.default_rng(seed)
    rows = [_patches(operator, shape, image, random) for image in inputs]
    if depthwise:
        return _round_depthwise(weights, scales, np.concatenate(rows))
    covariance = _covariance(rows)
    codes = rounded(weights.reshape(shape[0], -1), scales, covariance)
    return codes.reshape(shape).astype(np.int8)


def _round_depthwise(weights: np.ndarray, scales: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """patches: (n, kernel positions, input channels)."""
    centred = patches - patches.mean(axis=0)
    covariance = np.einsum("nkc,nlc->ckl", centred, centred) / len(patches)
    channels = weights.shape[-1]
    covariance = np.repeat(covariance, channels // covariance.shape[0], axis=0)
    flat = weights.reshape(-1, channels).T[:, None, :]
    codes = rounded(flat, scales[:, None], covariance)
    return codes[:, 0, :].T.reshape(weights.shape).astype(np.int8)


def _covariance(rows: Sequence[np.ndarray]) -> np.ndarray:
    count = sum(len(part) for part in rows)
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in rows) / count
    total = np.zeros((rows[0].shape[1],) * 2)
    for part in rows:
        centred = part - mean
        total += centred.T @ centred
    return np.asarray(total / count)


def _inverse_factor(covariance: np.ndarray) -> np.ndarray:
    """The upper Cholesky factor of the damped covariance's inverse; (..., d, d)."""
    width = covariance.shape[-1]
    trace = np.trace(covariance, axis1=-2, axis2=-1)
    damping = np.where(trace > 0, _DAMPING * trace / width, 1.0)
    damped = covariance + damping[..., None, None] * np.eye(width)
    lower = np.linalg.cholesky(np.linalg.inv(damped))
    return np.asarray(np.swapaxes(lower, -1, -2))


def _patches(operator: Operator, shape: tuple[int, ...], image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """What the filters see at some places of one image: (n, inputs), or (n, kernel positions, channels) by depth."""
    if operator.name == "FULLY_CONNECTED":
        return image.reshape(-1, shape[-1])
    options = operator.options
    kernel, strides = shape[1:3], (options["strideH"], options["strideW"])
    dilation = (options.get("dilationHFactor", 1), options.get("dilationWFactor", 1))
    padded = _padded(image[0], kernel, strides, dilation, same=options["padding"] == 0)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(0, 1))
    windows = windows[:: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]
    height, width = windows.shape[:2]
    places = random.permutation(height * width)[:POSITIONS]
    seen = windows[places // width, places % width]
    seen = seen.transpose(0, 2, 3, 1)
    return seen.reshape(len(seen), -1, seen.shape[-1]) if operator.name[0] == "D" else seen.reshape(len(seen), -1)


def _padded(
    image: np.ndarray, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int], *, same: bool
) -> np.ndarray:
    if not same:
        return image
    pads = []
    for size, k, s, d in zip(image.shape[:2], kernel, strides, dilation, strict=True):
        # tensorflow.org, tf.nn "SAME": the output has ceil(size / stride) places, the odd pixel of padding comes last.
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(image, (*pads, (0, 0)))
