"""What a model computes and how it is wired, to be compared before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgecut.graph.calls import calls, flat
from edgecut.graph.proof import call_flat, seeded_inputs, to_array, to_tensor, undisturbed
from edgecut.graph.trace import all_operations


def inputs_of(model: keras.Model, seed: int = 3, count: int = 3) -> list[Any]:
    """Seeded values for a model's inputs, flat."""
    tensors = flat(calls(model).inputs)
    return [to_tensor(x, t) for x, t in zip(seeded_inputs(tensors, count=count, seed=seed), tensors, strict=True)]


def outputs(model: keras.Model, values: Sequence[Any]) -> list[np.ndarray]:
    """A model's outputs, flat; its states are as before."""
    with undisturbed(model):
        return [to_array(x) for x in keras.tree.flatten(call_flat(model, values))]


def same(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    """Whether two lists of arrays are bit-equal."""
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b, strict=True))


def wiring(model: keras.Model) -> list[Any]:
    """Every operation's name, flags and nodes, by identity."""
    return [
        (
            id(op), op.name, [id(node) for node in op._inbound_nodes], [id(node) for node in op._outbound_nodes],
            getattr(op, "built", None), getattr(op, "trainable", None),
        )
        for op in all_operations(model)
    ]  # fmt: skip


def weights(model: keras.Model) -> list[np.ndarray]:
    """Copies of all variables."""
    return [keras.ops.convert_to_numpy(variable).copy() for variable in model.variables]
