"""Which layer of the source model a float tensor is the output of, proven by their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Float32 sums in another order differ by 1e-7 of the values, and a deep network's by some 1e-5; two layers that
# compute different things differ by their own size.
_EQUAL_NOISE = 1e-6


@dataclass(frozen=True)
class LayerOutput:
    """The output of one call of the source model. name: as `edgecut inspect` has it; shape: with the batch axis."""

    name: str
    shape: tuple[int | None, ...]
    type: str = ""


def equal_layers(
    tensors: Mapping[int, np.ndarray], layers: Sequence[LayerOutput], values: Mapping[str, np.ndarray]
) -> dict[int, str]:
    """Tensor -> the layer that puts out the same values on the same inputs; a layer names at most one tensor.

    tensors: a float file's values (n, ...) in execution order; values: the source's, by layer. Axes of size 1 may
    have been left out. Of layers that are equal, as behind a Dropout, the first with the tensor's own shape is it,
    in the order of calls. A tensor that no layer equals, as one inside a layer, isn't in the answer.
    """
    found: dict[int, str] = {}
    free = {layer.name: values[layer.name] for layer in layers if layer.name in values}
    for index, tensor in tensors.items():
        equal = [name for name, value in free.items() if is_equal(tensor, value)]
        if equal:
            found[index] = min(equal, key=lambda name: free[name].shape != tensor.shape)
            del free[found[index]]
    return found


def is_equal(tensor: np.ndarray, value: np.ndarray) -> bool:
    """Whether two arrays (n, ...) hold the same values up to float32 rounding, axes of size 1 aside."""
    if _sizes(tensor) != _sizes(value):
        return False
    rows = value.reshape(-1, value.shape[-1]).astype(np.float64)
    other = tensor.reshape(rows.shape).astype(np.float64)
    if not np.isfinite(rows).all() or not np.isfinite(other).all():
        return False
    noise, spread = float(np.sum((rows - other) ** 2)), float(np.sum((rows - rows.mean(axis=0)) ** 2))
    return noise <= _EQUAL_NOISE * spread or bool(np.allclose(rows, other, rtol=1e-5, atol=1e-6))


def _sizes(array: np.ndarray) -> list[int]:
    return [array.shape[0], *(size for size in array.shape[1:] if size != 1)]
