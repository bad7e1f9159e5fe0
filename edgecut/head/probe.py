"""A linear head in closed form: ridge regression on features (ridge.py), the penalty chosen by leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from edgecut.errors import HeadError
from edgecut.head.ridge import ROWS, DualBasis, PrimalBasis, Rows, slices
from edgecut.images.labels import check_labels
from edgecut.images.mapped import batches, forget
from edgecut.score.metrics import Score, accuracy, r2

# Penalties per sample, on features of unit variance.
PENALTIES: tuple[float, ...] = tuple(10.0 ** (k / 2) for k in range(-10, 5))
_TEMPERATURES = (1e-2, 1e2)
_BISECTIONS = 50
# tensorflow.org/lite/performance/quantization_spec: weights are symmetric, -127..127.
_INT8_MAX = 127


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear head: scores = features @ kernel + bias.

    kernel: (d, outputs), float32; bias: (outputs,), float32; the standardisation of the features is folded
    into both. penalty: the chosen one, per sample. loo_accuracy, loo_error: of the leave-one-out scores, by the
    metric (the fraction of hits by default, R2 for values) and as the mean squared error. temperature: what the
    scores of classes are multiplied by so that their softmax gives the likeliest probabilities. dead: how many of
    the d channels hardly vary and have a weight of exactly 0. mean: (d,), float32, of the features.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    temperature: float
    loo_accuracy: float
    loo_error: float
    dead: int
    mean: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, classes), float32, near 1 for the class and near 0 for the others."""
        return np.asarray(features, np.float32) @ self.kernel + self.bias

    def rounded(self) -> Probe:
        """The same classifier with a kernel that an int8 file holds exactly, and a bias that makes up for it.

        The grid is TFLite's for weights: -127..127 times max|w| / 127 of each class. Rounding alone shifts each
        score by its error times the mean of the features; the bias takes that shift back.
        """
        kernel = self.kernel.astype(np.float64)
        step = np.abs(kernel).max(axis=0) / _INT8_MAX
        rounded = np.rint(kernel / np.where(step > 0, step, 1)) * step
        bias = self.bias + self.mean.astype(np.float64) @ (kernel - rounded)
        return replace(self, kernel=rounded.astype(np.float32), bias=bias.astype(np.float32))

    def scaled(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias for a head that ends in softmax: both times the temperature, float32."""
        factor = np.float32(self.temperature)
        return self.kernel * factor, self.bias * factor


def fit_ridge(features: np.ndarray, labels: np.ndarray, classes: int, penalties: Sequence[float] = PENALTIES) -> Probe:
    """The ridge classifier with the penalty whose leave-one-out squared error is smallest.

    The squared error chooses as well as the leave-one-out accuracy or better, and is no step function of the
    penalty: on eight sets of MobileNetV1 features of CIFAR-10 (2,000 and 1,000 images) held-out accuracy differs by
    -0.003 to +0.004.

    features: (n, d), float; computed in float64, a part of many rows after the other. labels: (n,), whole numbers in
    0..classes-1; a class without images gets a score of 0. penalties: per sample, greater than 0, on features of unit
    variance; all are tried with one eigendecomposition of min(n, d) squared. Raises DataError for a label that is no
    class, HeadError for features that can't be fitted.
    """
    labels = np.asarray(labels).reshape(-1)
    probe, left_out = _fitted(features, _of_classes(features, labels, classes, penalties), penalties)
    return replace(probe, temperature=fit_temperature(left_out, labels), loo_accuracy=accuracy(left_out, labels))


def fit_values(features: np.ndarray, targets: np.ndarray, penalties: Sequence[float] = PENALTIES) -> Probe:
    """The same for values, or for tags of 0 and 1: targets (n, outputs), float. Its temperature is 1."""
    probe, left_out = _fitted(features, _of_values(features, targets, penalties), penalties)
    return replace(probe, loo_accuracy=r2(left_out, targets))


def leave_one_out(
    features: np.ndarray,
    targets: np.ndarray,
    outputs: int,
    penalties: Sequence[float] = PENALTIES,
    score: Score = accuracy,
) -> float:
    """What the leave-one-out scores of such a head are worth, without the head.

    targets: (n,), whole numbers in 0..outputs-1, as fit_ridge has them, or (n, outputs), as fit_values has them.
    """
    of = _of_classes(features, targets, outputs, penalties) if targets.ndim == 1 else None
    return score(_fitted(features, of or _of_values(features, targets, penalties), penalties)[1], targets)


def _of_classes(features: np.ndarray, labels: np.ndarray, classes: int, penalties: Sequence[float]) -> Rows:
    _check(features, labels, penalties)
    check_labels(labels, classes, "labels")
    ones = np.eye(classes)
    return lambda part: ones[labels[part]]


def _of_values(features: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> Rows:
    _check(features, targets, penalties)
    if targets.ndim != 2 or not all(np.isfinite(part).all() for part in batches(targets, ROWS)):
        raise HeadError(f"head: targets of shape {targets.shape} can't be fitted; finite (n, outputs) are expected")
    return lambda part: np.asarray(targets[part], np.float64)


def _fitted(features: np.ndarray, targets: Rows, penalties: Sequence[float]) -> tuple[Probe, np.ndarray]:
    """The head with the best penalty, its temperature 1 and its score not yet known, and its leave-one-out scores.

    BLAS gets one thread: two that wait for each other on a busy machine took 0.2 to 2 s of processor time for what
    one does in 0.005 to 0.11 s (256 to 1,000 features, OpenBLAS 0.3), and the bits don't depend on how many there are.
    """
    count, width = features.shape
    with threadpool_limits(1, user_api="blas"):
        basis: PrimalBasis | DualBasis = (
            PrimalBasis(features, targets, penalties)
            if width <= count
            else DualBasis(np.asarray(features, np.float64), targets(slice(count)), penalties)
        )
        errors = basis.errors()
        best = int(np.argmin(errors))
        left_out, kernel = basis.left_out(best), basis.weights(best) * basis.inverse[:, None]
    probe = Probe(
        kernel=kernel.astype(np.float32),
        bias=(basis.prior - basis.mean @ kernel).astype(np.float32),
        penalty=penalties[best],
        temperature=1.0,
        loo_accuracy=0.0,
        loo_error=float(errors[best] / left_out.size),
        dead=int(np.sum(~basis.alive)),
        mean=basis.mean.astype(np.float32),
    )
    return probe, left_out


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The factor in 0.01..100 by which the scores' softmax gives the labels the greatest likelihood.

    scores: (n, classes), of images that were not fitted on. Guo et al., On Calibration of Modern Neural
    Networks, 2017, with 1 / temperature as the factor. The likelihood is concave in the factor, so its slope
    is bisected.
    """
    low, high = np.log(_TEMPERATURES)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        slope = sum(_slope(scores[part], labels[part], np.exp(middle)) for part in slices(len(labels)))
        forget(scores)
        low, high = (middle, high) if slope >= 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def _slope(scores: np.ndarray, labels: np.ndarray, factor: float) -> float:
    """By how much the scores of the labels are above those that a softmax expects; of some rows."""
    scaled = scores * factor
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    expected = (weights * scores).sum(axis=1) / weights.sum(axis=1)
    return float(np.sum(scores[np.arange(len(labels)), labels] - expected))


def _check(features: np.ndarray, labels: np.ndarray, penalties: Sequence[float]) -> None:
    if features.ndim != 2:
        raise HeadError(f"head: features of shape {features.shape} can't be fitted; (n, channels) is expected")
    if len(features) != len(labels):
        raise HeadError(f"head: {len(features)} rows of features and {len(labels)} labels; make them equal")
    if len(features) < 2 or not features.shape[1]:
        raise HeadError(f"head: features of shape {features.shape} can't be fitted; at least 2 rows are needed")
    if not all(np.isfinite(part).all() for part in batches(features, ROWS)):
        raise HeadError("head: the features hold NaN or infinity; check source.preprocess and the model's weights")
    if not penalties or min(penalties) <= 0:
        raise HeadError(f"head: penalties are greater than 0, found {list(penalties)}")
