"""Whether a model is fed what it was trained on: normalized twice, or with another preprocessing.

A BatchNormalization remembers the mean and variance of what it was given in training, so that the right preprocessing
is the one under which today's images come nearest. Only filters that answer to an area's colour are compared: those
that answer to edges depend on how sharp the images are.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from edgecut.errors import DataError
from edgecut.graph.calls import Call, Calls, calls
from edgecut.images.preprocess import normalize
from edgecut.quantize.source_values import values_of
from edgecut.records.explanation import Suspicion
from edgecut.records.recipe import CustomPreprocess, Preprocess

UNIT = CustomPreprocess(scale=1 / 255)
CANDIDATES: Mapping[str, Preprocess] = {
    "tf": "tf",
    "torch": "torch",
    "caffe": "caffe",
    "raw": "raw",
    "{scale = 0.00392157}": UNIT,
}

# Another candidate must be this much nearer before the given one is doubted, and the given one this far off.
# Measured on three pretrained models, on CIFAR-10 and on photos: the right one is 0.01 to 0.08 off, a wrong one at
# least 0.19.
_NEARER, _FAR = 0.35, 0.15
_SQUEEZED = 0.1
_LEAST_DEVIATION, _LARGEST_MEAN = 0.1, 10.0
# Pictures that vary less than this, in steps of 255, show a model nothing; dim ones vary by 20 and more.
_EMPTY = 3.0
_IMAGES = 32
_SMOOTH = 0.5
_NORMALIZING = frozenset({"Rescaling", "Normalization", "TrueDivide", "Divide", "Multiply", "Subtract", "Add"})
_PASSING = frozenset({"ZeroPadding2D", "Resizing", "CenterCrop", "Identity", "Dropout", "GaussianNoise", "Cast"})


def feeding_suspicions(model: keras.Model, pixels: np.ndarray, given: Preprocess) -> tuple[Suspicion, ...]:
    """What is wrong with `given` as the model's preprocessing of pixels (n, height, width, channels), uint8.

    The pixels are in the format that the model takes. Nothing is said where the model tells nothing: without a
    preprocessing layer of its own and without a BatchNormalization behind its first convolution.
    """
    graph, pixels = calls(model), pixels[:_IMAGES]
    twice = _normalized_twice(model, graph, pixels, given)
    if twice is not None:
        return (twice,)
    wrong = _wrong_preprocess(model, graph, pixels, given)
    return () if wrong is None else (wrong,)


def range_suspicions(
    limits: tuple[float, float], pixels: np.ndarray, given: Preprocess, artifact: str
) -> tuple[Suspicion, ...]:
    """What is wrong if a file's input, which reaches over `limits`, gets images that are preprocessed as given."""
    low, high = _reach(given, pixels.shape[-1])
    width = limits[1] - limits[0]
    if width <= 0 or abs(limits[0] - low) + abs(limits[1] - high) < 0.25 * max(width, high - low):
        return ()
    fitting = [
        word
        for word, candidate in CANDIDATES.items()
        if word != "caffe" and _off(limits, _reach(candidate, pixels.shape[-1])) < 0.05
    ]
    words = f"the file's input reaches from {limits[0]:.3g} to {limits[1]:.3g}"
    if fitting:
        return (
            Suspicion(
                cause="wrong preprocess",
                layer=None,
                figure=width / (high - low),
                sentence=f"{words}, as {' or '.join(map(repr, fitting))} gives it, and these images from {low:.3g} to "
                f"{high:.3g}; pass --preprocess {fitting[0]}, or calibrate {artifact} anew",
            ),
        )
    return (
        Suspicion(
            cause="uncalibrated",
            layer=None,
            figure=width / (high - low),
            sentence=f"{words}, and these images from {low:.3g} to {high:.3g}; "
            "calibrate on images of the device's kind",
        ),
    )


def picture_suspicions(pixels: np.ndarray) -> tuple[Suspicion, ...]:
    """What is wrong with calibration pictures (n, height, width, channels), uint8, that show nothing."""
    deviation = float(pixels.std())
    if deviation >= _EMPTY:
        return ()
    return (
        Suspicion(
            cause="uncalibrated",
            layer=None,
            figure=deviation,
            sentence=f"the calibration images are all {pixels.mean():.0f} of 255, with a deviation of {deviation:.2g}, "
            "so that the ranges stand for nothing; calibrate on images of the device's kind",
        ),
    )


def _reach(preprocess: Preprocess, channels: int) -> tuple[float, float]:
    """The values that black and white become."""
    # One gray value can't say what differs by channel; three can say all.
    ends = normalize(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=-1), preprocess)
    return float(ends.min()), float(ends.max())


def _off(limits: tuple[float, float], reach: tuple[float, float]) -> float:
    return (abs(limits[0] - reach[0]) + abs(limits[1] - reach[1])) / (reach[1] - reach[0])


def _normalized_twice(model: keras.Model, graph: Calls, pixels: np.ndarray, given: Preprocess) -> Suspicion | None:
    first = _input_normalizer(graph)
    if first is None or given in ("none", "raw"):
        return None
    fed, raw = normalize(pixels, given), pixels.astype(np.float32)
    got = values_of(model, [first.name], fed)[first.name]
    alone = values_of(model, [first.name], raw)[first.name]
    deviation = float(got.std())
    share = deviation / max(float(alone.std()), 1e-12)
    # A layer that standardizes unit pixels, or stretches them to -1 .. 1, leaves values of that kind behind.
    is_sound = deviation > _LEAST_DEVIATION and abs(float(got.mean())) < _LARGEST_MEAN * deviation
    if share > _SQUEEZED or is_sound:
        return None
    return Suspicion(
        cause="normalized twice",
        layer=first.name,
        figure=share,
        sentence=f"the model's own {first.name!r} ({first.type}) normalizes the pixels, and they came normalized: it "
        f"puts out {got.min():.3g} to {got.max():.3g} instead of {alone.min():.3g} to {alone.max():.3g}; "
        "set source.preprocess = 'none' (--preprocess none)",
    )


def _input_normalizer(graph: Calls) -> Call | None:
    """The last call of the model's own preprocessing, if it begins with one: layers, or arithmetic with constants."""
    found = None
    for call in graph:
        if call.is_input or call.type in _PASSING:
            continue
        if call.type not in _NORMALIZING or len(call.inputs) != 1:
            break
        found = call
    return found


def _wrong_preprocess(model: keras.Model, graph: Calls, pixels: np.ndarray, given: Preprocess) -> Suspicion | None:
    pair = _first_statistics(graph)
    if pair is None:
        return None
    conv, norm = pair
    distances = {}
    for word, candidate in {"given": given, **CANDIDATES}.items():
        try:
            fed = normalize(pixels, candidate)
        except DataError:
            continue
        distances[word] = _distance(values_of(model, [conv.name], fed)[conv.name], conv, norm)
    own = distances.pop("given")
    best = min(distances, key=distances.__getitem__)
    if own < _FAR or distances[best] > _NEARER * own:
        return None
    return Suspicion(
        cause="wrong preprocess",
        layer=norm.name,
        figure=own,
        sentence=f"what {norm.name!r} is given is {own:.2g} from what it learned in training, and with "
        f"source.preprocess = {best!r} it would be {distances[best]:.2g}; pass --preprocess {best}",
    )


def _first_statistics(graph: Calls) -> tuple[Call, Call] | None:
    """The first convolution and the BatchNormalization right behind it."""
    for call in graph:
        if call.type in {"Conv2D", "DepthwiseConv2D"}:
            behind = graph.consumers[call.outputs[0]]
            found = next((c for c in behind if c.type == "BatchNormalization"), None)
            return None if found is None else (call, found)
    return None


def _distance(values: np.ndarray, conv: Call, norm: Call) -> float:
    """How far a convolution's outputs are from the statistics that the BatchNormalization behind it keeps.

    The mean over the channels, each counted by how smooth its filter is, of (difference of means)^2 / variance and
    (log of the ratio of the standard deviations)^2.
    """
    mean, variance = (np.asarray(x, np.float64) for x in (norm.operation.moving_mean, norm.operation.moving_variance))
    rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
    variance = variance + norm.operation.epsilon
    shift = (rows.mean(axis=0) - mean) ** 2 / variance
    ratio = (0.5 * np.log((rows.var(axis=0) + norm.operation.epsilon) / variance)) ** 2
    weights = smoothness(np.asarray(conv.operation.kernel, np.float64)).reshape(-1)
    if len(weights) != len(mean) or weights.sum() <= 0:
        weights = np.ones(len(mean))
    weights = np.where(weights >= min(_SMOOTH, float(np.sort(weights)[-min(4, len(weights))])), weights, 0)
    return float(np.average(shift + ratio, weights=weights))


def smoothness(kernel: np.ndarray) -> np.ndarray:
    """The share of each filter that answers to an even area: 1 for a constant one, 0 for one that sums to 0.

    kernel: (height, width, channels, filters). Result: (filters,) for a Conv2D.
    """
    taps = kernel.shape[0] * kernel.shape[1]
    even = (kernel.sum(axis=(0, 1)) ** 2).sum(axis=0) / taps
    return np.asarray(even / np.maximum((kernel**2).sum(axis=(0, 1, 2)), 1e-30))
