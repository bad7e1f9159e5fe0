"""Proof that a rebuilt model computes what its source does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from edgecut.errors import GraphError, StepError
from edgecut.graph.callgraph import Calls, Tensor, flat
from edgecut.graph.clones import states_of
from edgecut.graph.costs import tensor_bytes
from edgecut.graph.keras_types import Structure
from edgecut.graph.rebuild import Splice, run
from edgecut.records.proof import OutputProof
from edgecut.sandbox.limits import check_array

INPUTS = 8
OPEN_SIZE = 96  # what an open height or width is tried at
# Eager kernels are deterministic and the layers the same, so equal means bit-equal; a fused or reordered float32 sum
# of up to some ten thousand terms differs by about this much of the largest value.
TOLERANCE = 1e-5
# A functional model holds every value that it computes until it returns: 65 MB an image of MobileNetV1 at 224. What
# its kernels ask for beside them stays with the process, so that the memory of a proof is that of all that follows.
VALUES_BYTES = 256 << 20
WORDS = ("", "a", "b", "the", "of", "to", "and", "cut")


def seeded_inputs(tensors: Sequence[Tensor], *, count: int = INPUTS, seed: int = 0) -> list[np.ndarray]:
    """`count` seeded inputs for each tensor: floats in -1..1, integers and booleans 0 or 1, words, open sizes 96."""
    random = np.random.default_rng(seed)
    arrays = []
    for tensor in tensors:
        batch = count if not tensor.shape or tensor.shape[0] is None else tensor.shape[0]
        shape = (batch, *(OPEN_SIZE if size is None else size for size in tensor.shape[1:]))
        check_array(f"the tensor {getattr(tensor, 'name', '')!r}", shape)
        if "float" in tensor.dtype:
            arrays.append(random.uniform(-1, 1, shape).astype("float32"))
        elif tensor.dtype == "string":
            arrays.append(np.asarray(WORDS, dtype=object)[random.integers(0, len(WORDS), shape)])
        else:
            arrays.append(random.integers(0, 2, shape))
    return arrays


def prove_edit(
    graph: Calls,
    result: keras.Model,
    ends: Sequence[Tensor],
    starts: Sequence[Tensor] = (),
    splices: Mapping[Tensor, Splice] | None = None,
) -> OutputProof:
    """How near `result` is to the source's own layers on seeded inputs.

    ends: the source's tensors that the result puts out. starts: those that feed it (default: the source's inputs),
    whose values the source computes from its own. splices: edits that are applied to the source's run, too. exact means
    bit-equal; where it isn't, "tolerance" and "reason" say what is let pass. Stateful layers are left as they were.
    Raises StepError if the difference is larger than that.
    """
    feeds = flat(graph.inputs)
    layers = [call.operation for call in graph if isinstance(call.operation, keras.Layer)]
    got: list[tf.Tensor] = []
    expected: list[tf.Tensor] = []
    for part in parts(graph, seeded_inputs(feeds)):
        values = dict(zip(feeds, map(to_tensor, part, feeds), strict=True))
        if starts:
            with undisturbed(*layers, result):
                fed = [_bare(value) for value in run(graph, values, starts)]
            _check_declared(graph, starts, fed)
        else:
            taken = {x._keras_history.operation.name for x in result.inputs}
            fed = [values[tensor] for tensor in feeds if graph.producer[tensor].name in taken]
        with undisturbed(*layers, result):
            expected += run(graph, values, ends, splices)
        with undisturbed(result):
            got += tree.flatten(call_flat(result, fed))
    return _judged(difference(got, expected, inputs=INPUTS), expected)


def parts(graph: Calls, arrays: Sequence[np.ndarray], *, copies: int = 1) -> Iterator[tuple[np.ndarray, ...]]:
    """Inputs of a graph, each (n, ...), cut into parts of so few images that all values of a part take 256 MiB.

    8 images, halved until they do, at least one; a fixed batch is a part, and what has no batch of one size is whole.
    copies: how many of each value are held at once.
    """
    count = max(len(x) for x in arrays)
    batches = {tensor.shape[:1] for tensor in flat(graph.inputs)}
    size = count
    if batches == {(None,)}:
        size, values = INPUTS, sum(tensor_bytes(x) or 0 for call in graph for x in call.outputs)
        while size > 1 and size * values * copies > VALUES_BYTES:
            size //= 2
    elif len(batches) == 1:
        size = max((batch or 0 for (batch,) in filter(None, batches)), default=0) or count
    for first in range(0, count, size):
        yield tuple(x[first : first + size] for x in arrays)


def call_flat(model: keras.Model, inputs: Sequence[tf.Tensor]) -> Structure:
    """The outputs of a model in inference, given its inputs as a flat list in its own order.

    A Sequential or subclassed model, which declares no structure, takes one.
    """
    declared = getattr(model, "_inputs_struct", None)
    given = inputs[0] if declared is None else tree.pack_sequence_as(declared, list(inputs))
    return model(given, training=False)


def difference(got: Sequence[tf.Tensor], expected: Sequence[tf.Tensor], *, inputs: int) -> OutputProof:
    """The proof of arrays that should be bit-equal."""
    error, exact = 0.0, True
    for a, b in zip(map(to_array, got), map(to_array, expected), strict=True):
        if a.shape != b.shape:
            return OutputProof(inputs=inputs, max_abs_error=float("inf"), exact=False)
        numeric = a.dtype.kind in "fiub"
        same = (a == b) | (a != a) & (b != b) if a.dtype.kind == "f" else a == b
        exact = exact and bool(np.all(same))
        if not np.all(same):
            off = np.abs(a.astype("float64") - b.astype("float64"))[~same] if numeric else np.asarray([np.inf])
            error = max(error, float(np.max(np.nan_to_num(off, nan=np.inf))))
    return OutputProof(inputs=inputs, max_abs_error=error, exact=exact)


def to_array(value: tf.Tensor) -> np.ndarray:
    """A tensor's values, of a sparse one all of them; 16-bit floats as float32."""
    if isinstance(value, tf.SparseTensor):
        value = tf.sparse.to_dense(value)
    array = value.numpy() if isinstance(value, tf.Tensor) else keras.ops.convert_to_numpy(value)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


@contextmanager
def undisturbed(*layers: keras.Layer) -> Iterator[None]:
    """Puts back what running layers changes in them: states of recurrent layers and of random generators."""
    parts = [part for layer in layers for part in layer._flatten_layers()]
    weights = {id(variable) for part in parts for variable in part._trainable_variables}
    variables = {id(v): v for layer in layers for v in layer.variables if id(v) not in weights}
    variables.update({id(state): state for part in parts for state in states_of(part)})
    kept = [(variable, keras.ops.convert_to_numpy(variable)) for variable in variables.values()]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def _bare(value: tf.Tensor) -> tf.Tensor:
    """A value as a device would feed it: without the mask that Keras may have attached to it."""
    return tf.identity(value) if isinstance(value, tf.Tensor) else value


def _check_declared(graph: Calls, starts: Sequence[Tensor], fed: Sequence[tf.Tensor]) -> None:
    for tensor, value in zip(starts, fed, strict=True):
        if len(value.shape) != len(tensor.shape):
            raise GraphError(
                f"from {graph.tensor_name[tensor]!r}: Keras declares it as {tensor.shape} and computes "
                f"{tuple(value.shape)}, so no input can be made for it; start behind it"
            )


def _judged(proof: OutputProof, expected: Sequence[tf.Tensor]) -> OutputProof:
    if proof.exact:
        return proof
    arrays = [np.abs(x) for x in map(to_array, expected) if x.dtype.kind == "f" and x.size]
    tolerance = TOLERANCE * max([1.0, *(float(np.max(x[np.isfinite(x)], initial=0.0)) for x in arrays)])
    if not proof.max_abs_error <= tolerance:
        raise StepError(
            f"the result differs from its source by {proof.max_abs_error:.3g} on {proof.inputs} seeded inputs, "
            f"and {tolerance:.3g} is let pass for rounding; a layer that is random at inference can't be proven"
        )
    return proof.model_copy(update={"tolerance": tolerance, "reason": "float sums in another order"})


def to_tensor(array: np.ndarray, tensor: Tensor) -> tf.Tensor:
    """An array as the value of a tensor: in its dtype, sparse where it is."""
    if tensor.dtype == "string":
        return tf.constant(array.tolist())
    dense = keras.ops.convert_to_tensor(array, dtype=tensor.dtype)
    return tf.sparse.from_dense(dense) if tensor.sparse else dense
