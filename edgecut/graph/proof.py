"""Proof that a rebuilt model computes what its source does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from edgecut.graph.calls import Calls, Tensor, calls, flat
from edgecut.graph.rebuild import Splice, run

INPUTS = 8
OPEN_SIZE = 96  # what an open height or width is tried at


def seeded_inputs(tensors: Sequence[Tensor], *, count: int = INPUTS, seed: int = 0) -> list[np.ndarray]:
    """`count` seeded inputs for each tensor: floats in -1..1, integers and booleans 0 or 1, open sizes 96."""
    random = np.random.default_rng(seed)
    arrays = []
    for tensor in tensors:
        batch = count if tensor.shape[0] is None else tensor.shape[0]
        shape = (batch, *(OPEN_SIZE if size is None else size for size in tensor.shape[1:]))
        if "float" in tensor.dtype:
            arrays.append(random.uniform(-1, 1, shape).astype("float32"))
        else:
            arrays.append(random.integers(0, 2, shape))
    return arrays


def prove_edit(
    graph: Calls, result: keras.Model, ends: Sequence[Tensor], starts: Sequence[Tensor] = (),
    splices: Mapping[Tensor, Splice] | None = None, *, count: int = INPUTS, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """{"inputs", "max_abs_error", "exact"}: `result` against the source's own layers on seeded inputs.

    ends: the source's tensors that the result puts out. starts: those that feed it (default: the source's inputs),
    whose values the source computes. splices: edits that are applied to the source's run, too. exact means bit-equal.
    """
    feeds = flat(graph.inputs)
    values = dict(zip(feeds, map(_to_tensor, seeded_inputs(feeds, count=count, seed=seed), feeds), strict=True))
    if starts:
        fed = run(graph, values, starts)
        expected = run(graph, dict(zip(starts, fed, strict=True)), ends, splices)
    else:
        taken = {call.name for call in calls(result) if call.is_input}
        fed = [values[tensor] for tensor in feeds if graph.producer[tensor].name in taken]
        expected = run(graph, values, ends, splices)
    return difference(tree.flatten(call_flat(result, fed)), expected, inputs=count)


def call_flat(model: keras.Model, inputs: Sequence[Any]) -> Any:
    """The outputs of a model in inference, given its inputs as a flat list in its own order."""
    return model(tree.pack_sequence_as(model._inputs_struct, list(inputs)), training=False)


def difference(got: Sequence[Any], expected: Sequence[Any], *, inputs: int) -> dict[str, Any]:
    """{"inputs", "max_abs_error", "exact"} of arrays that should be bit-equal."""
    error, exact = 0.0, True
    for a, b in zip(got, expected, strict=True):
        a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
        exact = exact and a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=True))
        if a.size and a.dtype.kind in "fiu":
            error = max(error, float(np.max(np.abs(a.astype("float64") - b.astype("float64")))))
    return {"inputs": inputs, "max_abs_error": error, "exact": exact}


def _to_tensor(array: np.ndarray, tensor: Tensor) -> Any:
    return keras.ops.convert_to_tensor(array, dtype=tensor.dtype)
