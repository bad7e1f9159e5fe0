"""What every tensor of a graph says about images: pooled values of many cuts out of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from edgecut.graph.callgraph import Calls, Tensor, flat
from edgecut.graph.naming import unique_name
from edgecut.graph.predict import BATCH
from edgecut.graph.proof import call_flat, parts
from edgecut.graph.rebuild import rebuild
from edgecut.images.mapped import batches
from edgecut.images.rows import columns
from edgecut.records.progress import SILENT, Progress

Forward = Callable[[np.ndarray], list[np.ndarray]]
_POOLS: dict[int, type[keras.Layer]] = {
    5: keras.layers.GlobalAveragePooling3D,
    4: keras.layers.GlobalAveragePooling2D,
    3: keras.layers.GlobalAveragePooling1D,
}


def poolable(graph: Calls) -> tuple[Tensor, ...]:
    """The computed float tensors that average to (batch, features), in calling order: where a head can be put."""
    return tuple(
        tensor
        for call in graph
        if not call.is_input
        for tensor in call.outputs
        if tensor.dtype.startswith("float") and len(tensor.shape) in {2, *_POOLS} and tensor.shape[-1]
    )


def pooled_model(graph: Calls, tensors: Sequence[Tensor]) -> keras.Model:
    """A fresh model of the graph's inputs whose outputs, (batch, features), are the tensors averaged over the map."""
    body = rebuild(graph, outputs=list(tensors))
    taken = {operation.name for operation in body.operations}
    outputs = [
        x if len(x.shape) == 2 else _POOLS[len(x.shape)](name=unique_name(f"pooled_{k}", taken))(x)
        for k, x in enumerate(body.outputs)
    ]
    return keras.Model(body.inputs, outputs)


def forward_of(model: keras.Model) -> Forward:
    """What gives every output of a model, float32 (batch, ...), for rows as it takes them; traced once."""
    forward = tf.function(lambda *inputs: keras.tree.flatten(call_flat(model, inputs)), reduce_retracing=True)
    return lambda rows: [x.numpy() for x in forward(*map(tf.constant, columns(rows)))]


def predict_each(
    forward: Forward,
    images: np.ndarray,
    to_input: Callable[[np.ndarray], np.ndarray],
    *,
    title: str = "forward pass",
    progress: Progress = SILENT,
) -> Iterator[list[np.ndarray]]:
    """Batch by batch every output of a model (forward_of), float32 (batch, ...).

    images: (n, ...), kept as they are (bytes); to_input makes a batch of them what the model takes, in rows
    (images/rows.py) for each of several inputs.
    """
    with progress.task(title, len(images)) as advance:
        for batch in batches(images, BATCH):
            yield forward(to_input(batch))
            advance(len(batch))


def final_feature(graph: Calls) -> Tensor:
    """What the model knows before it decides: the last layer's input where that is a classifier, else the output.

    A classifier: a Dense layer, or a layer with weights that softmax or sigmoid follows.
    """
    known = set(poolable(graph))
    decides = False
    for call in reversed(graph.calls):
        activation = getattr(getattr(call.operation, "activation", None), "__name__", "")
        decides = decides or call.type in {"Softmax", "Sigmoid"} or activation in {"softmax", "sigmoid"}
        if getattr(call.operation, "weights", ()) and "Normalization" not in call.type:
            taken = [tensor for tensor in call.inputs if tensor in known]
            if taken and (decides or call.type == "Dense"):
                return taken[0]
            break
    last = [tensor for call in graph.calls for tensor in call.outputs if tensor in known]
    return last[-1]


def gradient_x_activation(graph: Calls, tensors: Sequence[Tensor], inputs: np.ndarray) -> np.ndarray:
    """For each tensor how much the model's strongest output hangs on it: (len(tensors),), float64.

    The mean over images and channels of |sum over positions of gradient x activation| (Molchanov et al., Pruning
    Convolutional Neural Networks, 2017, equation 8), 0 where the output doesn't depend on the tensor.
    inputs: rows (n, ...) as the model takes them.
    """
    model = rebuild(graph, outputs=[*tensors, flat(graph.outputs)[0]])
    sums = [_gradient_sums(model, part) for part in parts(graph, columns(inputs), copies=2)]
    return np.asarray([float(np.mean(np.abs(np.concatenate(each)))) for each in zip(*sums, strict=True)])


def _gradient_sums(model: keras.Model, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of each output but the last the sum over positions of gradient x activation, (n, channels), float64.

    inputs: few, since all activations and their gradients are held at once.
    """
    with tf.GradientTape() as tape:
        fed = [tf.constant(x) for x in inputs]
        tape.watch([x for x in fed if x.dtype.is_floating])
        *values, last = keras.tree.flatten(call_flat(model, fed))
        target = tf.reduce_sum(tf.reduce_max(tf.reshape(last, (len(inputs[0]), -1)), axis=1))
    sums = []
    for value, gradient in zip(values, tape.gradient(target, values), strict=True):
        product = np.zeros(1) if gradient is None else (value * gradient).numpy().astype("float64")
        sums.append(product.sum(axis=tuple(range(1, product.ndim - 1))))
    return sums
