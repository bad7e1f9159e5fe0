"""A model's outputs over many images, in batches, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from edgecut.graph.proof import call_flat
from edgecut.images.mapped import batches, gathered_each
from edgecut.images.rows import columns
from edgecut.records.progress import SILENT, Progress

BATCH = 32


def predict_outputs(
    model: keras.Model,
    images: np.ndarray,
    to_input: Callable[[np.ndarray], np.ndarray],
    *,
    title: str = "forward pass",
    progress: Progress = SILENT,
) -> tuple[np.ndarray, ...]:
    """Every output of a model, each (n, ...), in its own dtype; large ones lie in a file (images/mapped.py).

    images: (n, ...), kept as they are (bytes); to_input makes a batch of them what the model takes, in rows
    (images/rows.py) for each of several inputs.
    """
    forward = tf.function(lambda *inputs: keras.tree.flatten(call_flat(model, inputs)), reduce_retracing=True)

    def each() -> Iterator[tuple[np.ndarray, ...]]:
        with progress.task(title, len(images)) as advance:
            for batch in batches(images, BATCH):
                yield tuple(row.numpy() for row in forward(*map(tf.constant, columns(to_input(batch)))))
                advance(len(batch))

    return gathered_each(each(), len(images))


def predict(
    model: keras.Model,
    images: np.ndarray,
    to_input: Callable[[np.ndarray], np.ndarray],
    *,
    title: str = "forward pass",
    progress: Progress = SILENT,
) -> np.ndarray:
    """The first of a model's outputs, as `predict_outputs` gives all."""
    return predict_outputs(model, images, to_input, title=title, progress=progress)[0]
