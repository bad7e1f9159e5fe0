"""Which images are taken: evenly over the classes, and the same ones every time."""

from __future__ import annotations

import numpy as np

from edgecut.errors import DataError


def evenly(labels: np.ndarray, count: int) -> np.ndarray:
    """The sorted indices of the first `count` items, taken in turn from each class; all if there are fewer.

    labels: (n,), whole numbers. A class that runs out leaves its turns to the others.
    """
    order = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    turn = np.arange(len(labels)) - np.repeat(starts, sizes)
    by_turn = order[np.argsort(turn, kind="stable")]
    return np.sort(by_turn[:count])


def sampled(labels: np.ndarray | None, total: int, count: int, seed: int) -> np.ndarray:
    """The sorted indices of `count` of `total` items, chosen at random.

    labels: (total,); if given, the classes are taken evenly.
    """
    shuffled = np.random.default_rng(seed).permutation(total)
    if labels is None:
        return np.sort(shuffled[:count])
    return np.sort(shuffled[evenly(labels[shuffled], count)])


def split(labels: np.ndarray, fraction: float, seed: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The sorted indices of the training part and of the validation part, chosen at random in each class.

    fraction: what validation gets of each class, at least one image where the class has two.
    Raises DataError if no class has two images.
    """
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        parts.append(members[:count])
    held_out = np.sort(np.concatenate(parts))
    if not len(held_out):
        raise DataError(
            f"{where}: no class has two images, so none can be held out to measure accuracy; add images or set data.val"
        )
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
