"""Prices of a device out of the few nets that somebody measured on it.

Prices are fitted as logarithms, so that none is negative, and each is pulled towards a prior: what other boards with
the same runtime cost, or what kernels cost in general. So four nets change what they tell of and leave the rest alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from scipy.optimize import least_squares

from edgecut.bench.work import KINDS, work
from edgecut.tflite.flatbuffer import TfliteGraph

Label = TypeVar("Label", str, tuple[str, str])

# Logarithms: what one net is off by that no prices explain, what a version of a runtime changes, how far a board's
# prices are from those of others with its runtime. Chosen on the boards of tools/boards with whole families left out;
# half or twice as much of each changes the median error there by less than a tenth of it.
NOISE, VERSION, BOARD = 0.2, 0.15, 0.25
# What a place's speed is beside another's: free.
SPEED = 3.0


@dataclass(frozen=True)
class Measured:
    """A net and its time at a place: a board with its runtime. family: nets of one architecture, whatever their size.

    internal_bytes, flash_bytes: what its activations and weights may take there before they are far.
    """

    net: str
    family: str
    graph: TfliteGraph
    seconds: float
    place: str = ""
    version: str = ""
    internal_bytes: int | None = None
    flash_bytes: int | None = None

    @cached_property
    def amounts(self) -> list[float]:
        """The work of the net, by KINDS."""
        found = work(self.graph, self.internal_bytes, self.flash_bytes)
        return [found.get(kind, 0.0) for kind in KINDS]


@dataclass(frozen=True)
class Prior:
    """What prices are pulled towards: their ratios, and how far each may be off, as a logarithm. By KINDS."""

    prices: tuple[float, ...]
    spreads: tuple[float, ...]


@dataclass(frozen=True)
class Fitted:
    """Prices by KINDS, in seconds at a place where its factor is 1, and what was found besides.

    spreads: how sure each is beside the others, as a logarithm. factors: of each place. versions: of each place's
    versions.
    """

    prices: tuple[float, ...]
    spreads: tuple[float, ...]
    factors: Mapping[str, float]
    versions: Mapping[tuple[str, str], float]

    def at(self, place: str) -> tuple[float, ...]:
        """The prices there, in seconds, whatever the version."""
        return tuple(price * self.factors[place] for price in self.prices)

    def seconds(self, row: Measured) -> float:
        """The time of a net at a place that was among the rows; a version that wasn't changes nothing."""
        total = float(np.dot(row.amounts, self.at(row.place)))
        return total * self.versions.get((row.place, row.version), 1.0)


def fitted(rows: Sequence[Measured], prior: Prior) -> Fitted:
    """The prices that explain the rows with the least relative error beside the least change of the prior.

    The rows of one net at one place count together as one row does, in whatever versions it was measured.
    """
    amounts, times = np.array([row.amounts for row in rows]), np.log([row.seconds for row in rows])
    places, versions = _columns([row.place for row in rows]), _columns([(row.place, row.version) for row in rows])
    labels = np.array([*places.values(), *versions.values()]).T
    counts = Counter((row.place, row.net) for row in rows)
    pull = np.array([counts[row.place, row.net] ** -0.5 for row in rows]) / NOISE
    kinds, ends = len(KINDS), len(KINDS) + len(places)
    off = times - np.log(amounts @ np.array(prior.prices))
    speeds = [np.median(off[np.array(own) > 0]) for own in places.values()]
    start = np.concatenate([np.log(prior.prices), speeds, np.zeros(len(versions))])
    widths = np.concatenate([prior.spreads, np.full(len(places), SPEED), np.full(len(versions), VERSION)])

    def misfit(values: np.ndarray) -> np.ndarray:
        off = np.log(amounts @ np.exp(values[:kinds])) + labels @ values[kinds:] - times
        return np.concatenate([pull * off, (values - start) / widths])

    def slopes(values: np.ndarray) -> np.ndarray:
        spent = amounts * np.exp(values[:kinds])
        shares = spent / spent.sum(axis=1, keepdims=True)
        return np.vstack([pull[:, None] * np.hstack([shares, labels]), np.diag(1 / widths)])

    # A net that no prices explain pulls less, as do prices far from the prior.
    found = least_squares(misfit, start, slopes, loss="soft_l1")
    sure = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac))[:kinds])
    return Fitted(
        tuple(np.exp(found.x[:kinds]).tolist()),
        tuple(np.minimum(sure, prior.spreads).tolist()),
        dict(zip(places, np.exp(found.x[kinds:ends]).tolist(), strict=True)),
        dict(zip(versions, np.exp(found.x[ends:]).tolist(), strict=True)),
    )


def lent(rows: Sequence[Measured], prior: Prior) -> Prior:
    """The prior of a board from the rows of others; without any the general one."""
    if not rows:
        return prior
    found = fitted(rows, prior)
    return Prior(found.prices, tuple(float(np.hypot(spread, BOARD)) for spread in found.spreads))


def _columns(labels: Sequence[Label]) -> dict[Label, list[float]]:
    """Label -> 1 for each row that has it, 0 for others; in the order of the rows."""
    return {label: [float(label == other) for other in labels] for label in dict.fromkeys(labels)}
