"""A model's outputs over many images, in batches, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from edgecut.graph.proof import call_flat
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
    """Every output of a model, each (n, ...), in its own dtype.

    images: (n, ...), kept as they are (bytes); to_input makes a batch of them what the model takes, in rows
    (images/rows.py) for each of several inputs.
    """
    forward = tf.function(lambda *inputs: keras.tree.flatten(call_flat(model, inputs)), reduce_retracing=True)
    outputs: list[list[np.ndarray]] = []
    with progress.task(title, len(images)) as advance:
        for first in range(0, len(images), BATCH):
            batch = images[first : first + BATCH]
            outputs.append([row.numpy() for row in forward(*map(tf.constant, columns(to_input(batch))))])
            advance(len(batch))
    return tuple(np.concatenate(column) for column in zip(*outputs, strict=True))


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
