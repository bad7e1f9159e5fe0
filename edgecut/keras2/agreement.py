"""Two models of different generations held against each other, tensor by tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from edgecut.errors import GraphError
from edgecut.graph.proof import OPEN_SIZE
from edgecut.keras2.rules import policy_name
from edgecut.records.proof import OutputProof

INPUTS = 2  # every tensor of the model is kept for each

# Of the largest value of each tensor.
TOLERANCE = 1e-4
TOLERANCE_REASON = "Keras 2 and Keras 3 normalize and round in another order"


def compare(names: Sequence[str], old: Sequence[np.ndarray], new: Sequence[np.ndarray]) -> None:
    """GraphError with the first layer whose values differ.

    Every tensor is held against its counterpart, not the outputs alone: a softmax over barely trained scores would
    hide what is wrong before it.
    """
    for name, a, b in zip(names, old, new, strict=True):
        if _relative(a, b) > TOLERANCE:
            raise GraphError(
                f"layer {name!r} computes something else in the other generation of Keras: up to "
                f"{_difference(a, b):.2g} apart, where values reach {float(np.max(np.abs(a))):.2g}"
            )


def proof_of(old: Sequence[np.ndarray], new: Sequence[np.ndarray], tensors: int) -> OutputProof:
    """How near the outputs of two models are. tensors: how many of their tensors were compared."""
    return OutputProof(
        inputs=INPUTS,
        max_abs_error=max(map(_difference, old, new)),
        exact=all(np.array_equal(a, b, equal_nan=True) for a, b in zip(old, new, strict=True)),
        tensors=tensors,
        tolerance=TOLERANCE,
        tolerance_reason=TOLERANCE_REASON,
    )


def seeded_values(inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Seeded values for each input: floats in -1..1, others 0 or 1."""
    random, values = np.random.default_rng(0), []
    for tensor in inputs:
        sizes = [INPUTS if axis == 0 else OPEN_SIZE for axis in range(len(tensor.shape))]
        shape = [size or opened for size, opened in zip(tensor.shape, sizes, strict=True)]
        dtype = policy_name(tensor.dtype)
        drawn = random.uniform(-1, 1, shape) if "float" in dtype else random.integers(0, 2, shape)
        values.append(tf.cast(tf.constant(drawn), dtype))
    return values


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a.astype("float64") - b.astype("float64")))) if a.size else 0.0


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference as a part of the largest value; infinite for another shape, or NaN."""
    if a.shape != b.shape or not np.isfinite(b).all():
        return float("inf")
    return _difference(a, b) / max(1e-9, float(np.max(np.abs(a), initial=0.0)))
