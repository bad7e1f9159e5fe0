"""What the images of a search are to say, made small enough for a probe."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from edgecut.head.ridge import ROWS, merged, moments_of
from edgecut.images.mapped import Form, batches, gathered

_TARGETS = 64  # values that a probe is fitted to


def leading(targets: np.ndarray) -> np.ndarray:
    """The targets that a probe is fitted to: of very many values their leading principal components.

    (n, outputs) float -> (n, at most 64). They hold most of the variance, and R2 weighs by variance.
    """
    if targets.ndim == 1 or targets.shape[1] <= _TARGETS:
        return targets
    with threadpool_limits(1, user_api="blas"):  # the bits don't depend on how many threads there are
        return _leading(targets)


def _leading(targets: np.ndarray) -> np.ndarray:
    moments = merged(moments_of(wide, wide[:, :0]) for wide in _wide(targets))
    _, axes = np.linalg.eigh(moments.gram)
    form = Form((len(targets), _TARGETS), np.dtype(np.float64))
    return gathered(form, ((wide - moments.mean) @ axes[:, -_TARGETS:] for wide in _wide(targets)))


def _wide(targets: np.ndarray) -> Iterator[np.ndarray]:
    return (np.asarray(part, np.float64) for part in batches(targets, ROWS))
