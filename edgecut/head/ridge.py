"""Ridge regression from sums over rows: they add up part by part, so that neither rows nor their order of origin count.

Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 3.4.1 (ridge by the singular values) and
7.10 (leave-one-out of a linear smoother from its hat matrix).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgecut.images.mapped import Form, forget, gathered

ROWS = 4096
"""Rows that are summed at once: another number rounds otherwise, and one for everybody gives the same bits to all."""

# Below this share of the largest value of the channel, a deviation is the rounding of float32.
_DEAD_RELATIVE_STD = 1e-5
Rows = Callable[[slice], np.ndarray]
"""The targets of a slice of the rows, (n, outputs), float64."""


@dataclass(frozen=True, eq=False)
class Moments:
    """What rows of features and their targets add up to, about their own means, float64.

    mean, highest: (d,), of the features and of their absolute values. prior: (outputs,), of the targets. gram: (d, d)
    of the centred features. cross: (d, outputs), of them with the targets.
    """

    count: int
    mean: np.ndarray
    highest: np.ndarray
    prior: np.ndarray
    gram: np.ndarray
    cross: np.ndarray

    def deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """Each channel's standard deviation, and whether that is more than rounding; both (d,)."""
        deviation = np.sqrt(np.diag(self.gram) / self.count)
        return deviation, deviation > _DEAD_RELATIVE_STD * self.highest


def moments_of(features: np.ndarray, targets: np.ndarray) -> Moments:
    """Of rows (n, d) and (n, outputs), float64."""
    mean, prior = features.mean(axis=0), targets.mean(axis=0)
    centred = features - mean
    return Moments(
        len(features), mean, np.abs(features).max(axis=0), prior, centred.T @ centred, centred.T @ (targets - prior)
    )


def merged(parts: Iterable[Moments]) -> Moments:
    """Of all rows of the parts, added in their order (Chan, Golub, LeVeque, Updating Formulae, 1979, equation 2.1)."""
    return functools.reduce(_added, parts)


def slices(count: int) -> Iterator[slice]:
    """Of so many rows, ROWS at a time."""
    return (slice(k, min(k + ROWS, count)) for k in range(0, count, ROWS))


class Basis:
    """Standardised features turned to their principal axes, so that each further penalty costs little.

    inverse: (d,), what each centred channel is multiplied by. penalties: per sample.
    """

    def __init__(self, moments: Moments, penalties: Sequence[float]) -> None:
        """moments: of all rows."""
        deviation, alive = moments.deviation()
        self.moments, self.penalties, self.alive = moments, penalties, alive
        self.inverse = np.where(alive, 1 / np.where(alive, deviation, 1), 0)
        gram = self.inverse[:, None] * moments.gram * self.inverse
        energies, self._axes = np.linalg.eigh(gram)
        energies = np.clip(energies, 0, None)
        self._shrink = 1 / (energies[:, None] + np.multiply(penalties, moments.count))
        self._products = self._axes.T @ (self.inverse[:, None] * moments.cross)

    def standard(self, features: np.ndarray) -> np.ndarray:
        """The standardised features of rows (n, d)."""
        return (features - self.moments.mean) * self.inverse

    def errors(self, features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the sum of the squared leave-one-out errors, (penalties,); the diagonal of the hat matrix, (n, penalties)).

        Exact for a fixed standardisation. The intercept isn't penalised and gives the hat matrix its 1 / n.
        """
        rows = self.standard(features) @ self._axes
        hat, centred = rows**2 @ self._shrink, targets - self.moments.prior
        errors = np.empty(len(self.penalties))
        for k in range(len(errors)):
            residual = centred - rows @ (self._shrink[:, k, None] * self._products)
            errors[k] = np.sum((residual / self._left(hat[:, k])) ** 2)
        return errors, hat

    def left_out(self, place: int, features: np.ndarray, targets: np.ndarray, hat: np.ndarray) -> np.ndarray:
        """The scores that each sample would get from a fit on all the others, (n, outputs), at one of the penalties.

        hat: (n,), of that penalty.
        """
        residual = targets - self.moments.prior - self.standard(features) @ self.weights(place)
        return np.asarray(targets - residual / self._left(hat))

    def weights(self, place: int) -> np.ndarray:
        """The weights of the standardised features at one of the penalties: (d, outputs)."""
        return np.asarray(self._axes @ (self._shrink[:, place, None] * self._products))

    def _left(self, hat: np.ndarray) -> np.ndarray:
        return (1 - hat - 1 / self.moments.count)[:, None]


class DualBasis:
    """The same of fewer rows than channels, all of them at once, whose products with each other are the smaller matrix.

    features: (n, d); targets: (n, outputs); float64.
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> None:
        """One eigendecomposition of (n, n)."""
        self.mean, self.prior, self.penalties = features.mean(axis=0), targets.mean(axis=0), penalties
        deviation = features.std(axis=0)
        self.alive = deviation > _DEAD_RELATIVE_STD * np.abs(features).max(axis=0)
        self.inverse = np.where(self.alive, 1 / np.where(self.alive, deviation, 1), 0)
        self._targets, self._standard = targets, (features - self.mean) * self.inverse
        energies, self._axes = np.linalg.eigh(self._standard @ self._standard.T)
        energies = np.clip(energies, 0, None)
        self._shrink = 1 / (energies[:, None] + np.multiply(penalties, len(features)))
        self._rows = self._axes * np.sqrt(energies)
        self._products = self._rows.T @ (targets - self.prior)

    def errors(self) -> np.ndarray:
        """The sum of the squared leave-one-out errors at each penalty."""
        return np.array([np.sum((self._targets - self.left_out(k)) ** 2) for k in range(len(self.penalties))])

    def left_out(self, place: int) -> np.ndarray:
        """The scores that each sample would get from a fit on all the others, (n, outputs), at one of the penalties."""
        fitted = self._rows @ (self._shrink[:, place, None] * self._products)
        hat = self._rows**2 @ self._shrink[:, place]
        residual = self._targets - self.prior - fitted
        return np.asarray(self._targets - residual / (1 - hat - 1 / len(self._rows))[:, None])

    def weights(self, place: int) -> np.ndarray:
        """The weights of the standardised features at one of the penalties: (d, outputs)."""
        shrunk = self._shrink[:, place, None] * (self._axes.T @ (self._targets - self.prior))
        return np.asarray(self._standard.T @ (self._axes @ shrunk))


class PrimalBasis:
    """The same of many rows, read ROWS at a time; memory doesn't grow with them but for a few numbers of each."""

    def __init__(self, features: np.ndarray, targets: Rows, penalties: Sequence[float]) -> None:
        """features: (n, d), of any float type."""
        self._features, self._targets, self.penalties = features, targets, penalties
        self._basis = Basis(merged(moments_of(self._wide(part), targets(part)) for part in self._slices()), penalties)
        moments = self._basis.moments
        self.mean, self.prior, self.inverse, self.alive = (
            moments.mean,
            moments.prior,
            self._basis.inverse,
            self._basis.alive,
        )
        self._hats: list[np.ndarray] = []

    def errors(self) -> np.ndarray:
        """The sum of the squared leave-one-out errors at each penalty."""
        total = np.zeros(len(self.penalties))
        for part in self._slices():
            errors, hat = self._basis.errors(self._wide(part), self._targets(part))
            total += errors
            self._hats.append(hat)
        return total

    def left_out(self, place: int) -> np.ndarray:
        """The scores of `DualBasis.left_out`, after `errors`; many lie in a file (images/mapped.py)."""
        hats = zip(self._slices(), self._hats, strict=True)
        parts = (self._basis.left_out(place, self._wide(x), self._targets(x), hat[:, place]) for x, hat in hats)
        return gathered(Form((len(self._features), len(self.prior)), np.dtype(np.float64)), parts)

    def weights(self, place: int) -> np.ndarray:
        """The weights of the standardised features at one of the penalties: (d, outputs)."""
        return self._basis.weights(place)

    def _slices(self) -> Iterator[slice]:
        for part in slices(len(self._features)):
            yield part
            forget(self._features)

    def _wide(self, part: slice) -> np.ndarray:
        return np.asarray(self._features[part], np.float64)


def _added(first: Moments, second: Moments) -> Moments:
    count = first.count + second.count
    step, turn = second.mean - first.mean, second.prior - first.prior
    share = second.count / count
    weight = first.count * share
    return Moments(
        count,
        first.mean + share * step,
        np.maximum(first.highest, second.highest),
        first.prior + share * turn,
        first.gram + second.gram + weight * np.outer(step, step),
        first.cross + second.cross + weight * np.outer(step, turn),
    )
