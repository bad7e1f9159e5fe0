"""A linear head in closed form: ridge regression on features, the penalty chosen by leave-one-out.

Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 3.4.1 (ridge by the singular values) and
7.10 (leave-one-out of a linear smoother from its hat matrix).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from edgecut.errors import HeadError
from edgecut.images.labels import check_labels
from edgecut.score.metrics import Score, accuracy, r2

# Penalties per sample, on features of unit variance.
PENALTIES: tuple[float, ...] = tuple(10.0 ** (k / 2) for k in range(-10, 5))
# Below this share of the largest value of the channel, a deviation is the rounding of float32.
_DEAD_RELATIVE_STD = 1e-5
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


def fit_ridge(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    penalties: Sequence[float] = PENALTIES,
    score: Score = accuracy,
) -> Probe:
    """The ridge classifier with the penalty whose leave-one-out squared error is smallest.

    The squared error chooses as well as the leave-one-out accuracy or better, and is no step function of the
    penalty: on eight sets of MobileNetV1 features of CIFAR-10 (2,000 and 1,000 images) held-out accuracy differs by
    -0.003 to +0.004.

    features: (n, d), float; computed in float64. labels: (n,), whole numbers in 0..classes-1; a class without
    images gets a score of 0. penalties: per sample, greater than 0, on features of unit variance; all are
    tried with one eigendecomposition of min(n, d) squared. score: what loo_accuracy is. Raises DataError for a
    label that is no class, HeadError for features that can't be fitted.
    """
    labels = np.asarray(labels).reshape(-1)
    _check(features, labels, penalties)
    check_labels(labels, classes, "labels")
    probe, left_out = _fitted(features, np.eye(classes)[labels], penalties)
    return replace(probe, temperature=fit_temperature(left_out, labels), loo_accuracy=score(left_out, labels))


def fit_values(
    features: np.ndarray, targets: np.ndarray, penalties: Sequence[float] = PENALTIES, score: Score = r2
) -> Probe:
    """The same for values, or for tags of 0 and 1: targets (n, outputs), float. Its temperature is 1."""
    _check(features, targets, penalties)
    if targets.ndim != 2 or not np.all(np.isfinite(targets)):
        raise HeadError(f"head: targets of shape {targets.shape} can't be fitted; finite (n, outputs) are expected")
    probe, left_out = _fitted(features, np.asarray(targets, np.float64), penalties)
    return replace(probe, loo_accuracy=score(left_out, targets))


def _fitted(features: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> tuple[Probe, np.ndarray]:
    """The head with the best penalty, its temperature 1 and its score not yet known, and its leave-one-out scores.

    BLAS gets one thread: two that wait for each other on a busy machine took 0.2 to 2 s of processor time for what
    one does in 0.005 to 0.11 s (256 to 1,000 features, OpenBLAS 0.3), and the bits don't depend on how many there are.
    """
    with threadpool_limits(1, user_api="blas"):
        return _fitted_alone(features, targets, penalties)


def _fitted_alone(features: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> tuple[Probe, np.ndarray]:
    wide = np.asarray(features, np.float64)
    mean = wide.mean(axis=0)
    deviation, alive = _deviation(wide)
    inverse = np.where(alive, 1 / np.where(alive, deviation, 1), 0)
    standard = (wide - mean) * inverse
    prior = targets.mean(axis=0)
    basis = _Basis(standard, targets - prior)
    # One trial is held beside the best: of 1,000 targets and 10,000 images each takes 80 MB.
    least, best, left_out = np.inf, penalties[0], targets
    for penalty in penalties:
        trial = _leave_one_out(basis, targets, prior, penalty)
        error = float(np.mean((targets - trial) ** 2))
        if error < least:
            least, best, left_out = error, penalty, trial
    kernel = basis.weights(best) * inverse[:, None]
    probe = Probe(
        kernel=kernel.astype(np.float32),
        bias=(prior - mean @ kernel).astype(np.float32),
        penalty=best,
        temperature=1.0,
        loo_accuracy=0.0,
        loo_error=float(least),
        dead=int(np.sum(~alive)),
        mean=mean.astype(np.float32),
    )
    return probe, left_out


def fit_temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """The factor in 0.01..100 by which the scores' softmax gives the labels the greatest likelihood.

    scores: (n, classes), of images that were not fitted on. Guo et al., On Calibration of Modern Neural
    Networks, 2017, with 1 / temperature as the factor. The likelihood is concave in the factor, so its slope
    is bisected.
    """
    own = scores[np.arange(len(labels)), labels]
    low, high = np.log(_TEMPERATURES)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        scaled = scores * np.exp(middle)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        expected = (weights * scores).sum(axis=1) / weights.sum(axis=1)
        low, high = (middle, high) if np.sum(own - expected) >= 0 else (low, middle)
    return float(np.exp((low + high) / 2))


class _Basis:
    """Standardised features turned to their principal axes, so that each further penalty costs little.

    standard: (n, d) of zero mean; targets: (n, classes) of zero mean.
    """

    def __init__(self, standard: np.ndarray, targets: np.ndarray) -> None:
        count, width = standard.shape
        self.count = count
        self._dual = standard if width > count else None
        gram = standard @ standard.T if width > count else standard.T @ standard
        energies, self._axes = np.linalg.eigh(gram)
        self._energies = np.clip(energies, 0, None)
        self._rows = self._axes * np.sqrt(self._energies) if width > count else standard @ self._axes
        self._squares = self._rows**2
        self._products = self._rows.T @ targets
        self._targets = targets

    def fit(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """The fitted targets (n, classes), and the diagonal of the hat matrix (n,)."""
        inverse = 1 / (self._energies + penalty * self.count)
        return self._rows @ (inverse[:, None] * self._products), self._squares @ inverse

    def weights(self, penalty: float) -> np.ndarray:
        """The weights of the standardised features: (d, classes)."""
        inverse = 1 / (self._energies + penalty * self.count)
        if self._dual is None:
            return self._axes @ (inverse[:, None] * self._products)
        return self._dual.T @ (self._axes @ (inverse[:, None] * (self._axes.T @ self._targets)))


def _leave_one_out(basis: _Basis, targets: np.ndarray, prior: np.ndarray, penalty: float) -> np.ndarray:
    """The scores that each sample would get from a fit on all the others; (n, classes).

    Exact for a fixed standardisation. The intercept isn't penalised and gives the hat matrix its 1 / n.
    """
    fitted, hat = basis.fit(penalty)
    residual = targets - prior - fitted
    return targets - residual / (1 - hat - 1 / basis.count)[:, None]


def _deviation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each channel's standard deviation, and whether that is more than rounding; both (d,)."""
    deviation = features.std(axis=0)
    return deviation, deviation > _DEAD_RELATIVE_STD * np.abs(features).max(axis=0)


def _check(features: np.ndarray, labels: np.ndarray, penalties: Sequence[float]) -> None:
    if features.ndim != 2:
        raise HeadError(f"head: features of shape {features.shape} can't be fitted; (n, channels) is expected")
    if len(features) != len(labels):
        raise HeadError(f"head: {len(features)} rows of features and {len(labels)} labels; make them equal")
    if len(features) < 2 or not features.shape[1]:
        raise HeadError(f"head: features of shape {features.shape} can't be fitted; at least 2 rows are needed")
    if not np.all(np.isfinite(features)):
        raise HeadError("head: the features hold NaN or infinity; check source.preprocess and the model's weights")
    if not penalties or min(penalties) <= 0:
        raise HeadError(f"head: penalties are greater than 0, found {list(penalties)}")
