"""A Keras model written to a file, and the file read back."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf
from keras import tree

from edgecut.errors import StepError
from edgecut.graph.archive import settle
from edgecut.graph.callgraph import flat
from edgecut.graph.calls import calls
from edgecut.graph.clones import classes_of, functions_of, states_of
from edgecut.graph.proof import INPUTS, call_flat, difference, parts, seeded_inputs, to_tensor, undisturbed
from edgecut.graph.sentences import telling_line
from edgecut.graph.trace import all_operations
from edgecut.records.proof import OutputProof
from edgecut.streams import caught_output
from edgecut.whole import naming

_FAULTS = (TypeError, ValueError, NotImplementedError, KeyError, AttributeError, OSError)


def save(model: keras.Model, path: str | Path) -> OutputProof:
    """Write a model to a .keras file, whole or not at all, and prove that the file holds it.

    The result is the proof: the file's model, loaded again, against this one on seeded inputs.
    Raises StepError if Keras can't save or load it, or if the loaded one isn't bit-equal; OSError, which names `path`,
    if the system refuses to write it.
    """
    path = Path(path)
    partial = path.with_name(f"{path.stem}.partial.keras")
    try:
        with naming(path), caught_output():
            model.save(partial)
            settle(partial)
            operations = all_operations(model)
            with keras.saving.custom_object_scope({**classes_of(operations), **functions_of(operations)}):
                # What is loaded was in memory a moment ago, so its code may run.
                loaded = keras.models.load_model(partial, compile=False, safe_mode=False)
        proof = _compared(model, loaded)
        if not proof.exact:
            raise StepError(
                f"{path}: the file, loaded again, differs by {proof.max_abs_error:.3g} on {INPUTS} seeded inputs; "
                "a layer of it doesn't save all its state"
            )
        partial.replace(path)
    except _FAULTS as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise
        raise StepError(f"{path}: Keras can't save and load the model: {telling_line(exc)}") from exc
    finally:
        partial.unlink(missing_ok=True)
    return proof


def _compared(model: keras.Model, loaded: keras.Model) -> OutputProof:
    graph = calls(model)
    tensors = flat(graph.inputs)
    got: list[tf.Tensor] = []
    expected: list[tf.Tensor] = []
    with undisturbed(model, loaded):
        for layer in model._flatten_layers():
            for state in states_of(layer):  # Keras doesn't save what a recurrent layer remembers
                state.assign(keras.ops.zeros_like(state))
        for part in parts(graph, seeded_inputs(tensors)):
            fed = list(map(to_tensor, part, tensors))
            expected += tree.flatten(call_flat(model, fed))
            got += tree.flatten(call_flat(loaded, fed))
        return difference(got, expected, inputs=INPUTS)
