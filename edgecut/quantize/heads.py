"""A linear head on a quantized body: fitted to what the float head says, and rounded to int8 with the body's noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edgecut.quantize.numbers import WEIGHT_MAX, Codes, Numbers
from edgecut.quantize.pairs import FilePair
from edgecut.quantize.rounding import rounded
from edgecut.tflite.flatbuffer import Operator, TfliteGraph
from edgecut.tflite.kinds import BOUNDARIES

# Per sample, on features of unit variance. Of 0.01 and 0.1 the smaller agreed more often with the float head, on
# twelve cuts of MobileNetV1 (2,000 and 1,000 CIFAR-10 images), and both more than a head fitted to the labels.
PENALTY = 0.01


@dataclass(frozen=True, eq=False)
class Linear:
    """scores = features @ kernel + bias. kernel: (features, classes), bias: (classes,), float64."""

    kernel: np.ndarray
    bias: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(n, features) -> (n, classes)."""
        return np.asarray(features.astype(np.float64) @ self.kernel + self.bias)

    def divided(self, factors: np.ndarray) -> Linear:
        """The head for features that were multiplied by factors."""
        return Linear(self.kernel / factors[:, None], self.bias)


def follow(head: Linear, features: np.ndarray, scores: np.ndarray, penalty: float = PENALTY) -> Linear:
    """The head that gives the float model's scores from the quantized body's features.

    Ridge regression of what is left of the scores behind `head`, so that a penalty without end gives `head` itself with
    a mended bias. features: (n, d) of the quantized body; scores: (n, classes) of the float model.
    """
    wide, mean = features.astype(np.float64), features.mean(axis=0, dtype=np.float64)
    deviation = wide.std(axis=0)
    alive = deviation > 1e-9 * np.maximum(np.abs(mean), 1e-30)
    inverse = np.where(alive, 1 / np.where(alive, deviation, 1), 0)
    standard = (wide - mean) * inverse
    centre = scores.mean(axis=0)
    residual = scores - centre - (wide - mean) @ head.kernel
    count, width = standard.shape
    if width <= count:
        gram = standard.T @ standard + penalty * count * np.eye(width)
        change = np.linalg.solve(gram, standard.T @ residual)
    else:
        gram = standard @ standard.T + penalty * count * np.eye(count)
        change = standard.T @ np.linalg.solve(gram, residual)
    kernel = head.kernel + change * inverse[:, None]
    return Linear(kernel, centre - mean @ kernel)


def nearest_steps(head: Linear) -> Linear:
    """The head with each weight at its nearest int8 step, as the converter has it."""
    scales = np.abs(head.kernel).max(axis=0) / WEIGHT_MAX
    scales = np.where(scales > 0, scales, 1.0)
    return Linear(np.rint(head.kernel / scales) * scales, head.bias)


def on_grid(head: Linear, features: np.ndarray, *, one_scale: bool = False) -> tuple[Linear, Codes]:
    """The head with weights that int8 holds, the bias made up for it, and the codes (classes, features).

    features: what the head gets; their covariance decides which way each weight is rounded. one_scale: for all classes.
    """
    largest = np.abs(head.kernel).max(axis=0)
    largest = largest.max(keepdims=True) if one_scale else largest
    scales = np.where(largest > 0, largest / WEIGHT_MAX, 1.0)
    each = np.broadcast_to(scales, head.bias.shape)
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    steps = rounded(head.kernel.T, each, centred.T @ centred / len(features))
    kernel = (steps * each[:, None]).T
    bias = head.bias + mean @ (head.kernel - kernel)
    return Linear(kernel, bias), Codes(steps.astype(np.int8), scales)


@dataclass(frozen=True, eq=False)
class Place:
    """Where the head is in an int8 file. operator: the one with its weights; scores: the tensors that hold its sums.

    before: whether it stands in front of the pooling (swap.py), a 1x1 convolution.
    """

    operator: Operator
    before: bool
    scores: tuple[int, ...]


def head_place(graph: TfliteGraph, width: int) -> Place | None:
    """The place of a head on `width` pooled features, if nothing but a softmax follows it; None if there is none."""
    behind = list(graph.operators)
    while behind and behind[-1].name in BOUNDARIES | {"SOFTMAX"}:
        behind.pop()
    if not behind:
        return None
    last, before = behind[-1], behind[-2] if len(behind) > 1 else None
    if last.name == "FULLY_CONNECTED" and graph.tensors[last.inputs[1]].shape[-1] == width:
        return Place(last, False, (last.outputs[0],))
    if last.name == "MEAN" and before is not None and before.outputs[0] == last.inputs[0]:
        shape = graph.tensors[before.inputs[1]].shape if len(before.inputs) > 1 else ()
        if before.name == "CONV_2D" and shape[1:] == (1, 1, width):
            return Place(before, True, (before.outputs[0], last.outputs[0]))
    return None


def with_head(
    file_pair: FilePair, numbers: Numbers, place: Place, head: Linear, features: np.ndarray, places: np.ndarray
) -> Numbers:
    """The numbers with a head in its place.

    features: (n, d), what is pooled, on which the weights are rounded; places: (m, d), what the head gets: the same, or
    single places of the map where it stands before the pooling. The scores' ranges become what they are on these.
    """
    index = place.operator.index
    one_scale = len(file_pair.graph.tensors[place.operator.inputs[1]].scales) == 1
    exact, codes = on_grid(head, features, one_scale=one_scale)
    weights = head.kernel.T.reshape(file_pair.weighted[index].weights.shape)
    numbers = numbers.with_weights(index, weights.copy(), exact.bias)
    steps = Codes(codes.steps.reshape(weights.shape), codes.scales)
    spans = {}
    for tensor, seen in zip(place.scores, (places, features), strict=False):
        scores = exact.scores(seen)
        spans[tensor] = (float(scores.min()), float(scores.max()))
    return replace(numbers, codes={**numbers.codes, index: steps}, ranges={**numbers.ranges, **spans})
